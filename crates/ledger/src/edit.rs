//! Local edits: from what a person wants to the operation that says it.
//!
//! Each function looks at the record's present state and returns the operation to
//! [append](crate::log::Author::append) to the device's own log, or `None` where there is nothing
//! to do. The operation names exactly the values that the state shows, so it replaces what its
//! author knew and nothing else.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use handfast_keys::WriterPublic;

use crate::field::{FieldName, Fields};
use crate::mutation::{Change, Dot, Mutation, Op};
use crate::register::{Candidate, Register};
use crate::state::RecordState;
use crate::value::Value;
use crate::view::{Conflict, Policy};

/// Which value of a conflict to keep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pick<'a> {
    /// What one of these writers, this device's own, wrote.
    Mine(&'a [WriterPublic]),
    /// What none of these writers, this device's own, wrote.
    Theirs(&'a [WriterPublic]),
    /// The value that this mutation wrote.
    Dot(Dot),
    /// The one that reads return.
    Favourite,
    /// Another value altogether.
    Value(Value),
}

/// An edit that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The field is the ledger's own; deleting and restoring have functions of their own.
    #[error("the field is reserved")]
    Reserved,
    /// The record would have more than [`Fields::MAX`] fields.
    #[error("a record has at most {max} fields", max = Fields::MAX)]
    TooManyFields,
    /// The record has so many values in conflict that one deletion cannot name them all: resolve
    /// some first.
    #[error("the record has too many values in conflict")]
    TooManyValues,
    /// The field has no conflict.
    #[error("the field {field} has no conflict")]
    NoConflict {
        /// Which field.
        field: String,
    },
    /// None of the field's values is meant.
    #[error("the field has no such value")]
    NoSuchValue,
    /// Several of the field's values could be meant.
    #[error("several values could be meant")]
    Ambiguous,
}

/// Creates a record, or, if the id exists already (`Some`), updates its fields; those that are
/// not in `fields` stay as they are, and a deleted record comes back.
pub fn create(existing: Option<&RecordState>, fields: Fields) -> Result<Option<Op>, EditError> {
    let Some(state) = existing else {
        return Ok(Some(Op::Create { fields }));
    };
    match state.update(fields)? {
        None => state.restore(),
        op => Ok(op),
    }
}

impl RecordState {
    /// Sets a field. Nothing to do if that is its one value already. A deleted record comes back.
    pub fn set(&self, field: FieldName, value: Value) -> Result<Option<Op>, EditError> {
        self.update([(field, value)])
    }

    /// Sets several fields in one mutation; of a field that comes twice the last counts.
    pub fn update(
        &self,
        fields: impl IntoIterator<Item = (FieldName, Value)>,
    ) -> Result<Option<Op>, EditError> {
        let fields: BTreeMap<FieldName, Value> = fields.into_iter().collect();
        let hidden = !self.is_visible(Policy::Ask);
        let mut draft = Draft::new(self);
        let given = !fields.is_empty();
        for (field, value) in fields {
            if field.is_deletion() {
                return Err(EditError::Reserved);
            }
            let register = self.field(field.as_str());
            if register.is_none_or(|register| !holds_only(register, &value)) {
                draft.change(field, value);
            }
        }
        if hidden && given {
            draft.change(FieldName::deletion(), Value::bool(false));
        }
        draft.finish(None)
    }

    /// Deletes the record. Nothing to do if it is deleted. A deletion in conflict with edits is
    /// hereby confirmed.
    pub fn delete(&self) -> Result<Option<Op>, EditError> {
        if !self.is_visible(Policy::Ask) {
            return Ok(None);
        }
        let data = self.registers().filter(|(field, _)| !field.is_deletion());
        let mut seen: Vec<Dot> = data.flat_map(|(_, register)| register.dots()).collect();
        seen.sort_unstable();
        seen.dedup();
        let mut draft = Draft::new(self);
        draft.change(FieldName::deletion(), Value::bool(true));
        if seen.len() > draft.dots_left {
            return Err(EditError::TooManyValues);
        }
        draft.finish(Some(seen))
    }

