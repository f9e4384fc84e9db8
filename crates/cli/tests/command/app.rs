//! Invites of an app that shares its structures, made and answered by processes on a network of their
//! own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::world::{Net, Running, World, words};
use handfast_keys::Secret;
use handfast_pairing_manager::SeedStore;
use serde_json::{Value, json};

const SECRET: &str = "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c";
const SEED: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// So many structures, under names in several scripts.
fn structures(count: usize) -> BTreeMap<String, Value> {
    let scripts = ["metadata", "Über uns", "写真", "заметки", "ملاحظات", "📷 \"q\" \\"];
    let names = (0..count).map(|number| match scripts.get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("structure {number}"),
    });
    let described = names.enumerate().map(|(number, name)| {
        let key = format!("{number:064x}");
        let described =
            if number % 2 == 0 { json!(key) } else { json!({ "key": key, "config": "0aff" }) };
        (name, described)
    });
    described.collect()
}

fn file(world: &World, count: usize) -> String {
    world.write("structures.json", &json!(structures(count)).to_string())
}

/// The own keys of the member, as they are handed over.
fn keys(structures: &BTreeMap<String, Value>) -> Value {
    let key = |described: &Value| described.get("key").unwrap_or(described).clone();
    let keys = structures.iter().map(|(name, described)| (name.clone(), key(described)));
    Value::Object(keys.collect())
}

/// The writers that follow from [`SEED`].
fn seeded(structures: &BTreeMap<String, Value>) -> Value {
    let store = SeedStore::new(Secret::from_bytes([7; 32]));
    let writer = |name: &String| store.secret(name).public().to_string();
    structures.keys().map(|name| (name.clone(), json!(writer(name)))).collect()
}

/// Starts a member; its invite code and itself.
fn member(world: &World, net: &Net, structures: &str, more: &[&str]) -> (String, Running) {
    let words = ["invite", "--profile", "app", "--name", "alice", "--structures", structures];
    let mut member = world.start("nobody", &net.on(&[&words, more].concat()));
    let code = member.next("invite")["invite_code"].as_str().unwrap().to_owned();
    (code, member)
}

fn join<'a>(code: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["join", code, "--profile", "app", "--wait", "50s"], more].concat()
}

#[test]
fn any_number_of_structures() {
    let (world, net) = (World::new(), Net::new());
    let (secret, seed) = (world.write("secret", SECRET), world.write("seed", SEED));
    for count in [1, 20, 500] {
        let structures = structures(count);
        let more = ["--primary", "metadata", "--encryption-key-file", &secret];
        let (code, member) = member(&world, &net, &file(&world, count), &more);
        let words = join(&code, &["--name", "bob", "--seed-file", &seed]);
        let joined = world.json("nobody", &net.on(&words));
        let configs: BTreeMap<&String, &str> = structures
            .iter()
            .filter(|(_, described)| described.is_object())
            .map(|(name, _)| (name, "0aff"))
            .collect();
        assert_eq!(
            joined,
            json!({
                "type": "joined", "all_structure_keys": keys(&structures), "username": "alice",
                "writers": seeded(&structures), "configs": configs,
                "primary_key": keys(&structures)["metadata"], "encryption_key": SECRET,
            })
        );
        let ended = member.end().ok();
        let paired = json!({ "type": "paired", "writer_keys": seeded(&structures) });
        assert_eq!(ended.out, format!("{paired}\n"), "once, and nothing else");
    }
    assert!(!world.path("nobody").exists(), "no device is set up");
}

