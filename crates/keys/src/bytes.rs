//! Newtypes over fixed-size byte strings: one macro, so that ids, digests and public keys encode,
//! compare and print alike.

use core::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// Declares a public newtype over `[u8; N]` that is a CBOR byte string on the wire, ordered and
/// hashed by its bytes, displayed as lower-case hex and shortened in `Debug`.
///
/// Only for values that are *not* secret; secrets are [`Secret`](crate::Secret)s.
#[macro_export]
macro_rules! fixed_bytes {
    ($(#[$doc:meta])* $vis:vis struct $name:ident([u8; $len:literal]);) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name([u8; $len]);

        impl $name {
            /// Its size in bytes.
            pub const LEN: usize = $len;

            /// Takes the raw bytes as they are.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::__private::write_hex(f, &self.0)
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                $crate::__private::write_hex(f, self.0.first_chunk::<4>().unwrap_or(&[0; 4]))?;
                f.write_str("…)")
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::__private::deserialize(deserializer).map(Self)
            }
        }
    };
}

/// Writes bytes as lower-case hex.
pub fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A SEC1 point whose size its form gives: 33 bytes compressed, 65 uncompressed.
pub fn sec1<const N: usize>(point: &[u8]) -> [u8; N] {
    point.try_into().unwrap_or([0; N])
}

/// Reads a byte string of exactly `N` bytes.
pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[u8; N], D::Error> {
    struct Exactly<const N: usize>;

    impl<'de, const N: usize> Visitor<'de> for Exactly<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a byte string of {N} bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
            bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<[u8; N], A::Error> {
            let mut bytes = [0; N];
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = seq.next_element()?.ok_or_else(|| Error::invalid_length(index, &self))?;
            }
            Ok(bytes)
        }
    }

    deserializer.deserialize_bytes(Exactly::<N>)
}
