//! Ids of records.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use handfast_keys::{Label, Timestamp};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::json::quote_into;
use crate::namespace::Namespace;
use crate::value::Value;

/// The id of a record: a UUID, in text and in its 16 bytes.
///
/// A record that has a natural key gets its id from it ([`natural`](Self::natural)); every other
/// one is drawn ([`generate`](Self::generate)). Any UUID is accepted from others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(#[serde(with = "serde_bytes")] [u8; 16]);

/// A value that cannot be a natural key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// `null`, or an empty text: then all the records without a key would be one.
    #[error("the record has no key")]
    Missing,
    /// An array or an object.
    #[error("a key is a text, a number or a truth value")]
    NotScalar,
}

/// A text that is no UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record id: it must look like 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct InvalidRecordId;

impl RecordId {
    /// The id of the record with this key in this collection: a UUIDv8 of
    /// `H("record", namespace, key)`, the key as a JSON string whatever type it has. So the number
    /// 1 of a JSON file and the text `1` of a CSV file are one key, and two devices that never met
    /// give the same thing the same id.
    pub fn natural(namespace: &Namespace, key: &Value) -> Result<Self, KeyError> {
        let text = match key.as_str().as_bytes().first() {
            Some(b'[' | b'{') => return Err(KeyError::NotScalar),
            Some(b'n') => return Err(KeyError::Missing),
            _ if key.as_str() == "\"\"" => return Err(KeyError::Missing),
            Some(b'"') => key.as_str().into(),
            _ => {
                let mut quoted = String::new();
                quote_into(key.as_str(), &mut quoted);
                quoted
            }
        };
        let digest = Label::RECORD.hash([namespace.as_bytes(), text.as_bytes()]);
        let first = digest.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
        Ok(Self(with_version(first, 8)))
    }

    /// Draws an id: a UUIDv7 (RFC 9562), so that ids made later sort later.
    pub fn generate<R: CryptoRng + ?Sized>(now: Timestamp, rng: &mut R) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let [_, _, millis @ ..] = now.0.to_be_bytes();
        bytes.iter_mut().zip(millis).for_each(|(byte, time)| *byte = time);
        Self(with_version(bytes, 7))
    }

    /// Takes the raw bytes as they are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Sets the version and the variant of RFC 9562, section 4.
fn with_version(mut bytes: [u8; 16], version: u8) -> [u8; 16] {
    let [_, _, _, _, _, _, six, _, eight, ..] = &mut bytes;
    *six = (*six & 0x0f) | (version << 4);
    *eight = (*eight & 0x3f) | 0x80;
    bytes
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({self})")
    }
}

impl FromStr for RecordId {
    type Err = InvalidRecordId;

    /// Reads the hyphenated form, in either case.
    fn from_str(text: &str) -> Result<Self, InvalidRecordId> {
        let mut bytes = [0; 16];
        let mut characters = text.bytes();
        for (index, byte) in bytes.iter_mut().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) && characters.next() != Some(b'-') {
                return Err(InvalidRecordId);
            }
            for _ in 0..2 {
                let digit = characters.next().and_then(|c| char::from(c).to_digit(16));
                let digit = digit.and_then(|digit| u8::try_from(digit).ok());
                *byte = (*byte << 4) | digit.ok_or(InvalidRecordId)?;
            }
        }
        if characters.next().is_none() { Ok(Self(bytes)) } else { Err(InvalidRecordId) }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn natural(key: &str) -> Result<RecordId, KeyError> {
        let notes = Namespace::new("notes").unwrap();
        RecordId::natural(&notes, &Value::parse(key).unwrap())
    }

    #[test]
    fn a_key_is_a_key_whatever_the_file_format() {
        let one = natural("1").unwrap();
        assert_eq!(natural("\"1\"").unwrap(), one);
        assert_eq!(natural("1.0").unwrap(), one);
        assert_eq!(natural("true"), natural("\"true\""));
        assert_ne!(natural("\"01\"").unwrap(), one);
        let other = Namespace::new("other").unwrap();
        assert_ne!(RecordId::natural(&other, &Value::parse("1").unwrap()).unwrap(), one);
        for (key, error) in [
            ("null", KeyError::Missing),
            ("\"\"", KeyError::Missing),
            ("[1]", KeyError::NotScalar),
            ("{}", KeyError::NotScalar),
        ] {
            assert_eq!(natural(key), Err(error));
        }
    }

    #[test]
    fn the_first_half_of_the_hash_is_the_id() {
        let digest = Label::RECORD.hash([b"notes", b"\"a\\nb\""]);
        let id = natural(r#""a\nb""#).unwrap();
        assert_eq!(id.as_bytes()[..6], digest.as_bytes()[..6]);
        assert_eq!(id.as_bytes()[6] >> 4, 8);
        assert_eq!(id.as_bytes()[8] >> 6, 2);
        assert_eq!(id.as_bytes()[9..], digest.as_bytes()[9..16]);
    }

    #[test]
    fn drawn_ids_sort_by_time() {
        let mut rng = rand::rng();
        let early = RecordId::generate(Timestamp(1_700_000_000_000), &mut rng);
        let late = RecordId::generate(Timestamp(1_700_000_000_001), &mut rng);
        assert!(early < late);
        assert!(early.to_string().starts_with("018bcfe5-6800-7"));
    }

    #[test]
    fn text_and_back() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        let id: RecordId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(id));
        for bad in [
            "",
            "01890a5d",
            text.trim_start_matches('0'),
            &text.replace('-', ""),
            &format!("{text}0"),
        ] {
            assert_eq!(bad.parse::<RecordId>(), Err(InvalidRecordId), "{bad}");
        }
    }
}
