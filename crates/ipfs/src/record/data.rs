//! The signed part of a record: a DAG-CBOR map.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use handfast_keys::canonical;
use ipld_core::ipld::Ipld;

use super::{Field, MAX_RECORD, MAX_SEQUENCE, RecordError};

/// Only an end of life is defined.
pub const VALIDITY_TYPE_EOL: i128 = 0;
/// What the keys of extra fields begin with.
const EXTRA: char = '_';
/// Go implementations read the TTL as an `int64`.
const MAX_TTL_NS: u64 = i64::MAX as u64;
/// What is signed in front of the data.
const SIGNING_PREFIX: &[u8] = b"ipns-signature:";

/// The bytes that signature version 2 is made over.
pub fn to_be_signed(data: &[u8]) -> Vec<u8> {
    [SIGNING_PREFIX, data].concat()
}

/// A canonical map, not yet known to have a record's fields.
pub struct Document(BTreeMap<String, Ipld>);

/// The fields of a record.
pub struct Data {
    pub value: Vec<u8>,
    pub validity: Vec<u8>,
    pub validity_type: i128,
    pub sequence: u64,
    pub ttl_ns: u64,
    pub extra: BTreeMap<String, Vec<u8>>,
}

impl Document {
    /// Decodes a map; the decoder bounds how deep its values may be nested.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        canonical::decode(bytes, MAX_RECORD).map(Self).map_err(|_| RecordError::NotCanonical)
    }

    /// Takes the fields out. Unknown fields may hold anything.
    pub fn into_data(mut self) -> Result<Data, RecordError> {
        let data = Data {
            value: self.bytes(Field::Value)?,
            validity: self.bytes(Field::Validity)?,
            validity_type: self.integer(Field::ValidityType)?,
            sequence: self.number(Field::Sequence)?,
            ttl_ns: self.number(Field::Ttl)?,
            extra: self.0.into_iter().filter_map(extra_bytes).collect(),
        };
        data.check_ttl()?;
        Ok(data)
    }

    fn take(&mut self, field: Field) -> Result<Ipld, RecordError> {
        self.0.remove(field.key()).ok_or(RecordError::Missing(field))
    }

    fn bytes(&mut self, field: Field) -> Result<Vec<u8>, RecordError> {
        match self.take(field)? {
            Ipld::Bytes(bytes) => Ok(bytes),
            _ => Err(RecordError::WrongType(field)),
        }
    }

    fn integer(&mut self, field: Field) -> Result<i128, RecordError> {
        match self.take(field)? {
            Ipld::Integer(integer) => Ok(integer),
            _ => Err(RecordError::WrongType(field)),
        }
    }

    fn number(&mut self, field: Field) -> Result<u64, RecordError> {
        u64::try_from(self.integer(field)?).map_err(|_| RecordError::OutOfRange(field))
    }
}

fn extra_bytes((key, value): (String, Ipld)) -> Option<(String, Vec<u8>)> {
    match value {
        Ipld::Bytes(bytes) if key.starts_with(EXTRA) => Some((key, bytes)),
        _ => None,
    }
}

impl Data {
    /// Encodes the fields of a record that is being made, if others can read them.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        if self.sequence > MAX_SEQUENCE {
            return Err(RecordError::OutOfRange(Field::Sequence));
        }
        self.check_ttl()?;
        let mut map = BTreeMap::new();
        for (key, bytes) in &self.extra {
            if !key.starts_with(EXTRA) {
                return Err(RecordError::ExtraKey(key.clone()));
            }
            map.insert(key.clone(), Ipld::Bytes(bytes.clone()));
        }
        for (field, value) in [
            (Field::Value, Ipld::Bytes(self.value.clone())),
            (Field::Validity, Ipld::Bytes(self.validity.clone())),
            (Field::ValidityType, Ipld::Integer(self.validity_type)),
            (Field::Sequence, Ipld::Integer(self.sequence.into())),
            (Field::Ttl, Ipld::Integer(self.ttl_ns.into())),
        ] {
            map.insert(field.key().to_owned(), value);
        }
        Ok(canonical::encode(&map))
    }

    fn check_ttl(&self) -> Result<(), RecordError> {
        if self.ttl_ns > MAX_TTL_NS {
            return Err(RecordError::OutOfRange(Field::Ttl));
        }
        Ok(())
    }
}
