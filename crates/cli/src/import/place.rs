//! Where in a text file something is.

use super::{Reason, RowError};

/// A line and a column, both counting from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character of that line.
    pub column: u64,
}

impl Place {
    /// The first character of a file.
    pub const START: Place = Place { line: 1, column: 1 };

    /// The place behind some text that begins here.
    pub fn after(self, text: &[u8]) -> Place {
        text.iter().fold(self, |place, byte| match byte {
            b'\n' => Place { line: place.line + 1, column: 1 },
            // Not the first byte of a character.
            0x80..0xc0 => place,
            _ => Place { column: place.column + 1, ..place },
        })
    }

    /// An error at this place.
    pub fn error(self, reason: Reason) -> RowError {
        RowError { line: self.line, column: self.column, reason }
    }
}
