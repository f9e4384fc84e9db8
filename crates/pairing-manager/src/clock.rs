//! Time and randomness for the machines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use handfast_keys::Timestamp;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::time::Instant;

/// The wall clock as it was at the start, and from there on what has passed, sleep included. It never
/// goes back.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Source>);

struct Source {
    start: SystemTime,
    since: Instant,
    wall: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// By how many milliseconds the wall clock was ahead at most. The monotonic one stands still while
    /// the machine sleeps; what was set forward by hand only ends things early.
    ahead: AtomicU64,
}

impl Clock {
    /// From now on.
    pub fn start() -> Clock {
        Clock::of(SystemTime::now)
    }

    /// From now on, by this wall clock.
    pub fn of(wall: impl Fn() -> SystemTime + Send + Sync + 'static) -> Clock {
        let (start, since) = (wall(), Instant::now());
        let (wall, ahead) = (Box::new(wall), AtomicU64::new(0));
        Clock(Arc::new(Source { start, since, wall, ahead }))
    }

    /// The moment it is.
    pub fn now(&self) -> Timestamp {
        let Source { start, since, wall, ahead } = &*self.0;
        let passed = wall().duration_since(*start).unwrap_or_default();
        let ran = since.elapsed();
        let lead = passed.saturating_sub(ran).as_millis().try_into().unwrap_or(u64::MAX);
        let lead = ahead.fetch_max(lead, Ordering::Relaxed).max(lead);
        let began = start.duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(0) + began + ran + Duration::from_millis(lead)
    }

    /// The instant of a moment, unless the machine sleeps before it: then it is over sooner.
    pub fn instant(&self, at: Timestamp) -> Instant {
        // (An instant has an end; a deadline in a thousand years is none.)
        let far = Duration::from_secs(365 * 24 * 3_600);
        Instant::now() + at.since(self.now()).min(far)
    }
}

/// Randomness for a machine.
pub(crate) fn rng() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::from_rng(&mut rand::rng()))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    /// A clock on a wall where somebody can set it.
    fn set_by_hand() -> (Clock, Arc<Mutex<SystemTime>>) {
        let wall = Arc::new(Mutex::new(UNIX_EPOCH + 1_000 * HOUR));
        let shown = wall.clone();
        (Clock::of(move || *shown.lock().unwrap()), wall)
    }

    #[tokio::test(start_paused = true)]
    async fn time_passes_whichever_clock_shows_it() {
        let (clock, wall) = set_by_hand();
        let begun = clock.now();
        assert_eq!(begun, Timestamp(0) + 1_000 * HOUR);
        tokio::time::advance(HOUR).await;
        assert_eq!(clock.now(), begun + HOUR, "the wall clock stands still");
        *wall.lock().unwrap() += HOUR;
        assert_eq!(clock.now(), begun + HOUR, "both have gone on");
        *wall.lock().unwrap() += 8 * HOUR;
        assert_eq!(clock.now(), begun + 9 * HOUR, "the machine has slept");
        tokio::time::advance(HOUR).await;
        *wall.lock().unwrap() += HOUR;
        assert_eq!(clock.now(), begun + 10 * HOUR, "and is awake");
    }

    #[tokio::test(start_paused = true)]
    async fn it_never_goes_back() {
        let (clock, wall) = set_by_hand();
        let begun = clock.now();
        *wall.lock().unwrap() -= 5 * HOUR;
        assert_eq!(clock.now(), begun);
        *wall.lock().unwrap() += 7 * HOUR;
        assert_eq!(clock.now(), begun + 2 * HOUR);
        *wall.lock().unwrap() -= 2 * HOUR;
        assert_eq!(clock.now(), begun + 2 * HOUR, "set forward by mistake, and back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_comes_sooner_for_who_has_slept() {
        let (clock, wall) = set_by_hand();
        let at = clock.now() + 10 * HOUR;
        assert_eq!(clock.instant(at), Instant::now() + 10 * HOUR);
        *wall.lock().unwrap() += 8 * HOUR;
        assert_eq!(clock.instant(at), Instant::now() + 2 * HOUR);
        *wall.lock().unwrap() += 8 * HOUR;
        assert_eq!(clock.instant(at), Instant::now());
        assert!(clock.instant(Timestamp(u64::MAX)) > Instant::now());
    }
}
