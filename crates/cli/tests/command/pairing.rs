//! Two and three devices that meet, each a process of its own.

use crate::world::{Running, World, words};
use serde_json::{Value, json};

/// Starts a pairing and hands over the code.
fn begin(world: &World, pair: &[&str], join: &[&str]) -> (Running, Running) {
    let mut shows = world.start("laptop", &[&["pair"], pair].concat());
    let code = code(&mut shows);
    (shows, world.start("phone", &[&["join", &code], join].concat()))
}

fn code(shows: &mut Running) -> String {
    shows.next("code")["code"].as_str().unwrap().to_owned()
}

fn world() -> World {
    let world = World::hosted();
    world.device("laptop");
    world.bare("phone");
    world
}

fn names(world: &World, device: &str) -> Vec<Value> {
    let devices = world.json(device, &["devices"]);
    devices["devices"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect()
}

#[test]
fn people_type_what_they_see() {
    let world = world();
    world.json("laptop", &["records", "set", "notes", "--key", "a", "text=milk"]);
    world.json("phone", &["records", "set", "notes", "--key", "b", "text=bread"]);
    world.json("phone", &["records", "set", "notes", "--key", "c", "text=tea"]);
    let (mut laptop, mut phone) = begin(&world, &[], &[]);

    let seen = phone.next("check_code");
    assert_eq!(seen["back_digits"], Value::Null, "the other device has to show them");
    let asked = phone.asks("type_back_digits");
    assert_eq!(asked["peer"], json!({ "name": "laptop", "records": 1, "has_provider": true }));
    assert_eq!(asked["own_records"], 2);

    let asked = laptop.asks("type_check_code");
    assert_eq!(asked["peer"]["name"], "phone");
    laptop.type_line("no idea");
    laptop.asks("not_a_check_code");
    // Four letters of each word are enough.
    let short: Vec<String> =
        words(&seen).split(' ').map(|word| word.chars().take(4).collect()).collect();
    laptop.type_line(&short.join(" "));
    let shown = laptop.next("check_code");
    assert_eq!((&shown["emojis"], &shown["digits"]), (&seen["emojis"], &seen["digits"]));
    phone.type_line(shown["back_digits"].as_str().unwrap());

    let finished = laptop.next("finished");
    assert_eq!((&finished["name"], &finished["records"]), (&json!("phone"), &json!(3)));
    assert_eq!(phone.next("finished")["records"], 3);
    assert_eq!((laptop.end().code, phone.end().code), (0, 0));
    assert_eq!(names(&world, "laptop"), ["laptop", "phone"]);
    assert_eq!(names(&world, "phone"), ["phone", "laptop"]);
    assert_eq!(world.json("phone", &["provider", "test"])["ok"], true);
    assert_eq!(world.content("laptop"), world.content("phone"));
}

#[test]
fn nobody_looks_and_both_are_told_so() {
    let world = world();
    let (laptop, phone) = begin(&world, &["--yes"], &["--yes"]);
    for ended in [laptop.end().ok(), phone.end().ok()] {
        assert!(ended.err.contains("nobody looks"), "{}", ended.err);
        assert!(ended.out.contains(r#""type":"finished""#), "{}", ended.out);
    }
}

#[test]
fn both_compare() {
    let world = world();
    let (mut laptop, mut phone) = begin(&world, &["--compare"], &["--compare"]);
    assert_eq!(words(&laptop.next("check_code")), words(&phone.next("check_code")));
    for device in [&mut laptop, &mut phone] {
        device.asks("compare");
        device.type_line("perhaps");
        device.type_line("yes");
    }
    assert_eq!((laptop.end().code, phone.end().code), (0, 0));
}

#[test]
fn a_picture_is_as_good_as_the_text() {
    let world = world();
    let png = world.path("code.png");
    let png = png.to_str().unwrap();
    let mut laptop = world.start("laptop", &["pair", "--yes", "--png", png]);
    assert_eq!(laptop.next("code")["png"], png);
    let phone = world.start("phone", &["join", "--image", png, "--yes"]);
    assert_eq!((laptop.end().code, phone.end().code), (0, 0));
}

#[test]
fn the_code_is_shown_in_80_columns_and_as_text() {
    let world = world();
    let ended = world.run("laptop", &["pair", "--lifetime", "1s"]);
    assert_eq!(ended.code, 5);
    assert!(ended.err.contains("The code has expired."), "{}", ended.err);
    let drawn: Vec<&str> = ended.out.lines().filter(|line| line.contains('█')).collect();
    assert!(drawn.len() > 25);
    assert!(drawn.iter().all(|line| line.chars().count() <= 80));
    assert!(ended.out.lines().any(|line| line.starts_with("HANDFAST:")), "{}", ended.out);
}

#[test]
fn codes_that_are_none_are_refused() {
    let world = world();
    let mut laptop = world.start("laptop", &["pair"]);
    let code = code(&mut laptop);
    let last = if code.ends_with('A') { "B" } else { "A" };
    let mistyped = format!("{}{last}", &code[..code.len() - 1]);
    let join = |code: &str, kind: &str| world.fails("phone", &["join", code], 4, kind);
    join(&code[..code.len() / 2], "damaged_code");
    join(&mistyped, "damaged_code");
    join("hello", "not_a_code");
    world.fails("phone", &["join"], 2, "usage");
    let blank = world.path("blank.png");
    image::GrayImage::new(60, 60).save(&blank).unwrap();
    world.fails("phone", &["join", "--image", blank.to_str().unwrap()], 4, "no_code_in_image");
    let text = world.write("text.png", "no picture");
    world.fails("phone", &["join", "--image", &text], 4, "not_an_image");
    world.fails("phone", &["join", "--image", "/nowhere.png"], 4, "file");

    // While it is shown the home is in use; afterwards the code is still its own.
    world.fails("laptop", &["join", &code], 7, "locked");
    laptop.kill();
    world.fails("laptop", &["join", &code], 5, "own_code");
}

#[test]
fn without_a_provider_there_is_nowhere_to_meet() {
    let world = world();
    world.fails("phone", &["pair", "--protocol", "1"], 6, "provider_missing");
    world.fails("phone", &["pair", "--provider-in-code"], 6, "provider_missing");
}

#[test]
fn version_1_is_spoken_only_when_asked_for() {
    let world = world();
    let pair = ["--protocol", "1", "--provider-in-code"];
    let mut laptop = world.start("laptop", &[&["pair"], &pair[..]].concat());
    let code = code(&mut laptop);
    assert!(code.starts_with('{'), "{code}");
    let message = world.fails("phone", &["join", &code], 4, "protocol_refused");
    assert!(message.contains("version 1"), "{message}");
    let mut phone = world.start("phone", &["join", &code, "--protocol", "1"]);
    let (one, other) = (laptop.asks("compare_fingerprint"), phone.asks("compare_fingerprint"));
    assert_eq!(one["emojis"], other["emojis"]);
    let own = world.json("phone", &["devices"])["devices"][0]["fingerprint"].clone();
    assert_eq!(one["emojis"], own);
    laptop.type_line("y");
    phone.type_line("y");
    assert_eq!(laptop.next("finished")["name"], "phone");
    let ended = laptop.end();
    assert!(ended.err.contains("credentials") && ended.err.contains("version 1"), "{}", ended.err);
    assert_eq!(phone.end().code, 0);
}

#[test]
fn no_is_heard_on_the_other_side() {
    let world = world();
    let (mut laptop, mut phone) = begin(&world, &[], &[]);
    phone.asks("type_back_digits");
    laptop.asks("type_check_code");
    laptop.type_line("no");
    laptop.end().failed(5, "declined");
    phone.end().failed(5, "declined");

    // So is nobody being there.
    let (mut laptop, mut phone) = begin(&world, &[], &[]);
    laptop.asks("type_check_code");
    phone.asks("type_back_digits");
    phone.leave();
    phone.end().failed(5, "declined");
    laptop.end().failed(5, "declined");
    assert_eq!(names(&world, "laptop"), ["laptop"]);
}

#[test]
fn three_wrong_tries_are_a_mismatch() {
    let world = world();
    let (mut laptop, mut phone) = begin(&world, &[], &[]);
    let digits = phone.next("check_code")["digits"].as_str().unwrap().to_owned();
    let wrong = if digits == "0000000000" { "1111111111" } else { "0000000000" };
    laptop.asks("type_check_code");
    for left in [2, 1] {
        laptop.type_line(wrong);
        assert_eq!(laptop.asks("wrong")["tries_left"], left);
    }
    laptop.type_line(wrong);
    laptop.end().failed(5, "mismatch");
    phone.end().failed(5, "mismatch");
}

#[test]
fn interrupted_before_confirming_is_a_no() {
    let world = world();
    let (mut laptop, mut phone) = begin(&world, &[], &[]);
    laptop.asks("type_check_code");
    phone.asks("type_back_digits");
    laptop.signal("-INT");
    laptop.end().failed(5, "declined");
    phone.end().failed(5, "declined");
    // Nothing is left behind.
    world.fails("laptop", &["pair", "--resume"], 3, "no_pairing");
}

#[test]
fn interrupted_after_confirming_goes_on_later() {
    let world = world();
    let (mut laptop, mut phone) = begin(&world, &[], &[]);
    let digits = phone.next("check_code")["digits"].as_str().unwrap().to_owned();
    laptop.asks("type_check_code");
    laptop.type_line(&digits);
    laptop.next("check_code");
    laptop.signal("-INT");
    laptop.end().failed(1, "interrupted");
    assert_eq!(world.json("laptop", &["status"])["pairing_pending"], true);
    world.fails("laptop", &["pair"], 5, "pairing_pending");

    let mut laptop = world.start("laptop", &["pair", "--resume"]);
    let back = laptop.next("check_code")["back_digits"].as_str().unwrap().to_owned();
    phone.type_line(&back);
    assert_eq!((laptop.end().code, phone.end().code), (0, 0));
    assert_eq!(world.json("laptop", &["status"])["pairing_pending"], false);
}

#[test]
fn a_pairing_can_be_dropped() {
    let world = world();
    let (mut laptop, mut phone) = begin(&world, &["--yes"], &[]);
    phone.asks("type_back_digits");
    laptop.next("check_code");
    laptop.signal("-TERM");
    laptop.end().failed(1, "interrupted");
    assert_eq!(world.json("laptop", &["pair", "--cancel"])["cancelled"], true);
    assert_eq!(world.json("laptop", &["pair", "--cancel"])["cancelled"], false);
    phone.kill();
}

#[test]
fn who_is_paired_already_says_so() {
    let world = World::paired();
    let mut laptop = world.start("laptop", &["pair", "--yes"]);
    let code = code(&mut laptop);
    world.fails("phone", &["join", &code], 5, "already_paired");
    let phone = world.start("phone", &["join", &code, "--again", "--yes"]);
    assert_eq!((laptop.end().code, phone.end().code), (0, 0));
    assert_eq!(names(&world, "phone").len(), 2);
}

#[test]
fn edits_go_both_ways_and_a_third_device_is_picked_up() {
    let world = World::paired();
    world.json("laptop", &["records", "set", "notes", "--key", "a", "text=milk"]);
    world.json("phone", &["records", "set", "notes", "--key", "b", "text=bread"]);
    world.sync(&["laptop", "phone"]);
    assert_eq!(world.json("laptop", &["records", "list", "notes"])["total"], 2);
    assert_eq!(world.content("laptop"), world.content("phone"));
    assert_eq!(world.json("laptop", &["sync"])["published"], Value::Null);
    assert_eq!(world.run("laptop", &["sync"]).ok().out, "Nothing is new.\n");

    world.bare("tablet");
    world.pair("laptop", "tablet");
    world.json("tablet", &["records", "set", "notes", "--key", "c", "text=tea"]);
    world.sync(&["laptop", "tablet", "phone"]);
    world.sync(&["laptop", "tablet", "phone"]);
    let hashes = ["laptop", "phone", "tablet"].map(|device| world.content(device));
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]));
    let devices = world.json("phone", &["devices"]);
    let tablet = &devices["devices"].as_array().unwrap().iter().find(|it| it["name"] == "tablet");
    assert_eq!(tablet.unwrap()["admitted_by"], "laptop");
    for device in ["laptop", "phone", "tablet"] {
        assert_eq!(world.json(device, &["doctor"])["findings"], json!([]));
    }
}

#[test]
fn watching_tells_what_happens_and_ends_cleanly() {
    let world = World::paired();
    let mut phone = world.start("phone", &["sync", "--watch"]);
    phone.next("watching");
    world.json("laptop", &["records", "set", "notes", "--key", "a", "text=milk"]);
    world.json("laptop", &["sync"]);
    let changed = phone.next("records_changed");
    assert_eq!((&changed["collection"], &changed["records"]), (&json!("notes"), &json!(1)));
    // An edit of another process is noticed and published.
    world.json("phone", &["records", "set", "notes", "--key", "b", "text=bread"]);
    phone.next("published");
    phone.signal("-INT");
    phone.next("stopped");
    assert_eq!(phone.end().code, 0);
}
