//! What time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use handfast_keys::Timestamp;
use tokio::time::Instant;

/// The wall clock as it was when the program began, and from then on a clock that never jumps:
/// neither a correction nor a person setting the time disturbs a pairing. What runs on is Tokio's
/// clock, so that a test whose time is virtual has one time for everything.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock, once.
    pub fn start() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock::starting_at(Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)))
    }

    /// A clock that shows `wall` now, right or wrong.
    pub fn starting_at(wall: Timestamp) -> Clock {
        Clock { wall, started: Instant::now() }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.wall + self.started.elapsed()
    }

    /// When that moment will be, for waiting; at once if it is over.
    pub fn instant(&self, moment: Timestamp) -> Instant {
        self.started + moment.since(self.wall)
    }
}
