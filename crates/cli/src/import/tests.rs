use std::io::{Cursor, Read};

use handfast::{FieldName, Value};

use super::*;

/// A file as its rows in canonical JSON, or what is wrong with them and where.
fn read(text: impl AsRef<[u8]>, format: Format) -> Vec<Result<(u64, String), String>> {
    let bytes = text.as_ref().to_vec();
    let whole: Vec<_> = rows(Cursor::new(&bytes), format).map(shown).collect();
    // The same byte by byte, behind the byte order mark, which must come in one piece.
    let mut marked = BYTE_ORDER_MARK.to_vec();
    marked.extend(&bytes);
    let marked: Vec<_> = rows(Cursor::new(&marked), format).map(shown).collect();
    assert_eq!(marked, whole);
    let drops = io::BufReader::with_capacity(1, Cursor::new(&bytes));
    if format != Format::Csv {
        assert_eq!(rows(drops, format).map(shown).collect::<Vec<_>>(), whole);
    }
    whole
}

fn shown(row: Result<Row, RowError>) -> Result<(u64, String), String> {
    match row {
        Ok(row) => Ok((row.line, row.fields.to_text())),
        Err(error) => Err(format!("{error}: {}", error.reason)),
    }
}

fn row(line: u64, text: &str) -> Result<(u64, String), String> {
    Ok((line, text.to_owned()))
}

fn wrong(text: &str) -> Result<(u64, String), String> {
    Err(text.to_owned())
}

