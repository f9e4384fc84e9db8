//! Somebody who saw the code, and writes and lies wherever he can.

use std::cell::Cell;
use std::rc::Rc;

use handfast_ipfs::{Name, record};
use handfast_keys::{Digest, IpnsPublic, IpnsSecret};
use handfast_pairing::qr::message::Response;
use handfast_pairing::qr::{Code, Consent, Failure};
use handfast_ring::{DeviceKeys, DeviceName, Identity, Role, SignedIdentity};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::network::{Network, carrying};
use crate::party::{Part, Party, scanned, setup};
use crate::person::Person;
use crate::world::{A, B, Intruder, World, pair};

const MAX: u64 = record::MAX_SEQUENCE;

/// What a device says of itself in a pairing.
pub fn identity(keys: &DeviceKeys, role: Role, session: Digest, nonce: u8) -> SignedIdentity {
    let name = DeviceName::new("yours truly").unwrap();
    let nonce = Digest::from_bytes([nonce; 32]);
    SignedIdentity::sign(Identity::new(keys, name, role, session, nonce), keys)
}

/// A response by whoever claims this identity.
pub fn response(identity: SignedIdentity) -> Response {
    let line = IpnsSecret::from_seed([77; 32]).public();
    Response { identity, line, has_provider: true, records: 0 }
}

fn seal(response: &Response, code: &Code) -> Vec<u8> {
    response.seal(code, &mut StdRng::seed_from_u64(99)).as_bytes().to_vec()
}

/// A flawless response of the intruder's own.
pub fn own_response(code: &Code) -> Vec<u8> {
    let keys = setup(9, "stranger").keys;
    seal(&response(identity(&keys, Role::Joiner, code.hash(), 5)), code)
}

/// Where a pairing is, for an intruder who watches the routers.
fn answered(network: &Network, name: Name) -> bool {
    network.routers.iter().any(|router| router.held(&name).is_some())
}

/// Acts once, when `when` says so.
fn once(
    mut when: impl FnMut(&Network, &Code) -> bool + 'static,
    act: impl Fn(&mut Network, &Code) + 'static,
) -> Intruder {
    let done = Cell::new(false);
    Box::new(move |network, text| {
        if let Some(code) = text.map(scanned)
            && !done.get()
            && when(network, &code)
        {
            done.set(true);
            act(network, &code);
        }
    })
}

fn publish_own(network: &mut Network, code: &Code, sequence: u64) {
    let record = carrying(&code.temp, &own_response(code), sequence);
    network.publish(&record);
}

fn temp_name(code: &Code) -> Name {
    Name::of(code.temp.public())
}

/// The joiner scans only when the intruder has had his turn.
fn late_joiner(world: &mut World) {
    world.shows();
    for _ in 0..2 {
        world.step();
    }
    world.let_in();
}

#[test]
fn first() {
    // The initiator has locked the intruder, and sees then that there is somebody else.
    let mut world = World::new(pair(), 1);
    world.intruder = Some(once(|_, _| true, |network, code| publish_own(network, code, 1)));
    late_joiner(&mut world);
    assert!(world.parties[A].screen.question.is_some());
    world.fails(Failure::Equivocation, Failure::CodeTaken);
}

#[test]
fn at_the_same_time() {
    for consent in [Consent::Typed, Consent::Compare] {
        let mut world = World::new(pair(), 2).consent(consent);
        world.network.routers[0].view = Some(hides(B));
        world.network.routers[1].view = Some(hides(B));
        world.intruder = Some(once(
            |network, code| answered(network, temp_name(code)),
            |network, code| {
                // One router has got the joiner's answer, the other one his.
                let record = carrying(&code.temp, &own_response(code), 2);
                network.routers[1].take(record, network.now);
            },
        ));
        world.run_until(|world| world.parties[A].outcome.is_some());
        assert_eq!(world.parties[A].outcome, Some(Err(Failure::Equivocation)));
        assert!(world.reveals().is_empty(), "nothing was revealed to anybody");
        for router in &mut world.network.routers {
            router.view = None;
        }
        world.fails(Failure::Equivocation, Failure::Equivocation);
    }
}

/// A view in which the names are empty for one reader.
fn hides(reader: usize) -> crate::network::View {
    Box::new(move |who, _, held| held.filter(|_| who != reader))
}

