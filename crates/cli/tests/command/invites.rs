//! Devices that pair by invite, as processes on a network of their own.

use crate::world::{Net, Running, World, ended};
use serde_json::{Value, json};

/// Starts a device that invites; its invite and itself.
fn invite(world: &World, net: &Net, device: &str, more: &[&str]) -> (String, Running) {
    let mut member = world.start(device, &net.on(&[&["invite"], more].concat()));
    let code = member.next("invite")["code"].as_str().unwrap().to_owned();
    (code, member)
}

/// The people at both devices look, and type what they see.
fn compare(member: &mut Running, candidate: &mut Running) {
    let code = candidate.next("check_code");
    assert_eq!(code["back_digits"], Value::Null, "not before the member's person has confirmed");
    candidate.next("question");
    let asked = member.next("question");
    assert_eq!(asked["question"], "type_check_code");
    assert_eq!(asked["peer"]["records"], Value::Null, "a candidate says nothing of its records");
    let emojis = code["emojis"].as_array().unwrap();
    let words: Vec<&str> = emojis.iter().map(|it| it["word"].as_str().unwrap()).collect();
    member.type_line(&words.join(" "));
    let shown = member.next("check_code");
    candidate.type_line(shown["back_digits"].as_str().unwrap());
}

#[test]
fn two_devices_without_a_provider() {
    let (world, net) = (World::new(), Net::new());
    world.bare("laptop");
    world.bare("phone");
    world.json("laptop", &["records", "set", "notes", "--key", "milk", "text=\"milk\""]);
    world.json("phone", &["records", "set", "notes", "--key", "bread", "text=\"bread\""]);
    let (code, mut member) = invite(&world, &net, "laptop", &[]);
    let mut candidate = world.start("phone", &net.on(&["join", "-"]));
    candidate.type_line(&code);
    compare(&mut member, &mut candidate);
    for (running, name) in [(&mut member, "phone"), (&mut candidate, "laptop")] {
        let finished = running.next("finished");
        assert_eq!((&finished["name"], &finished["records"]), (&json!(name), &json!(2)));
    }
    assert_eq!((member.end().code, candidate.end().code), (0, 0));
    assert_eq!(world.content("laptop"), world.content("phone"));
    let used = &world.json("laptop", &["invites"])["invites"][0];
    assert_eq!((&used["state"], &used["code"]), (&json!("used"), &Value::Null));
}

/// Both are killed while their people look, and go on.
#[test]
fn killed_in_the_middle() {
    let (world, net) = (World::new(), Net::new());
    world.bare("laptop");
    world.bare("phone");
    world.json("laptop", &["records", "set", "notes", "--key", "milk", "text=\"milk\""]);
    let (code, mut member) = invite(&world, &net, "laptop", &[]);
    let mut candidate = world.start("phone", &net.on(&["join", &code]));
    candidate.next("question");
    member.next("question");
    member.kill();
    candidate.kill();

    assert_eq!(world.json("laptop", &["invites"])["invites"][0]["state"], "answered");
    let mut member = world.start("laptop", &net.on(&["invite", "--resume"]));
    let mut candidate = world.start("phone", &net.on(&["join", "--resume"]));
    compare(&mut member, &mut candidate);
    let (member, candidate) = (member.end(), candidate.end());
    assert_eq!((member.code, candidate.code), (0, 0), "{}{}", member.err, candidate.err);
    assert_eq!(world.content("laptop"), world.content("phone"));
}

#[test]
fn invites_are_listed_and_revoked() {
    let (world, net) = (World::new(), Net::new());
    world.bare("laptop");
    world.bare("phone");
    assert_eq!(world.json("laptop", &["invites", "list"]), json!({ "invites": [] }));
    let (code, member) = invite(&world, &net, "laptop", &["--no-verify", "--lifetime", "10m"]);
    member.kill();
    let open = world.json("laptop", &["invites"])["invites"][0].clone();
    assert_eq!((&open["state"], &open["code"]), (&json!("open"), &json!(code)));
    let id = open["id"].as_str().unwrap();
    world.fails("laptop", &["invites", "revoke", "xyz"], 3, "no_invite");
    assert_eq!(world.json("laptop", &["invites", "revoke", &id[..6]]), json!({ "revoked": id }));
    world.fails("laptop", &["invites", "revoke", id], 3, "invite_over");

    // Whoever comes is told so, once the device answers again.
    let member = world.start("laptop", &net.on(&["invite", "--resume"]));
    member.end().failed(5, "revoked");
    let mut off = world.command("phone", &["join", &code]);
    off.arg("--json");
    ended(off).failed(2, "usage");
    assert_eq!(world.json("phone", &["join", "--cancel"])["cancelled"], false);
}

/// What belongs to the other kind of invite is refused by name.
#[test]
fn wrong_use() {
    let world = World::new();
    world.bare("laptop");
    let journal = ["invite", "--journal", "x"];
    assert!(world.fails("laptop", &journal, 2, "usage").contains("--profile raw"));
    let compared = ["invite", "--profile", "raw", "--key", "ab", "--compare"];
    assert!(world.fails("laptop", &compared, 2, "usage").contains("another device"));
    let keyless = ["invite", "--profile", "raw"];
    assert!(world.fails("laptop", &keyless, 2, "usage").contains("--key"));
    assert!(world.fails("laptop", &["invite"], 2, "usage").contains("--dht off"));
}