#[test]
fn csv_has_a_header_quotes_and_line_ends_of_every_kind() {
    let file = "id,\"a name\",note\r\n1,\"two\nlines, \"\"quoted\"\"\",\r\n2,Ærø,x\n\n3,,z";
    let rows = [
        row(2, r#"{"a name":"two\nlines, \"quoted\"","id":1}"#),
        row(4, r#"{"a name":"Ærø","id":2,"note":"x"}"#),
        row(6, r#"{"id":3,"note":"z"}"#),
    ];
    assert_eq!(read(file, Format::Csv), rows);
}

#[test]
fn csv_may_be_separated_by_semicolons_or_tabs() {
    for separator in [",", ";", "\t"] {
        let file = format!("a{separator}\"b,;c\"{separator}d\n1{separator}2{separator}3\n");
        assert_eq!(read(file, Format::Csv), [row(2, r#"{"a":1,"b,;c":2,"d":3}"#)]);
    }
    assert_eq!(read("only\n1;2\n", Format::Csv), [row(2, r#"{"only":"1;2"}"#)]);
}

#[test]
fn csv_cells_that_are_not_canonical_json_stay_as_they_stand() {
    let meaning = |cell: &str| {
        let file = format!("x,y\n\"{}\",1\n", cell.replace('"', "\"\""));
        read(file, Format::Csv).remove(0).unwrap().1
    };
    for same in [
        "0",
        "-1",
        "31.95376472",
        "true",
        "null",
        "[1,2]",
        "{\"a\":[]}",
        "\"42\"",
        "12345678901234567890",
        "1e+21",
    ] {
        assert_eq!(meaning(same), format!(r#"{{"x":{same},"y":1}}"#));
    }
    for string in [
        "00M",
        "042",
        "1.10",
        "1E5",
        "1e5",
        "+1",
        " 1",
        "-0",
        "True",
        ".5",
        "1.",
        "-",
        "nullify",
        "[1, 2]",
        "10000000000000000000000",
        "'42'",
    ] {
        assert_eq!(meaning(string), format!(r#"{{"x":"{string}","y":1}}"#));
    }
}

#[test]
fn csv_that_was_exported_is_imported_alike() {
    let values = [
        "\"\"",
        "\"42\"",
        "42",
        "\"true\"",
        "true",
        "null",
        "\"null\"",
        "[]",
        "\"[]\"",
        "{\"a\":\"b\"}",
        "1e+400",
        "\"1e+400\"",
        "\"\\\"quoted\\\"\"",
        "\" \"",
        "\"a,b\\r\\n\"",
        "\"1.10\"",
        "0.1",
    ];
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(["key", "value"]).unwrap();
    for text in values {
        writer.write_record(["k", &cell(&Value::parse(text).unwrap())]).unwrap();
    }
    let file = writer.into_inner().unwrap();
    let value = FieldName::new("value").unwrap();
    let back = rows(Cursor::new(file), Format::Csv);
    let back: Vec<_> = back.map(|row| row.unwrap().fields.get("value").unwrap().clone()).collect();
    let before: Vec<_> = values.iter().map(|text| Value::parse(text).unwrap()).collect();
    assert_eq!(back, before, "{value}");
}

#[test]
fn ragged_and_broken_csv_is_refused_where_it_breaks() {
    let file = "a,b,c\n1,2\n1,2,3,4,5\n1,2,3\n";
    let rows = [
        wrong("line 2, column 3: this row has 2 cells, the header has 3"),
        wrong("line 3, column 4: this row has 5 cells, the header has 3"),
        row(4, r#"{"a":1,"b":2,"c":3}"#),
    ];
    assert_eq!(read(file, Format::Csv), rows);
    for (file, error) in [
        ("a,,c\n", "line 1, column 2: the header has a cell without a name"),
        ("a,b,a\n", "line 1, column 3: the header has the name \"a\" twice"),
        ("a,$deleted\n", "line 1, column 2: the field name $deleted is reserved"),
    ] {
        assert_eq!(read(file, Format::Csv), [wrong(error)]);
    }
    let latin = read(b"name\nK\xf8benhavn\nplain\n", Format::Csv);
    let utf8 = "line 2, column 1: this is not UTF-8 text: save the file as UTF-8";
    assert_eq!(latin, [wrong(utf8), row(3, r#"{"name":"plain"}"#)]);
    assert_eq!(read("", Format::Csv), []);
    assert_eq!(read("a,b\n", Format::Csv), []);
}

#[test]
fn json_arrays_are_read_object_by_object() {
    let file = "\n[ {\"a\": 1.50, \"b\": \"]}\\\"\"}\n, {\"c\":\n [{}, {\"d\": 12345678901234567890}]} ]\n";
    let rows =
        [row(2, r#"{"a":1.5,"b":"]}\""}"#), row(3, r#"{"c":[{},{"d":12345678901234567890}]}"#)];
    assert_eq!(read(file, Format::Json), rows);
    assert_eq!(read("[]", Format::Json), []);
}

#[test]
fn broken_json_is_refused_where_it_breaks() {
    let not_array =
        "a JSON file must be an array of objects; name a file with one object a line .jsonl";
    let whole = |error: &str| vec![wrong(error)];
    for (file, errors) in [
        ("", whole(&format!("line 1, column 1: {not_array}"))),
        (" {\"a\":1}", whole(&format!("line 1, column 2: {not_array}"))),
        ("[", whole("line 1, column 2: the file ends too early")),
        ("[1]", whole("line 1, column 2: a record is a JSON object")),
        ("[\n [{}]]", whole("line 2, column 2: a record is a JSON object")),
        ("[,]", whole("line 1, column 2: this is not JSON")),
        ("[{\"a\":", whole("line 1, column 7: the file ends too early")),
        ("[{\"a\":\n\"é\" 1}]", whole("line 2, column 5: this is not JSON")),
        (
            "[{\"a\":1]",
            vec![
                wrong("line 1, column 8: this is not JSON"),
                wrong("line 1, column 9: the file ends too early"),
            ],
        ),
        ("[{\"a\":1,\"a\":2}]", whole("line 1, column 2: an object has the same key twice")),
        (
            "[{\"a\":{\"b\":1,\"b\":2}}]",
            whole("line 1, column 2: an object has the same key twice"),
        ),
        ("[{}\n{}]", vec![row(1, "{}"), wrong("line 2, column 1: this is not JSON")]),
        ("[{},]", vec![row(1, "{}"), wrong("line 1, column 5: this is not JSON")]),
        (
            "[{}] x",
            vec![row(1, "{}"), wrong("line 1, column 6: something follows the end of the array")],
        ),
    ] {
        assert_eq!(read(file, Format::Json), errors, "{file}");
    }
    let utf8 = "line 1, column 8: this is not UTF-8 text: save the file as UTF-8";
    assert_eq!(read(b"[{\"a\":\"\xff\"}]", Format::Json), [wrong(utf8)]);
}

#[test]
fn json_lines_go_on_behind_a_broken_line() {
    let file = "{\"a\":1}\r\n\n  {\"b\":\"ü\",}\n[1]\n{\"c\":[]}";
    let rows = [
        row(1, r#"{"a":1}"#),
        wrong("line 3, column 12: this is not JSON"),
        wrong("line 4, column 1: a record is a JSON object"),
        row(5, r#"{"c":[]}"#),
    ];
    assert_eq!(read(file, Format::JsonLines), rows);
}

#[test]
fn nesting_and_size_are_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(nested(63), Format::JsonLines)[0].is_ok());
    let deep = "line 1, column 1: arrays and objects nest deeper than 64 levels";
    assert_eq!(read(nested(64), Format::JsonLines), [wrong(deep)]);
    assert_eq!(read(nested(400_000), Format::JsonLines), [wrong(deep)]);

    let large = |text: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(text));
    assert!(read(large(MAX_RECORD - 8), Format::JsonLines)[0].is_ok());
    for text in [MAX_RECORD - 7, 2 * MAX_TEXT] {
        let after = format!("{}\n{{}}\n", large(text));
        let rows = read(after, Format::JsonLines);
        assert_eq!(rows, [wrong("line 1, column 1: a record has at most 128 KiB"), row(2, "{}")]);
        let array = read(format!("[{}]", large(text)), Format::Json);
        assert_eq!(array, [wrong("line 1, column 2: a record has at most 128 KiB")]);
        let table = read(format!("a,b\n1,{}\n", "x".repeat(text)), Format::Csv);
        assert_eq!(table, [wrong("line 2, column 1: a record has at most 128 KiB")]);
    }
}

/// A file of a size that nobody holds in memory, and that must not be read to its end.
struct Endless {
    start: Cursor<&'static [u8]>,
    left: u64,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.start.read(buffer)? {
            0 => {
                buffer.fill(b'x');
                let length = buffer.len() as u64;
                self.left =
                    self.left.checked_sub(length).expect("reads on behind a record's limit");
                Ok(buffer.len())
            }
            some => Ok(some),
        }
    }
}

#[test]
fn a_quote_that_is_never_closed_does_not_draw_in_the_file() {
    for (start, format, error) in [
        (&b"a,b\n1,\""[..], Format::Csv, "line 2, column 1"),
        (b"[{\"a\":\"", Format::Json, "line 1, column 2"),
    ] {
        let endless = Endless { start: Cursor::new(start), left: 2 * MAX_TEXT as u64 };
        let read: Vec<_> = rows(io::BufReader::new(endless), format).map(shown).collect();
        assert_eq!(read, [wrong(&format!("{error}: a record has at most 128 KiB"))]);
    }
}

#[test]
fn the_format_is_told_by_name_or_first_character() {
    let detected = |name: &str, text: &str| {
        let mut input = Cursor::new(text.as_bytes().to_vec());
        let format = Format::detect(Path::new(name), &mut input).unwrap();
        assert_eq!(input.position(), 0);
        format
    };
    assert_eq!(detected("a.CSV", "[1]"), Format::Csv);
    assert_eq!(detected("a.json", "a,b"), Format::Json);
    assert_eq!(detected("a.jsonl", ""), Format::JsonLines);
    assert_eq!(detected("a.ndjson", ""), Format::JsonLines);
    assert_eq!(detected("-", "\u{feff} [{}]"), Format::Json);
    assert_eq!(detected("data.txt", "\n{}"), Format::JsonLines);
    assert_eq!(detected("data", "iata,name\n"), Format::Csv);
    assert_eq!(detected("data", ""), Format::Csv);
}

#[test]
fn the_demo_data_is_read_and_survives_an_export() {
    let airports = include_bytes!("../../data/airports.csv");
    let rows: Vec<_> = rows(&airports[..], Format::Csv).map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3376);
    let first = r#"{"city":"Bay Springs","country":"USA","iata":"00M","latitude":31.95376472,"longitude":-89.23450472,"name":"Thigpen","state":"MS"}"#;
    assert_eq!(rows[0].fields.to_text(), first);
    assert_eq!(rows[3375].line, 3377);
    for row in &rows {
        // No code of an airport may be taken for something else.
        let code = row.fields.get("iata").unwrap();
        assert!(code.as_text().is_some() || code.as_str().bytes().all(|it| it.is_ascii_digit()));
    }
    let earthquakes = include_bytes!("../../data/earthquakes.jsonl");
    let rows = super::rows(&earthquakes[..], Format::JsonLines);
    let rows: Vec<_> = rows.map(|row| row.unwrap().fields.to_text()).collect();
    assert_eq!(rows.len(), 1707);
    let array = format!("[{}]", rows.join(","));
    let again: Vec<_> = super::rows(array.as_bytes(), Format::Json).map(Result::unwrap).collect();
    assert!(again.iter().map(|row| row.fields.to_text()).eq(rows));
}
