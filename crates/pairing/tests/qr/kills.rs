//! Processes that die: at every single point, in either role.

use handfast_pairing::qr::Consent;

use crate::party::{Part, grant, options};
use crate::person::Person;
use crate::world::{A, B, World, pair};

/// The ways to pair that are gone through.
fn ways() -> Vec<Box<dyn Fn() -> World>> {
    let of = |consent, without: Option<usize>| -> Box<dyn Fn() -> World> {
        Box::new(move || {
            let mut devices = pair();
            if let Some(without) = without {
                devices[without].provider = None;
            }
            World::new(devices, 1).consent(consent)
        })
    };
    vec![
        of(Consent::Typed, Some(B)),
        of(Consent::Unseen, Some(A)),
        Box::new(|| {
            let mut devices = pair();
            devices[B].provider = None;
            World::with(devices, Part::ShowsLiteral(Some(grant())), 1)
        }),
    ]
}

fn check(world: &mut World, what: &str) {
    world.run();
    assert_eq!(world.outcomes(), [Some(Ok(())); 2], "{what}");
    world.check_success();
    for party in &world.parties {
        let grants: Vec<_> = party.granted.iter().filter(|it| **it != grant()).collect();
        assert!(grants.is_empty(), "{what}");
        assert_eq!(party.granted.is_empty(), party.setup.provider.is_some(), "{what}");
    }
    if let Part::Shows(_) = world.parties[A].part {
        // One S for one scan, and one Reveal for one S, whatever happens.
        assert_eq!(world.responses().len(), 1, "{what}");
        assert_eq!(world.reveals().len(), 1, "{what}");
    }
}

#[test]
fn a_process_may_die_at_any_point() {
    let mut deaths = 0;
    for way in ways() {
        let mut world = way();
        check(&mut world, "undisturbed");
        for who in [A, B] {
            let points = world.parties[who].points;
            assert!(points > 10, "{points}");
            for point in 0..points {
                let mut world = way();
                world.parties[who].dies_at.insert(point);
                check(&mut world, &format!("device {who} dies at {point}"));
                assert_eq!(world.parties[who].restarts, 1);
                deaths += 1;
            }
        }
    }
    assert!(deaths > 100, "{deaths}");
}

/// Both die at once, and each once more right after it has come back.
#[test]
fn both_processes_may_die_again_and_again() {
    for way in ways() {
        for point in 0..3 {
            let mut world = way();
            for party in &mut world.parties {
                party.dies_at = (0..60).filter(|at| (at + point) % 5 < 2).collect();
            }
            check(&mut world, &format!("both die, from {point}"));
        }
    }
}

/// A device that comes back asks its person again what it had asked.
#[test]
fn the_question_stands_until_it_is_answered() {
    let mut world = World::with(pair(), Part::Shows(options()), 1);
    world.parties.iter_mut().for_each(|party| party.person = Person::Absent);
    world.run_until(|world| world.parties.iter().all(|party| party.screen.question.is_some()));
    for who in [A, B] {
        let question = world.parties[who].screen.question.clone();
        world.restart(who);
        assert_eq!(world.parties[who].screen.question, question);
    }
}
