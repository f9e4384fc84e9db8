//! JSON Lines: one object a line. A line ends with a line feed, a carriage return, or both.

use std::io::BufRead;

use super::json::parse;
use super::{MAX_TEXT, Place, Reason, Row, RowError};

/// The rows of a JSON Lines file.
pub struct Rows<R> {
    input: R,
    place: Place,
    ended: bool,
}

impl<R: BufRead> Rows<R> {
    pub fn new(input: R) -> Rows<R> {
        Rows { input, place: Place::START, ended: false }
    }

    /// The next line without its end, cut where it is longer than any record may be; `None` at the
    /// end of the file.
    fn line(&mut self) -> Result<Option<Vec<u8>>, RowError> {
        let mut line = Vec::new();
        let mut any = false;
        loop {
            let place = self.place;
            let chunk = self.input.fill_buf().map_err(|it| place.error(Reason::Read(it)))?;
            if chunk.is_empty() {
                return Ok(any.then_some(line));
            }
            any = true;
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let text = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            let room = (MAX_TEXT + 1).saturating_sub(line.len());
            line.extend_from_slice(text.get(..room).unwrap_or(text));
            let taken = text.len() + usize::from(end.is_some());
            self.place = place.after(chunk.get(..taken).unwrap_or_default());
            self.input.consume(taken);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let place = Place::new(self.place.line, 1);
            match self.line() {
                Ok(Some(line)) if line.trim_ascii().is_empty() => {}
                Ok(Some(line)) if line.len() > MAX_TEXT => {
                    return Some(Err(place.error(Reason::TooLarge)));
                }
                Ok(Some(line)) => return Some(parse(place, &line)),
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.last()));
                }
            }
        }
        None
    }
}
