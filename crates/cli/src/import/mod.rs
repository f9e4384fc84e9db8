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
use std::io::{self, BufRead};
use std::path::Path;

use handfast::Fields;
use handfast_ledger::FieldsError;

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
    /// The line where it begins, counting from one.
    pub line: u64,
    /// What it says.
    pub fields: Fields,
}

/// A row that can't be read.
#[derive(Debug, thiserror::Error)]
pub struct RowError {
    /// The line, counting from one.
    pub line: u64,
    /// In JSON the character of that line, in CSV the cell of that row, counting from one.
    pub column: u64,
    /// What is wrong there.
    #[source]
    pub reason: Reason,
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
    #[error("a JSON file must be an array of objects; name a file with one object a line .jsonl")]
    NotAnArray,
    /// JSON that isn't a valid record.
    #[error(transparent)]
    Fields(FieldsError),
    /// A record that is larger than the program takes.
    #[error("a record has at most {} KiB", MAX_RECORD / 1024)]
    TooLarge,
    /// A CSV row that is longer or shorter than the header.
    #[error("this row has {cells} cells, the header has {expected}")]
    Ragged {
        /// How many it has.
        cells: usize,
        /// How many the header has.
        expected: usize,
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

/// Reads the rows of a file. A byte order mark at its start is skipped.
pub fn rows<'a>(mut input: impl BufRead + 'a, format: Format) -> Rows<'a> {
    let skipped = input.fill_buf().map(|start| start.starts_with(BYTE_ORDER_MARK));
    match skipped {
        Ok(true) => input.consume(BYTE_ORDER_MARK.len()),
        Ok(false) => {}
        Err(error) => return Box::new([Err(Place::START.error(Reason::Read(error)))].into_iter()),
    }
    match format {
        Format::Csv => csv::rows(input),
        Format::Json => Box::new(json::Rows::new(input)),
        Format::JsonLines => Box::new(jsonl::Rows::new(input)),
    }
}

impl Format {
    /// The format that a file's name tells, or else its first character: `[` begins a JSON array,
    /// `{` JSON Lines, anything else CSV. Reads ahead without taking anything.
    ///
    /// # Errors
    ///
    /// If the name tells nothing and the file can't be read.
    pub fn detect(name: &Path, input: &mut impl BufRead) -> io::Result<Format> {
        let extension = name.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
        Ok(match extension.as_deref() {
            Some("csv" | "tsv") => Format::Csv,
            Some("json") => Format::Json,
            Some("jsonl" | "ndjson") => Format::JsonLines,
            _ => {
                let start = input.fill_buf()?;
                let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start);
                match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
                    Some(b'[') => Format::Json,
                    Some(b'{') => Format::JsonLines,
                    _ => Format::Csv,
                }
            }
        })
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
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
