//! Rows of an import, on their way into a collection.
//!
//! Records lie in a B-tree by their ids, and the ids of an import come in any order: written as they
//! come, every row of a large collection would fetch and dirty a page of its own. So all rows are
//! sorted first, outside of any transaction, and then written from one end of the tree to the
//! other. Rows of one record meet there, in the order in which they came.

mod sorter;

use std::mem;

use handfast_keys::Timestamp;
use handfast_ledger::{FieldName, Fields, Namespace, RecordId, Value};
use handfast_ring::DeviceKeys;
use rusqlite::Connection;

use super::edits::{Edit, Editor};
use crate::error::{Error, Result};

pub use sorter::{Row, Sorter};

/// Takes rows in, sorted by record, in the transaction of the caller.
pub struct Importer<'a> {
    editor: Editor<'a>,
    record: Option<RecordId>,
    /// What the rows of that record that were taken in say, together.
    said: Said,
}

enum Said {
    /// What one row says: hardly ever is there another.
    Row(Row),
    Fields(Fields),
}

impl<'a> Importer<'a> {
    /// Into a collection, which comes into being if there is none.
    pub fn open(
        connection: &'a Connection,
        keys: &'a DeviceKeys,
        namespace: &Namespace,
    ) -> Result<Importer<'a>> {
        let editor = Editor::open(connection, keys, namespace)?;
        Ok(Importer { editor, record: None, said: Said::Fields(Fields::new()) })
    }

    /// Takes a row in. Tells whether anything changed.
    ///
    /// # Errors
    ///
    /// [`Error::Repeated`] if an earlier row was about the same record and had another value for a
    /// field. Which of them is right is not ours to guess.
    pub fn put(&mut self, row: Row, now: Timestamp) -> Result<bool> {
        if self.record != Some(row.id) {
            self.record = Some(row.id);
            self.said = Said::Fields(Fields::new());
            if row.can_create && self.editor.create_solo(&row.id, &row.text, now)? {
                self.said = Said::Row(row);
                return Ok(true);
            }
        }
        let (id, fields) = (row.id, row.fields()?);
        let mut said = match &mut self.said {
            Said::Row(row) => row.fields()?,
            Said::Fields(fields) => mem::take(fields),
        };
        let differs = |(name, value): (&FieldName, &Value)| {
            said.get(name.as_str()).is_some_and(|said| said != value)
        };
        let done = if fields.iter().any(differs) {
            Err(Error::Repeated)
        } else {
            self.editor.edit(&id, Edit::Put(fields.clone()), now)
        };
        if done.is_ok() {
            for (name, value) in fields {
                said.insert(name, value)?;
            }
        }
        self.said = Said::Fields(said);
        done
    }
}