    /// Restores the record, or keeps it where its deletion is in conflict with edits. Nothing to
    /// do if nobody deleted it.
    pub fn restore(&self) -> Result<Option<Op>, EditError> {
        let contested = self.conflicts(Policy::Ask);
        let contested = contested.iter().any(|c| matches!(c, Conflict::Deletion { .. }));
        if self.is_visible(Policy::Ask) && !contested {
            return Ok(None);
        }
        let mut draft = Draft::new(self);
        draft.change(FieldName::deletion(), Value::bool(false));
        draft.finish(None)
    }

    /// Resolves the conflict of a field: an ordinary update that replaces all of its values.
    pub fn resolve(&self, field: &str, pick: Pick<'_>) -> Result<Op, EditError> {
        let none = || EditError::NoConflict { field: field.into() };
        let (name, register) =
            self.registers().find(|(name, _)| name.as_str() == field).ok_or_else(none)?;
        if name.is_deletion() {
            return Err(EditError::Reserved);
        }
        if !register.is_conflict() {
            return Err(none());
        }
        let value = picked(register, pick)?;
        self.set(name.clone(), value)?.ok_or_else(none)
    }
}

/// Tells whether a field has this value and no other.
fn holds_only(register: &Register, value: &Value) -> bool {
    !register.entries().is_empty() && register.entries().iter().all(|entry| entry.value == *value)
}

/// The one value that is meant.
fn picked(register: &Register, pick: Pick<'_>) -> Result<Value, EditError> {
    let candidates = register.candidates();
    let by_one_of = |writers: &[WriterPublic], candidate: &Candidate<'_>| {
        candidate.dots.iter().any(|dot| writers.contains(&dot.writer))
    };
    let only = |wanted: &dyn Fn(&Candidate<'_>) -> bool| {
        let mut meant = candidates.iter().filter(|candidate| wanted(candidate));
        match (meant.next(), meant.next()) {
            (Some(one), None) => Ok(one.entry.value.clone()),
            (None, _) => Err(EditError::NoSuchValue),
            (Some(_), Some(_)) => Err(EditError::Ambiguous),
        }
    };
    match pick {
        Pick::Mine(writers) => only(&|candidate| by_one_of(writers, candidate)),
        Pick::Theirs(writers) => only(&|candidate| !by_one_of(writers, candidate)),
        Pick::Dot(dot) => only(&|candidate| candidate.dots.contains(&dot)),
        Pick::Favourite => {
            register.favourite().map(|entry| entry.value.clone()).ok_or(EditError::NoSuchValue)
        }
        Pick::Value(value) => Ok(value),
    }
}

/// An update in the making.
struct Draft<'a> {
    state: &'a RecordState,
    changes: Vec<Change>,
    /// How many more dots the mutation may name. If a field has more values than that, which
    /// takes somebody's ill will, the rest stay in conflict until the next edit.
    dots_left: usize,
}

impl<'a> Draft<'a> {
    fn new(state: &'a RecordState) -> Self {
        Self { state, changes: Vec::new(), dots_left: Mutation::MAX_DOTS }
    }

    /// Replaces all values of a field.
    fn change(&mut self, field: FieldName, value: Value) {
        let register = self.state.field(field.as_str());
        let dots = register.into_iter().flat_map(Register::dots);
        let supersedes: Vec<Dot> = dots.take(self.dots_left).collect();
        self.dots_left -= supersedes.len();
        self.changes.push(Change { field, value, supersedes });
    }

    fn finish(mut self, seen: Option<Vec<Dot>>) -> Result<Option<Op>, EditError> {
        let held = self.state.registers().filter(|(field, _)| !field.is_deletion()).count();
        let new = |change: &&Change| {
            !change.field.is_deletion() && self.state.field(change.field.as_str()).is_none()
        };
        let added = self.changes.iter().filter(new).count();
        if added > 0 && held + added > Fields::MAX || self.changes.len() > Fields::MAX {
            return Err(EditError::TooManyFields);
        }
        if self.changes.is_empty() {
            return Ok(None);
        }
        self.changes.sort_by(|a, b| a.field.cmp(&b.field));
        Ok(Some(Op::Update { changes: self.changes, seen }))
    }
}
