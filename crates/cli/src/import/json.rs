//! A JSON array of objects, read object by object.
//!
//! The array's brackets and commas are read here; where an object ends is found by counting its
//! brackets, and its text is then parsed as any other record. So no more than one object is in
//! memory, and what an object may be is said in one place, the ledger.

use std::io::BufRead;

use handfast::Fields;
use handfast_ledger::{FieldsError, ValueError};

use super::{MAX_TEXT, Place, Reason, Row, RowError, checked};

/// The rows of a JSON array.
pub struct Rows<R> {
    input: R,
    place: Place,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    BeforeArray,
    First,
    Next,
    Ended,
}

impl<R: BufRead> Rows<R> {
    pub fn new(input: R) -> Rows<R> {
        Rows { input, place: Place::START, state: State::BeforeArray }
    }

    /// The next row; `None` behind the last one. An error of the array itself is final.
    fn row(&mut self) -> Result<Option<Result<Row, RowError>>, RowError> {
        let mut before = self.blanks()?;
        if self.state == State::BeforeArray {
            if before != Some(b'[') {
                return Err(self.place.error(Reason::NotAnArray));
            }
            self.take();
            self.state = State::First;
            before = self.blanks()?;
        }
        match (self.state, before) {
            (_, None) => return Err(self.place.error(Reason::EndsEarly)),
            (_, Some(b']')) => {
                self.take();
                return match self.blanks()? {
                    None => Ok(None),
                    Some(_) => Err(self.place.error(Reason::Follows)),
                };
            }
            (State::Next, Some(b',')) => {
                self.take();
                before = self.blanks()?;
            }
            (State::Next, Some(_)) => return Err(self.place.error(Reason::Syntax)),
            _ => {}
        }
        self.state = State::Next;
        let start = self.place;
        match before {
            Some(b'{') => Ok(Some(parse(start, &self.object()?))),
            Some(b'"' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                Err(start.error(Reason::Fields(FieldsError::NotAnObject)))
            }
            Some(_) => Err(start.error(Reason::Syntax)),
            None => Err(start.error(Reason::EndsEarly)),
        }
    }

    /// The text of the object that begins here.
    fn object(&mut self) -> Result<Vec<u8>, RowError> {
        let start = self.place;
        let mut text = Vec::new();
        let mut brackets = Brackets::default();
        loop {
            let chunk = self.input.fill_buf().map_err(|it| start.error(Reason::Read(it)))?;
            if chunk.is_empty() {
                return Err(self.place.error(Reason::EndsEarly));
            }
            let end = chunk.iter().position(|&byte| brackets.closed_by(byte));
            let taken = end.map_or(chunk.len(), |end| end + 1);
            let new = chunk.get(..taken).unwrap_or_default();
            self.place = self.place.after(new);
            text.extend_from_slice(new);
            self.input.consume(taken);
            if text.len() > MAX_TEXT {
                return Err(start.error(Reason::TooLarge));
            }
            if end.is_some() {
                return Ok(text);
            }
        }
    }

    /// Skips blanks and looks at what comes then.
    fn blanks(&mut self) -> Result<Option<u8>, RowError> {
        loop {
            let place = self.place;
            let chunk = self.input.fill_buf().map_err(|it| place.error(Reason::Read(it)))?;
            let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
            let blanks = chunk.iter().take_while(|byte| blank(byte)).count();
            let (skipped, rest) = chunk.split_at_checked(blanks).unwrap_or_default();
            let next = rest.first().copied();
            let ended = chunk.is_empty();
            self.place = place.after(skipped);
            self.input.consume(blanks);
            if next.is_some() || ended {
                return Ok(next);
            }
        }
    }

    /// Takes the character that [`blanks`](Self::blanks) saw.
    fn take(&mut self) {
        self.input.consume(1);
        self.place.column += 1;
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let row = self.row().unwrap_or_else(|error| {
            self.state = State::Ended;
            Some(Err(error))
        });
        if row.is_none() {
            self.state = State::Ended;
        }
        row
    }
}

/// Parses one object whose text begins at a place.
pub fn parse(start: Place, text: &[u8]) -> Result<Row, RowError> {
    let at = |bytes: usize| start.after(text.get(..bytes).unwrap_or(text));
    let json =
        str::from_utf8(text).map_err(|error| at(error.valid_up_to()).error(Reason::NotUtf8))?;
    let fields = Fields::parse(json).map_err(|error| match error {
        FieldsError::Value(ValueError::Syntax { at: byte }) => at(byte).error(Reason::Syntax),
        error => start.error(Reason::Fields(error)),
    })?;
    let fields = checked(fields, text.len()).map_err(|reason| start.error(reason))?;
    Ok(Row { line: start.line, fields })
}

/// Finds the end of an object.
#[derive(Default)]
struct Brackets {
    open: usize,
    string: bool,
    escaped: bool,
}

impl Brackets {
    /// Takes the next byte and tells whether it closed the outermost bracket.
    fn closed_by(&mut self, byte: u8) -> bool {
        if self.string {
            if self.escaped {
                self.escaped = false;
            } else {
                self.escaped = byte == b'\\';
                self.string = byte != b'"';
            }
            return false;
        }
        match byte {
            b'"' => self.string = true,
            b'{' | b'[' => self.open += 1,
            b'}' | b']' => {
                self.open = self.open.saturating_sub(1);
                return self.open == 0;
            }
            _ => {}
        }
        false
    }
}
