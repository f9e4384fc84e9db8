//! The state of a record: the registers of its fields, made from mutations in any order.
//!
//! ```text
//! row  [[[writer, id, time]…], [[field, [[index of dot, value]…]]…],
//!       [[index of dot, [dot…]]…], [[field, [dot…]]…]]
//! ```
//!
//! that is: the mutations whose values are still there; those values; what each standing deletion
//! had seen; the replaced dots that are remembered. Canonical DAG-CBOR, everything sorted.

mod wire;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use handfast_keys::canonical::{self, DecodeError};
use handfast_keys::{Timestamp, WriterPublic};

use crate::field::{FieldName, Fields};
use crate::mutation::{Change, Dot, Mutation, Op};
use crate::register::{Entry, Register};

/// The state of one record.
///
/// It is a function of the *set* of mutations that were applied: neither their order nor
/// repetitions matter (unless [`prune`](Self::prune) was called, whose contract see). The default
/// is the state of a record that does not exist.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RecordState {
    fields: BTreeMap<FieldName, Register>,
    /// What each standing deletion had seen.
    seen: BTreeMap<Dot, Vec<Dot>>,
}

impl RecordState {
    /// The largest row, in bytes, that is decoded.
    pub const MAX: usize = 12 * 1024 * 1024;

    /// The state of a record that one mutation created: the same as applying it to nothing.
    pub fn created(dot: Dot, timestamp: Timestamp, fields: Fields) -> Self {
        let fields = fields
            .into_iter()
            .map(|(name, value)| (name, Register::written(Entry { dot, timestamp, value })))
            .collect();
        Self { fields, seen: BTreeMap::new() }
    }

    /// The row of a record that one mutation created: what [`created`](Self::created) encodes to,
    /// without making the state.
    pub fn created_row(dot: Dot, timestamp: Timestamp, fields: &Fields) -> Vec<u8> {
        canonical::encode(&wire::Created { dot, timestamp, fields })
    }

    /// Makes the state from all the mutations of a record, in any order.
    pub fn replay<'a>(
        mutations: impl IntoIterator<Item = (&'a WriterPublic, &'a Mutation)>,
    ) -> Self {
        let mut state = Self::default();
        for (writer, mutation) in mutations {
            state.apply(writer, mutation);
        }
        state
    }

    /// Takes in a mutation of this record; tells whether anything changed.
    pub fn apply(&mut self, writer: &WriterPublic, mutation: &Mutation) -> bool {
        let dot = Dot { writer: *writer, id: mutation.id() };
        let timestamp = mutation.timestamp();
        let mut changed = false;
        match mutation.op() {
            Op::Create { fields } => {
                for (field, value) in fields.iter() {
                    let entry = Entry { dot, timestamp, value: value.clone() };
                    changed |= self.write(field, &entry, &[]);
                }
            }
            Op::Update { changes, seen } => {
                for Change { field, value, supersedes } in changes {
                    let entry = Entry { dot, timestamp, value: value.clone() };
                    changed |= self.write(field, &entry, supersedes);
                }
                if let Some(seen) = seen {
                    self.seen.insert(dot, seen.clone());
                }
                self.forget_replaced_deletions();
            }
        }
        changed
    }

    /// Forgets the replaced dots that `applied` confirms, to keep the row small.
    ///
    /// The caller answers for it that a mutation that it confirms will never be applied again:
    /// that it applies every log in order and each mutation once, and confirms the dots of a log
    /// up to the last mutation that it has *finished* applying. While a segment is being applied
    /// its own dots are not confirmed; prune after it. Two states that took in the same logs and
    /// were pruned by them are equal.
    pub fn prune(&mut self, applied: impl Fn(&Dot) -> bool) {
        self.fields.retain(|_, register| {
            register.prune(&applied);
            !register.entries().is_empty() || !register.superseded().is_empty()
        });
    }

    /// The registers of its fields by name, the deletion's among them.
    pub fn registers(&self) -> impl Iterator<Item = (&FieldName, &Register)> {
        self.fields.iter()
    }

    /// The register of a field, if anything is known of it.
    pub fn field(&self, name: &str) -> Option<&Register> {
        self.fields.get(name)
    }

    /// The time that a mutation made `now` should carry: never earlier than what it follows.
    pub fn next_timestamp(&self, now: Timestamp) -> Timestamp {
        let entries = self.fields.values().flat_map(Register::entries);
        let newest = entries.map(|entry| entry.timestamp.0.saturating_add(1)).max().unwrap_or(0);
        Timestamp(now.0.max(newest).min(Mutation::MAX_NUMBER))
    }

    /// The row that a store keeps.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Reads a row.
    pub fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        canonical::decode(row, Self::MAX)
    }

    /// Tells whether no replaced dots are remembered.
    pub(crate) fn is_settled(&self) -> bool {
        self.fields.values().all(|register| register.superseded().is_empty())
    }

    /// The row without the replaced dots that are remembered: what two stores agree on even if
    /// one of them has pruned and the other has not.
    pub(crate) fn encode_settled(&self) -> Vec<u8> {
        canonical::encode(&wire::Settled(self))
    }

    /// What each standing deletion had seen.
    pub(crate) fn seen(&self) -> &BTreeMap<Dot, Vec<Dot>> {
        &self.seen
    }

    fn write(&mut self, field: &FieldName, entry: &Entry, supersedes: &[Dot]) -> bool {
        if let Some(register) = self.fields.get_mut(field) {
            return register.apply(entry, supersedes);
        }
        let mut register = Register::default();
        let changed = register.apply(entry, supersedes);
        self.fields.insert(field.clone(), register);
        changed
    }

    /// What a deletion had seen matters only as long as it stands.
    fn forget_replaced_deletions(&mut self) {
        let deletion = self.fields.get(&FieldName::deletion());
        self.seen.retain(|dot, _| {
            deletion.is_some_and(|register| register.dots().any(|standing| standing == *dot))
        });
    }
}
