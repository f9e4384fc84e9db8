//! Candidates that give up: by themselves, or because their person does.

use std::time::Duration;

use handfast_keys::Timestamp;
use handfast_pairing::invite::{
    Candidate, Denial, Effect, Failure, Input, Invite, Machine, Request, Response, Verdict, Via,
};
use handfast_pairing::qr::Consent;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::honest::raw;
use crate::party::Person;
use crate::world::{MEMBER, World, envelope};

const DAYS: Duration = Duration::from_secs(3 * 24 * 3_600);

fn invite() -> Invite {
    let mut world = World::new(raw(), 1);
    world.run_until(|world| world.invite.is_some());
    world.invite.unwrap()
}

fn effects(candidate: &mut Candidate) -> Vec<Effect> {
    std::iter::from_fn(|| candidate.poll()).collect()
}

/// However it ends, whoever carries it out is told to take the request back and to stop.
#[test]
fn who_fails_while_asking_is_done() {
    let (rng, now) = (&mut StdRng::seed_from_u64(1), Timestamp(1));
    let invite = invite();
    let writer = crate::party::structure_key(1, "raw");
    let key = invite.key.public();
    let session = Request::session_of(&key, writer.as_bytes());
    let denied = Response::new(&key, &session, &Verdict::Denied(Denial::Used));
    let denied = Input::Response(Via::Mailbox, denied);
    for (input, at, failure) in [
        (Input::Declined, now, Failure::Declined),
        (Input::Elapsed, now + DAYS, Failure::PeerSilent),
        (denied, now, Failure::Denied(Denial::Used)),
    ] {
        let mut candidate = Candidate::start_raw(invite.clone(), &writer, now).unwrap();
        effects(&mut candidate);
        if candidate.handle(at, rng, input).is_ok() {
            let grace = candidate.poll_timeout().unwrap();
            effects(&mut candidate);
            assert_eq!(candidate.handle(grace, rng, Input::Elapsed), Err(failure));
        }
        assert_eq!(candidate.ended(), Some(Some(failure)));
        let told = effects(&mut candidate);
        assert!(
            matches!(told[..], [Effect::Store, Effect::Withdraw, Effect::Retire]),
            "{failure}: {told:?}"
        );
        assert_eq!(candidate.poll_timeout(), None);
        // Who died before that is told once more.
        let mut again = Candidate::resume(&candidate.to_bytes(at), at, rng).unwrap();
        assert!(matches!(effects(&mut again)[..], [Effect::Retire]));
    }
}

/// When the member has the writers, or may have them, only its word says that it is over. Who does
/// not want to wait for it is told what that means.
#[test]
fn who_has_sent_its_writers_may_have_been_let_in() {
    for arrives in [true, false] {
        let mut world = World::new(envelope(None), 1);
        world.run_until(|world| {
            let talk = world.parties[1].machine.as_ref().and_then(Machine::conversation);
            talk.is_some_and(|talk| talk.own.len() == 1)
        });
        (world.network.live, world.network.dht) = (arrives, arrives);
        if !arrives {
            world.network.receive(MEMBER);
        }
        world.tell(1, Input::Declined);
        assert_eq!(world.outcomes(), [None, Some(Err(Failure::Left))]);
        let candidate = &mut world.parties[1];
        assert!(!candidate.converses);
        assert_eq!(candidate.machine.as_mut().unwrap().poll_timeout(), None);
        world.run();
        let member = if arrives { Ok(()) } else { Err(Failure::PeerSilent) };
        assert_eq!(world.outcomes(), [Some(member), Some(Err(Failure::Left))]);
        assert_eq!(world.parties[MEMBER].added.is_empty(), !arrives);
    }
}

/// Until the other one has confirmed, too, nothing is handed over.
#[test]
fn who_has_confirmed_can_still_leave() {
    for consent in [Consent::Typed, Consent::Compare] {
        let (confirms, waits) = (MEMBER, 1);
        let mut world = World::new(envelope(Some(consent)), 1);
        world.parties[waits].person = Person::Absent;
        world.run_until(|world| world.parties[confirms].screen.digits);
        world.tell(confirms, Input::Declined);
        world.run();
        assert_eq!(world.outcomes(), [Some(Err(Failure::Declined)); 2]);
        assert!(world.parties[MEMBER].added.is_empty());
    }
}
