//! What every command says: to people at 80 and 200 columns, to programs, and to who uses it
//! wrongly.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use crate::world::{Ended, Net, TOKEN, World, ended};

/// What differs from one run to the next.
const FILTERS: &[(&str, &str)] = &[
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"just now|\d+ (?:seconds?|minutes?) ago", "[ago]"),
    (r"20\d\d-\d\d-\d\dT[0-9:.]+Z", "[moment]"),
    (r"\(\d+ ms\)", "([ms])"),
    (r" +\d+ ms\b", " [ms]"),
    (r#""bytes_(sent|received)":\d+"#, r#""bytes_$1":0"#),
    (r#""milliseconds":\d+"#, r#""milliseconds":0"#),
    (r#"\{"emoji":"[^"]*","index":\d+,"word":"[^"]*"\}"#, "[emoji]"),
    (r"(?:\S+ [a-z]+   ){3}\S+ [a-z]+", "[four emojis]"),
    (r#""digits":"\d+""#, r#""digits":"[digits]""#),
    (r"\d{3} \d{3} \d{4}", "[digits]"),
    (r"HANDFAST:[A-Z2-7]+", "HANDFAST:[code]"),
    (r"\byr[a-km-uw-z13-9]{50,}", "[invite]"),
    (r"\([0-9a-f]{8,16}…?\)", "([id])"),
    (r"[0-9a-f]{12,}", "[hex]"),
    (r"(?m)(?:^.*[█▀▄].*\n)+", "[QR code]\n"),
];

fn assert(world: &World, name: &str, said: &str) {
    let said = said.replace(world.dir.path().to_str().unwrap(), "DIR");
    let mut settings = insta::Settings::clone_current();
    settings.set_filters(FILTERS.iter().copied());
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, said));
}

fn shown(words: &[&str], ended: &Ended) -> String {
    let mut said = format!("$ handfast {}\n{}", words.join(" "), ended.out);
    if !ended.err.is_empty() {
        said += &format!("--- standard error\n{}", ended.err);
    }
    if ended.code != 0 {
        said += &format!("--- exit code {}\n", ended.code);
    }
    said + "\n"
}

/// Without how long something took or is ago, which may be another at the next look.
fn steady(said: &str) -> String {
    let mut steady = said.to_owned();
    for unit in ["second", "minute"] {
        for number in 1..60 {
            let plural = if number == 1 { "" } else { "s" };
            steady = steady.replace(&format!(", {number} {unit}{plural} ago"), ", just now");
            steady = steady.replace(&format!("news {number} {unit}{plural} ago"), "news just now");
        }
    }
    let mut said = String::new();
    let mut rest = steady.as_str();
    while let Some((before, after)) = rest.split_once(" ms") {
        // (Thousands are set apart, and figures below each other filled up, with spaces.)
        let bare = before.trim_end_matches(|it: char| it.is_ascii_digit() || it.is_whitespace());
        let took = match before.strip_prefix(bare) {
            Some("") => "",
            Some(took) if took.starts_with(char::is_whitespace) => " 1",
            _ => "1",
        };
        said += &format!("{bare}{took} ms");
        rest = after;
    }
    said + rest
}

fn at(world: &World, device: &str, words: &[&str], columns: &str) -> Ended {
    let mut command = world.command(device, words);
    command.env("COLUMNS", columns);
    ended(command)
}

/// A command that changes nothing, as people and programs see it.
fn see(world: &World, name: &str, device: &str, commands: &[&[&str]]) {
    let mut said = String::new();
    for words in commands {
        let narrow = steady(&shown(words, &at(world, device, words, "80")));
        let wide = steady(&shown(words, &at(world, device, words, "200")));
        if wide != narrow {
            said += "=== at 80 columns\n";
        }
        said += &narrow;
        if wide != narrow {
            said += &format!("=== at 200 columns\n{wide}");
        }
        // One record is shown whole, however long its values are.
        let is_whole = words.iter().any(|it| ["get", "show", "export"].contains(it));
        for line in narrow.lines().filter(|line| !is_whole && !line.starts_with('$')) {
            let columns = console::measure_text_width(line);
            let free = ["hint:", "error:", "warning:", "HANDFAST:", "  handfast ", "home", "DIR"];
            let free = free.iter().any(|it| line.starts_with(it)) || line.contains("http://");
            assert!(columns <= 80 || free, "{columns}: {line}");
        }
        let json: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        said += &shown(&json, &at(world, device, &json, "80"));
    }
    assert(world, name, &said);
}

/// Commands that change something, one after the other.
fn do_and_see(world: &World, name: &str, device: &str, commands: &[&[&str]]) {
    let said: String =
        commands.iter().map(|words| shown(words, &at(world, device, words, "80"))).collect();
    assert(world, name, &said);
}

const LONG: &str = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor";

/// Two devices with records and conflicts.
fn world() -> World {
    let world = World::paired();
    world.set_note("laptop", "c", &format!("{LONG} {LONG} {LONG}"));
    world.set_note("laptop", "d", "\u{202e}hidden \u{1b}[2J 日本語");
    world.disagree();
    world
}

#[test]
fn what_a_pair_of_devices_says() {
    let world = world();
    see(&world, "devices", "laptop", &[&["devices"]]);
    see(&world, "status", "laptop", &[&["status"]]);
    see(&world, "doctor", "laptop", &[&["doctor"], &["doctor", "--offline"]]);
    see(&world, "provider", "laptop", &[&["provider", "show"], &["provider", "test"]]);
    see(&world, "sync", "laptop", &[&["sync"]]);
    see(
        &world,
        "records",
        "laptop",
        &[
            &["records", "list", "notes"],
            &["records", "list", "notes", "--limit", "1"],
            &["records", "list", "nothing"],
            &["records", "get", "notes", "--key", "a"],
            &["records", "get", "notes", "--key", "d"],
            &["records", "export", "notes"],
        ],
    );
    let list = world.json("laptop", &["conflicts"]);
    let a = world.json("laptop", &["records", "get", "notes", "--key", "a"])["id"].clone();
    let a = a.as_str().unwrap();
    assert_eq!(list["total"], 2);
    see(
        &world,
        "conflicts",
        "laptop",
        &[&["conflicts"], &["conflicts", "list", "--limit", "1"], &["conflicts", "show", &a[..8]]],
    );
    let mut walk = world.command("laptop", &["conflicts", "resolve"]);
    walk.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut walk = walk.spawn().unwrap();
    let typed = "?\nx\ns\nall latest\nno\nq\n";
    walk.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let walked = collected(walk, String::new());
    assert(&world, "conflicts-walk", &shown(&["conflicts", "resolve"], &walked));
    do_and_see(
        &world,
        "conflicts-resolve",
        "laptop",
        &[
            &["conflicts", "resolve", &a[..8], "text", "--mine"],
            &["conflicts", "resolve", &a[..8], "text", "--mine"],
            &["conflicts", "resolve", "--all", "--latest"],
            &["conflicts", "resolve", "--all", "--latest", "--json"],
            &["conflicts"],
            &["sync"],
            &["sync", "--json"],
        ],
    );
    // Values that are too long for the line are cut, so that who wrote them stays in it.
    world.sync(&["phone", "laptop"]);
    for device in ["laptop", "phone"] {
        let text = format!("text={device} {LONG}");
        world.json(device, &["records", "set", "notes", "--key", "a", &text]);
    }
    world.sync(&["phone", "laptop"]);
    let list = at(&world, "laptop", &["conflicts"], "80").ok().out;
    assert!(list.contains('…') && list.lines().count() > 3, "{list}");
    assert!(list.lines().all(|line| console::measure_text_width(line) <= 80), "{list}");
}

#[test]
fn what_a_device_on_its_own_says() {
    let world = World::hosted();
    do_and_see(
        &world,
        "init",
        "laptop",
        &[&["init", "--name", "laptop"], &["init", "--name", "laptop"], &["init", "--json"]],
    );
    let made =
        shown(&["init", "--json"], &at(&world, "other", &["init", "--name", "x", "--json"], "80"));
    assert(&world, "init-json", &made);
    see(
        &world,
        "alone",
        "laptop",
        &[&["status"], &["devices"], &["sync"], &["conflicts"], &["provider", "show"], &["doctor"]],
    );
    let rows = "iata,name\nJFK,Kennedy\nOSL\n,nowhere\nJFK,Other\nCDG,\"Paris\n";
    let (broken, fine) =
        (world.write("broken.csv", rows), world.write("fine.jsonl", "{\"k\":1}\n"));
    do_and_see(
        &world,
        "import",
        "laptop",
        &[
            &["records", "import", &broken, "--into", "airports", "--key", "iata"],
            &["records", "import", &broken, "--into", "airports", "--key", "iata", "--json"],
            &["records", "import", &broken, "--into", "airports", "--key", "iata", "--strict"],
            &["records", "import", &fine, "--into", "things", "--key", "k"],
            &["records", "import", &fine, "--into", "things", "--key", "k"],
            &["records", "import", &fine, "--into", "things", "--key", "none"],
            &["records", "set", "airports", "--key", "JFK", "runways=4", "name=Kennedy"],
            &["records", "set", "airports", "--key", "JFK", "runways=4"],
            &["records", "set", "airports", "--key", "LHR", "name=Heathrow", "--json"],
            &["records", "delete", "airports", "--key", "LHR"],
            &["records", "delete", "airports", "--key", "LHR"],
        ],
    );
    let mut set = world.command("laptop", &["provider", "set", "self-hosted"]);
    set.args(["--endpoint", &world.url()]).env("HANDFAST_AUTH_TOKEN", TOKEN);
    let mut wrong = world.command("laptop", &["provider", "set", "self-hosted"]);
    wrong.args(["--endpoint", &world.url()]).env("HANDFAST_AUTH_TOKEN", "wrong-token-altogether");
    let mut away = world.command("laptop", &["provider", "set", "self-hosted"]);
    away.args(["--endpoint", "http://127.0.0.1:1"]);
    let mut untested = world.command("laptop", &["provider", "set", "self-hosted", "--no-test"]);
    untested.args(["--endpoint", "http://127.0.0.1:1"]);
    let words = ["provider", "set", "self-hosted"];
    let mut said = String::new();
    for command in [set, wrong, away, untested] {
        said += &shown(&words, &ended(command));
    }
    said += &shown(&["provider", "test"], &world.run("laptop", &["provider", "test"]));
    assert(&world, "provider-set", &said);
}

/// A process to its end, with what it said before.
fn collected(mut child: Child, mut out: String) -> Ended {
    let mut err = String::new();
    child.stdout.take().map(|mut it| it.read_to_string(&mut out)).transpose().unwrap();
    child.stderr.take().map(|mut it| it.read_to_string(&mut err)).transpose().unwrap();
    Ended { code: child.wait().unwrap().code().unwrap(), out, err }
}

/// Starts a command for people and reads until a line that begins like this.
fn until(mut command: Command, begins: &str) -> (Child, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let (mut said, mut line) = (String::new(), String::new());
    while !line.starts_with(begins) {
        line.clear();
        assert!(lines.read_line(&mut line).unwrap() > 0, "{said}");
        said += &line;
    }
    // Whatever was read ahead, and the rest.
    said += std::str::from_utf8(lines.buffer()).unwrap();
    child.stdout = Some(lines.into_inner());
    (child, said, line.trim().to_owned())
}

#[test]
fn what_two_people_read_while_they_pair() {
    let world = World::hosted();
    world.device("laptop");
    world.bare("phone");
    let pair = world.command("laptop", &["pair", "--compare"]);
    let (mut laptop, said, code) = until(pair, "HANDFAST:");
    let mut join = world.command("phone", &["join", &code, "--compare"]);
    join.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut phone = join.spawn().unwrap();
    for device in [&mut laptop, &mut phone] {
        device.stdin.as_mut().unwrap().write_all(b"maybe\nyes\n").unwrap();
    }
    let laptop = collected(laptop, said);
    let phone = collected(phone, String::new());
    assert(&world, "pair", &shown(&["pair", "--compare"], &laptop));
    assert(&world, "join", &shown(&["join", "CODE", "--compare"], &phone));
}

#[test]
fn what_an_app_is_invited_with() {
    let (world, net) = (World::new(), Net::new());
    let words = ["invite", "--profile", "raw", "--additional", "7b7d"];
    let mut invite = world.command("nobody", &net.on(&words));
    invite.env("HANDFAST_STRUCTURE_KEY", "5e1f".repeat(16));
    invite.env("HANDFAST_ENCRYPTION_KEY", "0c".repeat(32));
    let (member, said, code) = until(invite, "yr");
    let mut joining = world.command("nobody", &net.on(&["join", "-", "--profile", "raw"]));
    joining.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut candidate = joining.spawn().unwrap();
    writeln!(candidate.stdin.as_mut().unwrap(), "{code}").unwrap();
    let candidate = collected(candidate, String::new());
    assert(&world, "invite-raw", &shown(&words, &collected(member, said)));
    assert(&world, "join-raw", &shown(&["join", "-", "--profile", "raw"], &candidate));
}

#[test]
fn what_two_apps_share() {
    let (world, net) = (World::new(), Net::new());
    let keys = ["5e1f".repeat(16), "0c".repeat(32)];
    let text = format!(r#"{{"notes":{{"key":"{}","config":"00"}},"写真":"{}"}}"#, keys[0], keys[1]);
    let file = world.write("structures.json", &text);
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let words = ["invite", "--profile", "app", "--structures", &file, "--primary", "notes"];
    let words = [&words[..], &["--name", "laptop", "--compare"]].concat();
    let (mut member, said, code) = until(world.command("nobody", &net.on(&words)), "yr");
    let joins = ["join", "-", "--profile", "app", "--name", "phone"];
    let mut joining = world.command("nobody", &net.on(&joins));
    joining.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut candidate = joining.spawn().unwrap();
    writeln!(candidate.stdin.as_mut().unwrap(), "{code}\nyes").unwrap();
    member.stdin.as_mut().unwrap().write_all(b"maybe\nyes\n").unwrap();
    let candidate = collected(candidate, String::new());
    assert(&world, "invite-app", &shown(&words, &collected(member, said)));
    assert(&world, "join-app", &shown(&joins, &candidate));
}

#[test]
fn what_a_host_says() {
    let world = World::new();
    let data = world.path("hosted");
    let words = ["host", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let (host, said, _) = until(world.command("nobody", &words), "  handfast provider");
    let pid = host.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert(&world, "host", &shown(&words, &collected(host, said)));
}

#[test]
fn what_wrong_use_is_answered_with() {
    let world = World::new();
    world.bare("laptop");
    world.write("file", "");
    let commands: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["init", "--name", "two\nlines"],
        &["pair", "--lifetime", "1d"],
        &["pair", "--provider-in-code"],
        &["pair", "--resume"],
        &["pair", "--cancel"],
        &["join"],
        &["join", "nonsense"],
        &["join", "HANDFAST:AAAA"],
        &["join", "--image", "/nowhere.png"],
        &["provider"],
        &["provider", "set", "dropbox"],
        &["provider", "set", "self-hosted"],
        &["provider", "set", "pinata"],
        &["provider", "test"],
        &["records"],
        &["records", "import", "x.csv"],
        &["records", "import", "/nowhere.csv", "--into", "notes"],
        &["records", "get", "notes"],
        &["records", "get", "notes", "x"],
        &["records", "get", "notes", "--key", "x"],
        &["records", "set", "notes", "--key", "x"],
        &["records", "set", "notes", "--key", "x", "plain"],
        &["records", "set", "notes", "--key", "x", "$id=1"],
        &["records", "set", "notes", "--key", "x", "$deleted=1"],
        &["records", "delete", "notes", "--key", "x"],
        &["records", "list", "two\nlines"],
        &["conflicts", "show", "abc"],
        &["conflicts", "resolve", "--mine"],
        &["conflicts", "resolve", "--all"],
        &["conflicts", "resolve", "1f", "name", "--mine", "--theirs"],
        &["sync", "--often"],
        &["status", "more"],
        &["host", "--data", "x", "--listen", "everywhere"],
        &["doctor", "--mend"],
        &["demo", "--fast"],
    ];
    let mut said = String::new();
    for words in commands {
        let ended = at(&world, "laptop", words, "80");
        assert!(!ended.out.contains("\x1b") && !ended.err.contains("\x1b"));
        said += &shown(words, &ended);
    }
    let missing = at(&world, "nobody", &["status"], "80");
    said += &shown(&["status"], &missing);
    assert(&world, "wrong-use", &said);
}
