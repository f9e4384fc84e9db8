//! What `--help` says, of every command.

use crate::world::World;

const KEY: &str = "5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f";

#[test]
fn every_command_explains_itself_with_examples() {
    let world = World::new();
    for path in [
        "",
        "init",
        "pair",
        "join",
        "invite",
        "invites",
        "devices",
        "provider",
        "provider set",
        "provider migrate",
        "records",
        "records import",
        "records list",
        "records get",
        "records set",
        "records delete",
        "records export",
        "conflicts",
        "conflicts resolve",
        "sync",
        "status",
        "host",
        "dht",
        "doctor",
        "demo",
    ] {
        let words: Vec<&str> = path.split_whitespace().chain(["--help"]).collect();
        let help = world.run("nobody", &words).ok();
        assert_eq!(help.err, "");
        assert!(help.out.contains("Examples:") || help.out.contains("Begin:"), "{path}");
        let name = if path.is_empty() { "handfast".to_owned() } else { path.replace(' ', "-") };
        insta::assert_snapshot!(name, help.out);
    }
}

#[test]
fn wrong_use_ends_with_2() {
    let world = World::new();
    for words in [
        &["frobnicate"][..],
        &["pair", "--lifetime", "1d"],
        &["pair", "--yes", "--compare"],
        &["pair", "--protocol", "3"],
        &["pair", "--resume", "--yes"],
        &["join", "CODE", "--image", "x.png"],
        &["records", "import", "x.csv"],
        &["records", "get", "notes"],
        &["provider", "set", "dropbox"],
        &["conflicts", "resolve", "1f", "name", "--mine", "--theirs"],
        &["host", "--data", "x", "--listen", "everywhere"],
        &["invite", "--no-verify", "--compare"],
        &["invite", "--profile", "raw"],
        &["invite", "--profile", "raw", "--key", KEY],
        &["invite", "--profile", "raw", "--key", "5e1f", "--dht", "local"],
        &["invite", "--profile", "raw", "--key", KEY, "--additional", "1", "--dht", "local"],
        &["invite", "--profile", "raw", "--key", KEY, "--key-file", "x", "--dht", "local"],
        &["invite", "--profile", "app"],
        &["invite", "--profile", "app", "--structures", "x", "--no-verify", "--dht", "local"],
        &["join", "CODE", "--profile", "app", "--seed-file", "x", "--ask-writers"],
        &["join", "CODE", "--user-data", KEY],
        &["join", "CODE", "--profile", "raw", "--compare"],
        &["join", "CODE", "--profile", "raw", "--journal", "x"],
        &["join", "CODE", "--profile", "raw", "--user-data", "5e1f"],
    ] {
        let ended = world.run("nobody", words);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{words:?}");
        assert!(ended.err.starts_with("error: "), "{}", ended.err);
        let message = world.fails("nobody", words, 2, "usage");
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
    }
    let nothing = world.run("nobody", &[]);
    assert_eq!(nothing.code, 2);
    assert!(nothing.err.contains("Usage: handfast"));
}

#[test]
fn programs_are_told_all_that_is_wrong() {
    let world = World::new();
    assert_eq!(
        world.fails("nobody", &["records", "import", "x.csv"], 2, "usage"),
        "the following required arguments were not provided: --into <NAME>"
    );
    let message = world.fails("nobody", &["records"], 2, "usage");
    assert!(message.starts_with("'handfast records' requires a subcommand"), "{message}");
}

#[test]
fn colours_are_for_terminals() {
    let world = World::new();
    world.bare("laptop");
    let mut outputs = vec![world.run("laptop", &["devices"]), world.run("nobody", &["devices"])];
    outputs.push(world.run("nobody", &["--help"]));
    for output in outputs {
        assert!(!output.out.contains('\x1b') && !output.err.contains('\x1b'));
    }
}
