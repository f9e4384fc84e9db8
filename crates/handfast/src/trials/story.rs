//! What the devices of a trial live through.

use super::people;
use super::world::World;

/// Two devices with solo data, with records on both that are about the same.
pub async fn beginning(world: &World) {
    for name in ["a", "b"] {
        world.create(name);
        world.write(name, ["places", "OSL", "city", "Oslo"]).await;
        world.write(name, ["places", "JFK", "name", "Kennedy"]).await;
        world.write(name, ["notes", name, "by", name]).await;
    }
    // About the same, but not the same.
    world.write("b", ["places", "JFK", "name", "Idlewild"]).await;
    // The other one was acknowledged too.
    let kennedy = ["places", "JFK", "name", "Kennedy"].map(str::to_owned);
    let [collection, key, field, value] = kennedy;
    world.edits.lock().unwrap().insert((collection, key, field, value));
    world.device("a").set_provider(&world.config(None)).unwrap();
}

/// They are paired: each takes in what the other has.
pub async fn pairing(world: &World) {
    people::pair(world, "a", "b").await;
    world.settle(&["a", "b"]).await;
}

/// One of the two has forgotten how far they were: if it does not know the other one any more, they
/// pair again, if it is in the middle of the pairing, its person goes on with it.
pub async fn pairing_again(world: &World, forgetful: &str) {
    people::pair_again(world, forgetful, if forgetful == "a" { "b" } else { "a" }).await;
}

/// Both edit, the same record too.
pub async fn edits(world: &World) {
    world.write("a", ["notes", "a", "text", "from a"]).await;
    world.write("b", ["notes", "b", "text", "from b"]).await;
    world.write("b", ["places", "CDG", "city", "Paris"]).await;
    world.write("a", ["places", "CDG", "name", "Roissy"]).await;
    world.settle(&["a", "b"]).await;
}

/// The same where some service is always in trouble.
pub async fn edits_with_noise(world: &World) {
    world.write("a", ["notes", "a", "text", "from a"]).await;
    world.write("b", ["notes", "b", "text", "from b"]).await;
    for _ in 0..4 {
        world.round(&["a", "b"]).await;
    }
}

/// A third device with data of its own.
pub async fn newcomer(world: &World) {
    world.create("c");
    world.write("c", ["notes", "c", "by", "c"]).await;
}

/// It is paired with one of the two, and everybody picks it up.
pub async fn third(world: &World) {
    people::pair(world, "a", "c").await;
    world.settle(&["b", "c", "a"]).await;
}

/// All three edit.
pub async fn edits_of_three(world: &World) {
    world.write("c", ["notes", "a", "seen", "by c"]).await;
    world.write("b", ["notes", "c", "seen", "by b"]).await;
    world.settle(&["c", "b", "a"]).await;
}
