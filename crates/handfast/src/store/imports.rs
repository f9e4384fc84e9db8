//! Rows of an import, on their way into a collection.
//!
//! Which records the import has written is remembered in a temporary table, so that memory stays
//! flat however many rows there are.

use handfast_keys::Timestamp;
use handfast_ledger::{Fields, Namespace, RecordId};
use handfast_ring::DeviceKeys;
use rusqlite::{Connection, params};

use super::records::{self, Edit, Rows};
use super::{meta, solo};
use crate::error::{Error, Result};

/// Begins an import, in the transaction of the caller.
pub fn begin(connection: &Connection) -> Result<()> {
    Ok(connection
        .execute_batch("CREATE TEMP TABLE imported (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID")?)
}

/// Takes a row in. Tells whether anything changed.
///
/// # Errors
///
/// [`Error::Repeated`] if an earlier row was about the same record and this one would replace a
/// value of it. Which of them is right is not ours to guess.
pub fn put(
    connection: &Connection,
    keys: &DeviceKeys,
    namespace: &Namespace,
    id: &RecordId,
    fields: Fields,
    now: Timestamp,
) -> Result<bool> {
    let is_first = connection
        .prepare_cached("INSERT OR IGNORE INTO temp.imported (id) VALUES (?1)")?
        .execute(params![id.as_bytes()])?
        > 0;
    if !is_first && contradicts(connection, namespace, id, &fields)? {
        return Err(Error::Repeated);
    }
    records::edit(connection, keys, namespace, id, Edit::Put(fields), now)
}

/// Forgets which records were written.
pub fn end(connection: &Connection) -> Result<()> {
    Ok(connection.execute_batch("DROP TABLE temp.imported")?)
}

/// Whether a record has other values of some of these fields.
fn contradicts(
    connection: &Connection,
    namespace: &Namespace,
    id: &RecordId,
    fields: &Fields,
) -> Result<bool> {
    let Some(collection) = records::find_collection(connection, namespace)? else {
        return Ok(false);
    };
    let held = if meta::SEALED.find(connection)?.unwrap_or(false) {
        let state =
            records::state(connection, Rows::shown(connection, collection)?, collection, id)?;
        state.map(|state| crate::collection::read(*id, &state).fields)
    } else {
        solo::get(connection, collection, id)?.map(|(_, fields)| fields)
    };
    let differs = |held: &Fields| {
        fields.iter().any(|(name, value)| held.get(name.as_str()).is_some_and(|it| it != value))
    };
    Ok(held.as_ref().is_some_and(differs))
}
