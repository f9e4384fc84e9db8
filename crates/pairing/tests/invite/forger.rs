//! Somebody who has the invite: he reads every request and response, and writes what he likes.

use handfast_keys::{Digest, ExchangeSecret, MailboxSecret};
use handfast_pairing::invite::line::frame;
use handfast_pairing::invite::message::{Answer, Envelope};
use handfast_pairing::invite::{
    Additional, Denial, Failure, Grant, Invite, Mailboxes, Receipt, Request, Response,
    StructureKey, Verdict,
};
use handfast_pairing::qr::Consent;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::honest::raw;
use crate::network::{Network, Packet};
use crate::party::Person;
use crate::world::{MEMBER, World, envelope};

/// Every request on the DHT, opened.
fn requests(network: &Network, invite: &Invite) -> Vec<Receipt> {
    let topic = invite.discovery_key.unwrap().mailbox_topic();
    let keys = network.announced.get(&topic).into_iter().flatten();
    let values = keys.filter_map(|key| network.mutable.get(key)?.last());
    values
        .map(|(_, bytes)| Request::from_bytes(bytes).unwrap().open(&invite.key.public()).unwrap())
        .collect()
}

/// Leaves a verdict of his own in every candidate's mailbox, above whatever is there.
fn overwrites(network: &mut Network, invite: &Invite, verdict: &Verdict, sequence: u64) {
    for receipt in requests(network, invite) {
        let key = invite.key.public();
        let response = Response::new(&key, &receipt.session, verdict);
        let mailbox = Mailboxes::of(&key, receipt.user_data()).response;
        network.put(mailbox.public(), sequence, response.to_bytes());
    }
}

#[test]
fn his_denials_do_not_keep_the_candidate_out() {
    for terms in [raw(), envelope(None)] {
        for denial in Denial::ALL {
            let mut world = World::new(terms.clone(), 1);
            world.network.live = false;
            let mut turns = 0;
            world.forger = Some(Box::new(move |network, invite| {
                turns += 1;
                if turns < 100 {
                    overwrites(network, invite, &Verdict::Denied(denial), 0);
                }
            }));
            world.one_gets_in();
        }
    }
}

/// With the structure's key, which he does not have, he could confirm in the raw profile.
#[test]
fn his_confirmations_are_no_good() {
    let own = ExchangeSecret::generate(&mut StdRng::seed_from_u64(9));
    for terms in [raw(), envelope(None)] {
        let mut world = World::new(terms, 1);
        world.network.live = false;
        let own = own.clone();
        let mut turns = 0;
        world.forger = Some(Box::new(move |network, invite| {
            turns += 1;
            if turns >= 100 {
                return;
            }
            // The member's exchange key and the throwaway key are no secret to him, once the
            // member has answered. What he cannot do is seal in the member's name.
            let (hash, public) = (invite.hash(), invite.key.public());
            for receipt in requests(network, invite) {
                let mailbox = Mailboxes::of(&public, receipt.user_data()).response.public();
                let discovery_key = invite.discovery_key.unwrap();
                let held = network.mutable.get(&mailbox).and_then(|values| values.last().cloned());
                let genuine = held.and_then(|(_, bytes)| {
                    let response = Response::from_bytes(&bytes).unwrap();
                    response.open(&public, &receipt.session, &discovery_key).ok()
                });
                let Some(Verdict::Confirmed(genuine)) = genuine else { continue };
                let line = MailboxSecret::from_seed([9; 32]).public();
                let rng = &mut StdRng::seed_from_u64(8);
                let additional = Envelope::decode(receipt.user_data(), &hash).map(|envelope| {
                    let answer = Answer::new(&hash, &envelope, &own, &line, rng);
                    Additional::sign(&invite.key, &answer.encode())
                });
                let key = match additional {
                    Some(_) => genuine.key,
                    None => StructureKey::from_bytes([6; 32]),
                };
                let grant = Grant { key, encryption_key: None, additional };
                let verdict = Verdict::Confirmed(grant);
                let response = Response::new(&public, &receipt.session, &verdict);
                // For a while, the forgery lies on top.
                network.put(mailbox, 0, response.to_bytes());
            }
        }));
        world.one_gets_in();
    }
}

