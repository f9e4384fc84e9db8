//! Names of collections.

use alloc::boxed::Box;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a collection: 1 to 64 bytes of UTF-8 in any script, without control characters.
///
/// Names are compared byte for byte; no case folding and no normalisation happens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "Box<str>")]
pub struct Namespace(Box<str>);

/// A text that cannot name a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// Nothing at all.
    #[error("a collection's name must not be empty")]
    Empty,
    /// More than [`Namespace::MAX`] bytes.
    #[error("a collection's name has at most {max} bytes, not {len}", max = Namespace::MAX)]
    TooLong {
        /// How many bytes it has.
        len: usize,
    },
    /// A line break, a tab, an escape…
    #[error("a collection's name must not contain control characters")]
    ControlCharacter,
}

impl Namespace {
    /// The longest name, in bytes of UTF-8.
    pub const MAX: usize = 64;

    /// Checks a name.
    pub fn new(name: &str) -> Result<Self, NamespaceError> {
        match name.len() {
            0 => Err(NamespaceError::Empty),
            1..=Self::MAX if name.chars().any(char::is_control) => {
                Err(NamespaceError::ControlCharacter)
            }
            1..=Self::MAX => Ok(Self(name.into())),
            len => Err(NamespaceError::TooLong { len }),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name's UTF-8, as hashes take it in.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(name: &str) -> Result<Self, NamespaceError> {
        Self::new(name)
    }
}

impl TryFrom<Box<str>> for Namespace {
    type Error = NamespaceError;

    fn try_from(name: Box<str>) -> Result<Self, NamespaceError> {
        Self::new(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_script_but_no_control_characters() {
        for good in ["notes", "заметки", "メモ", "a b", &"x".repeat(64)] {
            assert_eq!(Namespace::new(good).unwrap().as_str(), good);
        }
        assert_eq!(Namespace::new(""), Err(NamespaceError::Empty));
        assert_eq!(Namespace::new(&"é".repeat(33)), Err(NamespaceError::TooLong { len: 66 }));
        for bad in ["a\nb", "\u{7f}", "\u{85}", "\0"] {
            assert_eq!(Namespace::new(bad), Err(NamespaceError::ControlCharacter));
        }
    }
}
