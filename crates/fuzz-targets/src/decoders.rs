//! Decoders: what they accept, they encode again to the same bytes.

use handfast_ipfs::{Cid, Eol, Name, Record};
use handfast_keys::canonical;
use handfast_ledger::{Fields, FieldsError, Mutation, RecordState, Segment, Snapshot, Value};
use handfast_pairing::qr::message::{Message, ProviderGrant, Response, Reveal};
use handfast_pairing::qr::{Code, ScannedCode};
use handfast_ring::{Admission, DeviceManifest, DeviceRing, PeerDirectory, SignedIdentity};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::seeds;

// The index of a feed and what connected devices say are no business of who embeds a device, and so
// not public there.
#[path = "../../handfast/src/feed.rs"]
#[allow(dead_code, unreachable_pub, reason = "only the decoder is of interest here")]
pub(crate) mod feed;
#[path = "../../handfast/src/live/message.rs"]
#[allow(dead_code, unreachable_pub, reason = "only the decoder is of interest here")]
pub(crate) mod said;

/// Larger than every object that is decoded here.
const MAX: usize = 1 << 24;

pub(crate) fn code(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Code::parse(text) {
        Ok(code) => assert_eq!(Code::parse(&printed(&code)), Ok(code)),
        Err(error) => drop(error.to_string()),
    }
}

fn printed(code: &ScannedCode) -> String {
    match code {
        ScannedCode::Code(code) => code.to_string(),
        ScannedCode::Literal(code) => code.to_string(),
    }
}

pub(crate) fn name(data: &[u8]) {
    if let Ok(cid) = Cid::from_bytes(data) {
        assert_eq!(Cid::parse(&cid.to_string()), Ok(cid));
    }
    if let Ok(name) = Name::from_bytes(data) {
        assert_eq!(Name::parse(&name.to_string()), Ok(name));
    }
    if let Ok(eol) = Eol::parse(data) {
        let _ = eol.timestamp();
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(cid) = Cid::parse(text) {
            assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        }
        if let Ok(name) = Name::parse(text) {
            assert_eq!(Name::parse(&name.to_string()), Ok(name));
        }
    }
}

pub(crate) fn record(data: &[u8]) {
    match Record::parse(&Name::of(seeds::name().public()), data, None) {
        Ok(record) => {
            assert_eq!(record.as_bytes(), data);
            let _ = (record.cid(), record.ttl(), record.validity().timestamp());
        }
        Err(error) => drop(error.to_string()),
    }
}

pub(crate) fn identity(data: &[u8]) {
    round::<SignedIdentity>(data);
    round::<Admission>(data);
    round::<handfast_ring::WriterCertificate>(data);
}

pub(crate) fn manifest(data: &[u8]) {
    let keys = seeds::keys(1);
    let verified = DeviceManifest::verify(data, &keys.auth.public(), &keys.ipns.public(), 1);
    if let Ok(manifest) = verified {
        assert_eq!(manifest.sign(&keys.auth).len(), data.len());
    }
}

pub(crate) fn directory(data: &[u8]) {
    if let Ok(directory) = PeerDirectory::decode(data) {
        assert_eq!(directory.encode(), data);
        let _ = directory.open(&seeds::keys(2));
    }
}

pub(crate) fn ring(data: &[u8]) {
    if let Ok(ring) = DeviceRing::decode(data) {
        assert_eq!(ring.encode(), data);
        let own = seeds::keys(1).device_id();
        assert!(ring.members(&own).len() <= ring.admissions().len());
        assert!(DeviceRing::default().news_in(&own, &ring).len() <= ring.admissions().len());
    }
}

pub(crate) fn index(data: &[u8]) {
    if let Ok(index) = feed::Index::decode(data) {
        assert_eq!(index.encode(), data);
        let _ = index.blocks().count();
        // What is parted and joined is the same, whatever was listed.
        let (rest, archive) = index.part();
        assert_eq!(feed::Archive::decode(&archive.encode()), Ok(archive.clone()));
        let _ = rest.join(archive);
    }
    if let Ok(archive) = feed::Archive::decode(data) {
        assert_eq!(archive.encode(), data);
        let _ = feed::Index::default().join(archive);
    }
}

pub(crate) fn database(data: &[u8]) {
    if let Ok(database) = feed::Database::decode(data) {
        assert_eq!(database.encode(), data);
        let _ = database.blocks().count();
        database.snapshots.iter().for_each(|it| snapshot(&it.head));
    }
}

pub(crate) fn live(data: &[u8]) {
    let Some((kind, contents)) = data.split_first() else { return };
    if let Ok(Some(message)) = said::Message::decode((*kind).into(), contents) {
        assert_eq!(message.encode(), ((*kind).into(), contents.to_vec()));
    }
}

pub(crate) fn mutation(data: &[u8]) {
    if let Ok(mutation) = Mutation::decode(data) {
        assert_eq!(mutation.encode(), data);
        let writer = seeds::writer().public();
        let _ = mutation.check_author(&writer);
        // Whatever a mutation is, a state that took it in is one that can be stored, and it
        // changes nothing to take it in again.
        let mut state = RecordState::default();
        state.apply(&writer, &mutation);
        let stored = state.encode();
        assert_eq!(RecordState::decode(&stored).as_ref(), Ok(&state));
        state.apply(&writer, &mutation);
        assert_eq!(state.encode(), stored);
    }
}

pub(crate) fn segment(data: &[u8]) {
    check_segment(data);
    // What stands in a segment is compressed: go past that.
    check_segment(&miniz_oxide::deflate::compress_to_vec(data, 1));
}

fn check_segment(body: &[u8]) {
    if let Ok(segment) = Segment::from_body(body) {
        let again = Segment::from_body(&segment.to_body());
        assert_eq!(again.as_ref(), Ok(&segment));
        let _ = segment.verify();
    }
}

pub(crate) fn state(data: &[u8]) {
    if let Ok(mut state) = RecordState::decode(data) {
        assert_eq!(state.encode(), data);
        let _ = state.winners().count();
        let _ = state.conflicts(handfast_ledger::Policy::Ask);
        let _ = (state.delete(), state.restore());
        state.prune(|_| true);
        assert_eq!(RecordState::decode(&state.encode()), Ok(state));
    }
}

pub(crate) fn snapshot(data: &[u8]) {
    if let Ok(snapshot) = Snapshot::decode(data) {
        assert_eq!(snapshot.encode(), data);
        let _ = snapshot.verify(&seeds::keys(1).auth.public());
    }
}

pub(crate) fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(value) = Value::parse(text) {
        assert_eq!(Value::from_canonical(value.as_str()), Ok(value.clone()));
        assert_eq!(Value::from_json(&value.to_json()), Ok(value));
    }
    if let Ok(value) = Value::from_canonical(text) {
        assert_eq!(Value::parse(text), Ok(value));
    }
    match Fields::read(text) {
        Ok(fields) => assert_eq!(Fields::parse(&fields.to_text()), Ok(fields)),
        Err((at, error)) => {
            assert!(text.is_char_boundary(at), "{at}: {error}");
            if error == FieldsError::NotSorted {
                panic!("names in any order are in order");
            }
        }
    }
}

pub(crate) fn message(data: &[u8]) {
    round::<Response>(data);
    round::<Reveal>(data);
    round::<Option<ProviderGrant>>(data);
    round::<Vec<Message>>(data);
}

pub(crate) fn round<T: Serialize + DeserializeOwned>(data: &[u8]) {
    if let Ok(value) = canonical::decode::<T>(data, MAX) {
        assert_eq!(canonical::encode(&value), data);
    }
}
