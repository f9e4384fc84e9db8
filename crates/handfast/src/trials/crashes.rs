//! The process dies: before every commit of its store and every request, in pairing, sealing,
//! import, apply, publication, and when a third device comes. It is opened again, everything goes
//! on, and in the end nothing is missing, nothing is there by half, no sequence was used twice, and
//! all devices have the same.

use std::time::Instant;

use super::power::{Power, moments};
use super::story;
use super::world::{Past, World, trial};

/// Lets a device die before its first effect, its second, and so on until it lives through the
/// story; says how often it has died. One device dies at most once in a story.
fn enumerate(victim: &str, mut dies: impl AsyncFnMut(Power) -> World) -> u64 {
    let started = Instant::now();
    for n in moments() {
        let power = Power::until(n);
        trial(async {
            let world = dies(power.clone()).await;
            let failures = world.failures.lock().unwrap().clone();
            assert!(failures.is_empty(), "{victim} died before {:?}: {failures:?}", power.last());
        });
        if !power.is_cut() {
            println!("{victim} died {} times in {:?}", n - 1, started.elapsed());
            return n - 1;
        }
    }
    0
}

/// Two devices that are paired.
pub fn paired() -> Past {
    trial(async {
        let world = World::new().await;
        story::beginning(&world).await;
        story::pairing(&world).await;
        world.past().await
    })
}

/// From the first moment of pairing until both have everything.
fn in_pairing(victim: &str) -> u64 {
    enumerate(victim, async |power| {
        let world = World::new().await;
        story::beginning(&world).await;
        world.restart(victim, power).await;
        story::pairing(&world).await;
        world.check(&["a", "b"]);
        world
    })
}

/// Edits on both sides, until both have everything.
fn in_sync(victim: &str) -> u64 {
    let past = paired();
    enumerate(victim, async |power| {
        let world = World::going_on(&past).await;
        world.restart(victim, power).await;
        story::edits(&world).await;
        world.check(&["a", "b"]);
        world
    })
}

/// A third device is paired with one of the two, and picked up by the other one.
fn with_a_third(victim: &str) -> u64 {
    let past = paired();
    enumerate(victim, async |power| {
        let world = World::going_on(&past).await;
        story::newcomer(&world).await;
        world.restart(victim, power).await;
        story::third(&world).await;
        world.check(&["a", "b", "c"]);
        world
    })
}

#[test]
fn the_initiator_dies_in_pairing() {
    assert!(in_pairing("a") > 40);
}

#[test]
fn the_joiner_dies_in_pairing() {
    assert!(in_pairing("b") > 40);
}

#[test]
fn either_device_dies_in_sync() {
    assert!(in_sync("a") > 40 && in_sync("b") > 40);
}

#[test]
fn the_admitter_of_a_third_dies() {
    assert!(with_a_third("a") > 80);
}

#[test]
fn the_one_who_is_told_of_a_third_dies() {
    assert!(with_a_third("b") > 40);
}

#[test]
fn the_third_dies() {
    assert!(with_a_third("c") > 60);
}
