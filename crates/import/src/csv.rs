//! Comma-separated values with a header row, as RFC 4180 has them.
//!
//! The separator is the comma, or the semicolon or tab if the header has more of them. Lines end
//! with a line feed, a carriage return, or both, and blank ones are skipped. This is strict where
//! CSV libraries are lenient: a quote that is never closed, and text behind a closing quote, are
//! errors with their places.

use std::io::BufRead;

use handfast_ledger::{FieldName, Fields, FieldsError, Value};

use super::{MAX_TEXT, Place, Reason, Row, RowError, checked};

/// What a value is in a CSV file: the inverse of `value`, so that a file that was exported and is
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
pub struct Rows<R> {
    input: R,
    record: Record,
    /// Where the next record begins.
    place: Place,
    header: Option<Vec<FieldName>>,
    ended: bool,
}

impl<R: BufRead> Rows<R> {
    /// The rows of a file, whose start helps to tell the separator.
    pub fn new(input: R, start: &[u8]) -> Rows<R> {
        let record = Record::new(separator(start));
        Rows { input, record, place: Place::START, header: None, ended: false }
    }

    /// Reads the next record into `self.record` and tells where it begins; `None` at the end of
    /// the file.
    fn record(&mut self) -> Result<Option<Place>, RowError> {
        loop {
            let begins = Place::new(self.place.line, 1);
            self.record.clear();
            let more = self.read_record()?;
            if !self.record.is_blank() {
                return self.record.check(begins, self.place).map(|()| Some(begins));
            }
            if !more {
                return Ok(None);
            }
        }
    }

    /// Reads to the end of a line that is not within quotes. Tells whether the file goes on.
    fn read_record(&mut self) -> Result<bool, RowError> {
        loop {
            let place = self.place;
            let chunk = self.input.fill_buf().map_err(|it| place.error(Reason::Read(it)))?;
            if chunk.is_empty() {
                self.record.end_of_line();
                return Ok(false);
            }
            let (taken, ended) = self.record.take(chunk);
            self.place = place.after(chunk.get(..taken).unwrap_or_default());
            self.input.consume(taken);
            if ended {
                return Ok(true);
            }
        }
    }

