//! Records from files: CSV, a JSON array of objects, or JSON Lines.
//!
//! All three are read row by row with flat memory, whatever the size of the file. Numbers keep all
//! their digits. What a reader is not sure to have understood is an error with its place, never a
//! guess.

mod csv;
mod json;
mod jsonl;
mod place;

use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::Path;

use handfast_ledger::{Fields, FieldsError};

pub use self::csv::cell;
pub use self::place::Place;

/// The longest record, in bytes of canonical JSON. A mutation that creates it fits a block.
pub const MAX_RECORD: usize = 128 * 1024;

/// The longest text of a record in a file, with its blanks and escapes: how much is held in memory
/// to look for the record's end.
const MAX_TEXT: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header row (RFC 4180). See [`cell`] for what a cell means.
    Csv,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line; blank lines are skipped.
    JsonLines,
}

/// One record of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it begins.
    pub place: Place,
    /// What it says.
    pub fields: Fields,
}

/// A row that can't be read.
#[derive(Debug, thiserror::Error)]
pub struct RowError {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    #[source]
    pub reason: Reason,
    /// Whether nothing behind it can be read.
    pub is_last: bool,
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// The file can't be read on.
    #[error("the file cannot be read")]
    Read(#[source] io::Error),
    /// Bytes that are no text.
    #[error("this is not UTF-8 text: save the file as UTF-8")]
    NotUtf8,
    /// A file of another encoding.
    #[error("this file is UTF-16, not UTF-8: save it as UTF-8")]
    Utf16,
    /// Broken JSON.
    #[error("this is not JSON")]
    Syntax,
    /// The file ends within a record or before its closing bracket.
    #[error("the file ends too early")]
    EndsEarly,
    /// Something follows where the file should end.
    #[error("something follows the end of the array")]
    Follows,
    /// A `.json` file that isn't an array.
    #[error("this is no array of objects; for a file with one object a line say --format jsonl")]
    NotAnArray,
    /// JSON that isn't a valid record.
    #[error(transparent)]
    Fields(FieldsError),
    /// A record that is larger than the program takes.
    #[error("a record has at most {} KiB", MAX_RECORD / 1024)]
    TooLarge,
    /// A CSV row that is longer or shorter than the header.
    #[error("this row has {}, the header has {}", count(*.cells), count(*.expected))]
    Ragged {
        /// How many it has.
        cells: usize,
        /// How many the header has.
        expected: usize,
    },
    /// A quote that opens a CSV cell and is never closed.
    #[error("the quote that opens this cell is never closed")]
    Unclosed,
    /// Text behind the quote that closes a CSV cell.
    #[error("text follows the closing quote of this cell{}", across(*.lines))]
    Stray {
        /// Over how many lines the row goes, as the quotes stand.
        lines: u64,
    },
    /// A cell of a CSV header that is empty.
    #[error("the header has a cell without a name")]
    NoName,
    /// A name that a CSV header has twice.
    #[error("the header has the name {0:?} twice")]
    SameName(String),
}

/// The rows of a file as they are read. After an error it goes on with the next row if it can find
/// it, else it ends.
pub type Rows<'a> = Box<dyn Iterator<Item = Result<Row, RowError>> + 'a>;

/// How much of a file's start is looked at before anything of it is read.
const MAX_START: u64 = 64 * 1024;

/// A file whose start was looked at.
pub struct Source<R> {
    start: Vec<u8>,
    input: R,
}

impl<R: BufRead> Source<R> {
    /// Looks at the start of a file.
    pub fn new(mut input: R) -> io::Result<Source<R>> {
        let mut start = Vec::new();
        input.by_ref().take(MAX_START).read_to_end(&mut start)?;
        Ok(Source { start, input })
    }

    fn text(&self) -> &[u8] {
        self.start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&self.start)
    }

    /// Text of two bytes a character has a mark at its start, or a NUL in its first character,
    /// as no text that is meant for people or programs has.
    fn is_utf16(&self) -> bool {
        let (first, second) = (self.start.first(), self.start.get(1));
        matches!((first, second), (Some(0xff), Some(0xfe)) | (Some(0xfe), Some(0xff)))
            || second.is_some() && (first == Some(&0) || second == Some(&0))
    }
}

/// Reads the rows of a file. A byte order mark at its start is skipped.
pub fn rows<'a, R: BufRead + 'a>(source: Source<R>, format: Format) -> Rows<'a> {
    if source.is_utf16() {
        return Box::new([Err(Place::START.error(Reason::Utf16).last())].into_iter());
    }
    let start = source.text().to_vec();
    let input = io::Cursor::new(start.clone()).chain(source.input);
    match format {
        Format::Csv => Box::new(csv::Rows::new(input, &start)),
        Format::Json => Box::new(json::Rows::new(input)),
        Format::JsonLines => Box::new(jsonl::Rows::new(input)),
    }
}

impl Format {
    /// The format that a file's name tells, or else its first character: `[` begins a JSON array,
    /// `{` JSON Lines, anything else CSV.
    pub fn detect<R: BufRead>(name: &Path, source: &Source<R>) -> Format {
        let extension = name.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("csv" | "tsv") => Format::Csv,
            Some("json") => Format::Json,
            Some("jsonl" | "ndjson") => Format::JsonLines,
            _ => match source.text().iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'[') => Format::Json,
                Some(b'{') => Format::JsonLines,
                _ => Format::Csv,
            },
        }
    }
}

impl RowError {
    /// The same, and nothing behind it can be read.
    fn last(self) -> RowError {
        RowError { is_last: true, ..self }
    }
}

impl Reason {
    /// Whether it is the file's end.
    fn is_end(&self) -> bool {
        matches!(self, Reason::Read(_) | Reason::Unclosed | Reason::EndsEarly)
    }
}

fn count(cells: usize) -> String {
    format!("{cells} cell{}", if cells == 1 { "" } else { "s" })
}

fn across(lines: u64) -> String {
    if lines > 1 {
        format!("; as the quotes stand, this row has {lines} lines")
    } else {
        String::new()
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.place.line, self.place.column)
    }
}

/// Refuses a record that is too large. The text in the file tells most of the time: canonical JSON
/// is at most six times as long.
fn checked(fields: Fields, text: usize) -> Result<Fields, Reason> {
    if text > MAX_RECORD / 6 && fields.to_text().len() > MAX_RECORD {
        Err(Reason::TooLarge)
    } else {
        Ok(fields)
    }
}

#[cfg(test)]
mod tests;
