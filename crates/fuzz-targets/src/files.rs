//! Readers of files.

use std::io::BufReader;

use handfast_import::{Format, Source, cell, rows};

/// What a reader makes of a file.
type Read = Vec<Result<String, String>>;

/// Reads a file, at most so many bytes at a time.
fn read(data: &[u8], format: Format, at_a_time: usize) -> Read {
    let source = Source::new(BufReader::with_capacity(at_a_time, data)).expect("bytes can be read");
    let mut last = false;
    rows(source, format)
        .map(|row| {
            assert!(!last, "nothing comes behind the last error");
            row.map(|row| format!("{}: {}", row.place.line, row.fields.to_text())).map_err(
                |error| {
                    last = error.is_last;
                    format!("{error}: {}", error.reason)
                },
            )
        })
        .collect()
}

/// Reads a file in one go and in drops: it is the same file.
fn check(data: &[u8], format: Format) -> Read {
    let whole = read(data, format, 1 << 16);
    assert_eq!(read(data, format, 1), whole);
    assert_eq!(read(data, format, 7), whole);
    whole
}

pub(crate) fn csv(data: &[u8]) {
    check(data, Format::Csv);
    // What is a value prints as a cell that is this value.
    let source = Source::new(data).expect("bytes can be read");
    for row in rows(source, Format::Csv).flatten() {
        let mut table = String::from("value\n");
        let values: Vec<_> = row.fields.iter().map(|(_, value)| value.clone()).collect();
        for value in &values {
            table += &format!("\"{}\"\n", cell(value).replace('"', "\"\""));
        }
        let back = Source::new(table.as_bytes()).expect("bytes can be read");
        let back: Vec<_> = rows(back, Format::Csv)
            .map(|row| row.ok().and_then(|row| row.fields.get("value").cloned()))
            .collect();
        assert_eq!(back, values.into_iter().map(Some).collect::<Vec<_>>());
    }
}

pub(crate) fn json(data: &[u8]) {
    let lines = check(data, Format::JsonLines);
    check(data, Format::Json);
    // The records of the lines, as an array, are the same records.
    let texts: Option<Vec<&str>> =
        lines.iter().map(|row| row.as_ref().ok()?.split_once(": ").map(|(_, text)| text)).collect();
    if let Some(texts) = texts {
        let array = format!("[{}]", texts.join(","));
        let again = read(array.as_bytes(), Format::Json, 1 << 16);
        let expected: Read = texts.iter().map(|text| Ok(format!("1: {text}"))).collect();
        assert_eq!(again, expected);
    }
}