#[test]
fn later_and_at_the_highest_sequence() {
    for sequence in [2, MAX] {
        let mut world = World::new(pair(), 2);
        world.parties[A].person = Person::Absent;
        world.intruder = Some(once(
            |network, code| answered(network, Name::of(code.reply)),
            move |network, code| publish_own(network, code, sequence),
        ));
        world.fails(Failure::Equivocation, Failure::Equivocation);
    }
}

#[test]
fn too_late() {
    let mut world = World::new(pair(), 2);
    let confirmed = Rc::new(Cell::new(false));
    let seen = Rc::clone(&confirmed);
    world.intruder =
        Some(once(move |_, _| seen.get(), |network, code| publish_own(network, code, MAX)));
    world.parties[B].person = Person::Absent;
    world.run_until(|world| world.parties[A].screen.digits);
    confirmed.set(true);
    world.run_until(|world| world.elapsed() > 30);
    world.parties[B].person = Person::Careful;
    world.succeeds();
}

#[test]
fn at_the_same_sequence() {
    // Whichever of the two a router keeps, the joiner puts itself above it, and both are seen.
    let mut world = World::new(pair(), 1);
    world.intruder = Some(once(
        |network, code| answered(network, temp_name(code)),
        |network, code| publish_own(network, code, 1),
    ));
    world.run();
    assert!(matches!(
        world.outcomes(),
        [Some(Err(Failure::Equivocation)), Some(Err(Failure::Equivocation | Failure::CodeTaken))]
            | [Some(Ok(())), Some(Ok(()))]
    ));
    if world.outcomes()[A] == Some(Ok(())) {
        world.check_success();
    }
}

#[test]
fn first_and_at_the_highest_sequence() {
    // Nobody can put himself above it. The joiner knows at once, the initiator has locked the
    // intruder and waits for words that nobody shows.
    let mut world = World::new(pair(), 1);
    world.intruder = Some(once(|_, _| true, |network, code| publish_own(network, code, MAX)));
    late_joiner(&mut world);
    world.fails(Failure::Expired, Failure::CodeTaken);
}

#[test]
fn rubbish_at_the_highest_sequence() {
    let mut world = World::new(pair(), 1);
    world.intruder = Some(once(
        |_, _| true,
        |network, code| network.publish(&carrying(&code.temp, b"rubbish", MAX)),
    ));
    late_joiner(&mut world);
    world.fails(Failure::Expired, Failure::CodeTaken);
}

#[test]
fn rubbish_is_published_over() {
    let mut world = World::new(pair(), 2);
    let mut turns = 0;
    world.intruder = Some(Box::new(move |network, text| {
        turns += 1;
        if let Some(code) = text.map(scanned)
            && turns % 3 == 0
            && turns < 60
        {
            let record = carrying(&code.temp, format!("rubbish {turns}").as_bytes(), turns * 10);
            network.publish(&record);
        }
    }));
    world.succeeds();
    assert_eq!(world.responses().iter().filter(|it| !it.starts_with(b"rubbish")).count(), 1);
}

/// Routers that show each side another answer.
#[test]
fn a_split_view() {
    for honest in [0, 1] {
        let mut world = World::new(pair(), 1 + honest);
        world.shows();
        let code = scanned(&world.codes[0]);
        world.let_in();
        if honest == 1 {
            // The joiner has answered, and the initiator has not looked since.
            world.run_until(|world| world.parties[B].machine.is_some());
        }
        let (name, bytes) = (temp_name(&code), own_response(&code));
        let forged = carrying(&code.temp, &bytes, 7);
        world.network.routers[0].view =
            Some(Box::new(
                move |reader, asked, held| {
                    if reader == A && *asked == name { Some(forged.clone()) } else { held }
                },
            ));
        if honest == 0 {
            // Every router lies: the initiator locks the intruder. The joiner hears of it.
            world.run_until(|world| world.parties[B].outcome.is_some());
            assert_eq!(world.parties[B].outcome, Some(Err(Failure::CodeTaken)));
            assert_eq!(world.parties[B].screen.check, None, "there are no words to be typed");
            world.fails(Failure::Expired, Failure::CodeTaken);
        } else {
            world.fails(Failure::Equivocation, Failure::Equivocation);
        }
    }
}

