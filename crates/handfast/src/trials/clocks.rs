//! Clocks that are wrong by years, on either side, in either direction; and a clock that is put
//! right later. The services' clock is right.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use handfast_keys::Timestamp;

use super::power::Power;
use super::story;
use super::world::{World, trial};
use crate::clock::Clock;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

fn right() -> Timestamp {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(wall.as_millis()).unwrap())
}

#[test]
fn clocks_that_are_wrong_by_years() {
    let early = Timestamp(right().0 - 6 * YEAR.as_millis() as u64);
    let wrong = [Timestamp(0), early, right() + 4 * YEAR, right() + 40 * YEAR];
    for wrong in wrong {
        for victim in ["a", "b"] {
            trial(async {
                let world = World::new().await;
                world.set_clock(victim, Clock::starting_at(wrong));
                story::beginning(&world).await;
                story::pairing(&world).await;
                story::edits(&world).await;
                world.check_same(&["a", "b"]);
                assert_eq!(world.failures.lock().unwrap().len(), 0);
                // Its person sets it right.
                world.set_clock(victim, Clock::starting_at(right()));
                world.restart(victim, Power::lasting()).await;
                world.write(victim, ["notes", "time", "is", "right"]).await;
                world.settle(&["a", "b"]).await;
                world.check_same(&["a", "b"]);
            });
        }
    }
}
