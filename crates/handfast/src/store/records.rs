//! Collections and their records.

use std::collections::BTreeMap;

use handfast_keys::WriterPublic;
use handfast_ledger::{Namespace, Policy, RecordId, RecordState, StateHash, StateHasher};
use rusqlite::{Connection, OptionalExtension, params};

use super::sql;
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

/// How many rows a collection has, those of deleted records too.
pub fn count_rows(connection: &Connection, rows: Rows, collection: i64) -> Result<u64> {
    let table = rows.table();
    let text = format!("SELECT count(*) FROM {table} WHERE collection = ?1");
    let count = connection.prepare_cached(&text)?.query_row([collection], |row| row.get(0))?;
    Ok(sql::unsigned(count))
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

/// Whether a log was applied up to this dot.
pub fn is_applied(ends: &BTreeMap<WriterPublic, u64>, dot: &handfast_ledger::Dot) -> bool {
    ends.get(&dot.writer).is_some_and(|last| dot.id <= *last)
}
