//! Trying again: the one place that decides whether, when and for how long.

use std::time::{Duration, SystemTime};

use rand::RngExt as _;
use tokio::time::Instant;

use crate::{ErrorKind, ProviderError};

/// The longest `Retry-After` that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Jittered exponential backoff within a total deadline.
///
/// Everything sent through it must be harmless when done twice. Blocks and records are: both are
/// named by what they contain.
#[derive(Clone, Debug)]
pub struct Retry {
    /// How often to try in all; 1 means never again.
    pub attempts: u32,
    /// The pause after the first failure, before jitter. It doubles with each further failure.
    pub first: Duration,
    /// The longest pause that the doubling leads to.
    pub longest: Duration,
    /// No new attempt begins later than this after the first began. A service that asks for a
    /// longer pause gets it: the error is returned at once and says how long.
    pub deadline: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 4,
            first: Duration::from_millis(300),
            longest: Duration::from_secs(10),
            deadline: Duration::from_secs(45),
        }
    }
}

impl Retry {
    /// A policy that tries once.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// Runs `attempt` until it succeeds, fails for good, or the policy gives up; then returns its
    /// last result.
    pub async fn run<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        let end = Instant::now() + self.deadline;
        let mut failures = 0;
        loop {
            let error = match attempt().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            failures += 1;
            if !error.is_transient() || failures >= self.attempts {
                return Err(error);
            }
            let pause = self.pause(failures, error.kind());
            if Instant::now() + pause > end {
                return Err(error);
            }
            tracing::debug!(%error, failures, ?pause, "trying again");
            tokio::time::sleep(pause).await;
        }
    }

    /// How long to wait after the `failures`th failure: half of it fixed and half of it random, so
    /// that many devices cut off together do not come back together.
    fn pause(&self, failures: u32, kind: ErrorKind) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let jittered = full.mul_f64(rand::rng().random_range(0.5..=1.0));
        match kind {
            ErrorKind::RateLimited { wait: Some(wait) } => jittered + wait,
            _ => jittered,
        }
    }
}

/// Reads a `Retry-After` header (RFC 9110, 10.2.3): seconds, or an HTTP date from which `now` is
/// subtracted. `None` if it is neither; a day at most.
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let wait = match header.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(header).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn failure(kind: ErrorKind) -> ProviderError {
        ProviderError::new(kind, "a test", "failing")
    }

    async fn run(retry: &Retry, kind: ErrorKind, until: u32) -> (Result<u32, ErrorKind>, u32) {
        let tried = Cell::new(0);
        let result = retry
            .run(|| {
                tried.set(tried.get() + 1);
                let now = tried.get();
                async move { if now >= until { Ok(now) } else { Err(failure(kind)) } }
            })
            .await;
        (result.map_err(|error| error.kind()), tried.get())
    }

    #[tokio::test(start_paused = true)]
    async fn backs_off_and_succeeds() {
        let start = Instant::now();
        assert_eq!(run(&Retry::default(), ErrorKind::Broken, 4).await, (Ok(4), 4));
        // 300, 600 and 1200 ms, each between a half and the whole.
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(1050) && took <= Duration::from_millis(2110));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up() {
        let retry = Retry::default();
        let outcome = run(&retry, ErrorKind::Unreachable, 99).await;
        assert_eq!(outcome, (Err(ErrorKind::Unreachable), 4));
        let outcome = run(&retry, ErrorKind::BadCredentials, 99).await;
        assert_eq!(outcome, (Err(ErrorKind::BadCredentials), 1));
        assert_eq!(run(&Retry::never(), ErrorKind::Broken, 2).await.1, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_it_is_told() {
        let start = Instant::now();
        let kind = ErrorKind::RateLimited { wait: Some(Duration::from_secs(20)) };
        assert_eq!(run(&Retry::default(), kind, 2).await, (Ok(2), 2));
        assert!(start.elapsed() >= Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn hands_back_a_wait_beyond_the_deadline() {
        let start = Instant::now();
        let kind = ErrorKind::RateLimited { wait: Some(Duration::from_secs(600)) };
        assert_eq!(run(&Retry::default(), kind, 2).await, (Err(kind), 1));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[test]
    fn reads_both_forms_of_retry_after() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let after = |header| retry_after(header, now).map(|wait| wait.as_secs());
        assert_eq!(after("120"), Some(120));
        assert_eq!(after(" 0 "), Some(0));
        assert_eq!(after("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(after("99999999999"), Some(24 * 60 * 60));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
    }
}
