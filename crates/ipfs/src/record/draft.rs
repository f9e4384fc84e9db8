//! Making records.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use handfast_keys::{IpnsSecret, Timestamp};

use super::data::{Data, VALIDITY_TYPE_EOL, to_be_signed};
use super::entry::Entry;
use super::{DEFAULT_TTL_NS, MAX_RECORD, Record, RecordError};
use crate::name::Name;
use crate::validity::Eol;

/// What a record is going to say.
///
/// The caller chooses the sequence: one more than the highest that it has signed or seen for a new
/// value, the same one when it only prolongs a record's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// A content path: [`Cid::path`](crate::Cid::path), or [`EMPTY_PATH`](super::EMPTY_PATH).
    pub value: String,
    /// At most [`MAX_SEQUENCE`](super::MAX_SEQUENCE).
    pub sequence: u64,
    /// When the record stops being valid.
    pub eol: Timestamp,
    /// How long caches may keep it, in nanoseconds; at most `i64::MAX`.
    pub ttl_ns: u64,
    /// Extra signed fields. Keys begin with `_`.
    pub extra: BTreeMap<String, Vec<u8>>,
    /// Whether to add what readers of version 1 need, which costs some 180 bytes and the value once
    /// more. Services that check it are old, but there are some.
    pub v1_compatible: bool,
}

impl Draft {
    /// A record of both versions with the [default TTL](DEFAULT_TTL_NS) and no extra fields.
    pub fn new(value: impl Into<String>, sequence: u64, eol: Timestamp) -> Self {
        Self {
            value: value.into(),
            sequence,
            eol,
            ttl_ns: DEFAULT_TTL_NS,
            extra: BTreeMap::new(),
            v1_compatible: true,
        }
    }

    /// Signs the record with the key of its name.
    pub fn sign(self, key: &IpnsSecret) -> Result<Record, RecordError> {
        if !self.value.starts_with('/') {
            return Err(RecordError::NotAPath);
        }
        let validity = Eol::at(self.eol)?;
        let data = Data {
            value: self.value.clone().into_bytes(),
            validity: validity.to_string().into_bytes(),
            validity_type: VALIDITY_TYPE_EOL,
            sequence: self.sequence,
            ttl_ns: self.ttl_ns,
            extra: self.extra,
        };
        let encoded = data.encode()?;
        let signature_v2 = key.sign(&to_be_signed(&encoded));
        let signature_v1 = self
            .v1_compatible
            .then(|| key.sign(&[data.value.as_slice(), &data.validity, b"EOL"].concat()));
        let bytes = Entry {
            value: &data.value,
            signature_v1: signature_v1.as_ref().map_or(&[], AsRef::as_ref),
            validity_type: 0,
            validity: &data.validity,
            sequence: data.sequence,
            ttl: data.ttl_ns,
            public_key: &[],
            signature_v2: signature_v2.as_bytes(),
            data: &encoded,
        }
        .encode();
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLarge { len: bytes.len() });
        }
        Ok(Record {
            name: Name::of(key.public()),
            value: self.value,
            sequence: data.sequence,
            validity,
            ttl_ns: data.ttl_ns,
            extra: data.extra,
            bytes,
        })
    }
}
