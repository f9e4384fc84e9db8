//! Mutations as DAG-CBOR arrays.

use alloc::vec::Vec;
use core::fmt;

use handfast_keys::Timestamp;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeTuple};
use serde::{Deserialize, Serialize, Serializer};

use super::{Change, Dot, Mutation, Op};
use crate::field::{FieldName, Fields};
use crate::record::RecordId;
use crate::value::Value;

const CREATE: u8 = 0;
const UPDATE: u8 = 1;

impl Serialize for Mutation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let len = match &self.op {
            Op::Create { .. } => 5,
            Op::Update { .. } => 6,
        };
        let mut tuple = serializer.serialize_tuple(len)?;
        tuple.serialize_element(&self.id)?;
        tuple.serialize_element(&self.record)?;
        tuple.serialize_element(&self.timestamp)?;
        match &self.op {
            Op::Create { fields } => {
                tuple.serialize_element(&CREATE)?;
                tuple.serialize_element(fields)?;
            }
            Op::Update { changes, seen } => {
                tuple.serialize_element(&UPDATE)?;
                tuple.serialize_element(&Changes(changes))?;
                tuple.serialize_element(seen)?;
            }
        }
        tuple.end()
    }
}

struct Changes<'a>(&'a [Change]);

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.len()))?;
        for Change { field, value, supersedes } in self.0 {
            seq.serialize_element(&(field, value, supersedes))?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Mutation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Mutation;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mutation")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Mutation, A::Error> {
                let id: u64 = next(&mut seq, 0)?;
                let record: RecordId = next(&mut seq, 1)?;
                let timestamp: Timestamp = next(&mut seq, 2)?;
                let op = match next::<u8, A>(&mut seq, 3)? {
                    CREATE => Op::Create { fields: next::<Fields, A>(&mut seq, 4)? },
                    UPDATE => {
                        let changes: Vec<(FieldName, Value, Vec<Dot>)> = next(&mut seq, 4)?;
                        let changes = changes
                            .into_iter()
                            .map(|(field, value, supersedes)| Change { field, value, supersedes })
                            .collect();
                        Op::Update { changes, seen: next(&mut seq, 5)? }
                    }
                    _ => return Err(de::Error::custom("an operation that is not known")),
                };
                Mutation::new(id, record, timestamp, op).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_seq(Array)
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
    seq: &mut A,
    index: usize,
) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| de::Error::invalid_length(index, &"a mutation"))
}

#[cfg(test)]
mod tests {
    use handfast_keys::WriterPublic;
    use proptest::prelude::*;
    use smol_str::SmolStr;

    use super::super::MutationError;
    use super::*;

    const RECORD: RecordId = RecordId::from_bytes([9; 16]);

    fn dot(writer: u8, id: u64) -> Dot {
        Dot { writer: WriterPublic::from_bytes([writer; 32]), id }
    }

    fn change(field: &str, value: &str, supersedes: &[Dot]) -> Change {
        Change {
            field: SmolStr::new(field).try_into().unwrap(),
            value: Value::parse(value).unwrap(),
            supersedes: supersedes.to_vec(),
        }
    }

    fn update(changes: Vec<Change>, seen: Option<Vec<Dot>>) -> Result<Mutation, MutationError> {
        Mutation::new(3, RECORD, Timestamp(5), Op::Update { changes, seen })
    }

