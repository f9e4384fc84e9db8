//! Homes: set up, missing, in use, open to others, newer.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::world::World;
use serde_json::json;

#[test]
fn a_device_is_set_up_once() {
    let world = World::new();
    let made = world.json("laptop", &["init", "--name", "Ada's laptop"]);
    assert_eq!((&made["name"], &made["keys"]), (&json!("Ada's laptop"), &json!("file")));
    let mode = |file: &str| {
        world.path("laptop").join(file).metadata().unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("handfast.db"), mode("device.key")), (0o700, 0o600, 0o600));

    let device = &world.json("laptop", &["devices"])["devices"][0];
    for member in ["id", "name", "ipns_public_key", "auth_public_key", "fingerprint"] {
        assert_eq!(device[member], made[member], "{member}");
    }
    assert_eq!(device["ipns_public_key"].as_str().unwrap().len(), 64);
    assert_eq!(device["auth_public_key"].as_str().unwrap().len(), 130);
    let emojis = device["fingerprint"].as_array().unwrap();
    assert_eq!(emojis.len(), 4);
    assert!(emojis.iter().all(|it| it["index"].is_u64() && it["word"].is_string()));

    let message = world.fails("laptop", &["init"], 7, "device_exists");
    assert!(message.contains("already"), "{message}");
    let human = world.run("laptop", &["init"]);
    assert!(human.err.contains("error: ") && human.err.contains("hint: "), "{}", human.err);
}

#[test]
fn without_a_name_it_is_called_like_the_machine() {
    let world = World::new();
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(world.json("laptop", &["init"])["name"], name.trim());
}

#[test]
fn names_that_disturb_are_refused() {
    let world = World::new();
    for name in ["", " ", "two\nlines", "\u{202e}reversed", &"x".repeat(65)] {
        world.fails("laptop", &["init", "--name", name], 2, "device_name");
    }
    assert!(!world.path("laptop").exists());
}

#[test]
fn the_home_is_found_in_the_environment() {
    let world = World::new();
    world.bare("laptop");
    let bare = |variable: &str, path: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_handfast"));
        command.args(["status", "--json"]).env("HOME", world.dir.path());
        command.env_remove("HANDFAST_HOME").env_remove("XDG_DATA_HOME");
        command.env(variable, world.path(path));
        crate::world::ended(command)
    };
    assert_eq!(bare("HANDFAST_HOME", "laptop").json()["name"], "laptop");
    std::fs::create_dir(world.path("data")).unwrap();
    std::fs::rename(world.path("laptop"), world.path("data/handfast")).unwrap();
    assert_eq!(bare("XDG_DATA_HOME", "data").json()["name"], "laptop");
    bare("OTHER", "data").failed(3, "no_device");
    std::fs::rename(world.path("data/handfast"), world.path(".handfast")).unwrap();
    assert_eq!(bare("OTHER", "data").json()["name"], "laptop");
}

#[test]
fn every_command_misses_a_device_that_is_not_there() {
    let world = World::new();
    for words in [
        &["pair"][..],
        &["join", "HANDFAST:AAAA"],
        &["devices"],
        &["provider", "show"],
        &["records", "list", "notes"],
        &["conflicts"],
        &["sync"],
        &["status"],
        &["doctor"],
    ] {
        world.fails("nobody", words, 3, "no_device");
    }
}

#[test]
fn a_home_that_others_can_read_is_refused() {
    let world = World::new();
    world.bare("laptop");
    let path = world.path("laptop").join("handfast.db");
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let message = world.fails("laptop", &["status"], 7, "open_to_others");
    assert!(message.contains("handfast.db"), "{message}");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    world.json("laptop", &["status"]);
}

#[test]
fn a_home_that_is_no_folder_cannot_be_used() {
    let world = World::new();
    world.write("laptop", "not a folder");
    world.fails("laptop", &["init", "--name", "x"], 7, "home");
}

#[test]
fn a_home_in_which_another_process_syncs_is_locked() {
    let world = World::paired();
    let lock = File::options().write(true).open(world.path("laptop").join("sync.lock")).unwrap();
    lock.lock().unwrap();
    world.fails("laptop", &["sync"], 7, "locked");
    world.fails("laptop", &["pair"], 7, "locked");
    world.fails("laptop", &["sync", "--watch"], 7, "locked");
    // Reading and editing go on.
    world.json("laptop", &["records", "set", "notes", "--key", "a", "x=1"]);
    drop(lock);
    world.json("laptop", &["sync"]);
}

#[test]
fn a_home_of_a_newer_version_is_left_alone() {
    let world = World::new();
    world.bare("laptop");
    let path = world.path("laptop").join("handfast.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let message = world.fails("laptop", &["status"], 7, "newer_home");
    assert!(message.contains("99"), "{message}");
}

/// The home of a device, closed for writing, and a way to run commands in it as somebody to whom
/// permissions matter (the superuser is not).
fn read_only_home(world: &World) -> impl Fn(&[&str], i32, &str) -> String {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    let home = world.path("laptop");
    let is_root = std::fs::metadata(&home).unwrap().uid() == 0;
    let program = world.path("handfast");
    std::fs::copy(env!("CARGO_BIN_EXE_handfast"), &program).unwrap();
    let mut files = vec![world.dir.path().to_owned(), home.clone()];
    files.extend(std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()));
    for path in &files {
        if is_root {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    for path in files.iter().skip(1) {
        let mode = if path.is_dir() { 0o500 } else { 0o400 };
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let base = world.dir.path().to_owned();
    move |args, code, kind| {
        let mut command = std::process::Command::new(&program);
        command
            .env("HANDFAST_KEYS", "file")
            .env("HANDFAST_DHT", "off")
            .env("HOME", &base)
            .current_dir(&base);
        command.arg("--home").arg(&home).args(args).arg("--json");
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        crate::world::ended(command).failed(code, kind)
    }
}

#[test]
fn a_home_that_cannot_be_written_to_is_said_to_be() {
    let world = World::new();
    world.bare("laptop");
    let file = world.write("notes.jsonl", "{\"text\":\"milk\"}\n");
    let fails = read_only_home(&world);
    for args in [
        &["status"][..],
        &["pair"],
        &["records", "set", "notes", "shopping", "text=milk"],
        &["records", "import", &file, "--into", "notes"],
    ] {
        let message = fails(args, 7, "read_only");
        assert_eq!(message, "the home of this device cannot be written to");
    }
}

#[test]
fn status_and_doctor_tell_how_a_device_is() {
    let world = World::new();
    world.bare("laptop");
    world.json("laptop", &["records", "set", "notes", "--key", "a", "text=milk"]);
    let status = world.json("laptop", &["status"]);
    assert_eq!(status["collections"][0]["name"], "notes");
    assert_eq!(status["collections"][0]["records"], 1);
    assert_eq!((&status["peers"], &status["provider"]), (&json!(0), &json!(null)));
    let human = world.run("laptop", &["status"]).ok().out;
    assert!(human.contains("notes  1 record"), "{human}");
    assert_eq!(world.json("laptop", &["doctor"])["findings"], json!([]));
    assert_eq!(world.json("laptop", &["sync"])["paired"], false);
    world.json("laptop", &["pair", "--cancel"]);
    world.fails("laptop", &["pair", "--resume"], 3, "no_pairing");
}
