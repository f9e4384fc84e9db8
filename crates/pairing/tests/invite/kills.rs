//! The process of either side dies at each of its steps, once.

use handfast_pairing::invite::Terms;
use handfast_pairing::qr::Consent;

use crate::honest::raw;
use crate::world::{MEMBER, World, envelope};

fn dies_everywhere(terms: &Terms, live: bool) {
    for who in [MEMBER, 1] {
        for point in 0.. {
            let mut world = World::new(terms.clone(), 1);
            (world.network.live, world.network.dht) = (live, !live);
            world.parties[who].dies_at.insert(point);
            world.one_gets_in();
            if world.parties[who].restarts == 0 {
                assert!(point > 4, "there are more steps than that");
                break;
            }
        }
    }
}

#[test]
fn in_the_raw_profile() {
    dies_everywhere(&raw(), true);
    dies_everywhere(&raw(), false);
}

#[test]
fn in_the_envelope_profile() {
    dies_everywhere(&envelope(None), true);
    dies_everywhere(&envelope(None), false);
}

#[test]
fn while_the_people_compare() {
    dies_everywhere(&envelope(Some(Consent::Typed)), true);
    dies_everywhere(&envelope(Some(Consent::Unseen)), false);
}

/// The app is told a second time only if its process died before it could note the first.
#[test]
fn the_app_is_told_once() {
    let mut told = Vec::new();
    for point in 0.. {
        let mut world = World::new(envelope(None), 1);
        world.parties[MEMBER].dies_at.insert(point);
        world.one_gets_in();
        if world.parties[MEMBER].restarts == 0 {
            break;
        }
        told.push(world.parties[MEMBER].paired.len());
    }
    assert!(told.iter().all(|times| (1..=2).contains(times)));
    assert_eq!(told.iter().filter(|times| **times == 2).count(), 2, "{told:?}");
}
