//! From rows to values: bytes that the store itself wrote, so that failing means damage.

use handfast_keys::canonical;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The largest value of one row.
const MAX: usize = 64 << 20;

pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    canonical::encode(value)
}

pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], what: &'static str) -> Result<T> {
    canonical::decode(bytes, MAX).map_err(|_| Error::Damaged(what))
}

/// Fixed-size bytes.
pub fn array<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N]> {
    bytes.try_into().map_err(|_| Error::Damaged(what))
}

/// A number that SQLite keeps signed.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The same back.
pub fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
