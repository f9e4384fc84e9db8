//! Comma-separated values with a header row.
//!
//! Quotes, line ends within quotes, CRLF and blank lines are as in RFC 4180 and as table programs
//! write them. The separator is the comma, or the semicolon or tab if the header has more of them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use ::csv::{ByteRecord, Reader, ReaderBuilder};
use handfast::{FieldName, Fields, Value};
use handfast_ledger::FieldsError;

use super::{MAX_TEXT, Place, Reason, Row, RowError, checked};

/// What a value is in a CSV file: the inverse of [`value`], so that a file that was exported and is
/// imported again gives equal records. An absent field is an empty cell.
pub fn cell(of: &Value) -> String {
    match of.as_text() {
        Some(text) if !text.is_empty() && value(&text).as_ref() == Ok(of) => text,
        _ => of.as_str().to_owned(),
    }
}

/// What a cell that isn't empty means. A cell that reads exactly as canonical JSON prints a value is
/// that value: `42`, `-0.5`, `true`, `null`, `[1,2]`, `{"a":1}`, `"42"` with its quotes (a string
/// that would be a number otherwise). Anything else is a string as it stands: `042`, `1.10`, `1E5`
/// and `+1` are no canonical numbers, so nothing of them is lost.
fn value(cell: &str) -> Result<Value, FieldsError> {
    let like_json = matches!(
        cell.as_bytes().first(),
        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'"' | b'[' | b'{')
    );
    if like_json && let Ok(value) = Value::from_canonical(cell) {
        return Ok(value);
    }
    Ok(Value::string(cell)?)
}

/// The rows of a CSV file.
pub fn rows<'a>(mut input: impl BufRead + 'a) -> super::Rows<'a> {
    let separator = match input.fill_buf() {
        Ok(start) => separator(start),
        Err(error) => return Box::new([Err(Place::START.error(Reason::Read(error)))].into_iter()),
    };
    let meter = Rc::new(RefCell::new(Meter::default()));
    let input = Metered { input, meter: Rc::clone(&meter) };
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(input);
    Box::new(Rows { reader, meter, record: ByteRecord::new(), header: None, ended: false })
}

/// The separator that the header line has most of, outside of quotes.
fn separator(start: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in start.iter().take_while(|byte| !matches!(byte, b'\n' | b'\r')) {
        quoted ^= *byte == b'"';
        for (separator, count) in &mut counts {
            *count += usize::from(!quoted && byte == separator);
        }
    }
    // Of several with the same count the last is the greatest, and that is to be the comma.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(it, _)| it)
}

struct Rows<R> {
    reader: Reader<Metered<R>>,
    meter: Rc<RefCell<Meter>>,
    record: ByteRecord,
    header: Option<Vec<FieldName>>,
    ended: bool,
}

impl<R: Read> Rows<R> {
    /// Reads the next record into `self.record` and tells the line where it begins.
    fn record(&mut self) -> Result<Option<u64>, RowError> {
        self.meter.borrow_mut().allowed = MAX_TEXT;
        let more = self.reader.read_byte_record(&mut self.record).map_err(|error| {
            let meter = self.meter.borrow();
            let place = Place { line: meter.passed + 1, column: 1 };
            place.error(match error.into_kind() {
                _ if meter.allowed == 0 => Reason::TooLarge,
                ::csv::ErrorKind::Io(error) => Reason::Read(error),
                other => Reason::Read(io::Error::other(format!("{other:?}"))),
            })
        })?;
        let end = self.reader.position().byte();
        let within = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count();
        let line = self.meter.borrow_mut().line(end, within as u64);
        Ok(more.then_some(line))
    }

    fn header(&mut self) -> Result<Vec<FieldName>, RowError> {
        self.record()?;
        let mut names: Vec<FieldName> = Vec::new();
        for (cell, column) in self.record.iter().zip(1..) {
            let place = Place { line: 1, column };
            let text = str::from_utf8(cell).map_err(|_| place.error(Reason::NotUtf8))?;
            if text.is_empty() {
                return Err(place.error(Reason::NoName));
            }
            let name = FieldName::new(text).map_err(|it| place.error(Reason::Fields(it)))?;
            if names.contains(&name) {
                return Err(place.error(Reason::SameName(text.to_owned())));
            }
            names.push(name);
            if names.len() > Fields::MAX {
                let count = self.record.len();
                return Err(place.error(Reason::Fields(FieldsError::TooMany { count })));
            }
        }
        Ok(names)
    }

    fn row(&mut self) -> Result<Option<Result<Row, RowError>>, RowError> {
        if self.header.is_none() {
            self.header = Some(self.header()?);
        }
        let line = self.record()?;
        let header = self.header.as_deref().unwrap_or_default();
        Ok(line.map(|line| row(line, header, &self.record)))
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row().unwrap_or_else(|error| {
            self.ended = true;
            Some(Err(error))
        });
        self.ended |= row.is_none();
        row
    }
}

fn row(line: u64, header: &[FieldName], record: &ByteRecord) -> Result<Row, RowError> {
    let (cells, expected) = (record.len(), header.len());
    if cells != expected {
        // The first cell that is missing or too many.
        let column = u64::try_from(cells.min(expected) + 1).unwrap_or(u64::MAX);
        return Err(Place { line, column }.error(Reason::Ragged { cells, expected }));
    }
    let mut fields = Fields::new();
    for ((name, cell), column) in header.iter().zip(record).zip(1..) {
        let place = Place { line, column };
        let text = str::from_utf8(cell).map_err(|_| place.error(Reason::NotUtf8))?;
        if !text.is_empty() {
            value(text)
                .and_then(|value| fields.insert(name.clone(), value))
                .map_err(|error| place.error(Reason::Fields(error)))?;
        }
    }
    let fields = checked(fields, record.as_slice().len())
        .map_err(|reason| Place { line, column: 1 }.error(reason))?;
    Ok(Row { line, fields })
}

/// What the CSV reader doesn't do itself: lines, which it miscounts at CRLF and at blank lines, and
/// a limit, since a quote that is never closed would draw the rest of the file into memory.
#[derive(Default)]
struct Meter {
    /// How many bytes may still be read for this record.
    allowed: usize,
    /// How many bytes have been read.
    read: u64,
    /// Where line feeds have been read that no record has passed yet, by their offsets.
    ahead: VecDeque<u64>,
    /// How many line feeds the records have passed.
    passed: u64,
}

impl Meter {
    /// The line where the record begins that ends at an offset and has line feeds within.
    fn line(&mut self, end: u64, within: u64) -> u64 {
        let mut last = None;
        while let Some(offset) = self.ahead.front().copied().filter(|offset| *offset < end) {
            self.ahead.pop_front();
            self.passed += 1;
            last = Some(offset);
        }
        let ended_by_one = last.is_some_and(|offset| offset + 1 == end);
        (1 + self.passed).saturating_sub(within + u64::from(ended_by_one))
    }
}

struct Metered<R> {
    input: R,
    meter: Rc<RefCell<Meter>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut meter = self.meter.borrow_mut();
        if meter.allowed == 0 {
            return Err(io::Error::other("a record is too long"));
        }
        let count = self.input.read(buffer)?;
        meter.allowed = meter.allowed.saturating_sub(count);
        let start = meter.read;
        let feeds = buffer.iter().take(count).zip(start..).filter(|(byte, _)| **byte == b'\n');
        meter.ahead.extend(feeds.map(|(_, offset)| offset));
        meter.read += count as u64;
        Ok(count)
    }
}
