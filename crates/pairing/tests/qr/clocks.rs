//! Clocks that are wrong, and clocks that jump while a device is off.

use std::time::Duration;

use handfast_keys::Timestamp;
use handfast_pairing::qr::{Failure, Initiator, Input, Joiner};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::network::BEGINNING;
use crate::party::{Part, options, scanned, setup};
use crate::person::Person;
use crate::world::{A, B, World, pair};

const YEAR: i64 = 365 * 24 * 3_600 * 1_000;
/// A clock that has lost its battery: it stands at 1970.
const NO_BATTERY: i64 = -(BEGINNING as i64);

#[test]
fn clocks_that_are_wrong_by_years() {
    for wrong in [-3 * YEAR, 3 * YEAR, 40 * YEAR, 9_000 * YEAR, NO_BATTERY] {
        for (clocks, part) in [
            ([wrong, 0], Part::Shows(options())),
            ([0, wrong], Part::Shows(options())),
            ([wrong, -wrong / 100], Part::ShowsLiteral(None)),
        ] {
            let mut world = World::with(pair(), part, 1);
            for who in [A, B] {
                world.parties[who].wrong_clock = clocks[who];
            }
            world.succeeds();
            // The router's clock is right, and it refuses what has expired.
            assert_eq!(world.network.routers[0].refused, 0);
        }
    }
}

#[test]
fn a_restart_neither_gives_nor_takes_time() {
    // (by how much the clock jumps while the device is off, when it is over at the latest)
    for (jump, latest) in [(0, 605), (-3 * YEAR, 905), (3 * YEAR, 305), (NO_BATTERY, 905)] {
        for who in [A, B] {
            let mut world = World::new(pair(), 1);
            world.run_until(|world| world.parties[B].machine.is_some());
            // The other device is not there any more, and nobody hears from it.
            world.network.routers[0].view = Some(Box::new(|_, _, _| None));
            world.parties[1 - who].outcome = Some(Ok(()));
            world.parties[who].outcome = None;
            world.run_until(|world| world.elapsed() >= 300);
            world.parties[who].clock_jump = jump;
            world.restart(who);
            world.run();
            let failure = [Failure::Expired, Failure::PeerSilent][who];
            assert_eq!(world.parties[who].outcome, Some(Err(failure)));
            assert!(world.elapsed() <= latest, "{jump}: {}", world.elapsed());
        }
    }
}

/// What is stored is how much time remains; each restart subtracts what has passed since, which
/// is never less than nothing.
#[test]
fn the_deadline_of_a_resumed_machine() {
    let mut rng = StdRng::seed_from_u64(4711);
    let now = Timestamp(BEGINNING);
    let minute = Duration::from_secs(60);
    let laptop = Initiator::start(setup(1, "laptop"), options(), now, &mut rng);
    let code = scanned(&laptop.code().unwrap().to_string());
    let phone = Joiner::start(setup(2, "phone"), code, now, &mut rng).unwrap();

    let stored = laptop.to_bytes(now + 2 * minute);
    for (resumed, remains) in [
        (now + 2 * minute, 8),
        (now + 5 * minute, 5),
        (now + 10 * minute, 0),
        (Timestamp(u64::MAX), 0),
        (now, 8),
        (Timestamp(0), 8),
    ] {
        let keys = setup(1, "laptop").keys;
        let mut again = Initiator::resume(&stored, keys, resumed, &mut rng).unwrap();
        assert_eq!(again.poll_timeout(), Some(resumed + remains * minute), "{resumed:?}");
        // A second restart, at once, changes nothing.
        let twice = again.to_bytes(resumed);
        let keys = setup(1, "laptop").keys;
        let mut again = Initiator::resume(&twice, keys, resumed, &mut rng).unwrap();
        assert_eq!(again.poll_timeout(), Some(resumed + remains * minute));
        let elapsed = again.handle(resumed, &mut rng, Input::Elapsed);
        assert_eq!(elapsed, if remains == 0 { Err(Failure::Expired) } else { Ok(()) });
    }

    let stored = phone.to_bytes(now + 2 * minute);
    let keys = setup(2, "phone").keys;
    let mut again = Joiner::resume(&stored, keys, now + 99 * minute, &mut rng).unwrap();
    let elapsed = again.handle(now + 99 * minute, &mut rng, Input::Elapsed);
    assert_eq!(elapsed, Err(Failure::PeerSilent));
}

/// Once a person has confirmed, time does not take it back.
#[test]
fn no_deadline_after_the_confirmation() {
    let mut world = World::new(pair(), 1);
    world.parties[B].person = Person::Absent;
    world.run_until(|world| world.parties[A].screen.digits);
    // The joiner is switched off for years, and neither hears of the other.
    world.parties[A].clock_jump = 5 * YEAR;
    world.restart(A);
    world.tell(A, Input::Elapsed);
    assert_eq!(world.parties[A].outcome, None);
    world.parties[B].person = Person::Careful;
    world.succeeds();
}
