//! Edits of records, on this device: in its log, where there is one.

use std::collections::BTreeMap;

use handfast_keys::{Timestamp, WriterPublic};
use handfast_ledger::{Author, EditError, Fields, Namespace, Op, RecordId, RecordState};
use handfast_ring::DeviceKeys;
use rusqlite::Connection;

use super::logs::{self, Log};
use super::records::{self, Rows, is_applied};
use super::{meta, solo};
use crate::error::{Error, Result};

/// An edit of one record, for an [`Editor`].
pub enum Edit {
    /// Create it, or change these of its fields.
    Put(Fields),
    /// Delete it.
    Delete,
    /// Bring it back, or keep it where its deletion is in conflict.
    Restore,
    /// Resolve the conflict of a field.
    Resolve(String, OwnedPick),
}

/// Which value of a conflict to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedPick {
    /// This device's.
    Mine,
    /// The other device's.
    Theirs,
    /// The one that this mutation wrote.
    Dot(handfast_ledger::Dot),
    /// The one that reads return.
    Favourite,
    /// Another one.
    Value(handfast_ledger::Value),
}

/// Edits records of one collection, in the transaction of the caller, in which nobody else does.
pub struct Editor<'a> {
    connection: &'a Connection,
    keys: &'a DeviceKeys,
    collection: i64,
    /// What is written to; none before the first pairing.
    log: Option<OwnLog>,
}

/// The log that this device writes in a collection, and how far all its logs are.
struct OwnLog {
    log: Log,
    ends: BTreeMap<WriterPublic, u64>,
    shown: Rows,
}

impl<'a> Editor<'a> {
    /// Of a collection, which comes into being if there is none.
    pub fn open(
        connection: &'a Connection,
        keys: &'a DeviceKeys,
        namespace: &Namespace,
    ) -> Result<Editor<'a>> {
        let collection = records::collection(connection, namespace)?;
        let sealed = meta::SEALED.find(connection)?.unwrap_or(false);
        let own = || -> Result<OwnLog> {
            Ok(OwnLog {
                log: logs::own(connection, keys, namespace)?,
                ends: logs::ends(connection, collection)?,
                shown: Rows::shown(connection, collection)?,
            })
        };
        let log = sealed.then(own).transpose()?;
        Ok(Editor { connection, keys, collection, log })
    }

    /// Creates a record from the canonical JSON of its fields, which can be sealed one day, if this
    /// device was never paired and has no such record. Tells whether that is so.
    pub fn create_solo(&self, id: &RecordId, fields: &str, now: Timestamp) -> Result<bool> {
        match self.log {
            Some(_) => Ok(false),
            None => solo::create(self.connection, self.collection, id, fields, now),
        }
    }

    /// Edits a record. Tells whether anything changed.
    pub fn edit(&mut self, id: &RecordId, edit: Edit, now: Timestamp) -> Result<bool> {
        let (connection, collection) = (self.connection, self.collection);
        let Some(OwnLog { log, ends, shown }) = &mut self.log else {
            return solo::edit(connection, collection, id, edit, now);
        };
        let Some(secret) = &log.secret else { return Err(Error::Damaged("log")) };
        let existing = records::state(connection, *shown, collection, id)?;
        let op = match (&existing, edit) {
            (existing, Edit::Put(fields)) => handfast_ledger::create(existing.as_ref(), fields)?,
            (None, _) => None,
            (Some(state), Edit::Delete) => state.delete()?,
            (Some(state), Edit::Restore) => state.restore()?,
            (Some(state), Edit::Resolve(field, pick)) => {
                Some(resolve(connection, collection, self.keys, state, &field, pick)?)
            }
        };
        let Some(op) = op else { return Ok(false) };
        let mut state = existing.unwrap_or_default();
        let mut author = Author::new(&log.log.namespace, secret, Some(log.end));
        let entry = author.append(*id, state.next_timestamp(now), op)?;
        logs::append(connection, log.id, &entry)?;
        logs::set_end(connection, log.id, author.position())?;
        log.end = author.position();
        ends.insert(log.log.writer, log.end.id);
        state.apply(&log.log.writer, &entry.mutation);
        if *shown == Rows::Provisional {
            records::set_state(connection, *shown, collection, id, &state)?;
            state = records::state(connection, Rows::Replayed, collection, id)?.unwrap_or_default();
            state.apply(&log.log.writer, &entry.mutation);
        }
        state.prune(|dot| is_applied(ends, dot));
        records::set_state(connection, Rows::Replayed, collection, id, &state)?;
        Ok(true)
    }
}

fn resolve(
    connection: &Connection,
    collection: i64,
    keys: &DeviceKeys,
    state: &RecordState,
    field: &str,
    pick: OwnedPick,
) -> Result<Op, Error> {
    use handfast_ledger::Pick;
    let own = keys.device_id();
    let mine: Vec<WriterPublic> = logs::of_collection(connection, collection)?
        .into_iter()
        .filter(|log| log.device == own)
        .map(|log| log.log.writer)
        .collect();
    let pick = match pick {
        OwnedPick::Mine => Pick::Mine(&mine),
        OwnedPick::Theirs => Pick::Theirs(&mine),
        OwnedPick::Dot(dot) => Pick::Dot(dot),
        OwnedPick::Favourite => Pick::Favourite,
        OwnedPick::Value(value) => Pick::Value(value),
    };
    state.resolve(field, pick).map_err(|error: EditError| error.into())
}
