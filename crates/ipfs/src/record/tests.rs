//! Records taken to pieces: valid ones, and below this, broken ones, each refused for its own reason.

mod data;
mod draft;
mod envelope;
mod properties;

use alloc::collections::BTreeMap;

use handfast_keys::{IpnsSecret, Timestamp, canonical};
use ipld_core::ipld::Ipld;

use super::data::to_be_signed;
use super::*;
use crate::protobuf::{put_bytes, put_varint};

const NOW: Timestamp = Timestamp(1_767_225_600_000);
const EOL: &str = "2126-01-01T00:00:00.000000000Z";
const VALUE: &[u8] = b"/ipfs/bafkqaaa";

fn key() -> IpnsSecret {
    IpnsSecret::from_seed([7; 32])
}

fn name() -> Name {
    Name::of(key().public())
}

fn draft() -> Draft {
    Draft::new(EMPTY_PATH, 5, Eol::parse(EOL.as_bytes()).unwrap().timestamp())
}

fn parse(bytes: &[u8]) -> Result<Record, RecordError> {
    Record::parse(&name(), bytes, Some(NOW))
}

/// The protobuf fields of a record, to be broken one by one. Empty fields and zeros are left out.
#[derive(Clone, Default)]
struct Pieces {
    value: Vec<u8>,
    signature_v1: Vec<u8>,
    validity_type: u64,
    validity: Vec<u8>,
    sequence: u64,
    ttl: u64,
    public_key: Vec<u8>,
    signature_v2: Vec<u8>,
    data: Vec<u8>,
    tail: Vec<u8>,
}

impl Pieces {
    /// A valid record of both versions.
    fn both() -> Self {
        Self {
            value: VALUE.to_vec(),
            signature_v1: vec![1; 64],
            validity: EOL.into(),
            sequence: 5,
            ttl: DEFAULT_TTL_NS,
            ..Self::signed(canonical::encode(&fields()))
        }
    }

    /// A record of version 2 with this data, properly signed.
    fn signed(data: Vec<u8>) -> Self {
        let signature_v2 = key().sign(&to_be_signed(&data)).as_bytes().to_vec();
        Self { signature_v2, data, ..Self::default() }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Vec<u8> {
        change(&mut self);
        self.bytes()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for (number, bytes) in
            [(1, &self.value), (2, &self.signature_v1), (4, &self.validity), (7, &self.public_key)]
        {
            if !bytes.is_empty() {
                put_bytes(&mut message, number, bytes);
            }
        }
        for (number, value) in [(3, self.validity_type), (5, self.sequence), (6, self.ttl)] {
            if value != 0 {
                put_varint(&mut message, number, value);
            }
        }
        for (number, bytes) in [(8, &self.signature_v2), (9, &self.data)] {
            if !bytes.is_empty() {
                put_bytes(&mut message, number, bytes);
            }
        }
        [message, self.tail.clone()].concat()
    }
}

/// The signed fields of a valid record.
fn fields() -> BTreeMap<String, Ipld> {
    let ttl = DEFAULT_TTL_NS.into();
    [
        ("Value", Ipld::Bytes(VALUE.to_vec())),
        ("Validity", Ipld::Bytes(EOL.into())),
        ("ValidityType", Ipld::Integer(0)),
        ("Sequence", Ipld::Integer(5)),
        ("TTL", Ipld::Integer(ttl)),
    ]
    .map(|(key, value)| (key.into(), value))
    .into()
}

/// A record of version 2 with one signed field replaced.
fn with_field(key: &str, value: Ipld) -> Vec<u8> {
    let mut fields = fields();
    fields.insert(key.into(), value);
    Pieces::signed(canonical::encode(&fields)).bytes()
}

fn without_field(field: Field) -> Vec<u8> {
    let mut fields = fields();
    fields.remove(field.key());
    Pieces::signed(canonical::encode(&fields)).bytes()
}

/// A map written as told, canonical or not: its header, then keys and encoded values.
fn raw_map(header: &[u8], entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut map = header.to_vec();
    for (key, value) in entries {
        map.extend(canonical::encode(key));
        map.extend(value);
    }
    map
}

fn in_order() -> Vec<(&'static str, Vec<u8>)> {
    let fields = fields();
    ["TTL", "Value", "Sequence", "Validity", "ValidityType"]
        .map(|key| (key, canonical::encode(fields.get(key).unwrap())))
        .into()
}

#[test]
fn the_unbroken_ones_are_valid() {
    let both = parse(&Pieces::both().bytes()).unwrap();
    let data_only = parse(&Pieces::signed(canonical::encode(&fields())).bytes()).unwrap();
    let written_out = parse(&Pieces::signed(raw_map(&[0xa5], &in_order())).bytes()).unwrap();
    assert_eq!(data_only, written_out);
    for record in [both, data_only] {
        assert_eq!(record.value(), EMPTY_PATH);
        assert_eq!(record.sequence(), 5);
        assert_eq!(record.validity().to_string(), EOL);
        assert_eq!(record.ttl(), Duration::from_secs(300));
        assert_eq!(record.cid(), Err(CidError::Hash(0)));
    }
}

#[test]
fn selection() {
    let record = |sequence, eol: u64, value: &str| {
        let draft = Draft::new(value, sequence, Timestamp(eol));
        draft.sign(&key()).unwrap()
    };
    let base = record(5, 1_000, "/ipfs/b");
    for newer in [
        record(6, 1, "/ipfs/a"),
        record(5, 1_001, "/ipfs/a"),
        record(MAX_SEQUENCE, 1_000, "/ipfs/b"),
        // Only the bytes differ, and field 1 is the first of them.
        record(5, 1_000, "/ipfs/c"),
    ] {
        assert!(newer.newer_than(&base), "{newer:?}");
        assert!(!base.newer_than(&newer), "{newer:?}");
        assert_eq!(Record::select(base.clone(), newer.clone()), newer);
        assert_eq!(Record::select(newer.clone(), base.clone()), newer);
    }
    assert!(!base.newer_than(&base));
}
