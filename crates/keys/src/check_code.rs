//! What people compare: four emojis with their words, or digits.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::emoji::{self, Emoji};
use crate::{AuthPublic, Digest, IpnsPublic};

/// Four emojis out of 256, each with its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint([u8; 4]);

impl Fingerprint {
    /// A device's fingerprint, as version 1 of the pairing protocol shows it:
    /// `sha256(ipns ‖ auth)`, 32 raw bytes and 65 bytes of uncompressed SEC1. For recognising a
    /// device, never for trusting it: keys with the same four emojis are found in 2^32 tries.
    pub fn of_device(ipns: &IpnsPublic, auth: &AuthPublic) -> Fingerprint {
        let keys = [ipns.as_bytes().as_slice(), &auth.uncompressed()].concat();
        Self::cut(&Digest::sha256(&keys))
    }

    /// The indices into the emoji set: what is compared, never the strings.
    pub fn indices(&self) -> [u8; 4] {
        self.0
    }

    /// The emojis.
    pub fn emojis(&self) -> [&'static Emoji; 4] {
        self.0.map(emoji::emoji)
    }

    fn cut(digest: &Digest) -> Fingerprint {
        Fingerprint(*digest.as_bytes().first_chunk().unwrap_or(&[0; 4]))
    }
}

/// What both devices show when they were really introduced to each other.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckCode(Digest);

/// The initiator's person must not be able to read it anywhere before having typed it.
impl fmt::Debug for CheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckCode(…)")
    }
}

impl CheckCode {
    /// The check code of a conversation, from `H("check-code", …)` over it.
    pub fn new(digest: Digest) -> CheckCode {
        CheckCode(digest)
    }

    /// The four emojis.
    pub fn emojis(&self) -> Fingerprint {
        Fingerprint::cut(&self.0)
    }

    /// The same 32 bits as ten digits, zero-padded.
    pub fn digits(&self) -> String {
        format!("{:010}", u32::from_be_bytes(self.emojis().0))
    }

    /// Two more digits, which one side shows so that the other's person types them.
    pub fn back_digits(&self) -> String {
        format!("{:02}", self.0.as_bytes().get(4).copied().unwrap_or_default() % 100)
    }

    /// Tells whether these are the check code's four words (each by its first four letters or
    /// more) or its emojis, in order and separated by blanks, or its ten digits.
    pub fn reads(&self, typed: &str) -> Typed {
        let digits: String = typed.chars().filter(char::is_ascii_digit).collect();
        if digits.len() == 10 {
            return if digits == self.digits() { Typed::Right } else { Typed::Wrong };
        }
        let mut indices = [0; 4];
        let mut words = typed.split_whitespace();
        for index in &mut indices {
            match words.next().map(emoji::index_of_word) {
                Some(Some(word)) => *index = word,
                _ => return Typed::Unknown,
            }
        }
        match words.next() {
            Some(_) => Typed::Unknown,
            None if indices == self.emojis().0 => Typed::Right,
            None => Typed::Wrong,
        }
    }

    /// Tells whether these are the [two digits](Self::back_digits).
    pub fn reads_back(&self, typed: &str) -> Typed {
        let typed = typed.trim();
        if typed.len() != 2 || !typed.bytes().all(|byte| byte.is_ascii_digit()) {
            Typed::Unknown
        } else if typed == self.back_digits() {
            Typed::Right
        } else {
            Typed::Wrong
        }
    }
}

/// What a person typed, held against a check code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typed {
    /// The check code.
    Right,
    /// A check code, but another one.
    Wrong,
    /// No check code at all: not four words of the list. Ask again.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> CheckCode {
        let mut bytes = [0; 32];
        bytes[..5].copy_from_slice(&[0, 1, 2, 255, 207]);
        CheckCode::new(Digest::from_bytes(bytes))
    }

    #[test]
    fn words_digits_and_emojis_are_read() {
        let code = code();
        assert_eq!(code.digits(), "0000066303");
        assert_eq!(code.back_digits(), "07");
        let [a, b, c, d] = code.emojis().emojis();
        let words = format!("{} {} {} {}", a.word.to_uppercase(), b.word, c.word, d.word);
        assert_eq!(code.reads(&words), Typed::Right);
        assert_eq!(code.reads(&format!(" {}{}{}{} ", "0000", " 066", "-", "303")), Typed::Right);
        let symbols = [a.symbol, b.symbol, c.symbol, d.symbol].join(" ");
        assert_eq!(code.reads(&symbols), Typed::Right);
        assert_eq!(code.reads("0000066304"), Typed::Wrong);
        let swapped = [b.word, a.word, c.word, d.word].join(" ");
        assert_eq!(code.reads(&swapped), Typed::Wrong);
        for rubbish in ["", "yes", a.word, &format!("{words} {}", a.word), "xqzw xqzw xqzw xqzw"] {
            assert_eq!(code.reads(rubbish), Typed::Unknown, "{rubbish}");
        }
        assert_eq!(code.reads_back("07 "), Typed::Right);
        assert_eq!(code.reads_back("08"), Typed::Wrong);
        assert_eq!(code.reads_back("7"), Typed::Unknown);
    }
}
