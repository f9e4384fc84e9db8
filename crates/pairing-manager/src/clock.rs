//! Time and randomness for the machines.

use std::time::Duration;

use handfast_keys::Timestamp;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::time::Instant;

/// The wall clock as it was at the start, and from there on a monotonic one.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Timestamp,
    since: Instant,
}

impl Clock {
    /// From now on.
    pub fn start() -> Clock {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        Clock { start: Timestamp(millis), since: Instant::now() }
    }

    /// The moment it is.
    pub fn now(&self) -> Timestamp {
        self.start + self.since.elapsed()
    }

    /// The instant of a moment.
    pub fn instant(&self, at: Timestamp) -> Instant {
        // (An instant has an end; a deadline in a thousand years is none.)
        let far = Duration::from_secs(365 * 24 * 3_600);
        self.since + at.since(self.start).min(self.since.elapsed() + far)
    }
}

/// Randomness for a machine.
pub(crate) fn rng() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::from_rng(&mut rand::rng()))
}
