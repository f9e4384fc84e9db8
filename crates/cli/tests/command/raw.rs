//! Invites of the raw profile, made and answered by processes on a network of their own.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use crate::world::{Net, Running, World, ended};
use serde_json::json;

const KEY: &str = "5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f";
const SECRET: &str = "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c";
const WRITER: &str = "aa00000000000000000000000000000000000000000000000000000000000001";
const INVITE: [&str; 3] = ["invite", "--profile", "raw"];

/// Starts a member; its invite code and itself.
fn member(world: &World, net: &Net, more: &[&str]) -> (String, Running) {
    let mut member = world.start("nobody", &net.on(&[&INVITE, more].concat()));
    let code = member.next("invite")["invite_code"].as_str().unwrap().to_owned();
    (code, member)
}

fn join<'a>(code: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["join", code, "--profile", "raw", "--wait", "50s"], more].concat()
}

#[test]
fn an_invite_hands_over_a_key_for_a_writer() {
    let (world, net) = (World::new(), Net::new());
    let encryption = world.write("secret", &format!("# of the vault\n\n{SECRET}\n"));
    std::fs::set_permissions(&encryption, std::fs::Permissions::from_mode(0o600)).unwrap();
    let more = ["--encryption-key-file", &encryption, "--additional", "7b7d"];
    let mut command = world.command("nobody", &net.on(&[&INVITE[..], &more].concat()));
    command.arg("--json").env("HANDFAST_STRUCTURE_KEY", KEY);
    let mut member = Running::start(command);
    let invite = member.next("invite");
    let names: BTreeSet<&str> = invite.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["type", "invite_code", "invite_id", "discovery_key"]));
    let key = handfast_pairing_manager::StructureKey::from_bytes(
        [0x5e, 0x1f].repeat(16).try_into().unwrap(),
    );
    assert_eq!(invite["discovery_key"], key.discovery_key().to_string());
    let code = invite["invite_code"].as_str().unwrap();
    let parsed = handfast_pairing_manager::Invite::parse(code).unwrap();
    assert_eq!(invite["invite_id"], parsed.id().to_string());

    let joined = world.json("nobody", &net.on(&join(code, &["--user-data", WRITER])));
    assert_eq!(
        joined,
        json!({
            "type": "joined", "key": KEY, "encryption_key": SECRET, "writer_key": WRITER,
            "additional": "7b7d",
        })
    );
    let ended = member.end();
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert_eq!(ended.out, format!("{{\"type\":\"accepted\",\"user_data\":\"{WRITER}\"}}\n"));
    assert!(!world.path("nobody").exists(), "no device is set up");
}

#[test]
fn a_writer_that_is_drawn_comes_with_its_seed() {
    let (world, net) = (World::new(), Net::new());
    let (code, mut member) = member(&world, &net, &["--key", KEY]);
    let mut joining = world.start("nobody", &net.on(&["join", "-", "--profile", "raw"]));
    joining.type_line(&code);
    let joined = joining.next("joined");
    let seed = joined["writer_seed"].as_str().unwrap().as_bytes().chunks(2);
    let digits = seed.map(|pair| std::str::from_utf8(pair).unwrap());
    let seed: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let drawn = handfast_keys::WriterSecret::from_seed(seed.try_into().unwrap()).public();
    assert_eq!(joined["writer_key"], drawn.to_string());
    assert_eq!(joined["encryption_key"], json!(null));
    assert_eq!(joined["additional"], json!(null));
    assert_eq!(member.next("accepted")["user_data"], joined["writer_key"]);
    assert_eq!(joining.end().code, 0);
    assert_eq!(member.end().code, 0);
}

/// Four ask at the same moment: one gets in, and the others hear why they do not.
#[test]
fn of_several_one_gets_in() {
    let (world, net) = (World::new(), Net::new());
    let journal = world.path("journal");
    let more = ["--key", KEY, "--journal", journal.to_str().unwrap()];
    let (code, first) = member(&world, &net, &more);
    let joining: Vec<Running> =
        (0..4).map(|_| world.start("nobody", &net.on(&join(&code, &[])))).collect();
    let first = first.end();
    assert_eq!(first.code, 0);
    // The invite is over; who comes late is told so for as long as another one is open.
    let (_, second) = member(&world, &net, &more);
    let mut joined = Vec::new();
    for ended in joining.into_iter().map(Running::end) {
        match ended.code {
            0 => joined.push(ended.out),
            _ => _ = ended.failed(5, "invite_used"),
        }
    }
    assert_eq!(joined.len(), 1, "{joined:?}");
    let joined: serde_json::Value = serde_json::from_str(&joined[0]).unwrap();
    let accepted: serde_json::Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!(joined["writer_key"], accepted["user_data"]);
    second.kill();
}

