//! Records: in from files, read, changed, deleted, out again.

use crate::world::World;
use serde_json::json;

const AIRPORTS: &str = "iata,name,runways\nJFK,Kennedy,4\nOSL,Gardermoen,2\nCDG,,4\n";

fn world() -> World {
    let world = World::new();
    world.bare("laptop");
    world
}

#[test]
fn a_record_goes_all_the_way_around() {
    let world = world();
    let file = world.write("airports.csv", AIRPORTS);
    let import = ["records", "import", &file, "--into", "airports", "--key", "iata"];
    assert_eq!(
        world.json("laptop", &import),
        json!({ "collection": "airports", "written": 3, "unchanged": 0, "refused": 0,
                "read_to_the_end": true, "refusals": [] })
    );
    assert_eq!(world.json("laptop", &import)["unchanged"], 3);
    let human = world.run("laptop", &import).ok().out;
    assert!(human.contains("0 records written into airports, 3 there already."), "{human}");

    let get = |key: &str| world.json("laptop", &["records", "get", "airports", "--key", key]);
    let jfk = get("JFK");
    assert_eq!(jfk["fields"], json!({ "iata": "JFK", "name": "Kennedy", "runways": 4 }));
    let id = jfk["id"].as_str().unwrap();
    assert_eq!(world.json("laptop", &["records", "get", "airports", id]), jfk);
    assert_eq!(get("CDG")["fields"], json!({ "iata": "CDG", "runways": 4 }));

    let set = |words: &[&str]| {
        world.json("laptop", &[&["records", "set", "airports"], words].concat())["did"].clone()
    };
    assert_eq!(set(&[id, "runways=5", "open=true", "note=a text"]), "changed");
    assert_eq!(set(&[id, "runways=5"]), "unchanged");
    assert_eq!(set(&["--key", "LHR", "name=Heathrow"]), "created");
    assert_eq!(set(&["--new", "name=Tegel"]), "created");
    assert_eq!(get("JFK")["fields"]["note"], "a text");
    assert_eq!(get("JFK")["fields"]["runways"], 5);

    let list = world.json("laptop", &["records", "list", "airports"]);
    assert_eq!((&list["total"], list["records"].as_array().unwrap().len()), (&json!(5), 5));
    let some = world.json("laptop", &["records", "list", "airports", "--limit", "2"]);
    assert_eq!((&some["total"], some["records"].as_array().unwrap().len()), (&json!(5), 2));
    let human = world.run("laptop", &["records", "list", "airports", "--limit", "2"]).ok();
    assert!(human.out.contains("2 of 5 records"), "{}", human.out);
    assert!(human.out.lines().all(|line| line.chars().count() <= 80), "{}", human.out);

    assert_eq!(world.json("laptop", &["records", "delete", "airports", id])["did"], "deleted");
    world.fails("laptop", &["records", "get", "airports", id], 3, "no_record");
    world.fails("laptop", &["records", "delete", "airports", "--key", "JFK"], 3, "no_record");
    assert_eq!(world.json("laptop", &["records", "list", "airports"])["total"], 4);
}

