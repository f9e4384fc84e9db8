//! Collections and their records.

use std::collections::BTreeMap;

use handfast_keys::{Timestamp, WriterPublic};
use handfast_ledger::{
    Author, EditError, Fields, Namespace, Op, Policy, RecordId, RecordState, StateHash, StateHasher,
};
use handfast_ring::DeviceKeys;
use rusqlite::{Connection, OptionalExtension, params};

use super::{logs, meta, solo, sql};
use crate::error::{Error, Result};

/// Where states of records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// What the logs say.
    Replayed,
    /// What a peer's snapshot says, until the logs behind it are here: see
    /// [`provisional`](super::provisional).
    Provisional,
}

impl Rows {
    /// The rows that a collection shows.
    pub fn shown(connection: &Connection, collection: i64) -> Result<Rows> {
        let provisional = connection
            .prepare_cached("SELECT 1 FROM provisional WHERE collection = ?1")?
            .exists([collection])?;
        Ok(if provisional { Rows::Provisional } else { Rows::Replayed })
    }

    /// The table that they are in.
    pub const fn table(self) -> &'static str {
        match self {
            Rows::Replayed => "record",
            Rows::Provisional => "provisional_record",
        }
    }
}

/// The number of a collection; it comes into being when it is named first.
pub fn collection(connection: &Connection, namespace: &Namespace) -> Result<i64> {
    if let Some(id) = find_collection(connection, namespace)? {
        return Ok(id);
    }
    connection.execute("INSERT INTO collection (name) VALUES (?1)", [namespace.as_str()])?;
    Ok(connection.last_insert_rowid())
}

/// The number of a collection that there is.
pub fn find_collection(connection: &Connection, namespace: &Namespace) -> Result<Option<i64>> {
    Ok(connection
        .prepare_cached("SELECT id FROM collection WHERE name = ?1")?
        .query_row([namespace.as_str()], |row| row.get(0))
        .optional()?)
}

/// Every collection, by name.
pub fn collections(connection: &Connection) -> Result<Vec<(i64, Namespace)>> {
    let mut statement =
        connection.prepare_cached("SELECT id, name FROM collection ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (id, name) = row?;
        Ok((id, Namespace::new(&name)?))
    })
    .collect()
}

/// How many records a collection shows, and how many of them are in conflict.
pub fn count(connection: &Connection, collection: i64) -> Result<(u64, u64)> {
    let one = |text: &str| -> Result<u64> {
        let count = connection.prepare_cached(text)?.query_row([collection], |row| row.get(0))?;
        Ok(sql::unsigned(count))
    };
    let solo = one("SELECT count(*) FROM solo WHERE collection = ?1")?;
    let table = Rows::shown(connection, collection)?.table();
    let counted = |which| format!("SELECT count(*) FROM {table} WHERE collection = ?1 AND {which}");
    let shared = one(&counted("visible = 1"))?;
    let conflicts = one(&counted("conflicts > 0"))?;
    Ok((solo + shared, conflicts))
}

/// How many records there are in all.
pub fn count_all(connection: &Connection) -> Result<u64> {
    collections(connection)?
        .into_iter()
        .try_fold(0, |sum, (collection, _)| Ok(sum + count(connection, collection)?.0))
}

/// A record's state.
pub fn state(
    connection: &Connection,
    rows: Rows,
    collection: i64,
    id: &RecordId,
) -> Result<Option<RecordState>> {
    let table = rows.table();
    let state: Option<Vec<u8>> = connection
        .prepare_cached(&format!("SELECT state FROM {table} WHERE collection = ?1 AND id = ?2"))?
        .query_row(params![collection, id.as_bytes()], |row| row.get(0))
        .optional()?;
    state.map(|state| RecordState::decode(&state).map_err(|_| Error::Damaged("record"))).transpose()
}

/// Stores a record's state. Tells whether the record is in conflict now.
pub fn set_state(
    connection: &Connection,
    rows: Rows,
    collection: i64,
    id: &RecordId,
    state: &RecordState,
) -> Result<bool> {
    let conflicts = state.conflicts(Policy::Ask).len();
    let visible = state.is_visible(Policy::Ask);
    store(connection, rows, collection, id, &state.encode(), visible, conflicts)?;
    Ok(conflicts > 0)
}

/// Stores a row that was encoded already.
pub fn store(
    connection: &Connection,
    rows: Rows,
    collection: i64,
    id: &RecordId,
    state: &[u8],
    visible: bool,
    conflicts: usize,
) -> Result<()> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO {} (collection, id, state, visible, conflicts) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
             state = excluded.state, visible = excluded.visible, conflicts = excluded.conflicts",
            rows.table()
        ))?
        .execute(params![
            collection,
            id.as_bytes(),
            state,
            visible,
            sql::signed(conflicts as u64)
        ])?;
    Ok(())
}

