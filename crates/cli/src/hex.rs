//! Bytes as people type them.

use zeroize::Zeroizing;

/// Reads hex.
pub fn bytes(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |digit: char| u8::try_from(digit.to_digit(16)?).ok();
    let digits: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.chars().map(digit).collect::<Option<_>>()?);
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = || pairs.iter().map(|[high, low]| high << 4 | low).collect();
    rest.is_empty().then(|| Zeroizing::new(bytes()))
}

/// Reads a key: 32 bytes of hex.
pub fn key(text: &str) -> Option<[u8; 32]> {
    bytes(text)?.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read() {
        let read = |text| bytes(text).map(|it| it.to_vec());
        assert_eq!(read("00ffA0"), Some(vec![0, 255, 160]));
        assert_eq!(read(""), Some(vec![]));
        for wrong in ["0", "0g", "0 0", "é0", "+1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(key(&"ab".repeat(32)), Some([0xab; 32]));
        for wrong in ["", "ab", &"ab".repeat(33), &"xy".repeat(32)] {
            assert!(key(wrong).is_none(), "{wrong}");
        }
    }
}