/// He repeats the candidate's request as his own, and all frames at other places, and rubbish.
#[test]
fn repeating_what_others_said_gets_him_nothing() {
    let mut world = World::new(envelope(Some(Consent::Typed)), 1);
    let forger = 2;
    let mut seen = Vec::new();
    world.run_until(|world| world.invite.is_some());
    for _ in 0..4_000 {
        if world.parties.iter().all(|party| party.outcome.is_some()) {
            break;
        }
        world.step();
        for packet in std::mem::take(&mut world.to_forger) {
            for to in [MEMBER, 1] {
                world.network.send(forger, to, packet.clone());
                if let Packet::Frame(bytes) = &packet {
                    for index in 0..5 {
                        let moved = frame(index, &bytes[1..]);
                        world.network.send(forger, to, Packet::Frame(moved));
                    }
                    let mut broken = bytes.clone();
                    let middle = broken.len() / 2;
                    broken[middle] ^= 1;
                    world.network.send(forger, to, Packet::Frame(broken));
                }
            }
            seen.push(packet);
        }
    }
    world.check_pair(1);
    // The member answered his copy of the request. What it says is for the candidate alone.
    let invite = world.invite.as_ref().unwrap();
    let responses: Vec<_> =
        seen.iter().filter(|packet| matches!(packet, Packet::Response(_))).collect();
    assert!(!responses.is_empty());
    for packet in responses {
        let Packet::Response(bytes) = packet else { panic!("another profile or part") };
        let (key, discovery_key) = (invite.key.public(), invite.discovery_key.unwrap());
        let Some(Packet::Request(request)) =
            seen.iter().find(|it| matches!(it, Packet::Request(_)))
        else {
            panic!("the request came by")
        };
        let receipt = Request::from_bytes(request).unwrap().open(&key).unwrap();
        let response = Response::from_bytes(bytes).unwrap();
        let verdict = response.open(&key, &receipt.session, &discovery_key).unwrap();
        let Verdict::Confirmed(grant) = verdict else { panic!("confirmed") };
        let own = ExchangeSecret::generate(&mut StdRng::seed_from_u64(9));
        let answer = grant.additional.unwrap();
        let suffix = invite.suffix.unwrap();
        let user_data = receipt.user_data();
        assert_eq!(Answer::open(answer.data(), &suffix, &invite.hash(), user_data, &own), None);
    }
}

/// He is faster. With `verify` the people notice, and nothing is handed over to him.
#[test]
fn when_he_is_first_the_people_notice() {
    for consent in [Consent::Typed, Consent::Compare] {
        let mut world = World::new(envelope(Some(consent)), 2);
        world.parties[1].awake = false;
        world.run_until(|world| world.parties[MEMBER].screen.question.is_some());
        world.parties[1].awake = true;
        // The person holds the member's device and his own other one.
        world.looks_at = Some(1);
        world.parties[2].person = Person::Absent;
        world.run();
        assert_eq!(world.outcomes()[1], Some(Err(Failure::Denied(Denial::Used))));
        assert_eq!(world.outcomes()[MEMBER], Some(Err(Failure::PeerSilent)));
        assert!(world.parties[2].joined.is_none());
        assert!(world.parties[MEMBER].added.is_empty());
    }
}

/// His own session of the same name: an answer to it would be a second message under one nonce.
#[test]
fn a_borrowed_session_is_not_answered() {
    use handfast_keys::Timestamp;
    use handfast_pairing::invite::{Input, InviteOptions, Member, Via};

    let rng = &mut StdRng::seed_from_u64(1);
    let mut member = Member::start(raw(), InviteOptions::default(), None, Timestamp(1), rng);
    member.handle(Timestamp(1), rng, Input::Ready(crate::party::name(0))).unwrap();
    let invite = member.invite().unwrap().clone();
    let first = Request::new(&invite.key, &[3; 32]);
    member.handle(Timestamp(1), rng, Input::Request(Via::Live(1), first.clone())).unwrap();
    while member.poll().is_some() {}
    // Another request under another invite's key does not even open.
    let foreign = Request::new(&handfast_keys::InviteSecret::generate(rng), &[3; 32]);
    let borrowed = Request::in_session(&invite.key, &[4; 32], first.session);
    assert!(borrowed.open(&invite.key.public()).is_ok());
    for request in [foreign, borrowed] {
        member.handle(Timestamp(2), rng, Input::Request(Via::Live(2), request)).unwrap();
        assert!(member.poll().is_none());
    }
    let digest = Digest::from_bytes([0; 32]);
    assert!(Envelope::decode(&[3; 32], &digest).is_none());
}

/// A thousand who were too late are not all told so, and nothing piles up.
#[test]
fn a_flood_is_answered_sparingly() {
    let mut world = World::new(raw(), 1);
    world.one_gets_in();
    let invite = world.invite.clone().unwrap();
    let before = world.parties[MEMBER].stored.clone();
    for number in 0..1_000u16 {
        let user_data = [number.to_be_bytes().as_slice(), &[0; 30]].concat();
        let request = Request::new(&invite.key, &user_data);
        world.network.send(2, MEMBER, Packet::Request(request.to_bytes()));
    }
    world.to_forger.clear();
    world.step();
    world.step();
    let told = world.to_forger.iter().filter(|it| matches!(it, Packet::Response(_))).count();
    assert!((1..=16).contains(&told), "{told}");
    assert_eq!(world.parties[MEMBER].stored, before);
}
