//! Data as it comes: every kind of value through import, pairing and export, and files that are
//! broken in every way.

use std::collections::BTreeMap;

use crate::world::World;
use serde_json::{Value, json};

/// Values that something on the way could spoil, as JSON texts; the second is how it is printed.
const VALUES: &[(&str, &str)] = &[
    ("null", "null"),
    ("true", "true"),
    ("false", "false"),
    ("0", "0"),
    ("-1", "-1"),
    ("9007199254740993", "9007199254740993"),
    ("-9223372036854775809", "-9223372036854775809"),
    ("123456789012345678901", "123456789012345678901"),
    ("1234567890123456789012345678901234567890", "1.23456789012345678901234567890123456789e+39"),
    ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    ("1E400", "1e+400"),
    ("-2.50e-999", "-2.5e-999"),
    ("\"\"", "\"\""),
    ("\" \"", "\" \""),
    ("\"null\"", "\"null\""),
    ("\"42\"", "\"42\""),
    ("\"1e5\"", "\"1e5\""),
    ("\"007\"", "\"007\""),
    ("\"[1]\"", "\"[1]\""),
    ("\"a\\\"b\\\\c,d;e\\tf\"", "\"a\\\"b\\\\c,d;e\\tf\""),
    ("\"line\\nline\\r\\nline\\rline\"", "\"line\\nline\\r\\nline\\rline\""),
    ("\"\\u0000\\u0001\\u001f\\u007f\\u0080\"", "\"\\u0000\\u0001\\u001f\u{7f}\u{80}\""),
    ("\"\\ud83e\\udd80 \\u00e9 e\\u0301\"", "\"🦀 é e\u{301}\""),
    ("\"\\ufeff\\ufffe\\uffff\\ufdd0\"", "\"\u{feff}\u{fffe}\u{ffff}\u{fdd0}\""),
    ("\"\\u202eabc\\u2066def\\u200f\"", "\"\u{202e}abc\u{2066}def\u{200f}\""),
    ("[]", "[]"),
    ("{}", "{}"),
    ("[null,[],{\"a\":[1,\"x\",{}]}]", "[null,[],{\"a\":[1,\"x\",{}]}]"),
    ("{\"b\":1,\"a\":{\"$id\":\"x\"}}", "{\"a\":{\"$id\":\"x\"},\"b\":1}"),
    (
        "{\"\":0,\"$serde_json::private::Number\":\"1\"}",
        "{\"\":0,\"$serde_json::private::Number\":\"1\"}",
    ),
];

/// Names of fields that something on the way could spoil.
const NAMES: &[&str] =
    &["", " ", "a b", "ä", "🦀", "\u{202e}", "x\ny", "\"", "$ref", "null", "\u{0}"];