/// Calls `each` with the visible records of a collection, sorted by id, from behind `after` on,
/// until it says no.
pub fn each(
    connection: &Connection,
    collection: i64,
    after: Option<&RecordId>,
    mut each: impl FnMut(RecordId, RecordState) -> Result<bool>,
) -> Result<()> {
    let table = Rows::shown(connection, collection)?.table();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, state FROM {table} \
         WHERE collection = ?1 AND id > ?2 AND visible = 1 ORDER BY id"
    ))?;
    let after: &[u8] = after.map_or(&[], |after| after.as_bytes());
    let mut rows = statement.query(params![collection, after])?;
    while let Some(row) = rows.next()? {
        let id = RecordId::from_bytes(sql::array(&row.get::<_, Vec<u8>>(0)?, "record")?);
        let state = RecordState::decode(&row.get::<_, Vec<u8>>(1)?)
            .map_err(|_| Error::Damaged("record"))?;
        if !each(id, state)? {
            break;
        }
    }
    Ok(())
}

/// The hash of all records of a collection: equal on devices that have taken in the same logs.
pub fn hash(connection: &Connection, collection: i64, namespace: &Namespace) -> Result<StateHash> {
    let mut hasher = StateHasher::new(namespace);
    every(connection, collection, |id, state| {
        hasher.push(id, &state).map_err(|_| Error::Damaged("record"))
    })?;
    Ok(hasher.finish())
}

/// Calls `each` with every record that a collection shows, deleted ones too, sorted by id.
pub fn every(
    connection: &Connection,
    collection: i64,
    mut each: impl FnMut(RecordId, RecordState) -> Result<()>,
) -> Result<()> {
    let table = Rows::shown(connection, collection)?.table();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, state FROM {table} WHERE collection = ?1 ORDER BY id"
    ))?;
    let mut rows = statement.query([collection])?;
    while let Some(row) = rows.next()? {
        let id = RecordId::from_bytes(sql::array(&row.get::<_, Vec<u8>>(0)?, "record")?);
        let state = RecordState::decode(&row.get::<_, Vec<u8>>(1)?)
            .map_err(|_| Error::Damaged("record"))?;
        each(id, state)?;
    }
    Ok(())
}

/// An edit of one record, for [`edit`].
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

/// Edits a record, in the transaction of the caller. Tells whether anything changed.
pub fn edit(
    connection: &Connection,
    keys: &DeviceKeys,
    namespace: &Namespace,
    id: &RecordId,
    edit: Edit,
    now: Timestamp,
) -> Result<bool> {
    let collection = collection(connection, namespace)?;
    if !meta::SEALED.find(connection)?.unwrap_or(false) {
        return solo::edit(connection, collection, id, edit, now);
    }
    let log = logs::own(connection, keys, namespace)?;
    let Some(secret) = &log.secret else { return Err(Error::Damaged("log")) };
    let shown = Rows::shown(connection, collection)?;
    let existing = state(connection, shown, collection, id)?;
    let op = match (&existing, edit) {
        (existing, Edit::Put(fields)) => handfast_ledger::create(existing.as_ref(), fields)?,
        (None, _) => None,
        (Some(state), Edit::Delete) => state.delete()?,
        (Some(state), Edit::Restore) => state.restore()?,
        (Some(state), Edit::Resolve(field, pick)) => {
            Some(resolve(connection, collection, keys, state, &field, pick)?)
        }
    };
    let Some(op) = op else { return Ok(false) };
    let mut state = existing.unwrap_or_default();
    let mut author = Author::new(namespace, secret, Some(log.end));
    let entry = author.append(*id, state.next_timestamp(now), op)?;
    logs::append(connection, log.id, &entry)?;
    logs::set_end(connection, log.id, author.position())?;
    state.apply(&log.log.writer, &entry.mutation);
    if shown == Rows::Provisional {
        set_state(connection, shown, collection, id, &state)?;
        state = self::state(connection, Rows::Replayed, collection, id)?.unwrap_or_default();
        state.apply(&log.log.writer, &entry.mutation);
    }
    let ends = logs::ends(connection, collection)?;
    state.prune(|dot| is_applied(&ends, dot));
    set_state(connection, Rows::Replayed, collection, id, &state)?;
    Ok(true)
}

/// Whether a log was applied up to this dot.
pub fn is_applied(ends: &BTreeMap<WriterPublic, u64>, dot: &handfast_ledger::Dot) -> bool {
    ends.get(&dot.writer).is_some_and(|last| dot.id <= *last)
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