#[test]
fn the_reveal_is_kept_from_the_joiner() {
    let mut world = World::new(pair(), 2);
    world.shows();
    world.let_in();
    let reply = Name::of(scanned(&world.codes[0]).reply);
    for router in &mut world.network.routers {
        router.view = Some(Box::new(move |reader, name, held| {
            held.filter(|_| reader != B || *name != reply)
        }));
    }
    world.fails(Failure::Expired, Failure::PeerSilent);
}

/// Responses to this code that are none.
fn forgeries(code: &Code) -> Vec<Vec<u8>> {
    let laptop = setup(1, "laptop").keys;
    let stranger = setup(9, "stranger").keys;
    let session = code.hash();
    let mut mixed = stranger.clone();
    mixed.exchange = laptop.exchange.clone();
    let honest = response(identity(&stranger, Role::Joiner, session, 5));
    let with_line = |line| Response { line, ..honest.clone() };
    let mut other = code.clone();
    other.lifetime += 1;
    let responses = [
        // The initiator's own keys, in both roles (had he ever got it to sign that).
        response(identity(&laptop, Role::Joiner, session, 5)),
        response(identity(&laptop, Role::Initiator, session, 5)),
        // Somebody in the wrong role.
        response(identity(&stranger, Role::Initiator, session, 5)),
        // Somebody who answers another code.
        response(identity(&stranger, Role::Joiner, other.hash(), 5)),
        // The initiator's exchange key, which does not sign, among his own.
        response(identity(&mixed, Role::Joiner, session, 5)),
        // The initiator's own line, one that everybody can write on, the initiator's feed.
        with_line(code.reply),
        with_line(code.temp.public()),
        with_line(code.ipns),
        // A line that is no point of the curve.
        with_line(IpnsPublic::from_bytes([0; 32])),
    ];
    let sealed = own_response(code);
    responses
        .iter()
        .map(|response| seal(response, code))
        .chain([
            // Sealed for another code, cut off, with something behind it, changed, nothing at all.
            own_response(&other),
            sealed[..100].to_vec(),
            [sealed.as_slice(), &[0]].concat(),
            sealed.iter().map(|byte| byte ^ 1).collect(),
            Vec::new(),
        ])
        .collect()
}

#[test]
fn what_is_no_response_changes_nothing() {
    let mut world = World::new(pair(), 2);
    world.shows();
    let code = scanned(&world.codes[0]);
    for (index, forgery) in forgeries(&code).iter().enumerate() {
        let sequence = index as u64 + 1;
        world.network.publish(&carrying(&code.temp, forgery, sequence));
        for _ in 0..2 {
            world.step();
        }
        let shown = world.parties[A].screen.code.as_deref();
        assert_eq!(shown, Some(world.codes[0].as_str()), "forgery {index} was locked");
    }
    world.let_in();
    world.succeeds();
}

/// A code that was used before, or whose session is over, is worth nothing.
#[test]
fn an_old_code() {
    let mut used = World::new(pair(), 2);
    used.succeeds();
    let code = used.codes[0].clone();

    // A third device scans it: the line tells that somebody else was locked.
    used.parties[B] = Party::new(setup(3, "tablet"), Part::Scans);
    used.other_code = Some(code.clone());
    used.run();
    assert_eq!(used.parties[B].outcome, Some(Err(Failure::CodeTaken)));

    // The old answer does not fit a new code of the same device.
    let answer = used.network.published.iter().find(|it| *it.name() == temp_name(&scanned(&code)));
    let old = crate::network::carried(answer.unwrap()).to_vec();
    let mut world = World::new(pair(), 2);
    world.parties[A].rng = StdRng::seed_from_u64(4711);
    world.intruder = Some(once(
        |_, _| true,
        move |network, code| network.publish(&carrying(&code.temp, &old, 3)),
    ));
    late_joiner(&mut world);
    assert_ne!(world.codes[0], code);
    world.succeeds();

    // The routers have forgotten everything.
    let mut world = World::new(pair(), 2);
    world.parties[A].outcome = Some(Ok(()));
    world.other_code = Some(code);
    world.run();
    assert_eq!(world.parties[B].outcome, Some(Err(Failure::PeerSilent)));
}
