//! A JSON array of objects, read object by object.
//!
//! The array's brackets and commas are read here; where an element ends is found by counting its
//! brackets, and its text is then parsed as any other record. So no more than one element is in
//! memory, and what an object may be is said in one place, the ledger.

use std::io::BufRead;

use handfast_ledger::{Fields, FieldsError, ValueError};

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
        let text = match before {
            Some(b'{' | b'[' | b'"') => {
                let mut brackets = Brackets::default();
                self.text(|byte| brackets.closed_by(byte).then_some(1))?
            }
            Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => self.text(|byte| {
                matches!(byte, b',' | b']' | b' ' | b'\t' | b'\n' | b'\r').then_some(0)
            })?,
            Some(_) => return Err(start.error(Reason::Syntax)),
            None => return Err(start.error(Reason::EndsEarly)),
        };
        if text.len() > MAX_TEXT {
            return Ok(Some(Err(start.error(Reason::TooLarge))));
        }
        Ok(Some(parse(start, &text)))
    }

    /// The text of the element that begins here, cut where it is longer than any record may be.
    /// `end` sees each byte and tells at the end how many bytes of it belong to the element.
    fn text(&mut self, mut end: impl FnMut(u8) -> Option<usize>) -> Result<Vec<u8>, RowError> {
        let mut text = Vec::new();
        loop {
            let place = self.place;
            let chunk = self.input.fill_buf().map_err(|it| place.error(Reason::Read(it)))?;
            if chunk.is_empty() {
                return Err(place.error(Reason::EndsEarly));
            }
            let ended = chunk.iter().zip(0..).find_map(|(byte, at)| Some(at + end(*byte)?));
            let taken = ended.unwrap_or(chunk.len());
            let new = chunk.get(..taken).unwrap_or_default();
            self.place = place.after(new);
            let room = (MAX_TEXT + 1).saturating_sub(text.len());
            text.extend(new.iter().take(room));
            self.input.consume(taken);
            if ended.is_some() {
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
        self.place = Place::new(self.place.line, self.place.column + 1);
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
            Some(Err(error.last()))
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
    let fields = Fields::read(json).map_err(|(byte, error)| {
        at(byte).error(match error {
            FieldsError::Value(ValueError::Syntax { .. }) => Reason::Syntax,
            error => Reason::Fields(error),
        })
    })?;
    let fields = checked(fields, text.len()).map_err(|reason| start.error(reason))?;
    Ok(Row { place: start, fields })
}

/// Finds the end of an object, an array or a string.
#[derive(Default)]
struct Brackets {
    open: usize,
    string: bool,
    escaped: bool,
}

impl Brackets {
    /// Takes the next byte and tells whether it closed what the first one opened.
    fn closed_by(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.string => self.escaped = true,
            b'"' => {
                self.string = !self.string;
                return !self.string && self.open == 0;
            }
            _ if self.string => {}
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
