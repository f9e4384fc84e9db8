//! The JSON grammar (RFC 8259), written out canonically as it is read.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::MAX_DEPTH;
use super::number::Literal;
use super::output::{Member, Output, escape};
use crate::value::ValueError;

/// A part of a string.
enum Piece<'a> {
    /// Characters that stand for themselves.
    Plain(&'a str),
    /// A character that was escaped.
    Escaped(char),
}

/// A position in a JSON text.
#[derive(Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the start of `text`.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The whole text.
    pub(crate) fn all(&self) -> &'a str {
        self.text
    }

    /// The position, in bytes.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text between two positions.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// Reads one value, with blanks before it, inside of `depth` arrays and objects.
    pub(crate) fn value<O: Output>(&mut self, out: &mut O, depth: usize) -> Result<(), ValueError> {
        self.blanks();
        match self.peek() {
            Some(b'"') => self.string(out),
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b'-' | b'0'..=b'9') => self.number()?.write(out),
            Some(b't') => self.word("true", out),
            Some(b'f') => self.word("false", out),
            Some(b'n') => self.word("null", out),
            _ => Err(self.syntax()),
        }
    }

    /// Expects nothing but blanks.
    pub(crate) fn end(&mut self) -> Result<(), ValueError> {
        self.blanks();
        if self.at == self.text.len() { Ok(()) } else { Err(self.syntax()) }
    }

    /// Takes `byte`, with blanks before it, or tells that something else comes.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Expects `byte`, with blanks before it.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), ValueError> {
        if self.take(byte) { Ok(()) } else { Err(self.syntax()) }
    }

    /// The next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads a string, from its opening quote on.
    pub(crate) fn string<O: Output>(&mut self, out: &mut O) -> Result<(), ValueError> {
        out.put("\"")?;
        self.pieces(|piece| match piece {
            Piece::Plain(run) => out.put(run),
            Piece::Escaped(c) => out.put(escape(c, &mut [0; 6])),
        })?;
        out.put("\"")
    }

    /// Reads a string, from its opening quote on, as what it stands for.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, ValueError> {
        let mut text = Cow::Borrowed("");
        self.pieces(|piece| {
            match piece {
                Piece::Plain(run) => text += run,
                Piece::Escaped(c) => text.to_mut().push(c),
            }
            Ok(())
        })?;
        Ok(text)
    }

    fn pieces(
        &mut self,
        mut each: impl FnMut(Piece<'a>) -> Result<(), ValueError>,
    ) -> Result<(), ValueError> {
        self.expect(b'"')?;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
                .ok_or_else(|| self.syntax())?;
            each(Piece::Plain(self.slice(self.at, self.at + plain)))?;
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    let c = self.escaped()?;
                    each(Piece::Escaped(c))?;
                }
                _ => return Err(self.syntax()),
            }
        }
    }

    /// Reads the parts of a number.
    pub(crate) fn number(&mut self) -> Result<Literal<'a>, ValueError> {
        let negative = self.next_if(|byte| byte == b'-');
        let integer = self.digits();
        if integer.is_empty() || (integer.len() > 1 && integer.starts_with('0')) {
            return Err(self.syntax());
        }
        let fraction = if self.next_if(|byte| byte == b'.') { self.some_digits()? } else { "" };
        let exponent = if self.next_if(|byte| matches!(byte, b'e' | b'E')) {
            let down = self.peek() == Some(b'-');
            self.next_if(|byte| matches!(byte, b'+' | b'-'));
            Some((down, self.some_digits()?))
        } else {
            None
        };
        Ok(Literal { negative, integer, fraction, exponent })
    }

    fn object<O: Output>(&mut self, out: &mut O, depth: usize) -> Result<(), ValueError> {
        let depth = deeper(depth)?;
        self.expect(b'{')?;
        out.put("{")?;
        if self.take(b'}') {
            return out.put("}");
        }
        let mut members = Vec::new();
        loop {
            self.blanks();
            let start = out.position();
            self.string(out)?;
            let key_end = out.position();
            self.expect(b':')?;
            out.put(":")?;
            self.value(out, depth)?;
            let end = out.position();
            out.member(&mut members, Member { start, key_end, end })?;
            if !self.take(b',') {
                break;
            }
            out.put(",")?;
        }
        self.expect(b'}')?;
        out.sort(members)?;
        out.put("}")
    }

    fn array<O: Output>(&mut self, out: &mut O, depth: usize) -> Result<(), ValueError> {
        let depth = deeper(depth)?;
        self.expect(b'[')?;
        out.put("[")?;
        if self.take(b']') {
            return out.put("]");
        }
        loop {
            self.value(out, depth)?;
            if !self.take(b',') {
                break;
            }
            out.put(",")?;
        }
        self.expect(b']')?;
        out.put("]")
    }

    fn word<O: Output>(&mut self, word: &str, out: &mut O) -> Result<(), ValueError> {
        let end = self.at + word.len();
        if self.text.get(self.at..end) != Some(word) {
            return Err(self.syntax());
        }
        self.at = end;
        out.put(word)
    }

    /// Reads an escape, from its backslash on.
    fn escaped(&mut self) -> Result<char, ValueError> {
        self.at += 1;
        let letter = self.peek().ok_or_else(|| self.syntax())?;
        if !letter.is_ascii_alphabetic() && !matches!(letter, b'"' | b'\\' | b'/') {
            // It may be the first byte of several: the fault is before it.
            return Err(self.syntax());
        }
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b't' => '\t',
            b'n' => '\n',
            b'f' => '\u{c}',
            b'r' => '\r',
            b'u' => {
                let unit = self.unit()?;
                let after = self.at;
                let low = match unit {
                    0xd800..0xdc00 => self.low_half(),
                    _ => None,
                };
                let code = low.map_or(unit, |low| 0x1_0000 + ((unit - 0xd800) << 10) + low);
                char::from_u32(code).ok_or(ValueError::HalfSurrogate { at: after })?
            }
            _ => return Err(self.syntax()),
        })
    }

    /// Reads the escape of the second half of a surrogate pair, if that is what comes, as its ten
    /// bits.
    fn low_half(&mut self) -> Option<u32> {
        let escape = self.slice(self.at, self.at + 2);
        let mut ahead = Scanner { at: self.at + 2, ..self.clone() };
        let unit = (escape == "\\u").then(|| ahead.unit().ok()).flatten()?;
        let bits = (0xdc00..0xe000).contains(&unit).then(|| unit - 0xdc00)?;
        self.at = ahead.at;
        Some(bits)
    }

    /// Reads the four digits of a `\u` escape.
    fn unit(&mut self) -> Result<u32, ValueError> {
        let digits = self.slice(self.at, self.at + 4);
        if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.syntax());
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| self.syntax())
    }

    fn some_digits(&mut self) -> Result<&'a str, ValueError> {
        let digits = self.digits();
        if digits.is_empty() { Err(self.syntax()) } else { Ok(digits) }
    }

    fn digits(&mut self) -> &'a str {
        let start = self.at;
        while self.next_if(|byte| byte.is_ascii_digit()) {}
        self.slice(start, self.at)
    }

    /// Skips blanks.
    pub(crate) fn blanks(&mut self) {
        while self.next_if(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {}
    }

    fn next_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let there = self.peek().is_some_and(wanted);
        self.at += usize::from(there);
        there
    }

    fn syntax(&self) -> ValueError {
        ValueError::Syntax { at: self.at }
    }
}

fn deeper(depth: usize) -> Result<usize, ValueError> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(ValueError::TooDeep) }
}