    /// The bytes, taken apart by hand.
    #[test]
    fn a_create_in_bytes() {
        let fields = Fields::parse(r#"{"b":"x","a":1}"#).unwrap();
        let mutation = Mutation::new(1, RECORD, Timestamp(1000), Op::Create { fields }).unwrap();
        let mut expected = std::vec![0x85, 0x01, 0x50];
        expected.extend([9; 16]);
        expected.extend([0x19, 0x03, 0xe8, 0x00, 0x82]);
        expected.extend(b"\x82\x61a\x611");
        expected.extend(b"\x82\x61b\x63\"x\"");
        assert_eq!(mutation.encode(), expected);
        assert_eq!(Mutation::decode(&expected), Ok(mutation));
        expected.push(0);
        assert!(Mutation::decode(&expected).is_err());
    }

    #[test]
    fn an_update_comes_back() {
        let changes = std::vec![
            change("$deleted", "true", &[]),
            change("a", "[1,{}]", &[dot(1, 2), dot(2, 1)]),
        ];
        let mutation = update(changes, Some(std::vec![dot(1, 2), dot(2, 9)])).unwrap();
        assert_eq!(Mutation::decode(&mutation.encode()), Ok(mutation.clone()));
        assert_eq!(mutation.dots().count(), 4);
        let writer = |byte| WriterPublic::from_bytes([byte; 32]);
        assert_eq!(mutation.check_author(&writer(1)), Ok(()));
        assert_eq!(mutation.check_author(&writer(2)), Err(MutationError::NamesTheFuture));
    }

    #[test]
    fn what_is_no_mutation_is_refused() {
        let none = || Op::Create { fields: Fields::new() };
        assert_eq!(Mutation::new(0, RECORD, Timestamp(0), none()), Err(MutationError::Id(0)));
        assert_eq!(
            Mutation::new(1, RECORD, Timestamp(1 << 53), none()),
            Err(MutationError::Timestamp)
        );
        assert_eq!(update(std::vec![], None), Err(MutationError::Nothing));
        let two = || std::vec![change("a", "1", &[]), change("a", "1", &[])];
        assert_eq!(update(two(), None), Err(MutationError::NotSorted));
        let dots = [dot(2, 1), dot(1, 1)];
        assert_eq!(update(std::vec![change("a", "1", &dots)], None), Err(MutationError::NotSorted));
        for (changes, seen) in [
            (std::vec![change("$deleted", "1", &[])], None),
            (std::vec![change("$deleted", "true", &[])], None),
            (std::vec![change("$deleted", "false", &[])], Some(std::vec![])),
            (std::vec![change("a", "1", &[])], Some(std::vec![])),
        ] {
            assert_eq!(update(changes, seen), Err(MutationError::Deletion));
        }
        let many: Vec<Dot> = (1..=4097).map(|id| dot(1, id)).collect();
        assert_eq!(
            update(std::vec![change("a", "1", &many)], None),
            Err(MutationError::TooManyDots { count: 4097 })
        );
    }

    #[test]
    fn the_largest_mutations_fit_their_bound() {
        let long = |n: usize| std::format!("\"{}\"", "x".repeat(n));
        let changes = std::vec![
            change("a", &long(64 * 1024), &[]),
            change("b", &long(Value::MAX - 2 - 64 * 1024 - 64), &[]),
        ];
        let mutation = update(changes, None).unwrap();
        assert!(Mutation::decode(&mutation.encode()) == Ok(mutation));
        let changes = std::vec![change("a", &long(131_100), &[]), change("b", &long(131_100), &[])];
        assert!(update(changes, None) == Err(MutationError::TooLarge));
        let dots: Vec<Dot> = (0..4096).map(|i| dot(7, Mutation::MAX_NUMBER - 4096 + i)).collect();
        let mutation = update(std::vec![change("a", &long(60_000), &dots)], None).unwrap();
        assert!(mutation.encode().len() <= Mutation::MAX);
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_quietly(bytes: Vec<u8>) {
            let _ = Mutation::decode(&bytes);
        }

        #[test]
        fn damage_is_noticed_or_still_canonical(at in 0usize..60, byte: u8) {
            let fields = Fields::parse(r#"{"b":"x","a":1,"cc":{"d":[1,2]}}"#).unwrap();
            let good = Mutation::new(7, RECORD, Timestamp(1000), Op::Create { fields }).unwrap();
            let mut bytes = good.encode();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(mutation) = Mutation::decode(&bytes) {
                prop_assert_eq!(mutation.encode(), bytes);
            }
        }
    }
}