/// The records by their natural keys, in canonical JSON.
fn records() -> BTreeMap<String, (String, String)> {
    let mut records = BTreeMap::new();
    let mut add = |key: &str, name: &str, (written, printed): (&str, &str)| {
        let name = Value::from(name).to_string();
        let raw = format!(r#"{{ "key":"{key}", {name} : {written} }}"#);
        let mut fields = BTreeMap::from([("\"key\"".to_owned(), format!("\"{key}\""))]);
        fields.insert(name, printed.to_owned());
        let members: Vec<_> =
            fields.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        records.insert(key.to_owned(), (raw, format!("{{{}}}", members.join(","))));
    };
    for (number, value) in VALUES.iter().enumerate() {
        add(&format!("v{number}"), "value", *value);
    }
    for (number, name) in NAMES.iter().enumerate() {
        add(&format!("n{number}"), name, ("1", "1"));
    }
    let every: String =
        (0..=0x10_ffff).step_by(977).filter_map(char::from_u32).filter(|c| *c > ' ').collect();
    let every = Value::from(every).to_string();
    add("planes", "value", (&every, &every));
    let long = Value::from("é\"".repeat(64 * 1024 / 3)).to_string();
    add("long", "value", (&long, &long));
    let deep = format!("{}7{}", "[".repeat(63), "]".repeat(63));
    add("deep", "value", (&deep, &deep));
    records
}

/// The records of an export, without their ids, by their keys.
fn exported(export: &str) -> BTreeMap<String, String> {
    let record = |line: &str| {
        let line = line.strip_prefix("{\"$id\":\"").unwrap();
        let fields = format!("{{{}", &line[38..]);
        let key = serde_json::from_str::<Value>(&fields).unwrap()["key"].clone();
        (key.as_str().unwrap().to_owned(), fields)
    };
    export.lines().map(record).collect()
}

#[test]
fn every_value_survives_import_pairing_and_export() {
    let world = World::hosted();
    world.device("laptop");
    world.bare("phone");
    let records = records();
    let expected: BTreeMap<_, _> =
        records.iter().map(|(key, (_, printed))| (key.clone(), printed.clone())).collect();
    let raw: Vec<&str> = records.values().map(|(raw, _)| raw.as_str()).collect();
    let lines = world.write("data.jsonl", &raw.join("\n"));
    let array = world.write("data.json", &format!("\u{feff}[{}]", raw.join(",\r\n")));
    for (into, file) in [("lines", &lines), ("array", &array)] {
        let imported =
            world.json("laptop", &["records", "import", file, "--into", into, "--key", "key"]);
        assert_eq!(
            (&imported["refused"], &imported["written"]),
            (&json!(0), &json!(records.len()))
        );
    }
    // The same records in a table, as their cells say it: one column for each name.
    let mut table = csv::Writer::from_path(world.path("data.csv")).unwrap();
    table.write_record(["key", "value"]).unwrap();
    for (number, (_, printed)) in VALUES.iter().enumerate() {
        table.write_record([format!("v{number}").as_str(), printed]).unwrap();
    }
    table.flush().unwrap();
    let table = world.path("data.csv");
    let import = ["records", "import", table.to_str().unwrap(), "--into", "table", "--key", "key"];
    assert_eq!(world.json("laptop", &import)["written"], json!(VALUES.len()));

    let export =
        |device: &str, name: &str| world.run(device, &["records", "export", name]).ok().out;
    let before = ["lines", "array", "table"].map(|name| export("laptop", name));
    assert_eq!(exported(&before[0]), expected);
    assert_eq!(exported(&before[1]), expected);
    for (key, fields) in exported(&before[2]) {
        assert_eq!(Some(&fields), expected.get(&key));
    }

    world.pair("laptop", "phone");
    world.sync(&["laptop", "phone"]);
    for device in ["laptop", "phone"] {
        let after = ["lines", "array", "table"].map(|name| export(device, name));
        assert_eq!(after, before, "{device}");
    }
    // And into a third home, from the export.
    world.bare("tablet");
    let file = world.write("export.jsonl", &before[0]);
    world.json("tablet", &["records", "import", &file, "--into", "lines", "--strict"]);
    assert_eq!(export("tablet", "lines"), before[0]);
    // What was imported once is there already, paired or not.
    let again =
        world.json("phone", &["records", "import", &lines, "--into", "lines", "--key", "key"]);
    assert_eq!((&again["written"], &again["unchanged"]), (&json!(0), &json!(records.len())));
    // Lists for programs keep every digit.
    let get = world.run("phone", &["records", "get", "lines", "--key", "v7", "--json"]).ok().out;
    assert!(get.contains("123456789012345678901"), "{get}");
}

#[test]
fn strict_leaves_everything_as_it_was() {
    let world = World::paired();
    world.bare("solo");
    let good = world.write("good.jsonl", "{\"k\":1,\"n\":1}\n{\"k\":2,\"n\":2}\n");
    let files = [
        ("{\"k\":3}\n{\"k\":1,\"n\":9}\n{\"k\":}\n", "bad.jsonl", "line 3, column 6"),
        ("[{\"k\":3},{\"k\":1,\"n\":9},{\"k\":[]}]", "key.json", "line 1, column 24"),
        ("k,n\n3,3\n1,9\n4,\"x\n", "quote.csv", "line 4, column 2"),
        ("k,n\n3,3\n1,9\n3,4\n", "twice.csv", "line 4, column 1"),
        ("{\"k\":3}\n{\"$id\":\"x\"}\n", "id.jsonl", "line 2, column 1"),
    ];
    for device in ["laptop", "solo"] {
        world.json(device, &["records", "import", &good, "--into", "data", "--key", "k"]);
        let state = || {
            (world.json(device, &["status"]), world.run(device, &["records", "export", "data"]).out)
        };
        let before = state();
        for (text, name, place) in files {
            let file = world.write(name, text);
            for into in ["data", "new"] {
                let import = ["records", "import", &file, "--into", into, "--key", "k", "--strict"];
                let message = world.fails(device, &import, 4, "bad_input");
                assert!(message.contains(&format!("{name}: {place}: ")), "{message}");
                assert_eq!(state(), before, "{device}: {message}");
            }
        }
        // A file of which nothing can be taken in leaves nothing behind either.
        let file = world.write("nothing.jsonl", "1\n");
        world.fails(device, &["records", "import", &file, "--into", "new"], 4, "bad_input");
        assert_eq!(state(), before, "{device}");
    }
}

#[test]
fn rows_of_one_record_that_contradict_each_other_are_told() {
    let world = World::paired();
    world.bare("solo");
    // Rows that only add to each other are one record.
    let text = "{\"k\":1,\"a\":1}\n{\"k\":1,\"b\":2}\n{\"k\":1,\"b\":3}\n{\"k\":1,\"a\":1}\n";
    let file = world.write("twice.jsonl", text);
    for device in ["laptop", "solo"] {
        let import = ["records", "import", &file, "--into", "data", "--key", "k"];
        let imported = world.json(device, &import);
        assert_eq!(imported["written"], 2);
        assert_eq!(imported["unchanged"], 1);
        let reason = "an earlier row is the same record, with other values";
        assert_eq!(imported["refusals"], json!([{ "line": 3, "column": 1, "reason": reason }]));
        let get = world.json(device, &["records", "get", "data", "--key", "1"]);
        assert_eq!(get["fields"], json!({ "a": 1, "b": 2, "k": 1 }));
        // Once more: nothing changes, and the same row is refused.
        let again = world.json(device, &import);
        assert_eq!((&again["written"], &again["refused"]), (&json!(0), &json!(1)));
    }
}

/// Records are written in the order of their ids, which is not the file's.
#[test]
fn refusals_are_told_in_the_order_of_the_file() {
    let world = World::new();
    world.bare("laptop");
    let rows = |n: u64| (0..150).map(move |k| format!("{{\"k\":{k},\"n\":{n}}}\n"));
    let text: String = rows(1).chain(["oops\n".to_owned()]).chain(rows(2)).collect();
    let file = world.write("twice.jsonl", &text);
    let import = ["records", "import", &file, "--into", "data", "--key", "k"];
    let imported = world.json("laptop", &import);
    assert_eq!((&imported["written"], &imported["refused"]), (&json!(150), &json!(151)));
    let lines = imported["refusals"].as_array().unwrap().iter();
    let lines: Vec<u64> = lines.map(|refusal| refusal["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, (151..251).collect::<Vec<_>>());
    let file = world.write("strict.jsonl", &text.replace("oops\n", ""));
    let strict = ["records", "import", &file, "--into", "new", "--key", "k", "--strict"];
    let message = world.fails("laptop", &strict, 4, "bad_input");
    assert!(message.contains("strict.jsonl: line 151, column 1: an earlier row"), "{message}");
}

#[test]
fn a_file_that_breaks_off_is_taken_in_up_to_there_and_said_to_be_broken() {
    let world = World::new();
    world.bare("laptop");
    for (name, text, line) in [
        ("cut.json", "[{\"k\":1},\n{\"k\":2},\n{\"k\":", 3),
        ("quote.csv", "k,v\n1,\n2,\n3,\"x\n4,\n", 4),
        ("comma.json", "[{\"k\":1},{\"k\":2}\n{\"k\":3}]", 2),
    ] {
        let file = world.write(name, text);
        let mut import = world.command("laptop", &["records", "import", &file, "--into", name]);
        import.args(["--key", "k", "--json"]);
        let ended = crate::world::ended(import);
        let told: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((&told["written"], &told["refused"]), (&json!(2), &json!(1)), "{name}");
        assert_eq!(
            (&told["read_to_the_end"], &told["refusals"][0]["line"]),
            (&json!(false), &json!(line))
        );
        let message = ended.failed(4, "bad_input");
        assert!(
            message.ends_with(&format!("nothing behind line {line} could be read")),
            "{message}"
        );
    }
}

#[test]
fn records_that_could_never_be_sealed_are_refused_before_the_first_pairing() {
    let world = World::hosted();
    world.device("laptop");
    world.bare("phone");
    // Each row is small enough; the record that they would make is not.
    let rows: String =
        (0..3).map(|n| format!("{{\"k\":1,\"f{n}\":\"{}\"}}\n", "x".repeat(120 * 1024))).collect();
    let file = world.write("grows.jsonl", &rows);
    let import = ["records", "import", &file, "--into", "data", "--key", "k"];
    let imported = world.json("laptop", &import);
    assert_eq!((&imported["written"], &imported["refused"]), (&json!(2), &json!(1)));
    assert_eq!(imported["refusals"][0]["line"], 3);
    let many: String = (0..2)
        .map(|row| {
            let fields: Vec<_> = (0..600).map(|n| format!("\"f{row}-{n}\":0")).collect();
            format!("{{\"k\":2,{}}}\n", fields.join(","))
        })
        .collect();
    let file = world.write("widens.jsonl", &many);
    let import = ["records", "import", &file, "--into", "data", "--key", "k"];
    assert_eq!(world.json("laptop", &import)["refused"], 1);
    world.pair("laptop", "phone");
    assert_eq!(world.content("laptop"), world.content("phone"));
}