/// Structures and code over standard input; a seed that is drawn; no primary.
#[test]
fn a_seed_that_is_drawn_is_printed() {
    let (world, net) = (World::new(), Net::new());
    let words = net.on(&["invite", "--profile", "app", "--structures", "-"]);
    let mut member = world.start("nobody", &words);
    member.type_line(&json!(structures(3)).to_string());
    member.leave();
    let invite = member.next("invite");
    let mut joining = world.start("nobody", &net.on(&["join", "-", "--profile", "app"]));
    joining.type_line(invite["invite_code"].as_str().unwrap());
    let joined = joining.next("joined");
    assert_eq!((&joined["primary_key"], &joined["encryption_key"]), (&Value::Null, &Value::Null));
    let seed = joined["writer_seed"].as_str().unwrap().as_bytes().chunks(2);
    let digits = seed.map(|pair| std::str::from_utf8(pair).unwrap());
    let seed: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
    let store = SeedStore::new(Secret::from_bytes(seed.try_into().unwrap()));
    let writer = store.secret("写真").public().to_string();
    assert_eq!(joined["writers"]["写真"], writer);
    assert_eq!(member.next("paired")["writer_keys"], joined["writers"]);
    assert_eq!((joining.end().code, member.end().code), (0, 0));
}

#[test]
fn an_app_that_names_its_writers() {
    let (world, net) = (World::new(), Net::new());
    let (code, mut member) = member(&world, &net, &file(&world, 2), &[]);
    let mut joining = world.start("nobody", &net.on(&join(&code, &["--ask-writers"])));
    let asked = joining.next("structures");
    assert_eq!(
        asked["structures"],
        json!([
            { "namespace": "metadata", "key": format!("{:064x}", 0), "config": "" },
            { "namespace": "Über uns", "key": format!("{:064x}", 1), "config": "0aff" },
        ])
    );
    let (one, two) = ("aa".repeat(32), "bb".repeat(32));
    for (answer, says) in [
        ("what?".to_owned(), "expected value"),
        (json!({ "writers": { "metadata": one } }).to_string(), "“Über uns”"),
        (json!({ "writers": { "metadata": one, "Über uns": "bb" } }).to_string(), "64 hex"),
        (
            json!({ "writers": { "metadata": one, "Über uns": two, "more": two } }).to_string(),
            "there is no structure “more”",
        ),
    ] {
        joining.type_line(&answer);
        let message = joining.next("not_taken")["message"].as_str().unwrap().to_owned();
        assert!(message.contains(says), "{message}");
    }
    let writers = json!({ "metadata": one, "Über uns": two });
    joining.type_line(&json!({ "writers": writers }).to_string());
    let joined = joining.next("joined");
    assert_eq!((&joined["writers"], joined.get("writer_seed")), (&writers, None));
    assert_eq!(member.next("paired")["writer_keys"], writers);
    assert_eq!((joining.end().code, member.end().code), (0, 0));
}

#[test]
fn an_app_that_names_no_writers_declines() {
    let (world, net) = (World::new(), Net::new());
    let (code, member) = member(&world, &net, &file(&world, 2), &[]);
    let mut joining = world.start("nobody", &net.on(&join(&code, &["--ask-writers"])));
    joining.next("structures");
    joining.leave();
    assert!(joining.end().failed(5, "declined").contains("nobody has named"));
    assert!(member.end().failed(5, "declined").contains("after it was given"));
}

/// With a journal nothing is given up because the app has died, or the command was ended.
#[test]
fn what_is_not_answered_is_asked_again() {
    let (world, net) = (World::new(), Net::new());
    let (code, mut member) = member(&world, &net, &file(&world, 1), &[]);
    let journal = world.path("journal");
    let words = ["--ask-writers", "--journal", journal.to_str().unwrap()];
    let words = net.on(&join(&code, &words));
    let mut first = world.start("nobody", &words);
    first.next("structures");
    first.leave();
    first.end().failed(1, "unanswered");
    let mut second = world.start("nobody", &words);
    second.next("structures");
    second.signal("-INT");
    second.end().failed(1, "interrupted");
    let mut third = world.start("nobody", &words);
    third.next("structures");
    let writers = json!({ "metadata": "aa".repeat(32) });
    third.type_line(&json!({ "writers": writers }).to_string());
    assert_eq!(member.next("paired")["writer_keys"], writers);
    assert_eq!((third.end().code, member.end().code), (0, 0));
}

