//! Records made by the JavaScript implementation; `interop/ipns/run` makes and compares them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use handfast_ipfs::{Draft, Eol, Name, Record};
use handfast_keys::{IpnsSecret, Timestamp};
use serde::Deserialize;

/// 2026-01-01, when the golden records were valid.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Golden {
    file: String,
    size: usize,
    seed: String,
    name: String,
    peer_id: String,
    value: String,
    sequence: String,
    eol: String,
    ttl_ns: String,
    v2_only: bool,
    extra: BTreeMap<String, String>,
    refused: Option<String>,
    ours: bool,
}

impl Golden {
    fn all() -> Vec<Golden> {
        let described = fs::read(directory().join("records.json")).unwrap();
        serde_json::from_slice(&described).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        let bytes = fs::read(directory().join(&self.file)).unwrap();
        assert_eq!(bytes.len(), self.size, "{}", self.file);
        bytes
    }

    fn secret(&self) -> IpnsSecret {
        IpnsSecret::from_seed(unhex(&self.seed).try_into().unwrap())
    }

    fn extra(&self) -> BTreeMap<String, Vec<u8>> {
        self.extra.iter().map(|(key, hex)| (key.clone(), unhex(hex))).collect()
    }

    fn parse(&self) -> Result<Record, handfast_ipfs::RecordError> {
        Record::parse(&Name::of(self.secret().public()), &self.bytes(), Some(NOW))
    }
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn names_are_the_same() {
    for golden in Golden::all() {
        let name = Name::of(golden.secret().public());
        assert_eq!(name.to_string(), golden.name);
        assert_eq!(name.peer_id(), golden.peer_id);
        assert_eq!(Name::parse(&golden.name), Ok(name));
        assert_eq!(Name::parse(&golden.peer_id), Ok(name));
    }
}

#[test]
fn valid_records_say_what_they_were_made_to_say() {
    let valid: Vec<_> = Golden::all().into_iter().filter(|g| g.refused.is_none()).collect();
    assert!(valid.len() >= 11);
    for golden in valid {
        let record = golden.parse().unwrap_or_else(|error| panic!("{}: {error}", golden.file));
        assert_eq!(record.value(), golden.value, "{}", golden.file);
        assert_eq!(record.sequence().to_string(), golden.sequence, "{}", golden.file);
        assert_eq!(record.validity().to_string(), golden.eol, "{}", golden.file);
        assert_eq!(record.ttl_ns().to_string(), golden.ttl_ns, "{}", golden.file);
        assert_eq!(record.as_bytes(), golden.bytes(), "{}", golden.file);
        for (key, bytes) in golden.extra() {
            assert_eq!(record.extra(&key), Some(bytes.as_slice()), "{}: {key}", golden.file);
        }
        for absent in ["_list", "_text", "unknown", "Value", "_none"] {
            assert_eq!(record.extra(absent), None, "{}: {absent}", golden.file);
        }
    }
}

#[test]
fn broken_records_are_refused_for_what_is_broken() {
    let broken: Vec<_> = Golden::all().into_iter().filter(|g| g.refused.is_some()).collect();
    assert!(broken.len() >= 9);
    for golden in broken {
        let error = format!("{:?}", golden.parse().expect_err(&golden.file));
        let expected = golden.refused.unwrap();
        assert!(error.starts_with(&expected), "{}: {error}, not {expected}", golden.file);
    }
}

/// Ed25519 and both encodings are deterministic, so there is only one way to say the same thing.
#[test]
fn our_records_are_the_same_bytes() {
    let ours: Vec<_> = Golden::all().into_iter().filter(|g| g.ours).collect();
    assert!(ours.len() >= 7);
    for golden in ours {
        let record = Draft {
            value: golden.value.clone(),
            sequence: golden.sequence.parse().unwrap(),
            eol: Eol::parse(golden.eol.as_bytes()).unwrap().timestamp(),
            ttl_ns: golden.ttl_ns.parse().unwrap(),
            extra: golden.extra(),
            v1_compatible: !golden.v2_only,
        }
        .sign(&golden.secret())
        .unwrap();
        assert_eq!(record.as_bytes(), golden.bytes(), "{}", golden.file);
        assert_eq!(record, golden.parse().unwrap(), "{}", golden.file);
    }
}
