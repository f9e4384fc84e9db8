//! Pairings in which nobody wants any harm.

use std::time::Duration;

use handfast_keys::Secret;
use handfast_pairing::invite::{Denial, Failure, Input, InviteOptions, Map, Terms};
use handfast_pairing::qr::Consent;
use handfast_ring::DeviceKeys;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::network::Packet;
use crate::party::{Part, Person, map, structure_key};
use crate::world::{MEMBER, World, envelope};

pub fn raw() -> Terms {
    Terms::Raw {
        namespace: "raw".to_owned(),
        key: structure_key(0, "raw"),
        encryption_key: Some(Secret::from_bytes([5; 32])),
        additional: Some(b"{\"readOnly\":false}".to_vec()),
    }
}

#[test]
fn both_online() {
    for terms in [raw(), envelope(None), envelope(Some(Consent::Typed))] {
        let mut world = World::new(terms, 1);
        assert_eq!(world.one_gets_in(), 1);
        assert!(world.elapsed() < 5_000, "{} ms", world.elapsed());
    }
}

#[test]
fn through_the_dht_alone() {
    for terms in [raw(), envelope(None), envelope(Some(Consent::Compare))] {
        let mut world = World::new(terms, 1);
        world.network.live = false;
        world.one_gets_in();
        assert!(world.elapsed() < 60_000, "{} ms", world.elapsed());
    }
}

#[test]
fn without_the_dht() {
    for terms in [raw(), envelope(None), envelope(Some(Consent::Unseen))] {
        let mut world = World::new(terms, 1);
        world.network.dht = false;
        world.one_gets_in();
        assert!(world.elapsed() < 5_000, "{} ms", world.elapsed());
    }
}

#[test]
fn never_online_together() {
    for terms in [raw(), envelope(None), envelope(Some(Consent::Unseen))] {
        let mut world = World::new(terms, 1);
        world.network.live = false;
        world.run_until(|world| world.invite.is_some());
        for turn in 0.. {
            assert!(turn < 20, "they never finish");
            if world.parties.iter().all(|party| party.outcome.is_some()) {
                break;
            }
            for (awake, asleep) in [(1, MEMBER), (MEMBER, 1)] {
                world.parties[asleep].awake = false;
                world.parties[awake].awake = true;
                let until = world.elapsed() + 60_000;
                world.run_until(|world| world.elapsed() > until);
            }
        }
        world.check_pair(1);
    }
}

