//! Canonical DAG-CBOR: what is hashed, signed and sealed.
//!
//! A value has exactly one encoding and a decoder accepts exactly that one, so a hash over bytes is
//! a hash over the value. See the DAG-CBOR specification, "Strictness".

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that are not the canonical encoding of what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than this kind of object may have.
    #[error("{len} bytes are more than the {max} that this object may have")]
    TooLarge {
        /// How many bytes came.
        len: usize,
        /// How many may come.
        max: usize,
    },
    /// Not DAG-CBOR, or not of the expected shape.
    #[error("not the expected DAG-CBOR object")]
    Malformed,
    /// The right value in another encoding than the canonical one.
    #[error("not encoded canonically")]
    NotCanonical,
}

/// Encodes a value.
///
/// Handfast's own types always encode; a type that DAG-CBOR cannot express (a map with keys that
/// are no strings) would encode as nothing and be refused by every decoder.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).unwrap_or_default()
}

/// Decodes the canonical encoding of a value of at most `max` bytes, with nothing after it.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLarge { len: bytes.len(), max });
    }
    let value: T = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| DecodeError::Malformed)?;
    if encode(&value) == bytes { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_encoding_a_value() {
        let bytes = encode(&(1u64, "two"));
        assert_eq!(decode::<(u64, String)>(&bytes, 64).unwrap().0, 1);
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert!(decode::<(u64, String)>(&trailing, 64).is_err());
        assert_eq!(
            decode::<(u64, String)>(&bytes, 2),
            Err(DecodeError::TooLarge { len: bytes.len(), max: 2 })
        );
        // The number 1 in two bytes instead of one.
        assert!(decode::<u64>(&[0x18, 0x01], 64).is_err());
        // An array of indefinite length.
        assert!(decode::<Vec<u64>>(&[0x9f, 0x01, 0xff], 64).is_err());
    }

    proptest::proptest! {
        #[test]
        fn rubbish_is_refused_quietly(bytes: Vec<u8>) {
            let _ = decode::<(u64, String, Vec<u64>)>(&bytes, 1 << 16);
        }
    }
}
