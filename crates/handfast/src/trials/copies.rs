//! Old copies of a home that are put back, and homes that were copied: at every moment of a pairing
//! and of a sync. Such a store is a new incarnation: it goes on under new writer keys, nothing is
//! lost, and all devices come to have the same.

use std::path::{Path, PathBuf};

use super::crashes::paired;
use super::power::{Power, moments};
use super::story;
use super::world::{World, copy_dir, trial};

/// Lets a story take place once for each effect of a device, with a copy of its home made before
/// that effect; then tells how the world goes on from there. Returns how many copies there were.
fn enumerate(
    victim: &str,
    mut begins: impl AsyncFnMut() -> World,
    mut goes_on: impl AsyncFnMut(&World, PathBuf),
) -> u64 {
    for n in moments() {
        let copied = trial(async {
            let world = begins().await;
            let (home, copy) = (world.home(victim), world.home("backup"));
            let target = copy.clone();
            let note = move || copy_dir(&home, &target, &["incarnation"]);
            world.restart(victim, Power::noting(n, note)).await;
            goes_on(&world, copy.clone()).await;
            copy.exists()
        });
        if !copied {
            println!("{victim}: {} copies", n - 1);
            return n - 1;
        }
    }
    0
}

/// Puts the copy back and goes on.
async fn put_back(world: &World, victim: &str, copy: &Path) {
    if copy.exists() {
        world.end(victim).await;
        world.restore(victim, copy);
        world.open(victim, Power::lasting());
    }
}

/// The store is put back to a moment of a pairing that is over for both.
fn restored_in_pairing(victim: &str) -> u64 {
    enumerate(
        victim,
        async || {
            let world = World::new().await;
            story::beginning(&world).await;
            world
        },
        async |world, copy| {
            story::pairing(world).await;
            world.write("a", ["notes", "late", "a", "1"]).await;
            world.write("b", ["notes", "late", "b", "2"]).await;
            world.settle(&["a", "b"]).await;
            put_back(world, victim, &copy).await;
            // What its person remembers of the pairing is enough to end it.
            story::pairing_again(world, victim).await;
            world.write(victim, ["notes", "later", "text", "after the restore"]).await;
            world.settle(&["a", "b"]).await;
            world.check_same(&["a", "b"]);
        },
    )
}

/// The store is put back to a moment of a sync; and dies once more while it finds out.
fn restored_in_sync(victim: &str) -> u64 {
    let past = paired();
    enumerate(
        victim,
        async || World::going_on(&past).await,
        async |world, copy| {
            story::edits(world).await;
            put_back(world, victim, &copy).await;
            world.write(victim, ["notes", "later", "text", "after the restore"]).await;
            world.settle(&["a", "b"]).await;
            world.check_same(&["a", "b"]);
            assert_eq!((world.forks("a"), world.forks("b")), (0, 0));
        },
    )
}

#[test]
fn restored_to_a_moment_of_a_sync() {
    assert!(restored_in_sync("a") > 40 && restored_in_sync("b") > 40);
}

#[test]
fn restored_to_a_moment_of_a_pairing() {
    assert!(restored_in_pairing("a") > 40);
}

#[test]
fn the_joiner_restored_to_a_moment_of_a_pairing() {
    assert!(restored_in_pairing("b") > 40);
}

/// A store that was put back dies at every effect while it finds out what it has missed.
#[test]
fn a_restored_store_dies() {
    let past = paired();
    for n in moments() {
        let power = Power::until(n);
        trial(async {
            let world = World::going_on(&past).await;
            let copy = world.home("backup");
            world.end("b").await;
            copy_dir(&world.home("b"), &copy, &["incarnation"]);
            world.open("b", Power::lasting());
            story::edits(&world).await;
            world.end("b").await;
            world.restore("b", &copy);
            world.open("b", power.clone());
            world.write("b", ["notes", "later", "text", "after the restore"]).await;
            world.settle(&["b", "a"]).await;
            world.check_same(&["a", "b"]);
            assert_eq!((world.forks("a"), world.forks("b")), (0, 0), "{:?}", power.last());
        });
        if !power.is_cut() {
            println!("a restored store died {} times", n - 1);
            assert!(n > 20);
            return;
        }
    }
}

/// Two copies of one home, a third device between them, all writing at once.
#[test]
fn copies_that_write_at_once() {
    let past = paired();
    for rounds in 0..3 {
        trial(async {
            let world = World::going_on(&past).await;
            world.create("c");
            super::people::pair(&world, "a", "c").await;
            world.settle(&["a", "b", "c"]).await;
            world.write("b", ["notes", "unseen", "text", "before the copy"]).await;
            world.end("b").await;
            copy_dir(&world.home("b"), &world.home("b-copy"), &[]);
            world.open("b", Power::lasting());
            world.open("b-copy", Power::lasting());
            let all = ["b", "b-copy", "a", "c"];
            for round in 0..=rounds {
                for name in all {
                    let text = format!("{name} {round}");
                    world.write(name, ["notes", "shared", name, &text]).await;
                    world.write(name, ["notes", &text, "text", &text]).await;
                }
                let order: Vec<_> = all.iter().cycle().skip(round).take(4).copied().collect();
                world.round(&order).await;
            }
            world.settle(&all).await;
            world.check_same(&all);
        });
    }
}