#[test]
fn maps_of_any_size_on_both_roads() {
    for count in [0, 1, 20, 500] {
        for live in [true, false] {
            let names: Vec<String> = (0..count).map(|n| format!("Sammlung Ω {n} 共有")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let options = InviteOptions::default();
            let mut world = World::with(envelope(None), options, map(&names), 1);
            (world.network.live, world.network.dht) = (live, !live);
            world.one_gets_in();
        }
    }
}

#[test]
fn devices_behind_both_sides() {
    let mut world = World::new(envelope(Some(Consent::Typed)), 2);
    for (number, party) in world.parties.iter_mut().enumerate().take(2) {
        party.device = Some(DeviceKeys::generate(&mut StdRng::seed_from_u64(number as u64)));
    }
    // Who has no device behind him sees that it is not for him, and the invite stays as it is.
    world.parties[1].awake = false;
    world.run_until(|world| world.parties[2].outcome.is_some());
    assert_eq!(world.outcomes()[2], Some(Err(Failure::ForDevices)));
    world.parties[1].awake = true;
    assert_eq!(world.one_gets_in(), 1);
    assert!(world.parties[MEMBER].paired[0].peer.as_ref().unwrap().introduction.is_some());
}

#[test]
fn a_person_who_says_no() {
    for who in [MEMBER, 1] {
        let mut world = World::new(envelope(Some(Consent::Compare)), 1);
        world.parties[who].person = Person::Declines;
        world.run();
        assert_eq!(world.outcomes(), [Some(Err(Failure::Declined)); 2]);
        assert!(world.parties[MEMBER].added.is_empty());
    }
}

#[test]
fn a_person_is_asked_once_though_the_other_one_answers_first() {
    for slow in [MEMBER, 1] {
        let mut world = World::new(envelope(Some(Consent::Compare)), 1);
        world.parties[slow].person = Person::Absent;
        world.run_until(|world| world.elapsed() > 60_000);
        assert!(world.parties[1 - slow].screen.question.is_none());
        world.parties[slow].person = Person::Careful;
        world.run();
        assert_eq!(world.outcomes(), [Some(Ok(())); 2]);
        assert!(world.parties.iter().all(|party| party.screen.asked == 1));
    }
}

#[test]
fn a_person_who_types_something_else() {
    let mut world = World::new(envelope(Some(Consent::Typed)), 1);
    world.parties[MEMBER].person = Person::Absent;
    world.run_until(|world| world.parties[MEMBER].screen.question.is_some());
    let right = world.parties[1].screen.check;
    let wrong = if right.is_some_and(|code| code.digits() == "0000000000") { "1" } else { "0" };
    world.tell(MEMBER, Input::Typed("rubbish".to_owned()));
    for _ in 0..3 {
        assert_eq!(world.outcomes()[MEMBER], None);
        world.tell(MEMBER, Input::Typed(wrong.repeat(10)));
    }
    assert_eq!(world.outcomes()[MEMBER], Some(Err(Failure::Mismatch)));
    world.run();
    assert_eq!(world.outcomes()[1], Some(Err(Failure::Mismatch)));
    assert!(world.parties[MEMBER].added.is_empty());
}

#[test]
fn who_insists_on_comparing() {
    let mut world = World::new(envelope(None), 1);
    world.parties[1].part = Part::Candidate { consent: Consent::Typed, insist: true };
    world.run();
    assert_eq!(world.outcomes()[1], Some(Err(Failure::Unverified)));
    assert_eq!(world.outcomes()[MEMBER], Some(Err(Failure::Refused)));
}

#[test]
fn an_invite_that_has_expired() {
    for (live, dht) in [(true, false), (false, true)] {
        let options =
            InviteOptions { lifetime: Duration::from_secs(10), ..InviteOptions::default() };
        let mut world = World::with(envelope(None), options, Map::default(), 1);
        (world.network.live, world.network.dht) = (live, dht);
        world.parties[1].awake = false;
        world.run_until(|world| world.elapsed() > 10_000);
        assert_eq!(world.outcomes()[MEMBER], Some(Err(Failure::Expired)));
        world.parties[1].awake = true;
        world.run();
        assert_eq!(world.outcomes()[1], Some(Err(Failure::Denied(Denial::Expired))));
    }
}

#[test]
fn an_invite_that_was_revoked() {
    for terms in [raw(), envelope(None)] {
        let mut world = World::new(terms, 1);
        world.parties[1].awake = false;
        world.run_until(|world| world.invite.is_some());
        world.tell(MEMBER, Input::Declined);
        assert_eq!(world.outcomes()[MEMBER], Some(Err(Failure::Revoked)));
        // And stays so.
        world.restart(MEMBER);
        world.parties[1].awake = true;
        world.run();
        assert_eq!(world.outcomes()[1], Some(Err(Failure::Denied(Denial::Rejected))));
        assert!(world.parties[MEMBER].added.is_empty());
    }
}

#[test]
fn an_invite_that_was_used() {
    for terms in [raw(), envelope(None)] {
        let mut world = World::new(terms, 2);
        world.parties[2].awake = false;
        world.run_until(|world| world.outcomes()[..2].iter().all(Option::is_some));
        world.restart(MEMBER);
        world.parties[2].awake = true;
        assert_eq!(world.one_gets_in(), 1);
        assert_eq!(world.outcomes()[2], Some(Err(Failure::Denied(Denial::Used))));
    }
}

/// Two days later nothing is left: neither answers nor the conversation.
#[test]
fn what_was_said_last_is_forgotten_in_the_end() {
    let mut world = World::new(envelope(None), 1);
    world.one_gets_in();
    let pairing = world.parties[MEMBER].stored.as_ref().unwrap().len();
    world.run_until(|world| world.elapsed() > 50 * 3_600_000);
    assert!(world.parties[MEMBER].stored.as_ref().unwrap().len() < pairing / 2);
    assert!(!world.parties[MEMBER].converses);
    let timeout = world.parties[MEMBER].machine.as_mut().unwrap().poll_timeout();
    assert_eq!(timeout, None);
}

/// `setup_member` must have been called.
#[test]
fn nobody_is_let_in_before_the_member_is_ready() {
    use handfast_keys::{InviteSecret, Timestamp};
    use handfast_pairing::invite::{Effect, Member, Request, Via};

    let rng = &mut StdRng::seed_from_u64(1);
    let mut member = Member::start(raw(), InviteOptions::default(), None, Timestamp(1), rng);
    let key: InviteSecret = member.invite().unwrap().key.clone();
    let request = Request::new(&key, &[3; 32]);
    while member.poll().is_some() {}
    member.handle(Timestamp(2), rng, Input::Request(Via::Live(1), request.clone())).unwrap();
    assert!(member.poll().is_none() && !member.is_pairing());
    member.handle(Timestamp(3), rng, Input::Ready(crate::party::name(0))).unwrap();
    member.handle(Timestamp(4), rng, Input::Request(Via::Live(1), request)).unwrap();
    assert!(member.is_pairing());
    let effects: Vec<Effect> = std::iter::from_fn(|| member.poll()).collect();
    assert!(matches!(effects[..], [Effect::Store, Effect::Store, Effect::AddWriters(_)]));
}

/// A wrong kind of user data costs nothing but an answer.
#[test]
fn nonsense_in_a_request_does_not_use_the_invite_up() {
    use handfast_pairing::invite::Request;
    for terms in [raw(), envelope(None)] {
        let mut world = World::new(terms, 1);
        world.parties[1].awake = false;
        world.run_until(|world| world.invite.is_some());
        let request = Request::new(&world.invite.as_ref().unwrap().key, b"nonsense");
        world.network.send(2, MEMBER, Packet::Request(request.to_bytes()));
        world.run_until(|world| !world.to_forger.is_empty());
        world.parties[1].awake = true;
        world.one_gets_in();
    }
}

/// Whoever does not heed what the invite says is turned away by the member, and the invite stays.
#[test]
fn a_device_and_an_app_turn_each_other_away() {
    use handfast_keys::Timestamp;
    use handfast_pairing::invite::{
        Candidate, CandidateSetup, Effect, Member, Request, Response, Verdict, Via,
    };

    let device = |seed| Some(DeviceKeys::generate(&mut StdRng::seed_from_u64(seed)));
    for (behind_member, behind_candidate) in [(device(1), None), (None, device(2))] {
        let (rng, options) = (&mut StdRng::seed_from_u64(3), InviteOptions::default());
        let mut member = Member::start(envelope(None), options, behind_member, Timestamp(1), rng);
        member.handle(Timestamp(2), rng, Input::Ready(crate::party::name(0))).unwrap();
        while member.poll().is_some() {}
        let mut invite = member.invite().unwrap().clone();
        let ask = |invite, rng: &mut StdRng| {
            let (name, device) = (crate::party::name(1), behind_candidate.clone());
            let setup = CandidateSetup { name, device, consent: Consent::Compare, insist: false };
            let mut candidate = Candidate::start(setup, invite, Timestamp(3), rng)?;
            Ok(std::iter::from_fn(|| candidate.poll()).find_map(|effect| match effect {
                Effect::Ask(asking) => Some(Request::from_bytes(&asking.request).unwrap()),
                _ => None,
            }))
        };
        let told = if behind_candidate.is_some() { Failure::ForApps } else { Failure::ForDevices };
        assert_eq!(ask(invite.clone(), rng), Err(told));
        let suffix = invite.suffix.as_mut().unwrap();
        suffix.is_app = !suffix.is_app;
        let request = ask(invite.clone(), rng).unwrap().unwrap();
        let session = request.session;
        member.handle(Timestamp(4), rng, Input::Request(Via::Live(1), request)).unwrap();
        let Some(Effect::Respond(_, response, _)) = member.poll() else { panic!("no answer") };
        let response = Response::from_bytes(&response.to_bytes()).unwrap();
        let (key, discovery_key) = (invite.key.public(), invite.discovery_key.unwrap());
        let verdict = response.open(&key, &session, &discovery_key);
        assert_eq!(verdict, Ok(Verdict::Denied(Denial::Rejected)));
        assert!(member.invite().is_some() && !member.is_pairing());
    }
}
