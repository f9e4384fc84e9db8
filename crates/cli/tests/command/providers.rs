//! Providers: set, shown, tested, run.

use crate::world::{TOKEN, World, ended, is_in};
use handfast_doubles::{Double, Mood, Network, delegated, kubo, pinata, web3_storage};
use serde_json::json;

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
        "gateways": null,
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
fn what_is_no_address_or_lacks_credentials_is_refused() {
    let world = World::new();
    world.bare("laptop");
    let set = |words: &[&'static str]| [&["provider", "set"], words].concat();
    world.fails("laptop", &set(&["self-hosted"]), 2, "usage");
    for endpoint in ["home.example", "ftp://h", "http://u:hush@h", "http://h/?token=hush"] {
        let words = set(&["self-hosted", "--endpoint", endpoint, "--no-test"]);
        let message = world.fails("laptop", &words, 2, "provider_config");
        assert!(!message.contains("hush"), "{message}");
    }
    for (kind, flag) in
        [("pinata", "--api-key-file"), ("infura", "--project-id"), ("web3storage", "--token-file")]
    {
        let message = world.fails("laptop", &set(&[kind]), 2, "usage");
        assert!(message.contains(flag), "{message}");
    }
    let words = set(&["pinata", "--project-id", "x"]);
    let message = world.fails("laptop", &words, 2, "usage");
    assert!(message.contains("another type"), "{message}");
    let words = set(&["self-hosted", "--endpoint", "http://h", "--auth-token-file", "/nowhere"]);
    world.fails("laptop", &words, 4, "file");
}

/// Each type with the flags and with the environment that the help names, tried out as a whole.
#[test]
fn every_type_is_set_and_tried_out() {
    let doubles = Doubles::start();
    let world = World::new();
    world.bare("laptop");
    let (id, secret) = kubo::PROJECT;
    let file = |name, text: &str| world.write(name, text);
    let (key, secret_key) = (file("key", pinata::KEY), file("secret-key", pinata::SECRET));
    let (jwt, project) = (file("jwt", pinata::JWT), file("project", secret));
    let (token, node) = (file("token", web3_storage::TOKEN), file("node", kubo::TOKEN));
    let [pinata_at, infura_at, web3_at, kubo_at, router] =
        doubles.doubles.each_ref().map(|double| double.url.as_str());
    for (kind, at, flags, variables) in [
        (
            "pinata",
            pinata_at,
            vec!["--api-key-file", &key, "--secret-key-file", &secret_key],
            vec![
                ("HANDFAST_PINATA_API_KEY", pinata::KEY),
                ("HANDFAST_PINATA_SECRET_KEY", pinata::SECRET),
            ],
        ),
        (
            "pinata",
            pinata_at,
            vec!["--api-key-file", &jwt],
            vec![("HANDFAST_PINATA_API_KEY", pinata::JWT)],
        ),
        (
            "infura",
            infura_at,
            vec!["--project-id", id, "--project-secret-file", &project],
            vec![("HANDFAST_INFURA_PROJECT_ID", id), ("HANDFAST_INFURA_PROJECT_SECRET", secret)],
        ),
        (
            "web3storage",
            web3_at,
            vec!["--token-file", &token],
            vec![("HANDFAST_WEB3STORAGE_TOKEN", web3_storage::TOKEN)],
        ),
        (
            "self-hosted",
            kubo_at,
            vec!["--auth-token-file", &node],
            vec![("HANDFAST_AUTH_TOKEN", kubo::TOKEN)],
        ),
    ] {
        let set = ["provider", "set", kind, "--endpoint", at, "--name-router", router];
        let by_flags = world.json("laptop", &[&set[..], &flags].concat());
        assert_eq!(by_flags["tested"], true, "{kind}");
        let mut command = world.command("laptop", &[&set[..], &["--json"]].concat());
        command.envs(variables);
        assert_eq!(ended(command).json(), by_flags, "{kind}");
        let tried = world.json("laptop", &["provider", "test"]);
        let what: Vec<_> =
            tried["trials"].as_array().unwrap().iter().map(|it| it["what"].clone()).collect();
        assert_eq!(what, ["credentials", "put", "get", "pin", "publish", "resolve"], "{kind}");
        assert_eq!(tried["ok"], true, "{tried}");
        let table = world.run("laptop", &["provider", "test"]).ok();
        assert!(
            table.out.lines().filter(|line| line.contains(" ms")).count() == 6,
            "{}",
            table.out
        );
    }
    let [pinata, .., router] = &doubles.doubles;
    router.control.be(Mood::Down);
    world.fails("laptop", &["provider", "test"], 6, "provider_unreachable");
    pinata.control.be(Mood::Says(410, Vec::new(), String::new()));
    let set = ["provider", "set", "pinata", "--endpoint", pinata_at, "--api-key-file", &jwt];
    world.fails("laptop", &set, 6, "provider_sunset");
}

/// Whoever sets a service that takes nobody new is told so, before anything is sent.
#[test]
fn services_without_a_future_are_warned_of() {
    let world = World::new();
    world.bare("laptop");
    let token = world.write("token", "a-token");
    for (kind, flag, word) in
        [("infura", "--project-secret-file", "2024"), ("web3storage", "--token-file", "2024")]
    {
        let id = ["--project-id", "x"];
        let id = if kind == "infura" { &id[..] } else { &[] };
        let set = ["provider", "set", kind, flag, &token, "--no-test"];
        let at_home = world.run("laptop", &[&set[..], id].concat()).ok();
        assert!(at_home.err.contains(word), "{}", at_home.err);
        let elsewhere =
            world.run("laptop", &[&set[..], id, &["--endpoint", "http://h"]].concat()).ok();
        assert!(!elsewhere.err.contains(word), "{}", elsewhere.err);
    }
}

#[test]
fn a_paired_device_moves_to_another_provider() {
    let doubles = Doubles::start();
    let world = World::paired();
    world.json("laptop", &["records", "set", "notes", "--key", "a", "v=1"]);
    world.sync(&["laptop", "phone"]);
    let [pinata, .., router] = &doubles.doubles;
    let jwt = world.write("jwt", pinata::JWT);
    let moved = world.json(
        "laptop",
        &[
            "provider",
            "migrate",
            "pinata",
            "--endpoint",
            &pinata.url,
            "--name-router",
            &router.url,
            "--api-key-file",
            &jwt,
        ],
    );
    assert_eq!(moved["provider"]["type"], "pinata");
    assert!(moved["published"].as_u64().is_some(), "{moved}");
    world.json("laptop", &["records", "set", "notes", "--key", "b", "v=2"]);
    world.sync(&["laptop", "phone"]);
    assert_eq!(world.content("laptop"), world.content("phone"));

    router.control.be(Mood::Down);
    pinata.control.be(Mood::Down);
    world.json("laptop", &["records", "set", "notes", "--key", "c", "v=3"]);
    world.fails("laptop", &["sync"], 6, "sync_trouble");
    let status = world.run("laptop", &["status"]).ok();
    assert!(status.out.contains("trouble") && status.out.contains("Pinata at"), "{}", status.out);
    for back in [router, pinata] {
        back.control.be(Mood::Fine);
    }
    world.sync(&["laptop", "phone"]);
    assert!(!world.run("laptop", &["status"]).ok().out.contains("trouble"));
    assert_eq!(world.content("laptop"), world.content("phone"));
}

/// Doubles, on a thread of their own.
struct Doubles {
    _runtime: tokio::runtime::Runtime,
    doubles: [Double; 5],
}

impl Doubles {
    fn start() -> Doubles {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let network = Network::new();
        let doubles = runtime.block_on(async {
            [
                pinata::start(&network).await.unwrap(),
                kubo::start_infura(&network).await.unwrap(),
                web3_storage::start(&network).await.unwrap(),
                kubo::start(&network).await.unwrap(),
                delegated::start(&network).await.unwrap(),
            ]
        });
        Doubles { _runtime: runtime, doubles }
    }
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
