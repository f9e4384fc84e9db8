//! Providers: set, shown, tested, run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod world;

use serde_json::json;
use world::{TOKEN, World, ended, is_in};

#[test]
fn a_provider_is_set_shown_and_tested() {
    let world = World::hosted();
    world.bare("laptop");
    assert_eq!(world.json("laptop", &["provider", "show"]), json!({ "provider": null }));
    world.fails("laptop", &["provider", "test"], 6, "provider_missing");

    let file = world.write("token", &format!("# mine\n\n{TOKEN}\n"));
    let url = world.url();
    let set = ["provider", "set", "self-hosted", "--endpoint", &url, "--auth-token-file", &file];
    let human = world.run("laptop", &set).ok();
    assert!(human.err.contains("can be read by other users"), "{}", human.err);
    let expected = json!({
        "type": "self-hosted", "endpoint": url, "has_auth_token": true, "name_routers": null,
    });
    assert_eq!(world.json("laptop", &["provider", "show"])["provider"], expected);
    assert_eq!(world.json("laptop", &["provider", "test"])["ok"], true);
    let human = world.run("laptop", &["provider", "show"]).ok();
    assert!(human.out.contains("with a token"), "{}", human.out);
    assert!(!human.out.contains(TOKEN) && !human.err.contains(TOKEN));
    assert_eq!(world.json("laptop", &["doctor"])["findings"], json!([]));
}

#[test]
fn a_provider_that_does_not_work_is_not_set() {
    let world = World::hosted();
    world.bare("laptop");
    let url = world.url();
    let set = ["provider", "set", "self-hosted", "--endpoint", &url, "--json"];
    let mut command = world.command("laptop", &set);
    command.env("HANDFAST_AUTH_TOKEN", "a-wrong-token-that-nobody-knows");
    let refused = ended(command);
    assert!(!refused.err.contains("a-wrong-token"), "{}", refused.err);
    refused.failed(6, "provider_credentials");
    assert_eq!(world.json("laptop", &["provider", "show"]), json!({ "provider": null }));

    // A port that was just free.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}");
    let set = ["provider", "set", "self-hosted", "--endpoint", &gone];
    world.fails("laptop", &set, 6, "provider_unreachable");
    // Its name routers have to be there too.
    let set_here = ["provider", "set", "self-hosted", "--endpoint", &url, "--name-router", &gone];
    let mut command = world.command("laptop", &[&set_here[..], &["--json"]].concat());
    command.env("HANDFAST_AUTH_TOKEN", TOKEN);
    let message = ended(command).failed(6, "provider_unreachable");
    assert!(message.contains(&format!("name router at {gone}")), "{message}");
    let untested = [&set[..], &["--no-test", "--name-router", &gone]].concat();
    assert_eq!(world.json("laptop", &untested)["provider"]["name_routers"], json!([gone]));
    assert_eq!(world.fails("laptop", &["doctor"], 8, "findings"), "1 finding to look at");
    assert_eq!(world.json("laptop", &["doctor", "--offline"])["findings"], json!([]));
}

#[test]
fn what_is_no_address_or_not_supported_is_refused() {
    let world = World::new();
    world.bare("laptop");
    let set = |words: &[&'static str]| [&["provider", "set"], words].concat();
    world.fails("laptop", &set(&["self-hosted"]), 2, "usage");
    for endpoint in ["home.example", "ftp://h", "http://u:hush@h", "http://h/?token=hush"] {
        let words = set(&["self-hosted", "--endpoint", endpoint, "--no-test"]);
        let message = world.fails("laptop", &words, 2, "provider_config");
        assert!(!message.contains("hush"), "{message}");
    }
    for kind in ["pinata", "infura", "web3storage"] {
        let message = world.fails("laptop", &set(&[kind]), 6, "provider_not_supported");
        assert!(message.contains("self-hosted"), "{message}");
    }
    let words = set(&["self-hosted", "--endpoint", "http://h", "--auth-token-file", "/nowhere"]);
    world.fails("laptop", &words, 4, "file");
}

#[test]
fn a_host_runs_until_it_is_told_to_stop() {
    let world = World::new();
    world.bare("laptop");
    let data = world.path("the host");
    let data = data.to_str().unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut host = world.start("nobody", &["host", "--data", data, "--listen", "127.0.0.1:0"]);
        let listening = host.next("listening");
        let file = listening["token_file"].as_str().unwrap();
        let command = listening["provider_command"].as_str().unwrap();
        assert!(command.contains(listening["url"].as_str().unwrap()), "{command}");
        // The line is ready for a shell.
        let words = command.strip_prefix("handfast ").unwrap();
        let line = format!("{} --home \"$1\" {words} --json", env!("CARGO_BIN_EXE_handfast"));
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &line, "sh"]).arg(world.path("laptop"));
        assert_eq!(ended(shell).json()["tested"], true);

        let second = ["host", "--data", data, "--listen", "127.0.0.1:0"];
        world.fails("nobody", &second, 7, "host_in_use");
        host.signal(signal);
        host.next("stopped");
        let ended = host.end();
        assert_eq!(ended.code, 0);
        let token = std::fs::read_to_string(file).unwrap();
        assert!(token.trim().len() >= 32 && !ended.err.contains(token.trim()));
    }
    let short = world.write("tokens", "short\n");
    let words = ["host", "--data", data, "--listen", "127.0.0.1:0", "--token-file", &short];
    let message = world.fails("nobody", &words, 4, "host_token");
    assert!(message.contains("line 1") && !message.contains("short\n"), "{message}");
}

#[test]
fn the_token_stands_only_where_it_belongs() {
    let world = World::hosted();
    world.device("laptop");
    let log = world.path("laptop").join("incarnation");
    assert!(!is_in(&log, TOKEN));
    let status = world.run("laptop", &["status"]).ok();
    assert!(!status.out.contains(TOKEN));
}
