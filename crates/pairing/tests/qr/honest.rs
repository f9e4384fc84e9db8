//! Nobody in between, nothing goes wrong.

use std::cell::RefCell;

use handfast_ipfs::Name;
use handfast_pairing::qr::message::ProviderGrant;
use handfast_pairing::qr::session::{Peer, Question};
use handfast_pairing::qr::{Consent, Failure, Input};

use crate::network::{Keep, Router, messages};
use crate::party::{Machine, grant, options, reach, scanned};
use crate::person::Person;
use crate::world::{A, B, World, pair};

#[test]
fn both_finish_however_people_confirm_and_however_many_routers_there_are() {
    for consent in [Consent::Typed, Consent::Compare, Consent::Unseen] {
        for routers in 1..=3 {
            let mut world = World::new(pair(), routers).consent(consent);
            world.succeeds();
            assert_eq!((world.responses().len(), world.reveals().len()), (1, 1));
            assert!(world.elapsed() <= 5, "no timer is waited for");
            for party in &world.parties {
                assert!(party.watched.is_empty(), "nothing is polled any more");
                assert!(party.granted.is_empty(), "both had a provider");
                for introduction in &party.admitted {
                    let peer = introduction.peer.identity().name.as_str();
                    assert_eq!(introduction.reach, Some(reach(peer)));
                }
            }
        }
    }
}

#[test]
fn the_two_people_may_confirm_in_different_ways() {
    for (a, b) in [(Consent::Typed, Consent::Compare), (Consent::Compare, Consent::Typed)] {
        let mut world = World::new(pair(), 2);
        world.parties[A].setup.consent = a;
        world.parties[B].setup.consent = b;
        world.succeeds();
    }
}

#[test]
fn routers_that_keep_whatever_came_last() {
    let mut world = World::new(pair(), 2);
    world.network.routers = vec![Router::new(Keep::Last), Router::new(Keep::Highest)];
    world.succeeds();
}

#[test]
fn a_router_that_never_answers_costs_two_seconds() {
    let mut world = World::new(pair(), 2);
    world.network.routers[1].reachable = false;
    world.succeeds();
    assert!((2..=4).contains(&world.elapsed()), "{}", world.elapsed());
}

#[test]
fn a_provider_is_granted_in_either_direction() {
    for without in [A, B] {
        for consent in [Consent::Typed, Consent::Compare, Consent::Unseen] {
            let mut devices = pair();
            devices[without].provider = None;
            let mut world = World::new(devices, 2).consent(consent);
            world.succeeds();
            assert_eq!(world.parties[without].granted, [grant()]);
            assert!(world.parties[1 - without].granted.is_empty());
        }
    }
}

#[test]
fn a_provider_in_the_code_is_used_once_the_person_has_confirmed() {
    let mut devices = pair();
    devices[B].provider = None;
    let mut options = options();
    options.provider = Some(grant());
    let mut world = World::with_options(devices, options);
    world.succeeds();
    assert_eq!(world.parties[B].granted, [grant()]);
}

#[test]
fn without_any_provider_nobody_is_asked() {
    let devices = pair().map(|mut device| {
        device.provider = None;
        device
    });
    let mut world = World::new(devices, 2);
    world.fails(Failure::NoProvider, Failure::NoProvider);
    assert!(world.parties.iter().all(|party| party.screen.question.is_none()));
    assert!(world.elapsed() <= 5);
}

