//! Mutations: what a log is made of.
//!
//! ```text
//! mutation  [id, record, timestamp, 0, [[field, value]…]]                          create
//!           [id, record, timestamp, 1, [[field, value, [dot…]]…], [dot…] | null]   update
//! dot       [writer, id]
//! ```
//!
//! in canonical DAG-CBOR: `record` and `writer` are byte strings, `field` and `value` (canonical
//! JSON) text, everything sorted by name or by dot and without repetition.

mod wire;

use alloc::vec::Vec;

use handfast_keys::canonical::{self, DecodeError};
use handfast_keys::{Timestamp, WriterPublic};
use serde::{Deserialize, Serialize};

use crate::field::{FieldName, Fields};
use crate::record::RecordId;
use crate::value::Value;

/// The name of a mutation: its writer and its id in that writer's log of a collection. A value in
/// a field is named by the dot of the mutation that wrote it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "(WriterPublic, u64)", into = "(WriterPublic, u64)")]
pub struct Dot {
    /// Whose log.
    pub writer: WriterPublic,
    /// Which mutation of the log, from 1.
    pub id: u64,
}

impl From<(WriterPublic, u64)> for Dot {
    fn from((writer, id): (WriterPublic, u64)) -> Self {
        Self { writer, id }
    }
}

impl From<Dot> for (WriterPublic, u64) {
    fn from(dot: Dot) -> Self {
        (dot.writer, dot.id)
    }
}

/// One change of one record by one writer. A mutation that exists keeps every bound of this
/// module; whether its writer signed it is the log's business.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutation {
    id: u64,
    record: RecordId,
    timestamp: Timestamp,
    op: Op,
}

/// What a mutation does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    /// Puts a record there with these fields. If somebody else did so too, the two merge.
    Create {
        /// What it holds.
        fields: Fields,
    },
    /// Changes fields of a record.
    Update {
        /// The fields, each once, sorted by name; at least one.
        changes: Vec<Change>,
        /// With a deletion, and only with one: the dots of all values in the record that its
        /// author knew, sorted.
        seen: Option<Vec<Dot>>,
    },
}

/// The change of one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which field.
    pub field: FieldName,
    /// What it holds from now on.
    pub value: Value,
    /// The dots of the values that this one replaces, sorted.
    pub supersedes: Vec<Dot>,
}

/// Something that cannot be a mutation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MutationError {
    /// Bytes that encode no mutation.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    /// An id that is 0 or beyond [`Mutation::MAX_NUMBER`].
    #[error("no mutation can have the id {0}")]
    Id(u64),
    /// A time beyond [`Mutation::MAX_NUMBER`].
    #[error("the timestamp is out of range")]
    Timestamp,
    /// An update that changes nothing.
    #[error("an update changes at least one field")]
    Nothing,
    /// More than [`Fields::MAX`] changes.
    #[error("a mutation changes at most {max} fields, not {count}", max = Fields::MAX)]
    TooManyFields {
        /// How many it changes.
        count: usize,
    },
    /// More than [`Mutation::MAX_DOTS`] dots.
    #[error("a mutation names at most {max} others, not {count}", max = Mutation::MAX_DOTS)]
    TooManyDots {
        /// How many it names.
        count: usize,
    },
    /// Fields or dots that are not sorted, or not unique.
    #[error("fields or dots are not in order")]
    NotSorted,
    /// A deletion that is not told by `true` and what was seen, or `seen` without a deletion.
    #[error("the deletion is not well formed")]
    Deletion,
    /// More than [`Mutation::MAX`] bytes.
    #[error("a mutation has at most {max} bytes", max = Mutation::MAX)]
    TooLarge,
    /// It names itself or a later mutation of its own log.
    #[error("a mutation names one of its own log that is not before it")]
    NamesTheFuture,
}

impl Mutation {
    /// The largest encoding, in bytes.
    pub const MAX: usize = 256 * 1024;

    /// How many dots a mutation may name in all.
    pub const MAX_DOTS: usize = 4096;

    /// The largest id and the largest timestamp: the largest integer that JSON everywhere and
    /// SQLite hold.
    pub const MAX_NUMBER: u64 = (1 << 53) - 1;

