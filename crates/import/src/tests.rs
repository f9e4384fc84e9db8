use std::io::{Cursor, Read};

use handfast_ledger::{FieldName, Value};

use super::*;

/// A file as its rows in canonical JSON, or what is wrong with them and where.
fn read(text: impl AsRef<[u8]>, format: Format) -> Vec<Result<(u64, String), String>> {
    let bytes = text.as_ref();
    let whole = read_from(bytes, format);
    // The same byte by byte, and behind a byte order mark.
    let drops = io::BufReader::with_capacity(1, Cursor::new(bytes));
    assert_eq!(read_from(drops, format), whole);
    assert_eq!(read_from(BYTE_ORDER_MARK.chain(bytes), format), whole);
    whole
}

fn read_from(input: impl BufRead, format: Format) -> Vec<Result<(u64, String), String>> {
    rows(Source::new(input).unwrap(), format).map(shown).collect()
}

fn shown(row: Result<Row, RowError>) -> Result<(u64, String), String> {
    match row {
        Ok(row) => Ok((row.place.line, row.fields.to_text())),
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
    let back = rows(Source::new(Cursor::new(file)).unwrap(), Format::Csv);
    let back: Vec<_> = back.map(|row| row.unwrap().fields.get("value").unwrap().clone()).collect();
    let before: Vec<_> = values.iter().map(|text| Value::parse(text).unwrap()).collect();
    assert_eq!(back, before, "{value}");
}

#[test]
fn ragged_and_broken_csv_is_refused_where_it_breaks() {
    let file = "a,b,c\n1,2\n1,2,3,4,5\n1,2,3\n";
    let rows = [
        wrong("line 2, column 3: this row has 2 cells, the header has 3 cells"),
        wrong("line 3, column 4: this row has 5 cells, the header has 3 cells"),
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
        "this is no array of objects; for a file with one object a line say --format jsonl";
    let whole = |error: &str| vec![wrong(error)];
    for (file, errors) in [
        ("", whole(&format!("line 1, column 1: {not_array}"))),
        (" {\"a\":1}", whole(&format!("line 1, column 2: {not_array}"))),
        ("[", whole("line 1, column 2: the file ends too early")),
        ("[1]", whole("line 1, column 2: a record is a JSON object")),
        (
            "[null, -1.5e3 ,{}\n, [{}], \"]}\\\"\", {\"a\":1}]",
            vec![
                wrong("line 1, column 2: a record is a JSON object"),
                wrong("line 1, column 8: a record is a JSON object"),
                row(1, "{}"),
                wrong("line 2, column 3: a record is a JSON object"),
                wrong("line 2, column 9: a record is a JSON object"),
                row(2, r#"{"a":1}"#),
            ],
        ),
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
        ("[{\"a\":1,\"a\":2}]", whole("line 1, column 9: an object has the same key twice")),
        (
            "[{\"a\":{\"b\":1,\"b\":2}}]",
            whole("line 1, column 19: an object has the same key twice"),
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
    let deep = "line 1, column 69: arrays and objects nest deeper than 64 levels";
    assert_eq!(read(nested(64), Format::JsonLines), [wrong(deep)]);
    assert_eq!(read(nested(400_000), Format::JsonLines), [wrong(deep)]);

    let large = |text: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(text));
    assert!(read(large(MAX_RECORD - 8), Format::JsonLines)[0].is_ok());
    for text in [MAX_RECORD - 7, 2 * MAX_TEXT] {
        let after = format!("{}\n{{}}\n", large(text));
        let rows = read(after, Format::JsonLines);
        assert_eq!(rows, [wrong("line 1, column 1: a record has at most 128 KiB"), row(2, "{}")]);
        let array = read(format!("[{},\n{{}}]", large(text)), Format::Json);
        let too_large = "line 1, column 2: a record has at most 128 KiB";
        assert_eq!(array, [wrong(too_large), row(2, "{}")]);
        for quote in ["", "\""] {
            let file = format!("a,b\n1,{quote}{}{quote}\n1,2\n", "x".repeat(text));
            let too_large = "line 2, column 1: a record has at most 128 KiB";
            assert_eq!(read(file, Format::Csv), [wrong(too_large), row(3, r#"{"a":1,"b":2}"#)]);
        }
    }
}

#[test]
fn what_is_never_closed_is_said_where_it_opens() {
    let rest = "x".repeat(3 * MAX_TEXT);
    let quote = "line 2, column 2: the quote that opens this cell is never closed";
    let mut table =
        rows(Source::new(Cursor::new(format!("a,b\n1,\"\n{rest}\n2,3"))).unwrap(), Format::Csv);
    let error = table.next().unwrap().unwrap_err();
    assert!(error.is_last);
    assert_eq!(shown(Err(error)), wrong(quote));
    assert!(table.next().is_none());
    let file = format!("[{{}}, {{\"a\":\"{rest}");
    let column = file.len() + 1;
    let early = wrong(&format!("line 1, column {column}: the file ends too early"));
    assert_eq!(read_from(file.as_bytes(), Format::Json), [row(1, "{}"), early]);
}

#[test]
fn csv_with_text_behind_a_closing_quote_is_refused() {
    // The quote of the second line closes in the third one: two rows in one, which is noticed.
    let file = "a,b\n1,\"x\n2,y\n3,\"z\"\n4,\"q\"r\n5,\"\"\n6,a\"b\"\n";
    let rows = [
        wrong(
            "line 2, column 2: text follows the closing quote of this cell; as the quotes stand, \
             this row has 3 lines",
        ),
        wrong("line 5, column 2: text follows the closing quote of this cell"),
        row(6, r#"{"a":5}"#),
        row(7, r#"{"a":6,"b":"a\"b\""}"#),
    ];
    assert_eq!(read(file, Format::Csv), rows);
}

#[test]
fn lines_end_with_carriage_returns_too() {
    let mixed = "a,b\r\r\n1,\"x\ry\"\r\n\r2,3\n4\r";
    let rows = [
        row(3, r#"{"a":1,"b":"x\ry"}"#),
        row(6, r#"{"a":2,"b":3}"#),
        wrong("line 7, column 2: this row has 1 cell, the header has 2 cells"),
    ];
    assert_eq!(read(mixed, Format::Csv), rows);
    let lines = "{}\r{\"a\":1}\r\n\r\nx\r";
    let rows =
        [row(1, "{}"), row(2, r#"{"a":1}"#), wrong("line 4, column 1: a record is a JSON object")];
    assert_eq!(read(lines, Format::JsonLines), rows);
    let array = "[\r{},\r\n{},\n\r{\"a\":\r x}]";
    let rows = [row(2, "{}"), row(3, "{}"), wrong("line 6, column 2: this is not JSON")];
    assert_eq!(read(array, Format::Json), rows);
}

#[test]
fn utf_16_is_told_as_such() {
    let told = [wrong("line 1, column 1: this file is UTF-16, not UTF-8: save it as UTF-8")];
    let text = "id,naïve 😀\n1,2\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for format in [Format::Csv, Format::Json, Format::JsonLines] {
        assert_eq!(read_from(&little[..], format), told);
        assert_eq!(read_from(&big[..], format), told);
        assert_eq!(read_from(b"\xff\xfe".chain(&little[..]), format), told);
        assert_eq!(read_from(b"\xfe\xff".chain(&big[..]), format), told);
    }
    assert_eq!(read("a", Format::Csv), []);
}

#[test]
fn every_character_survives_and_half_a_character_is_refused() {
    // The first and last characters of every plane, noncharacters, controls, marks of direction.
    let planes =
        (0..=0x10_u32).flat_map(|plane| [0, 1, 0xfffd, 0xfffe, 0xffff].map(|it| plane << 16 | it));
    let odd =
        [0x7f, 0x85, 0xad, 0x301, 0x200b, 0x200d, 0x2028, 0x202e, 0xd7ff, 0xe000, 0xfdd0, 0xfeff];
    let text: String = planes.chain(odd).filter_map(char::from_u32).collect();
    let value = Value::string(&text).unwrap();
    let expected = format!(r#"{{"text":{value}}}"#);
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
    for json in [expected.clone(), format!(r#"{{"te\u0078t":"{escaped}"}}"#)] {
        assert_eq!(read(&json, Format::JsonLines), [row(1, &expected)]);
        assert_eq!(read(format!("[{json}]"), Format::Json), [row(1, &expected)]);
    }
    // A mark at the start of a cell is no byte order mark.
    for text in [text.as_str(), "\u{feff}x", "\u{feff}"] {
        let expected = format!(r#"{{"text":{}}}"#, Value::string(text).unwrap());
        let table =
            format!("text\n\"{}\"\n", cell(&Value::string(text).unwrap()).replace('"', "\"\""));
        assert_eq!(read(table, Format::Csv), [row(2, &expected)]);
    }
    for half in ["\\ud83d", "\\ude00", "\\ud83d\\ud83d", "\\ud83dx"] {
        let refused = "line 1, column 13: a text has half a surrogate pair";
        assert_eq!(read(format!(r#"{{"a":"{half}"}}"#), Format::JsonLines), [wrong(refused)]);
    }
}

#[test]
fn the_start_of_a_file_may_come_in_drops_and_its_header_be_long() {
    let names: Vec<String> = (0..900).map(|n| format!("\"column, number {n}\"")).collect();
    let cells: Vec<String> = (0..900).map(|n| n.to_string()).collect();
    let file = format!("\n{}\n{}\n", names.join(";"), cells.join(";"));
    let read = read(file, Format::Csv);
    let (line, text) = read[0].as_ref().unwrap();
    assert_eq!((*line, read.len()), (3, 1));
    assert!(text.contains(r#""column, number 899":899"#), "{text}");
}

#[test]
fn the_format_is_told_by_name_or_first_character() {
    let detected = |name: &str, text: &str| {
        Format::detect(Path::new(name), &Source::new(text.as_bytes()).unwrap())
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
    let airports = include_bytes!("../../cli/data/airports.csv");
    let table = Source::new(&airports[..]).unwrap();
    let rows: Vec<_> = rows(table, Format::Csv).map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3376);
    let first = r#"{"city":"Bay Springs","country":"USA","iata":"00M","latitude":31.95376472,"longitude":-89.23450472,"name":"Thigpen","state":"MS"}"#;
    assert_eq!(rows[0].fields.to_text(), first);
    assert_eq!(rows[3375].place.line, 3377);
    for row in &rows {
        // No code of an airport may be taken for something else.
        let code = row.fields.get("iata").unwrap();
        assert!(code.as_text().is_some() || code.as_str().bytes().all(|it| it.is_ascii_digit()));
    }
    let earthquakes = include_bytes!("../../cli/data/earthquakes.jsonl");
    let rows = super::rows(Source::new(&earthquakes[..]).unwrap(), Format::JsonLines);
    let rows: Vec<_> = rows.map(|row| row.unwrap().fields.to_text()).collect();
    assert_eq!(rows.len(), 1707);
    let array = format!("[{}]", rows.join(","));
    let again = super::rows(Source::new(array.as_bytes()).unwrap(), Format::Json);
    assert!(again.map(|row| row.unwrap().fields.to_text()).eq(rows));
}
