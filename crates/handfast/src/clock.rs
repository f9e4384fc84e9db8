//! What time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use handfast_keys::Timestamp;
use tokio::time::Instant;

/// The wall clock as it was when the program began, and from then on a clock that never jumps:
/// neither a correction nor a person setting the time disturbs a pairing. What runs on is Tokio's
/// clock, so that a test whose time is virtual has one time for everything; that one stands still
/// while the machine sleeps, so what was slept is added (where the system tells: on Linux).
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    started: Instant,
    /// How long the machine has slept since it was booted.
    slept: fn() -> Duration,
    slept_before: Duration,
}

impl Clock {
    /// Reads the wall clock, once.
    pub fn start() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock::starting_at(Timestamp(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)))
    }

    /// A clock that shows `wall` now, right or wrong.
    pub fn starting_at(wall: Timestamp) -> Clock {
        Clock::on_a_machine(wall, slept)
    }

    fn on_a_machine(wall: Timestamp, slept: fn() -> Duration) -> Clock {
        Clock { wall, started: Instant::now(), slept, slept_before: slept() }
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        self.wall + self.started.elapsed() + (self.slept)().saturating_sub(self.slept_before)
    }

    /// When that moment will be, for waiting; at once if it is over. If the machine sleeps meanwhile,
    /// it is over sooner.
    pub fn instant(&self, moment: Timestamp) -> Instant {
        Instant::now() + moment.since(self.now())
    }
}

#[cfg(target_os = "linux")]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let [boot, awake] = [ClockId::Boottime, ClockId::Monotonic].map(|clock| {
        // Neither is ever negative.
        Duration::try_from(clock_gettime(clock)).unwrap_or_default()
    });
    // The two are not read at one instant.
    Duration::from_millis(boot.saturating_sub(awake).as_millis() as u64)
}

#[cfg(not(target_os = "linux"))]
fn slept() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test(start_paused = true)]
    async fn what_was_slept_has_passed() {
        static SLEPT: AtomicU64 = AtomicU64::new(5);
        let slept = || HOUR * SLEPT.load(Ordering::Relaxed) as u32;
        let begun = Timestamp(1_800_000_000_000);
        let clock = Clock::on_a_machine(begun, slept);
        assert_eq!(clock.now(), begun, "what was slept before doesn't count");
        let at = begun + 10 * HOUR;
        tokio::time::advance(HOUR).await;
        SLEPT.store(13, Ordering::Relaxed);
        assert_eq!(clock.now(), begun + 9 * HOUR);
        assert_eq!(clock.instant(at), Instant::now() + HOUR);
        tokio::time::advance(2 * HOUR).await;
        assert_eq!(clock.instant(at), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_starts_shows_what_the_wall_clock_does() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let shown = Clock::start().now();
        assert!(shown.0.abs_diff(wall.as_millis() as u64) < 60_000);
        tokio::time::advance(HOUR).await;
        assert!(Clock::start().now().0 < shown.0 + HOUR.as_millis() as u64);
    }
}
