//! JSON text in one canonical form, read in one pass and without building trees.
//!
//! The form is RFC 8785's with two differences, both so that nothing is lost and nothing depends
//! on floating point: object keys are sorted by their UTF-8 bytes, and a number keeps all the
//! digits that it has, laid out as RFC 8785 (ECMAScript) lays out a number (see [`number`]).

mod number;
mod output;
mod scanner;
mod tree;

pub(crate) use output::{Comparing, Output, quote_into};
pub(crate) use scanner::Scanner;
pub(crate) use tree::{tree, unquote};

use crate::value::ValueError;

/// How deep arrays and objects may nest.
pub(crate) const MAX_DEPTH: usize = 64;

/// Tells whether `text` is one value in canonical form, without allocating.
pub(crate) fn check(text: &str) -> Result<(), ValueError> {
    let mut scanner = Scanner::new(text);
    let mut expected = Comparing::new(text, 0);
    scanner.value(&mut expected, 0)?;
    scanner.end()?;
    if expected.position() == text.len() { Ok(()) } else { Err(ValueError::NotCanonical) }
}