#[test]
fn the_initiator_shows_nothing_before_its_person_has_typed() {
    let mut world = World::new(pair(), 1);
    world.parties[A].person = Person::Absent;
    world.run_until(|world| world.parties.iter().all(|party| party.screen.question.is_some()));

    let peer = |who: usize| Peer {
        name: world.parties[who].setup.name.clone(),
        records: Some(world.parties[who].setup.records),
        has_provider: Some(true),
    };
    assert_eq!(world.parties[A].screen.question, Some(Question::TypeCheckCode(peer(B))));
    assert_eq!(world.parties[A].screen.check, None);
    let shown = world.parties[B].screen.check.unwrap();
    assert_eq!(world.parties[B].screen.question, Some(Question::TypeBackDigits(peer(A), shown)));
    assert!(!world.parties[B].screen.digits);

    // Neither can say yes without having looked.
    for who in [A, B] {
        world.tell(who, Input::Agreed);
        assert!(!world.parties[who].machine.as_ref().unwrap().has_confirmed());
    }
    // Nor does one who has the two digits from elsewhere get around the initiator.
    world.tell(B, Input::Typed(shown.back_digits()));
    assert!(world.parties[B].admitted.is_empty());
    // The ten digits do as well as the words.
    world.tell(A, Input::Typed(shown.digits()));
    assert_eq!(world.parties[A].screen.check, Some(shown));
    world.succeeds();
}

#[test]
fn nothing_of_anybody_is_readable_under_the_names_of_a_pairing() {
    let mut world = World::new(pair(), 1);
    world.succeeds();
    let keys = |who: usize| {
        let keys = &world.parties[who].setup.keys;
        [
            keys.ipns.public().as_ref().to_vec(),
            keys.swarm.public().as_ref().to_vec(),
            keys.auth.public().compressed().to_vec(),
            keys.exchange.public().compressed().to_vec(),
            world.parties[who].setup.name.as_str().as_bytes().to_vec(),
        ]
    };
    for record in &world.network.published {
        for needle in keys(A).iter().chain(&keys(B)) {
            let found = record.as_bytes().windows(needle.len()).any(|it| it == needle.as_slice());
            assert!(!found);
        }
    }
}

#[test]
fn what_is_left_of_a_session_holds_no_secret() {
    let mut world = World::new(pair(), 1);
    world.succeeds();
    let code = scanned(&world.codes[0]);
    for party in &world.parties {
        let left = party.stored.as_ref().unwrap();
        let seed: &[u8] = code.temp.seed();
        assert!(!left.windows(32).any(|it| it == seed));
        assert!(left.len() < 4_096);
        // After a restart there is nothing to be done but to say the last word once more.
        let machine = party.machine.as_ref().unwrap();
        assert_eq!(machine.ended(), Some(None));
        assert!(matches!(machine, Machine::Initiator(_) | Machine::Joiner(_)));
    }
}

/// The largest of everything still fits into one record.
#[test]
fn the_longest_line() {
    let mut devices = pair();
    devices[B].provider = None;
    let long = "x".repeat(ProviderGrant::MAX);
    let grant = ProviderGrant::new(long).unwrap();
    devices[A].provider = Some(grant.clone());
    devices[A].name = handfast_ring::DeviceName::new(&"n".repeat(64)).unwrap();
    let mut world = World::new(devices, 1);
    world.succeeds();
    assert_eq!(world.parties[B].granted, [grant]);
    let name = Name::of(scanned(&world.codes[0]).reply);
    let line = world.network.published.iter().rfind(|it| *it.name() == name).unwrap();
    assert_eq!(messages(line).len(), 3);
    assert!(line.as_bytes().len() < 6_000);
}

/// The last thing that the initiator says gets lost, and it is done and gone by then. Its feed
/// tells the joiner all the same.
#[test]
fn a_peer_that_has_finished_does_not_repeat_itself() {
    let mut world = World::new(pair(), 1);
    world.shows();
    let reply = Name::of(scanned(&world.codes[0]).reply);
    let before = RefCell::new(None);
    world.network.routers[0].view = Some(Box::new(move |reader, name, held| match held {
        Some(record) if reader == B && *name == reply && messages(&record).len() == 3 => {
            before.borrow().clone()
        }
        Some(record) => {
            if *name == reply {
                before.replace(Some(record.clone()));
            }
            Some(record)
        }
        None => None,
    }));
    world.let_in();
    world.succeeds();
    assert!((30..=40).contains(&world.elapsed()), "{}", world.elapsed());
}
