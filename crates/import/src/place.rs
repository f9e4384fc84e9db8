//! Where in a text file something is.

use super::{Reason, RowError};

/// A line and a column, both counting from one. A line ends with a line feed, a carriage return, or
/// both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// In JSON the character of that line, in CSV the cell of the row that begins there.
    pub column: u64,
    /// Whether a carriage return stands just before, whose line feed may follow.
    returned: bool,
}

impl Place {
    /// The first character of a file.
    pub const START: Place = Place::new(1, 1);

    /// A place.
    pub const fn new(line: u64, column: u64) -> Place {
        Place { line, column, returned: false }
    }

    /// The place behind some text that begins here.
    pub fn after(self, text: &[u8]) -> Place {
        text.iter().fold(self, |place, byte| match byte {
            b'\n' if place.returned => Place { returned: false, ..place },
            b'\n' => Place::new(place.line + 1, 1),
            b'\r' => Place { returned: true, ..Place::new(place.line + 1, 1) },
            // Not the first byte of a character.
            0x80..0xc0 => place,
            _ => Place::new(place.line, place.column + 1),
        })
    }

    /// An error at this place.
    pub fn error(self, reason: Reason) -> RowError {
        RowError { place: self, reason, is_last: false }
    }
}
