//! A record's state as a row.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use handfast_keys::{Timestamp, WriterPublic};
use serde::de::{Deserializer, Error};
use serde::ser::{SerializeSeq, SerializeTuple};
use serde::{Deserialize, Serialize, Serializer};

use super::RecordState;
use crate::field::{FieldName, Fields};
use crate::mutation::Dot;
use crate::register::{Entry, Register};
use crate::value::Value;

/// A mutation whose values are still there.
type Stamp = (WriterPublic, u64, Timestamp);

/// What a row decodes to. That everything is sorted and nothing superfluous, the canonical
/// decoder sees to: it encodes the result again and compares.
type Row = (
    Vec<Stamp>,
    Vec<(FieldName, Vec<(u32, Value)>)>,
    Vec<(u32, Vec<Dot>)>,
    Vec<(FieldName, Vec<Dot>)>,
);

/// A state to be encoded without the replaced dots.
pub(super) struct Settled<'a>(pub &'a RecordState);

impl Serialize for RecordState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self, true, serializer)
    }
}

impl Serialize for Settled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(self.0, false, serializer)
    }
}

fn serialize<S: Serializer>(
    state: &RecordState,
    superseded: bool,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let stamps = stamps(state);
    let mut row = serializer.serialize_tuple(4)?;
    row.serialize_element(&stamps)?;
    row.serialize_element(&Values { state, stamps: &stamps })?;
    let seen: Vec<(u32, &Vec<Dot>)> =
        state.seen.iter().map(|(dot, seen)| (index_of(&stamps, dot), seen)).collect();
    row.serialize_element(&seen)?;
    let remembered =
        state.fields.iter().filter(|(_, register)| superseded && !register.superseded().is_empty());
    let remembered: Vec<(&FieldName, &[Dot])> =
        remembered.map(|(field, register)| (field, register.superseded())).collect();
    row.serialize_element(&remembered)?;
    row.end()
}

/// The mutations whose values are still there, sorted by dot. Mostly there is one.
fn stamps(state: &RecordState) -> Vec<Stamp> {
    let mut stamps: Vec<Stamp> = Vec::new();
    for entry in state.fields.values().flat_map(Register::entries) {
        if let Err(at) = stamps.binary_search_by_key(&entry.dot, stamp_dot) {
            stamps.insert(at, (entry.dot.writer, entry.dot.id, entry.timestamp));
        }
    }
    stamps
}

fn stamp_dot((writer, id, _): &Stamp) -> Dot {
    Dot { writer: *writer, id: *id }
}

fn index_of(stamps: &[Stamp], dot: &Dot) -> u32 {
    let index = stamps.binary_search_by_key(dot, stamp_dot).ok();
    index.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX)
}

/// The values of all fields that have any.
struct Values<'a> {
    state: &'a RecordState,
    stamps: &'a [Stamp],
}

/// The values of one field.
struct FieldValues<'a> {
    register: &'a Register,
    stamps: &'a [Stamp],
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = || self.state.fields.iter().filter(|(_, r)| !r.entries().is_empty());
        let mut seq = serializer.serialize_seq(Some(fields().count()))?;
        for (field, register) in fields() {
            seq.serialize_element(&(field, FieldValues { register, stamps: self.stamps }))?;
        }
        seq.end()
    }
}

impl Serialize for FieldValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entries = self.register.entries();
        let mut seq = serializer.serialize_seq(Some(entries.len()))?;
        for entry in entries {
            seq.serialize_element(&(index_of(self.stamps, &entry.dot), &entry.value))?;
        }
        seq.end()
    }
}

/// A record that one mutation created.
pub(super) struct Created<'a> {
    pub dot: Dot,
    pub timestamp: Timestamp,
    pub fields: &'a Fields,
}

impl Serialize for Created<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stamp: Stamp = (self.dot.writer, self.dot.id, self.timestamp);
        let stamps = if self.fields.is_empty() { &[][..] } else { &[stamp] };
        let mut row = serializer.serialize_tuple(4)?;
        row.serialize_element(stamps)?;
        row.serialize_element(&CreatedValues(self.fields))?;
        row.serialize_element(&[(); 0])?;
        row.serialize_element(&[(); 0])?;
        row.end()
    }
}

struct CreatedValues<'a>(&'a Fields);