    /// Puts a mutation together.
    pub fn new(
        id: u64,
        record: RecordId,
        timestamp: Timestamp,
        op: Op,
    ) -> Result<Self, MutationError> {
        if id == 0 || id > Self::MAX_NUMBER {
            return Err(MutationError::Id(id));
        }
        if timestamp.0 > Self::MAX_NUMBER {
            return Err(MutationError::Timestamp);
        }
        op.check()?;
        Ok(Self { id, record, timestamp, op })
    }

    /// Checks that one mutation can create a record with these fields.
    pub fn can_create(fields: &Fields) -> Result<(), MutationError> {
        let size = fields.iter().map(|(name, value)| room(name, value)).sum::<usize>();
        within_max(ROOM_AROUND + size)
    }

    /// Its id in its log, from 1.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The record that it changes.
    pub fn record(&self) -> RecordId {
        self.record
    }

    /// When its author says that it happened; for display, and to pick a favourite.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// What it does.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// Gives up the parts: what it does.
    pub fn into_op(self) -> Op {
        self.op
    }

    /// Every dot that it names, in no particular order and perhaps more than once.
    pub fn dots(&self) -> impl Iterator<Item = &Dot> {
        self.op.dots()
    }

    /// Tells whether another mutation, of whatever log, sets the same fields of the same record to
    /// the same values at the same time. What they replace does not matter.
    pub fn says_the_same(&self, other: &Mutation) -> bool {
        if self.record != other.record || self.timestamp != other.timestamp {
            return false;
        }
        match (&self.op, &other.op) {
            (Op::Create { fields: ours }, Op::Create { fields: theirs }) => ours == theirs,
            (Op::Update { changes: ours, .. }, Op::Update { changes: theirs, .. }) => {
                let same = |(a, b): (&Change, &Change)| a.field == b.field && a.value == b.value;
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
            }
            _ => false,
        }
    }

    /// Checks that what it names of its own log comes before it.
    pub fn check_author(&self, writer: &WriterPublic) -> Result<(), MutationError> {
        if self.dots().any(|dot| dot.writer == *writer && dot.id >= self.id) {
            return Err(MutationError::NamesTheFuture);
        }
        Ok(())
    }

    /// Its canonical bytes: what the chain of its log hashes.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Reads canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, MutationError> {
        Ok(canonical::decode(bytes, Self::MAX)?)
    }
}

impl Op {
    /// Every dot that it names.
    pub(crate) fn dots(&self) -> impl Iterator<Item = &Dot> {
        let (changes, seen) = match self {
            Self::Create { .. } => (&[][..], &None),
            Self::Update { changes, seen } => (&**changes, seen),
        };
        let superseded = changes.iter().flat_map(|change| &change.supersedes);
        superseded.chain(seen.iter().flatten())
    }

    fn check(&self) -> Result<(), MutationError> {
        match self {
            Self::Create { fields } => Mutation::can_create(fields),
            Self::Update { changes, seen } => {
                if changes.is_empty() {
                    return Err(MutationError::Nothing);
                }
                if changes.len() > Fields::MAX {
                    return Err(MutationError::TooManyFields { count: changes.len() });
                }
                let dots = self.dots().count();
                if dots > Mutation::MAX_DOTS {
                    return Err(MutationError::TooManyDots { count: dots });
                }
                let in_order = changes.is_sorted_by(|a, b| a.field < b.field)
                    && changes.iter().all(|change| change.supersedes.is_sorted_by(|a, b| a < b))
                    && seen.iter().all(|seen| seen.is_sorted_by(|a, b| a < b));
                if !in_order {
                    return Err(MutationError::NotSorted);
                }
                let deletion = changes.iter().find(|change| change.field.is_deletion());
                let deletes = match deletion.map(|change| change.value.as_bool()) {
                    Some(None) => return Err(MutationError::Deletion),
                    Some(Some(deletes)) => deletes,
                    None => false,
                };
                if deletes != seen.is_some() {
                    return Err(MutationError::Deletion);
                }
                let rooms = changes.iter().map(|change| room(&change.field, &change.value));
                within_max(ROOM_AROUND + rooms.sum::<usize>() + dots * 48)
            }
        }
    }
}

/// At least as many bytes as everything takes that is neither field nor dot.
const ROOM_AROUND: usize = 64;

fn within_max(size: usize) -> Result<(), MutationError> {
    if size <= Mutation::MAX { Ok(()) } else { Err(MutationError::TooLarge) }
}

/// At least as many bytes as a field takes in the encoding, dots not counted.
fn room(name: &FieldName, value: &Value) -> usize {
    name.as_str().len() + value.as_str().len() + 16
}
