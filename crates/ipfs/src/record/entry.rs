//! The protobuf message `IpnsEntry`: the envelope, with nothing verified yet.

use alloc::vec::Vec;

use super::ProtobufError;
use crate::protobuf::{Fields, Value, put_bytes, put_varint};

const VALUE: u64 = 1;
const SIGNATURE_V1: u64 = 2;
const VALIDITY_TYPE: u64 = 3;
const VALIDITY: u64 = 4;
const SEQUENCE: u64 = 5;
const TTL: u64 = 6;
const PUBLIC_KEY: u64 = 7;
const SIGNATURE_V2: u64 = 8;
const DATA: u64 = 9;

/// An envelope. An absent field and an empty or zero one are the same, as in protobuf.
#[derive(Default)]
pub struct Entry<'a> {
    pub value: &'a [u8],
    pub signature_v1: &'a [u8],
    pub validity_type: u64,
    pub validity: &'a [u8],
    pub sequence: u64,
    pub ttl: u64,
    pub public_key: &'a [u8],
    pub signature_v2: &'a [u8],
    pub data: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads a message; fields that a later version of the spec may add are skipped.
    pub fn decode(message: &'a [u8]) -> Result<Self, ProtobufError> {
        let mut entry = Self::default();
        let mut seen = 0u16;
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            if !(VALUE..=DATA).contains(&number) {
                continue;
            }
            let bit = 1 << number;
            if seen & bit != 0 {
                return Err(ProtobufError::Duplicate(number));
            }
            seen |= bit;
            match value {
                Value::Varint(value) => *entry.number(number)? = value,
                Value::Bytes(value) => *entry.bytes(number)? = value,
                Value::Fixed => return Err(ProtobufError::FieldType(number)),
            }
        }
        Ok(entry)
    }

    fn number(&mut self, number: u64) -> Result<&mut u64, ProtobufError> {
        match number {
            VALIDITY_TYPE => Ok(&mut self.validity_type),
            SEQUENCE => Ok(&mut self.sequence),
            TTL => Ok(&mut self.ttl),
            _ => Err(ProtobufError::FieldType(number)),
        }
    }

    fn bytes(&mut self, number: u64) -> Result<&mut &'a [u8], ProtobufError> {
        match number {
            VALUE => Ok(&mut self.value),
            SIGNATURE_V1 => Ok(&mut self.signature_v1),
            VALIDITY => Ok(&mut self.validity),
            PUBLIC_KEY => Ok(&mut self.public_key),
            SIGNATURE_V2 => Ok(&mut self.signature_v2),
            DATA => Ok(&mut self.data),
            _ => Err(ProtobufError::FieldType(number)),
        }
    }

    /// Writes a message. With a signature of version 1 it carries the fields that old readers need;
    /// without, only what is signed by version 2.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Vec::new();
        if !self.signature_v1.is_empty() {
            put_bytes(&mut message, VALUE, self.value);
            put_bytes(&mut message, SIGNATURE_V1, self.signature_v1);
            put_varint(&mut message, VALIDITY_TYPE, self.validity_type);
            put_bytes(&mut message, VALIDITY, self.validity);
            put_varint(&mut message, SEQUENCE, self.sequence);
            put_varint(&mut message, TTL, self.ttl);
        }
        if !self.public_key.is_empty() {
            put_bytes(&mut message, PUBLIC_KEY, self.public_key);
        }
        put_bytes(&mut message, SIGNATURE_V2, self.signature_v2);
        put_bytes(&mut message, DATA, self.data);
        message
    }
}