impl Serialize for CreatedValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for (field, value) in self.0.iter() {
            seq.serialize_element(&(field, [(0u32, value)]))?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for RecordState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (stamps, values, seen, remembered) = Row::deserialize(deserializer)?;
        let stamp = |index: u32| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            stamps.get(index).ok_or_else(|| D::Error::custom("an index that leads nowhere"))
        };
        if stamps.iter().any(|(_, _, time)| time.0 > crate::mutation::Mutation::MAX_NUMBER) {
            return Err(D::Error::custom("a time out of range"));
        }
        let mut fields: BTreeMap<FieldName, (Vec<Entry>, Vec<Dot>)> = BTreeMap::new();
        for (field, held) in values {
            let mut entries = Vec::with_capacity(held.len());
            for (index, value) in held {
                let stamped = stamp(index)?;
                entries.push(Entry { dot: stamp_dot(stamped), timestamp: stamped.2, value });
            }
            if !entries.is_sorted_by(|a, b| a.dot < b.dot) {
                return Err(D::Error::custom("values that are not in order"));
            }
            fields.entry(field).or_default().0 = entries;
        }
        for (field, dots) in remembered {
            if !dots.is_sorted_by(|a, b| a < b) {
                return Err(D::Error::custom("dots that are not in order"));
            }
            fields.entry(field).or_default().1 = dots;
        }
        let fields = fields
            .into_iter()
            .map(|(field, (entries, superseded))| (field, Register::restore(entries, superseded)));
        let mut state = Self { fields: fields.collect(), seen: BTreeMap::new() };
        for (index, dots) in seen {
            state.seen.insert(stamp_dot(stamp(index)?), dots);
        }
        state.forget_replaced_deletions();
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::canonical;

    use super::*;
    use crate::mutation::{Change, Mutation, Op};
    use crate::record::RecordId;

    fn state() -> RecordState {
        let [a, b] = [1, 2].map(|byte| WriterPublic::from_bytes([byte; 32]));
        let record = RecordId::from_bytes([0; 16]);
        let fields = Fields::parse(r#"{"x":1,"y":"two"}"#).unwrap();
        let create = Mutation::new(1, record, Timestamp(5), Op::Create { fields }).unwrap();
        let change = |field: FieldName, value, supersedes| Change { field, value, supersedes };
        let gone = Dot { writer: b, id: 1 };
        let update = Op::Update {
            changes: std::vec![
                change(FieldName::deletion(), Value::bool(true), std::vec![]),
                change(FieldName::new("x").unwrap(), Value::null(), std::vec![gone]),
            ],
            seen: Some(std::vec![Dot { writer: a, id: 1 }]),
        };
        let update = Mutation::new(2, record, Timestamp(9), update).unwrap();
        RecordState::replay([(&a, &create), (&b, &update)])
    }

    #[test]
    fn a_row_comes_back() {
        let state = state();
        assert_eq!(RecordState::decode(&state.encode()), Ok(state.clone()));
        assert_ne!(state.encode(), state.encode_settled());
        let mut pruned = state.clone();
        pruned.prune(|_| true);
        assert_eq!(pruned.encode(), state.encode_settled());
        assert_eq!(RecordState::decode(&pruned.encode()), Ok(pruned));
    }

    #[test]
    fn a_created_record_is_the_applied_creation() {
        let writer = WriterPublic::from_bytes([1; 32]);
        let record = RecordId::from_bytes([0; 16]);
        let dot = Dot { writer, id: 4 };
        for text in [r#"{"x":1,"y":"two"}"#, "{}"] {
            let fields = Fields::parse(text).unwrap();
            let op = Op::Create { fields: fields.clone() };
            let create = Mutation::new(4, record, Timestamp(5), op).unwrap();
            let row = RecordState::created_row(dot, Timestamp(5), &fields);
            let created = RecordState::created(dot, Timestamp(5), fields);
            assert_eq!(created, RecordState::replay([(&writer, &create)]));
            assert_eq!(created.encode(), row);
            assert_eq!(RecordState::decode(&row), Ok(created));
            assert!(row.len() < 70);
        }
    }

    #[test]
    fn rows_that_say_too_much_are_refused() {
        let writer = WriterPublic::from_bytes([1; 32]);
        let stamp: Stamp = (writer, 1, Timestamp(5));
        let name = || FieldName::new("x").unwrap();
        let good: Row = (
            std::vec![stamp],
            std::vec![(name(), std::vec![(0, Value::null())])],
            std::vec![],
            std::vec![],
        );
        assert!(RecordState::decode(&canonical::encode(&good)).is_ok());
        let mut bad = good.clone();
        bad.0.push((writer, 2, Timestamp(5)));
        assert!(RecordState::decode(&canonical::encode(&bad)).is_err(), "an unused stamp");
        let mut bad = good.clone();
        bad.1.push((name(), std::vec![(0, Value::null())]));
        assert!(RecordState::decode(&canonical::encode(&bad)).is_err(), "a field twice");
        let mut bad = good.clone();
        bad.1 = std::vec![(name(), std::vec![(1, Value::null())])];
        assert!(RecordState::decode(&canonical::encode(&bad)).is_err(), "an index too far");
        let mut bad = good.clone();
        bad.2.push((0, std::vec![]));
        assert!(RecordState::decode(&canonical::encode(&bad)).is_err(), "seen by no deletion");
        let mut bad = good;
        bad.3.push((name(), std::vec![]));
        assert!(RecordState::decode(&canonical::encode(&bad)).is_err(), "nothing remembered");
    }

    proptest::proptest! {
        #[test]
        fn rubbish_is_refused_quietly(bytes: Vec<u8>) {
            let _ = RecordState::decode(&bytes);
        }

        #[test]
        fn damage_is_noticed_or_still_canonical(at: proptest::sample::Index, byte: u8) {
            let mut bytes = state().encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(state) = RecordState::decode(&bytes) {
                proptest::prop_assert_eq!(state.encode(), bytes);
            }
        }
    }
}