    fn header(&mut self) -> Result<Vec<FieldName>, RowError> {
        let Some(begins) = self.record()? else { return Ok(Vec::new()) };
        let mut names: Vec<FieldName> = Vec::new();
        for (cell, column) in self.record.cells().zip(1..) {
            let place = Place::new(begins.line, column);
            let text = str::from_utf8(cell).map_err(|_| place.error(Reason::NotUtf8))?;
            if text.is_empty() {
                return Err(place.error(Reason::NoName));
            }
            let name = FieldName::new(text).map_err(|it| place.error(Reason::Fields(it)))?;
            names.push(name);
            if names.len() > Fields::MAX {
                let count = self.record.ends.len();
                return Err(place.error(Reason::Fields(FieldsError::TooMany { count })));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        match names.iter().zip(1..).find(|(name, _)| !seen.insert(*name)) {
            Some((name, column)) => {
                let reason = Reason::SameName(name.as_str().to_owned());
                Err(Place::new(begins.line, column).error(reason))
            }
            None => Ok(names),
        }
    }

    /// The next row; `None` behind the last one. An error here is final.
    fn row(&mut self) -> Result<Option<Result<Row, RowError>>, RowError> {
        if self.header.is_none() {
            self.header = Some(self.header()?);
        }
        match self.record() {
            Ok(None) => Ok(None),
            Ok(Some(begins)) => {
                let header = self.header.as_deref().unwrap_or_default();
                Ok(Some(row(begins, header, &self.record)))
            }
            Err(error) if error.reason.is_end() => Err(error),
            Err(error) => Ok(Some(Err(error))),
        }
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row().unwrap_or_else(|error| {
            self.ended = true;
            Some(Err(error.last()))
        });
        self.ended |= row.is_none();
        row
    }
}

/// The separator that the header has most of, outside of quotes.
fn separator(start: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let header = start.iter().skip_while(|byte| is_line_end(**byte));
    for byte in header {
        quoted ^= *byte == b'"';
        if !quoted && is_line_end(*byte) {
            break;
        }
        for (separator, count) in &mut counts {
            *count += usize::from(!quoted && byte == separator);
        }
    }
    // Of several with the same count the last is the greatest, and that is to be the comma.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(it, _)| it)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn row(begins: Place, header: &[FieldName], record: &Record) -> Result<Row, RowError> {
    let (cells, expected) = (record.ends.len(), header.len());
    let at = |column| Place::new(begins.line, column);
    if cells != expected {
        // The first cell that is missing or too many.
        let column = u64::try_from(cells.min(expected) + 1).unwrap_or(u64::MAX);
        return Err(at(column).error(Reason::Ragged { cells, expected }));
    }
    let mut fields = Fields::new();
    for ((name, cell), column) in header.iter().zip(record.cells()).zip(1..) {
        let text = str::from_utf8(cell).map_err(|_| at(column).error(Reason::NotUtf8))?;
        if !text.is_empty() {
            value(text)
                .and_then(|value| fields.insert(name.clone(), value))
                .map_err(|error| at(column).error(Reason::Fields(error)))?;
        }
    }
    let fields = checked(fields, record.text.len()).map_err(|reason| begins.error(reason))?;
    Ok(Row { place: begins, fields })
}

/// One record: its cells, without quotes and separators.
struct Record {
    separator: u8,
    text: Vec<u8>,
    /// Where in `text` each cell ends.
    ends: Vec<usize>,
    /// At least how many bytes it has in the file, and at most twice as many.
    size: usize,
    state: State,
    /// In which cell text follows a closing quote.
    stray: Option<u64>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before a cell.
    Start,
    /// In a cell without quotes.
    Bare,
    /// In a cell with quotes.
    Quoted,
    /// Behind a quote in a cell with quotes: its end, or the first of two.
    Quote,
}

impl Record {
    fn new(separator: u8) -> Record {
        let (text, ends) = (Vec::new(), Vec::new());
        Record { separator, text, ends, size: 0, state: State::Start, stray: None }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        (self.size, self.state, self.stray) = (0, State::Start, None);
    }

    /// Takes what comes next. Tells how much, and whether the record ended there.
    fn take(&mut self, chunk: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        while let Some((&byte, rest)) = chunk.get(taken..).and_then(<[u8]>::split_first) {
            if self.state != State::Quoted && is_line_end(byte) {
                self.end_of_line();
                return (taken + 1, true);
            }
            self.take_byte(byte);
            // What stands for itself is taken in one go.
            let end = match self.state {
                State::Quoted => rest.iter().position(|it| *it == b'"'),
                State::Bare => rest.iter().position(|it| *it == self.separator || is_line_end(*it)),
                State::Start | State::Quote => Some(0),
            };
            let plain = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            self.keep(plain);
            taken += 1 + plain.len();
        }
        (taken, false)
    }

    fn take_byte(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Start, b'"') | (State::Quoted | State::Quote, b'"') => {
                let is_second = self.state == State::Quote;
                self.keep(if is_second { b"\"" } else { b"" });
                if self.state == State::Quoted { State::Quote } else { State::Quoted }
            }
            (State::Start | State::Bare | State::Quote, byte) if byte == self.separator => {
                self.end_cell();
                State::Start
            }
            (before, byte) => {
                if before == State::Quote {
                    self.stray.get_or_insert(self.ends.len() as u64 + 1);
                }
                self.keep(&[byte]);
                if before == State::Quoted { State::Quoted } else { State::Bare }
            }
        };
        // Quotes and separators count too.
        self.size = self.size.saturating_add(1);
    }

    /// Holds no more than there may be: the rest is only passed over.
    fn keep(&mut self, text: &[u8]) {
        self.size = self.size.saturating_add(text.len());
        if self.size <= MAX_TEXT {
            self.text.extend_from_slice(text);
        }
    }

    fn end_cell(&mut self) {
        if self.size <= MAX_TEXT {
            self.ends.push(self.text.len());
        }
    }

    fn end_of_line(&mut self) {
        if !self.is_blank() && self.state != State::Quoted {
            self.end_cell();
        }
    }

    fn is_blank(&self) -> bool {
        self.size == 0
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end).unwrap_or_default())
    }

    /// What is wrong with the record that begins and ends at these places.
    fn check(&self, begins: Place, ends: Place) -> Result<(), RowError> {
        let cell = |column| Place::new(begins.line, column);
        if self.state == State::Quoted {
            return Err(cell(self.ends.len() as u64 + 1).error(Reason::Unclosed));
        }
        if let Some(column) = self.stray {
            let lines = ends.line.saturating_sub(begins.line).max(1);
            return Err(cell(column).error(Reason::Stray { lines }));
        }
        if self.size > MAX_TEXT { Err(begins.error(Reason::TooLarge)) } else { Ok(()) }
    }
}
