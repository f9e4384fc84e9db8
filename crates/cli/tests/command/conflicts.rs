//! Conflicts: listed, shown, decided one by one or all in a row.

use crate::world::World;
use serde_json::{Value, json};

/// Two devices with a field in conflict, and a record that one deleted and the other changed.
fn world() -> World {
    let world = World::paired();
    world.disagree();
    world
}

fn id(world: &World, key: &str) -> String {
    let record = world.json("laptop", &["records", "get", "notes", "--key", key]);
    record["id"].as_str().unwrap().to_owned()
}

fn conflict(list: &Value, id: &str) -> Value {
    let all = list["conflicts"].as_array().unwrap();
    all.iter().find(|it| it["id"] == id).unwrap()["fields"][0].clone()
}

#[test]
fn both_sides_are_listed_with_who_wrote_them() {
    let world = world();
    let list = world.json("laptop", &["conflicts"]);
    assert_eq!(list["total"], 2);
    let text = conflict(&list, &id(&world, "a"));
    assert_eq!(text["field"], "text");
    let mut values: Vec<_> = text["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["value"].clone(), it["device"]["name"].clone(), it["is_own"].clone()))
        .collect();
    values.sort_by_key(|(value, ..)| value.to_string());
    let expected = [
        (json!("oat milk"), json!("laptop"), json!(true)),
        (json!("soy milk, half a litre of it"), json!("phone"), json!(false)),
    ];
    assert_eq!(values, expected);
    assert_eq!(conflict(&list, &id(&world, "b"))["field"], "$deleted");

    let human = world.run("laptop", &["conflicts"]).ok().out;
    for part in ["oat milk", "laptop, this device", "2 records in conflict", "deleted"] {
        assert!(human.contains(part), "{part}: {human}");
    }
    let short: String = id(&world, "a").chars().take(8).collect();
    let shown = world.run("laptop", &["conflicts", "show", &short]).ok().out;
    assert!(shown.contains("soy milk"), "{shown}");
    let get = world.run("laptop", &["records", "get", "notes", "--key", "a"]).ok();
    assert!(get.out.contains("in conflict"), "{}", get.out);
    // A question that waits is nothing that is wrong.
    let health = world.json("laptop", &["doctor"]);
    assert_eq!((&health["findings"], &health["conflicts"]), (&json!([]), &json!(2)));
}

#[test]
fn a_decision_reaches_the_other_device() {
    let world = world();
    let (a, b) = (id(&world, "a"), id(&world, "b"));
    let resolve = |words: &[&str]| {
        world.json("laptop", &[&["conflicts", "resolve"], words].concat())["left"].clone()
    };
    assert_eq!(resolve(&[&a, "text", "--theirs"]), 1);
    assert_eq!(resolve(&[&b, "--keep"]), 0);
    world.sync(&["laptop", "phone"]);
    let fields = |device: &str, key: &str| {
        world.json(device, &["records", "get", "notes", "--key", key])["fields"].clone()
    };
    assert_eq!(fields("phone", "a"), json!({ "text": "soy milk, half a litre of it" }));
    assert_eq!(fields("phone", "b"), json!({ "text": "rye" }));
    assert_eq!(world.json("phone", &["conflicts"])["total"], 0);
    assert_eq!(world.content("laptop"), world.content("phone"));
}

#[test]
fn decisions_that_make_no_sense_are_refused() {
    let world = world();
    let (a, b) = (id(&world, "a"), id(&world, "b"));
    let fails = |words: &[&str], code, kind| {
        world.fails("laptop", &[&["conflicts", "resolve"], words].concat(), code, kind)
    };
    fails(&["ffffffff-ffff", "text", "--mine"], 3, "no_conflict");
    fails(&[&a, "colour", "--mine"], 3, "no_conflict");
    fails(&[&a, "text"], 2, "usage");
    fails(&[&a], 2, "usage");
    fails(&[&a, "--mine"], 2, "usage");
    fails(&[&a, "text", "--pick", "3"], 2, "usage");
    fails(&[&a, "text", "--pick", "0"], 2, "usage");
    fails(&[&a, "text", "--keep"], 2, "usage");
    fails(&[&a, "--keep"], 3, "no_conflict");
    fails(&[&b, "$deleted", "--mine"], 2, "usage");
    assert_eq!(world.json("laptop", &["conflicts"])["total"], 2);
    let resolve = |words: &[&str]| {
        world.json("laptop", &[&["conflicts", "resolve"], words].concat())["left"].clone()
    };
    assert_eq!(resolve(&[&a, "text", "--value", "water"]), 1);
    assert_eq!(resolve(&[&b, "--delete"]), 0);
    let get = ["records", "get", "notes", "--key", "a"];
    assert_eq!(world.json("laptop", &get)["fields"]["text"], "water");
    world.fails("laptop", &["records", "get", "notes", "--key", "b"], 3, "no_record");
}

#[test]
fn all_are_decided_in_a_row() {
    let world = world();
    let mut walk = world.start("laptop", &["conflicts", "resolve"]);
    let mut picked = Value::Null;
    for _ in 0..2 {
        let asked = walk.asks("resolve");
        if asked["conflict"]["field"] == "$deleted" {
            walk.type_line("nonsense");
            walk.type_line("d");
        } else {
            picked = asked["conflict"]["values"][1]["value"].clone();
            walk.type_line("2");
        }
        walk.next("resolved");
    }
    let finished = walk.next("finished");
    assert_eq!((&finished["resolved"], &finished["left"]), (&json!(2), &json!(0)));
    assert_eq!(walk.end().code, 0);
    let get = ["records", "get", "notes", "--key", "a"];
    assert_eq!(world.json("laptop", &get)["fields"]["text"], picked);
}

#[test]
fn who_stops_in_between_keeps_the_rest() {
    let world = world();
    let mut walk = world.start("phone", &["conflicts", "resolve"]);
    walk.asks("resolve");
    walk.type_line("s");
    walk.asks("resolve");
    walk.leave();
    let finished = walk.next("finished");
    assert_eq!((&finished["resolved"], &finished["left"]), (&json!(0), &json!(2)));
    assert_eq!(walk.end().code, 0);
}

/// A hundred fields in conflict: each device has written its own name into each.
fn hundred() -> World {
    let world = World::paired();
    let rows =
        |value: &str| -> String { (0..100).map(|n| format!("{n:02},{value} {n}\n")).collect() };
    for device in ["laptop", "phone"] {
        let file = world.write(&format!("{device}.csv"), &format!("k,text\n{}", rows(device)));
        let import = ["records", "import", &file, "--into", "notes", "--key", "k"];
        assert_eq!(world.json(device, &import)["written"], 100);
    }
    world.sync(&["laptop", "phone"]);
    world
}

fn texts(world: &World, device: &str) -> Vec<String> {
    let list = world.json(device, &["records", "list", "notes"]);
    let records = list["records"].as_array().unwrap().iter();
    records.map(|it| it["fields"]["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_hundred_conflicts_are_walked_with_words_for_all_that_are_left() {
    let world = hundred();
    let mut walk = world.start("laptop", &["conflicts", "resolve"]);
    for number in 1..=12 {
        let asked = walk.asks("resolve");
        assert_eq!((&asked["number"], &asked["total"]), (&json!(number), &json!(100)));
        match number {
            1 => walk.type_line("t"),
            2 => walk.type_line("skip"),
            3 => {
                walk.type_line("99");
                walk.type_line("?");
                walk.type_line("v");
                walk.type_line("");
                walk.type_line("v");
                walk.type_line("neither");
            }
            12 => {
                walk.type_line("all theirs");
                walk.type_line("no");
                walk.type_line("all mine");
                walk.type_line("yes");
            }
            _ => walk.type_line("M"),
        }
    }
    let finished = walk.next("finished");
    let facts = ["resolved", "skipped", "left"].map(|member| finished[member].clone());
    assert_eq!(facts, [json!(99), json!(1), json!(1)]);
    assert_eq!(walk.end().code, 0);
    let texts = texts(&world, "laptop");
    let of = |start: &str| texts.iter().filter(|it| it.starts_with(start)).count();
    assert_eq!(of("neither"), 1);
    assert!(of("laptop") >= 97 && of("phone") >= 1, "{texts:?}");
}

#[test]
fn all_are_decided_at_once() {
    let world = hundred();
    let all = |words: &[&str]| {
        let done = world.json("phone", &[&["conflicts", "resolve", "--all"], words].concat());
        (done["resolved"].clone(), done["left"].clone())
    };
    assert_eq!(all(&["--latest", "--of", "other"]), (json!(0), json!(100)));
    assert_eq!(all(&["--theirs", "--of", "notes"]), (json!(100), json!(0)));
    assert_eq!(all(&["--mine"]), (json!(0), json!(0)));
    assert!(texts(&world, "phone").iter().all(|it| it.starts_with("laptop")));
    let fails = |words: &[&str]| {
        world.fails("phone", &[&["conflicts", "resolve"], words].concat(), 2, "usage")
    };
    fails(&["--all"]);
    fails(&["--mine"]);
    fails(&["--all", "--pick", "1"]);
    fails(&["--all", "--delete"]);
    fails(&["1f", "--all", "--mine"]);
    fails(&["--of", "notes", "--mine"]);
}

#[test]
fn deletions_are_decided_with_the_rest() {
    for (whose, deleted) in [("--mine", false), ("--theirs", true)] {
        let world = world();
        let done = world.json("laptop", &["conflicts", "resolve", "--all", whose]);
        assert_eq!((&done["resolved"], &done["left"]), (&json!(2), &json!(0)), "{whose}");
        let get = world.run("laptop", &["records", "get", "notes", "--key", "b"]);
        assert_eq!(get.code == 3, deleted, "{whose}");
    }
    let world = world();
    world.json("laptop", &["conflicts", "resolve", "--all", "--latest"]);
    assert_eq!(world.json("laptop", &["conflicts"])["total"], 0);
}