#[test]
fn a_member_that_was_killed_goes_on() {
    let (world, net) = (World::new(), Net::new());
    let journal = world.path("journal");
    let more = ["--key", KEY, "--journal", journal.to_str().unwrap()];
    let (code, killed) = member(&world, &net, &more);
    killed.kill();
    let joining = world.start("nobody", &net.on(&join(&code, &["--user-data", WRITER])));
    let (again, mut member) = member(&world, &net, &more);
    assert_eq!(again, code);
    assert_eq!(member.next("accepted")["user_data"], WRITER);
    assert_eq!(joining.end().json()["key"], KEY);
    assert_eq!(member.end().code, 0);
}

/// The candidate asks and dies; the member comes, answers it and goes; the candidate comes back.
#[test]
fn the_two_are_never_there_together() {
    let (world, net) = (World::new(), Net::new());
    let (at_one, at_other) = (world.path("one"), world.path("other"));
    let more = ["--key", KEY, "--journal", at_one.to_str().unwrap()];
    let (code, killed) = member(&world, &net, &more);
    killed.kill();
    let asking = ["--user-data", WRITER, "--journal", at_other.to_str().unwrap()];
    let asked = join(&code, &asking);
    // It gives up after a while, and leaves its request where it is.
    let short = ["join", &code, "--profile", "raw", "--wait", "2s"];
    world.fails("nobody", &net.on(&[&short[..], &asking].concat()), 5, "no_answer");
    let (_, mut member) = member(&world, &net, &more);
    let joined = world.json("nobody", &net.on(&asked));
    assert_eq!(joined["key"], KEY);
    assert_eq!(member.next("accepted")["user_data"], WRITER);
    assert_eq!(member.end().code, 0);
    // And once more: what was handed over is still there.
    assert_eq!(world.json("nobody", &net.on(&asked)), joined);
}

#[test]
fn what_ends_otherwise_says_why() {
    let (world, net) = (World::new(), Net::new());
    let short = net.on(&["invite", "--profile", "raw", "--key", KEY, "--lifetime", "1s"]);
    world.fails("nobody", &short, 5, "expired");

    let (code, member) = member(&world, &net, &["--key", KEY]);
    let damaged: String = code.chars().skip(3).collect();
    let damaged = format!("yry{damaged}b");
    world.fails("nobody", &net.on(&join(&damaged, &[])), 4, "damaged_invite");
    world.fails("nobody", &net.on(&join("HANDFAST:ABC", &[])), 4, "not_an_invite");
    world.fails("nobody", &join(&code, &[]), 2, "usage");
    member.signal("-INT");
    let ended = member.end();
    ended.failed(1, "interrupted");
    let nobody = net.on(&["join", &code, "--profile", "raw", "--wait", "1s"]);
    let message = world.fails("nobody", &nobody, 5, "no_answer");
    assert!(message.contains("nobody"), "{message}");
    let missing = net.on(&["invite", "--profile", "raw", "--key-file", "/nowhere"]);
    world.fails("nobody", &missing, 4, "file");
}

#[test]
fn a_network_without_nodes_is_said_to_be_one() {
    let (world, net) = (World::new(), Net::new());
    let (code, member) = member(&world, &net, &["--key", KEY]);
    member.kill();
    drop(net);
    let nowhere = ["--dht", "local", "--bootstrap", "127.0.0.1:1", "--wait", "1s", "--json"];
    let words = [&["join", &code, "--profile", "raw"], &nowhere[..]].concat();
    let ended = ended(world.command("nobody", &words));
    assert!(ended.err.contains("no node of the network answers"), "{}", ended.err);
    ended.failed(5, "no_answer");
}