/// An app that is not there any more is told of nobody, and nobody is told that he is in: with the
/// journal both go on.
#[test]
fn an_app_that_has_died_lets_nobody_in() {
    let (world, net) = (World::new(), Net::new());
    let (structures, journal) = (file(&world, 2), world.path("journal"));
    let words = ["invite", "--profile", "app", "--structures", &structures];
    let words = net.on(&[&words[..], &["--journal", journal.to_str().unwrap()]].concat());
    let mut command = world.command("nobody", &[&words[..], &["--json"]].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    let invite: Value = serde_json::from_str(&line).unwrap();
    drop(lines);
    let code = invite["invite_code"].as_str().unwrap();
    let mut joining = world.start("nobody", &net.on(&join(code, &[])));
    assert!(!child.wait().unwrap().success());
    let mut member = world.start("nobody", &words);
    let writers = member.next("paired")["writer_keys"].clone();
    assert_eq!(joining.next("joined")["writers"], writers);
    assert_eq!((joining.end().code, member.end().code), (0, 0));
}

/// The other side is only in once the app says that it has added the writers.
#[test]
fn an_app_that_confirms() {
    let (world, net) = (World::new(), Net::new());
    let (structures, journal) = (file(&world, 3), world.path("journal"));
    let more = ["--confirm-writers", "--journal", journal.to_str().unwrap()];
    let (code, mut first) = member(&world, &net, &structures, &more);
    let seed = world.write("seed", SEED);
    let mut joining = world.start("nobody", &net.on(&join(&code, &["--seed-file", &seed])));
    let asked = first.next("add_writers");
    first.type_line("yes");
    assert!(first.next("not_taken")["message"].as_str().unwrap().contains("expected value"));
    first.type_line("{\"added\":false}");
    let failed = first.end();
    assert_eq!(failed.out, "", "nobody is paired");
    assert!(failed.failed(5, "incomplete").contains("not added"));

    // That is mended, and it dies before it has answered.
    let more =
        net.on(&[&["invite", "--profile", "app", "--structures", &structures], &more[..]].concat());
    let mut second = world.start("nobody", &more);
    assert_eq!(second.next("invite")["invite_code"], Value::Null);
    assert_eq!(second.next("add_writers"), asked);
    second.kill();
    let mut third = world.start("nobody", &more);
    assert_eq!(third.next("add_writers"), asked);
    third.type_line("{\"added\":true}");
    assert_eq!(joining.next("joined")["writers"], asked["writer_keys"]);
    assert_eq!(third.next("paired")["writer_keys"], asked["writer_keys"]);
    let ended = third.end();
    assert_eq!((joining.end().code, ended.code, ended.out.as_str()), (0, 0, ""));
}

/// Each is killed again and again, wherever it is, until both are done.
#[test]
fn killed_in_the_middle() {
    let (world, net) = (World::new(), Net::new());
    let structures = file(&world, 20);
    let (at_one, at_other) = (world.path("one"), world.path("other"));
    let seed = world.write("seed", SEED);
    let more = ["--confirm-writers", "--journal", at_one.to_str().unwrap()];
    let (code, killed) = member(&world, &net, &structures, &more);
    killed.kill();
    // The candidate asks where nobody is, and gives up.
    let ask = join(&code, &["--ask-writers", "--journal", at_other.to_str().unwrap()]);
    let brief = [&ask[..4], &["--wait", "1s"], &ask[6..]].concat();
    world.fails("nobody", &net.on(&brief), 5, "no_answer");
    // Both are back; the candidate dies with the structures in hand.
    let (again, mut first) = member(&world, &net, &structures, &more);
    assert_eq!(again, code);
    let mut asked = world.start("nobody", &net.on(&ask));
    let described = asked.next("structures");
    asked.kill();
    let mut asked = world.start("nobody", &net.on(&ask));
    assert_eq!(asked.next("structures"), described);
    let writers = seeded(&self::structures(20));
    asked.type_line(&json!({ "writers": writers }).to_string());
    // The member dies with the writers in hand, and the candidate while it waits.
    assert_eq!(first.next("add_writers")["writer_keys"], writers);
    first.kill();
    asked.kill();
    let mut asked = world.start("nobody", &net.on(&ask));
    let words = ["invite", "--profile", "app", "--structures", &structures];
    let mut second = world.start("nobody", &net.on(&[&words, &more[..]].concat()));
    assert_eq!(second.next("add_writers")["writer_keys"], writers);
    second.type_line("{\"added\":true}");
    assert_eq!(asked.next("joined")["writers"], writers);
    assert_eq!(second.next("paired")["writer_keys"], writers);
    assert_eq!((asked.end().code, second.end().code), (0, 0));
    // And once more: what was handed over is still there. (The seed is not looked at any more.)
    let seeded = join(&code, &["--seed-file", &seed, "--journal", at_other.to_str().unwrap()]);
    assert_eq!(world.json("nobody", &net.on(&seeded))["writers"], writers);
}

#[test]
fn an_invite_lets_in_one_and_ends() {
    let (world, net) = (World::new(), Net::new());
    let (structures, journal) = (file(&world, 1), world.path("journal"));
    let expired = ["invite", "--profile", "app", "--structures", &structures, "--lifetime", "1s"];
    world.fails("nobody", &net.on(&expired), 5, "expired");

    let more = ["--journal", journal.to_str().unwrap()];
    let (code, first) = member(&world, &net, &structures, &more);
    world.json("nobody", &net.on(&join(&code, &[])));
    assert_eq!(first.end().code, 0);
    // Who comes late is told so for as long as another one is open.
    let (other, second) = member(&world, &net, &structures, &more);
    assert_ne!(other, code);
    world.fails("nobody", &net.on(&join(&code, &[])), 5, "invite_used");
    second.signal("-INT");
    second.end().failed(1, "interrupted");
    let words = ["invite", "--profile", "app", "--structures", &structures, "--compare"];
    let message = world.fails("nobody", &net.on(&[&words, &more[..]].concat()), 2, "usage");
    assert!(message.contains("without --compare"), "{message}");
    let nobody = net.on(&["join", &other, "--profile", "app", "--wait", "1s"]);
    world.fails("nobody", &nobody, 5, "no_answer");
}

#[test]
fn both_people_compare() {
    let (world, net) = (World::new(), Net::new());
    let structures = file(&world, 2);
    for (answer, code_of_both) in [("yes", 0), ("no", 5)] {
        let (code, mut member) = member(&world, &net, &structures, &["--compare"]);
        let mut joining = world.start("nobody", &net.on(&join(&code, &["--name", "bob"])));
        let shown = [member.next("check_code"), joining.next("check_code")];
        assert_eq!(words(&shown[0]), words(&shown[1]));
        assert_eq!(member.asks("compare")["peer"]["name"], "bob");
        assert_eq!(joining.asks("compare")["peer"]["name"], "alice");
        member.type_line("maybe");
        member.next("not_taken");
        member.type_line("yes");
        joining.type_line(answer);
        let (member, joining) = (member.end(), joining.end());
        assert_eq!((member.code, joining.code), (code_of_both, code_of_both));
        assert_eq!(member.out.contains("\"paired\""), code_of_both == 0, "{}", member.out);
        assert_eq!(joining.out.contains("\"joined\""), code_of_both == 0, "{}", joining.out);
    }
    // Who wants to compare does not join where nobody does.
    let (code, member) = member(&world, &net, &structures, &[]);
    world.fails("nobody", &net.on(&join(&code, &["--compare"])), 5, "unverified");
    member.kill();
}

/// Nobody is asked, and no invite is used up, where the invite is of another kind.
#[test]
fn an_invite_says_whom_it_is_for() {
    let (world, net) = (World::new(), Net::new());
    world.bare("laptop");
    world.bare("phone");
    let (app, at_app) = member(&world, &net, &file(&world, 1), &[]);
    let mut at_device = world.start("laptop", &net.on(&["invite", "--no-verify"]));
    let device = at_device.next("invite")["code"].as_str().unwrap().to_owned();
    let key = "5e".repeat(32);
    let mut at_raw = world.start("nobody", &net.on(&["invite", "--profile", "raw", "--key", &key]));
    let raw = at_raw.next("invite")["invite_code"].as_str().unwrap().to_owned();

    for (words, says) in [
        (["join", &app, "--profile", "device"], "--profile app"),
        (["join", &app, "--profile", "raw"], "--profile app"),
        (["join", &device, "--profile", "app"], "without --profile app"),
        (["join", &device, "--profile", "raw"], "without --profile raw"),
        (["join", &raw, "--profile", "device"], "--profile raw"),
        (["join", &raw, "--profile", "app"], "--profile raw"),
    ] {
        let message = world.fails("phone", &net.on(&words), 4, "wrong_profile");
        assert!(message.contains(says), "{words:?}: {message}");
    }
    // No device, and no network, is needed to be told so.
    world.fails("nobody", &["join", &app], 4, "wrong_profile");
    world.json("nobody", &net.on(&join(&app, &[])));
    assert_eq!(at_app.end().code, 0);
    at_raw.kill();
    at_device.kill();
}

#[test]
fn wrong_files_and_wrong_use() {
    let world = World::new();
    let good = file(&world, 1);
    for (text, says) in [
        ("", "EOF"),
        ("{\"drive\": \"5e1f\"}", "structure “drive”: its key is not one"),
        ("{\"drive\": {\"kei\": 1}}", "structure “drive”: unknown field `kei`"),
        ("{\"drive\": \"5e1f\", \"drive\": \"5e1f\"}", "“drive” is there twice"),
    ] {
        let bad = world.write("bad.json", text);
        let words = ["invite", "--profile", "app", "--structures", &bad];
        let message = world.fails("nobody", &words, 4, "structures");
        assert!(message.contains(says) && message.contains("bad.json"), "{message}");
    }
    let missing = ["invite", "--profile", "app", "--structures", "/nowhere"];
    world.fails("nobody", &missing, 4, "file");

    let app = |more: &[&'static str]| {
        let words = ["invite", "--profile", "app", "--structures", &good];
        world.fails("nobody", &[&words, more].concat(), 2, "usage")
    };
    assert!(app(&["--primary", "other"]).contains("“other”"));
    assert!(app(&["--resume"]).contains("another device"));
    assert!(app(&["--additional", "00"]).contains("--profile raw"));
    let key = "5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f";
    assert!(app(&["--primary", "metadata", "--key", key]).contains("either"));
    assert!(app(&["--key-file", "-", "--confirm-writers"]).contains("standard input"));
    let fails = |words: &[&str]| world.fails("nobody", words, 2, "usage");
    assert!(fails(&["invite", "--profile", "app"]).contains("--structures"));
    assert!(fails(&["invite", "--structures", &good]).contains("--profile app"));
    let raw = ["invite", "--profile", "raw", "--key", key, "--structures", &good];
    assert!(fails(&raw).contains("--profile app"));
    assert!(fails(&["join", "x", "--ask-writers"]).contains("--profile app"));
    assert!(fails(&["join", "x", "--profile", "app", "--journal", "y"]).contains("--seed-file"));
    assert!(fails(&["join", "x", "--profile", "app", "--user-data", key]).contains("raw"));
    let told = world.run("nobody", &["join", "x", "--profile", "app", "--ask-writers"]);
    assert!(told.code == 2 && told.err.contains("--json"), "{}", told.err);
    world.fails("nobody", &["join", "x", "--profile", "app"], 4, "not_an_invite");
}
