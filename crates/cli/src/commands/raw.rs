//! `--profile raw`: pairing with apps on JavaScript's blind-pairing, without a device.

pub mod candidate;
pub mod member;
mod session;

use handfast_pairing_manager::StructureKey;
use zeroize::Zeroizing;

use crate::report::CliError;

/// Reads 32 bytes of hex.
fn key(what: &str, hex: &str) -> Result<StructureKey, CliError> {
    let wrong = || CliError::usage(format!("{what} is not a key: a key is 64 hex digits"));
    let bytes = Zeroizing::new(bytes(hex).ok_or_else(wrong)?);
    let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| wrong())?;
    Ok(StructureKey::from_bytes(bytes))
}

/// Reads hex.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Zeroizing<Vec<u8>> = hex
        .chars()
        .map(|digit| digit.to_digit(16)?.try_into().ok())
        .collect::<Option<Vec<u8>>>()?
        .into();
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read() {
        assert_eq!(bytes("00ffA0"), Some(vec![0, 255, 160]));
        assert_eq!(bytes(""), Some(vec![]));
        for wrong in ["0", "0g", "0 0", "é0", "+1"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
        assert!(key("--key", &"ab".repeat(32)).is_ok());
        for wrong in ["", "ab", &"ab".repeat(33), &"xy".repeat(32)] {
            assert!(key("--key", wrong).is_err(), "{wrong}");
        }
    }
}
