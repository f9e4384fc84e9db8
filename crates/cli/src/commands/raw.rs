//! `--profile raw`: pairing with apps on JavaScript's blind-pairing, without a device.

pub mod candidate;
pub mod member;
mod session;

use handfast_pairing_manager::StructureKey;

use crate::hex;
use crate::report::CliError;

/// Reads 32 bytes of hex.
fn key(what: &str, text: &str) -> Result<StructureKey, CliError> {
    let wrong = || CliError::usage(format!("{what} is not a key: a key is 64 hex digits"));
    hex::key(text).map(StructureKey::from_bytes).ok_or_else(wrong)
}
