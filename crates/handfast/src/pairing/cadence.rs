//! How often a name router that can't wait is asked while a pairing goes on.
//!
//! While something is being said, more is to be expected; people take longer. So the pauses grow
//! with the time since the last word of either side, and the next word makes them short again:
//!
//! | since the last word | router on this machine | elsewhere |
//! |---|---|---|
//! | 10 s | 100 ms, or as long as the answer took, up to 1 s | 1 s |
//! | a minute | 1 s | 1 s |
//! | longer | 5 s | 5 s |
//!
//! A router on this machine may have a DHT behind it, which more questions only make slower: that
//! is why it rests as long as it has worked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};
use url::{Host, Url};

const AT_ONCE: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);
/// How long a router on this machine is asked [`AT_ONCE`].
const LIVELY: Duration = Duration::from_secs(10);
/// How long a router is asked [`SOON`].
const PATIENT: Duration = Duration::from_secs(60);

/// When the last word of a conversation was said, by either side.
#[derive(Clone, Debug)]
pub struct LastWord(Arc<watch::Sender<Instant>>);

impl LastWord {
    /// A conversation that begins now.
    pub fn new() -> LastWord {
        LastWord(Arc::new(watch::Sender::new(Instant::now())))
    }

    /// Something was said now.
    pub fn said(&self) {
        self.0.send_replace(Instant::now());
    }

    /// The pauses between questions to a router, which is `near` if it is on this machine.
    pub fn cadence(&self, near: bool) -> Cadence {
        Cadence { last_word: self.0.subscribe(), near }
    }
}

/// The pauses between questions to one router.
#[derive(Debug)]
pub struct Cadence {
    last_word: watch::Receiver<Instant>,
    near: bool,
}

impl Cadence {
    /// Waits until it is time for the next question, after an answer that took so long.
    pub async fn rest(&mut self, took: Duration) {
        let answered = Instant::now();
        loop {
            let silence = answered.saturating_duration_since(*self.last_word.borrow_and_update());
            tokio::select! {
                () = time::sleep_until(answered + pause(silence, self.near, took)) => return,
                Ok(()) = self.last_word.changed() => {}
            }
        }
    }
}

fn pause(silence: Duration, near: bool, took: Duration) -> Duration {
    match silence {
        silence if near && silence < LIVELY => took.clamp(AT_ONCE, SOON),
        silence if silence < PATIENT => SOON,
        _ => LATER,
    }
}

/// Whether an address leads to this machine.
pub fn is_near(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many questions are asked in so many seconds, at no cost.
    async fn questions(cadence: &mut Cadence, seconds: u64) -> usize {
        slow_questions(cadence, seconds, Duration::ZERO).await
    }

    async fn slow_questions(cadence: &mut Cadence, seconds: u64, took: Duration) -> usize {
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut count = 0;
        while Instant::now() < end {
            cadence.rest(took).await;
            time::sleep(took).await;
            count += 1;
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_with_silence() {
        let last_word = LastWord::new();
        let mut near = last_word.cadence(true);
        assert_eq!(questions(&mut near, 10).await, 100);
        assert_eq!(questions(&mut near, 50).await, 50);
        assert_eq!(questions(&mut near, 60).await, 12);
        last_word.said();
        let mut far = last_word.cadence(false);
        assert_eq!(questions(&mut far, 60).await, 60);
        assert_eq!(questions(&mut far, 60).await, 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_near_router_rests_as_long_as_it_worked() {
        let last_word = LastWord::new();
        let mut near = last_word.cadence(true);
        assert_eq!(slow_questions(&mut near, 9, Duration::from_millis(250)).await, 18);
        last_word.said();
        assert_eq!(slow_questions(&mut near, 9, Duration::from_secs(2)).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_ends_a_long_pause() {
        let last_word = LastWord::new();
        for (near, waited) in [(true, 2_000), (false, 2_000)] {
            let mut cadence = last_word.cadence(near);
            time::advance(2 * PATIENT).await;
            let start = Instant::now();
            let speaking = async {
                time::sleep(Duration::from_millis(waited)).await;
                last_word.said();
            };
            tokio::join!(cadence.rest(Duration::ZERO), speaking);
            // The question was due long ago by the pace that holds now.
            assert_eq!(start.elapsed(), Duration::from_millis(waited));
            cadence.rest(Duration::ZERO).await;
            let pause = if near { AT_ONCE } else { SOON };
            assert_eq!(start.elapsed(), Duration::from_millis(waited) + pause);
        }
    }

    #[test]
    fn what_is_near() {
        for address in ["http://127.0.0.1:4590", "http://localhost:1/routing/v1", "http://[::1]:2"]
        {
            assert!(is_near(address), "{address}");
        }
        for address in ["https://127.0.0.1.example", "http://192.168.1.5:4590", "localhost", ""] {
            assert!(!is_near(address), "{address}");
        }
    }
}
