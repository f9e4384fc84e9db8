//! Where the scanner writes what it reads, in canonical form.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::value::ValueError;

/// A member of an object, as positions in what was written: `start` is before its key's opening
/// quote, `key_end` after the closing one, `end` after the value.
pub(crate) struct Member {
    pub start: usize,
    pub key_end: usize,
    pub end: usize,
}

/// Something that takes canonical JSON.
pub(crate) trait Output {
    /// Takes the next piece.
    fn put(&mut self, piece: &str) -> Result<(), ValueError>;

    /// How many bytes it took so far.
    fn position(&self) -> usize;

    /// What it took between two positions.
    fn written(&self, from: usize, to: usize) -> &str;

    /// Takes note of a member that was just written, after those in `members`.
    fn member(&mut self, members: &mut Vec<Member>, member: Member) -> Result<(), ValueError>;

    /// Brings the members of an object, all written by now, into order.
    fn sort(&mut self, members: Vec<Member>) -> Result<(), ValueError>;
}

impl Output for String {
    fn put(&mut self, piece: &str) -> Result<(), ValueError> {
        self.push_str(piece);
        Ok(())
    }

    fn position(&self) -> usize {
        self.len()
    }

    fn written(&self, from: usize, to: usize) -> &str {
        self.get(from..to).unwrap_or_default()
    }

    fn member(&mut self, members: &mut Vec<Member>, member: Member) -> Result<(), ValueError> {
        members.push(member);
        Ok(())
    }

    fn sort(&mut self, mut members: Vec<Member>) -> Result<(), ValueError> {
        let Some(start) = members.first().map(|first| first.start) else {
            return Ok(());
        };
        let key = |member: &Member| self.written(member.start, member.key_end);
        if members.is_sorted_by(|a, b| compare_keys(key(a), key(b)).is_lt()) {
            return Ok(());
        }
        members.sort_by(|a, b| compare_keys(key(a), key(b)));
        if !members.is_sorted_by(|a, b| compare_keys(key(a), key(b)).is_lt()) {
            return Err(ValueError::DuplicateKey);
        }
        let mut sorted = String::with_capacity(self.len().saturating_sub(start));
        for member in &members {
            if !sorted.is_empty() {
                sorted.push(',');
            }
            sorted.push_str(self.written(member.start, member.end));
        }
        self.truncate(start);
        self.push_str(&sorted);
        Ok(())
    }
}

/// Compares what is written with what is expected to be written, and keeps nothing.
pub(crate) struct Comparing<'a> {
    expected: &'a str,
    position: usize,
}

impl<'a> Comparing<'a> {
    /// Expects `expected` from byte `position` on.
    pub(crate) fn new(expected: &'a str, position: usize) -> Self {
        Self { expected, position }
    }
}

impl Output for Comparing<'_> {
    fn put(&mut self, piece: &str) -> Result<(), ValueError> {
        let end = self.position + piece.len();
        if self.expected.as_bytes().get(self.position..end) != Some(piece.as_bytes()) {
            return Err(ValueError::NotCanonical);
        }
        self.position = end;
        Ok(())
    }

    fn position(&self) -> usize {
        self.position
    }

    fn written(&self, from: usize, to: usize) -> &str {
        self.expected.get(from..to).unwrap_or_default()
    }

    fn member(&mut self, members: &mut Vec<Member>, member: Member) -> Result<(), ValueError> {
        if let Some(last) = members.pop() {
            let key = |member: &Member| self.written(member.start, member.key_end);
            match compare_keys(key(&last), key(&member)) {
                Ordering::Less => {}
                Ordering::Equal => return Err(ValueError::DuplicateKey),
                Ordering::Greater => return Err(ValueError::NotCanonical),
            }
        }
        members.push(member);
        Ok(())
    }

    fn sort(&mut self, _members: Vec<Member>) -> Result<(), ValueError> {
        Ok(())
    }
}

/// Orders two quoted canonical strings by the UTF-8 of what they stand for.
fn compare_keys(a: &str, b: &str) -> Ordering {
    if a.contains('\\') || b.contains('\\') {
        bytes_of(a).cmp(bytes_of(b))
    } else {
        // The closing quote (0x22) sorts after a space and an exclamation mark: leave it out.
        a.trim_end_matches('"').as_bytes().cmp(b.trim_end_matches('"').as_bytes())
    }
}

/// The UTF-8 that a quoted canonical string stands for. Every canonical escape is ASCII.
fn bytes_of(quoted: &str) -> impl Iterator<Item = u8> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let mut bytes = inner.unwrap_or_default().bytes();
    core::iter::from_fn(move || match bytes.next()? {
        b'\\' => Some(match bytes.next()? {
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'u' => {
                let mut code = 0u8;
                for _ in 0..4 {
                    let digit = char::from(bytes.next()?).to_digit(16)?;
                    code = (code << 4) | u8::try_from(digit).ok()?;
                }
                code
            }
            other => other,
        }),
        byte => Some(byte),
    })
}

/// Writes `text` as a canonical JSON string, quotes included.
pub(crate) fn quote_into(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let mut buffer = [0; 6];
        out.push_str(escape(c, &mut buffer));
    }
    out.push('"');
}

/// A character as it stands in a canonical JSON string (RFC 8785, section 3.2.2.2).
pub(crate) fn escape(c: char, buffer: &mut [u8; 6]) -> &str {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    match c {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\0'..='\u{1f}' => {
            let code = u32::from(c);
            let digit =
                |shift: u32| HEX.get(((code >> shift) & 15) as usize).copied().unwrap_or(b'0');
            *buffer = [b'\\', b'u', b'0', b'0', digit(4), digit(0)];
            core::str::from_utf8(buffer).unwrap_or_default()
        }
        c => c.encode_utf8(buffer),
    }
}