#[test]
fn an_export_restores_ids_and_never_changes_its_order() {
    let world = world();
    let file = world.write("airports.csv", AIRPORTS);
    world.json("laptop", &["records", "import", &file, "--into", "airports", "--key", "iata"]);
    world.json("laptop", &["records", "set", "airports", "--new", "z=1", "a=12345678901234567890"]);
    let export = world.run("laptop", &["records", "export", "airports"]).ok().out;
    assert_eq!(export.lines().count(), 4);
    for line in export.lines() {
        assert!(line.starts_with(r#"{"$id":""#), "{line}");
    }
    assert!(export.contains(r#","a":12345678901234567890,"z":1}"#), "{export}");

    world.bare("phone");
    let file = world.write("airports.jsonl", &export);
    world.json("phone", &["records", "import", &file, "--into", "airports"]);
    assert_eq!(world.run("phone", &["records", "export", "airports"]).ok().out, export);
    assert_eq!(world.content("phone"), world.content("laptop"));
    assert_eq!(world.run("phone", &["records", "export", "nothing"]).ok().out, "");
}

#[test]
fn json_and_json_lines_are_read_and_standard_input_too() {
    let world = world();
    let array = world.write("notes.json", r#"[{"id":1,"text":"a"},{"id":2,"text":"b"}]"#);
    let import = ["records", "import", &array, "--into", "notes", "--key", "id"];
    assert_eq!(world.json("laptop", &import)["written"], 2);
    // The number 1 and the text 1 are one key.
    let one = world.json("laptop", &["records", "get", "notes", "--key", "1"]);
    assert_eq!(one["fields"]["text"], "a");

    let words = ["records", "import", "-", "--into", "notes", "--format", "jsonl"];
    let mut running = world.start("laptop", &words);
    running.type_line(r#"{"text":"c"}"#);
    running.type_line(r#"{"text":"d"}"#);
    running.leave();
    let ended = running.end();
    assert_eq!(ended.json()["written"], 2);
}

#[test]
fn broken_rows_are_refused_one_by_one_or_the_file_whole() {
    let world = world();
    let file = world.write("broken.csv", "iata,name\nJFK,Kennedy\nOSL\n,nowhere\nCDG,Paris\n");
    let import = ["records", "import", &file, "--into", "airports", "--key", "iata"];
    let strict = [&import[..], &["--strict"]].concat();
    let message = world.fails("laptop", &strict, 4, "bad_input");
    assert!(message.contains("broken.csv: line 3, column 2: "), "{message}");
    assert_eq!(world.json("laptop", &["records", "list", "airports"])["total"], 0);

    let imported = world.json("laptop", &import);
    assert_eq!((&imported["written"], &imported["refused"]), (&json!(2), &json!(2)));
    let places: Vec<_> = imported["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["line"].as_u64().unwrap(), it["column"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, [(3, 2), (4, 1)]);
    let human = world.run("laptop", &import).ok();
    assert!(human.err.contains("line 3, column 2: this row has 1 cell,"), "{}", human.err);
    assert!(human.err.contains("line 4, column 1: "), "{}", human.err);
    assert!(human.out.contains(", 2 rows refused."), "{}", human.out);

    let broken = world.write("broken.json", "[{\"a\":1},\n {\"a\":tru}]");
    let words = ["records", "import", &broken, "--into", "notes", "--strict"];
    let message = world.fails("laptop", &words, 4, "bad_input");
    assert!(message.contains("line 2, column "), "{message}");
    let nothing = world.write("nothing.jsonl", "rubbish\nmore\n");
    let words = ["records", "import", &nothing, "--into", "notes"];
    world.fails("laptop", &words, 4, "bad_input");
    world.fails("laptop", &["records", "import", "/nowhere", "--into", "notes"], 4, "file");
    let dir = world.dir.path().to_str().unwrap();
    world.fails("laptop", &["records", "import", dir, "--into", "notes"], 4, "file");
    let bad_id = world.write("ids.jsonl", "{\"$id\":\"no id\",\"a\":1}\n");
    let words = ["records", "import", &bad_id, "--into", "notes", "--strict"];
    let message = world.fails("laptop", &words, 4, "bad_input");
    assert!(message.contains("$id"), "{message}");
}

#[test]
fn what_is_not_there_is_not_found_and_nonsense_is_refused() {
    let world = world();
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    world.fails("laptop", &["records", "get", "notes", unknown], 3, "no_record");
    world.fails("laptop", &["records", "get", "notes", "--key", "x"], 3, "no_record");
    world.fails("laptop", &["records", "set", "notes", unknown, "a=1"], 3, "no_record");
    world.fails("laptop", &["records", "delete", "notes", unknown], 3, "no_record");
    world.fails("laptop", &["records", "get", "notes", "shopping"], 2, "usage");
    world.fails("laptop", &["records", "set", "notes", "--key", "a", "plain"], 2, "usage");
    world.fails("laptop", &["records", "set", "notes", "--key", "a", "$deleted=1"], 2, "fields");
    world.fails("laptop", &["records", "set", "notes", "--key", "", "a=1"], 2, "key");
    world.fails("laptop", &["records", "list", "two\nlines"], 2, "collection_name");
    assert_eq!(world.json("laptop", &["conflicts"]), json!({ "total": 0, "conflicts": [] }));
    world.fails("laptop", &["conflicts", "show", "abc"], 3, "no_conflict");
}

#[test]
fn what_records_say_cannot_repaint_the_terminal() {
    let world = world();
    let file = world.write("hostile.json", r#"[{"k":"a\u001b[2J\u009b","x\u001by":1}]"#);
    world.json("laptop", &["records", "import", &file, "--into", "notes"]);
    let list = world.run("laptop", &["records", "list", "notes"]).ok().out;
    assert!(!list.contains(['\x1b', '\u{9b}']), "{list:?}");
}

#[test]
fn who_has_read_enough_is_not_an_error_message() {
    let world = world();
    let rows: String = (0..20_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let file = world.write("many.jsonl", &rows);
    world.json("laptop", &["records", "import", &file, "--into", "many"]);
    let mut command = world.command("laptop", &["records", "export", "many"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
