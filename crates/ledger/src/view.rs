//! How a record looks: whether it is there, what reads return, and where somebody must decide.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Value as Json};

use crate::field::{FieldName, object_text};
use crate::mutation::Dot;
use crate::register::{Candidate, Entry, Register};
use crate::state::RecordState;
use crate::value::Value;

/// What a collection does about conflicts. It changes how records look and writes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Policy {
    /// Show them until a person has decided.
    #[default]
    Ask,
    /// The favourite is the value, and nobody is asked.
    Latest,
}

/// Something about a record that somebody must decide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conflict<'a> {
    /// A field has values that differ.
    Field {
        /// Which field.
        field: &'a FieldName,
        /// Its values, the favourite first; at least two.
        candidates: Vec<Candidate<'a>>,
    },
    /// The record was deleted by somebody who did not know everything that is in it.
    Deletion {
        /// The standing deletions.
        deletes: Vec<&'a Entry>,
        /// What speaks for keeping the record: values that no deletion had seen, with their
        /// fields, and restorations (in the field `$deleted`).
        keeps: Vec<(&'a FieldName, &'a Entry)>,
    },
}

/// What is said about deleting the record.
struct Deletion<'a> {
    deletes: Vec<&'a Entry>,
    keeps: Vec<(&'a FieldName, &'a Entry)>,
}

impl RecordState {
    /// Tells whether the record is to be shown: unless it is deleted by somebody who knew all
    /// that is in it. Deletion and edit in conflict: shown (and marked) if the person is asked,
    /// else whichever came last.
    pub fn is_visible(&self, policy: Policy) -> bool {
        let Deletion { deletes, keeps } = self.deletion();
        let deleted = deletes.iter().map(|entry| entry.rank()).max();
        let kept = keeps.iter().map(|(_, entry)| entry.rank()).max();
        match policy {
            Policy::Ask => deleted.is_none() || kept.is_some(),
            Policy::Latest => deleted.is_none() || kept > deleted,
        }
    }

    /// What somebody must decide: fields by name, the deletion first. Empty under
    /// [`Policy::Latest`] and for a record that is not visible.
    pub fn conflicts(&self, policy: Policy) -> Vec<Conflict<'_>> {
        if policy == Policy::Latest || !self.is_visible(policy) {
            return Vec::new();
        }
        let mut conflicts = Vec::new();
        let Deletion { deletes, keeps } = self.deletion();
        if !deletes.is_empty() {
            conflicts.push(Conflict::Deletion { deletes, keeps });
        }
        let fields = self.data().filter(|(_, register)| register.is_conflict());
        conflicts.extend(
            fields.map(|(field, register)| Conflict::Field {
                field,
                candidates: register.candidates(),
            }),
        );
        conflicts
    }

    /// The fields and what reads return of them: of each field its favourite.
    pub fn winners(&self) -> impl Iterator<Item = (&FieldName, &Value)> {
        self.data().filter_map(|(field, register)| Some((field, &register.favourite()?.value)))
    }

    /// The [`winners`](Self::winners) as the canonical JSON text of an object.
    pub fn winners_text(&self) -> String {
        object_text(self.winners().map(|(field, value)| (field.as_str(), value)))
    }

    /// The [`winners`](Self::winners) as a tree.
    pub fn winners_json(&self) -> Map<String, Json> {
        self.winners().map(|(field, value)| (field.as_str().into(), value.to_json())).collect()
    }

    /// The fields but for the deletion.
    fn data(&self) -> impl Iterator<Item = (&FieldName, &Register)> {
        self.registers().filter(|(field, _)| !field.is_deletion())
    }

    fn deletion(&self) -> Deletion<'_> {
        let (mut deletes, mut keeps) = (Vec::new(), Vec::new());
        for (field, register) in self.registers().filter(|(field, _)| field.is_deletion()) {
            for entry in register.entries() {
                match entry.value.as_bool() {
                    Some(true) => deletes.push(entry),
                    _ => keeps.push((field, entry)),
                }
            }
        }
        if deletes.is_empty() {
            return Deletion { deletes, keeps: Vec::new() };
        }
        let unseen = |dot: &Dot| self.seen().values().all(|seen| seen.binary_search(dot).is_err());
        for (field, register) in self.data() {
            let entries = register.entries().iter().filter(|entry| unseen(&entry.dot));
            keeps.extend(entries.map(|entry| (field, entry)));
        }
        Deletion { deletes, keeps }
    }
}
