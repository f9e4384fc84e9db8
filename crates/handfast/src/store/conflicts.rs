//! The records that somebody must decide about.

use handfast_ledger::{Namespace, RecordId, RecordState};
use rusqlite::Connection;

use super::records::{self, Rows};
use super::sql;
use crate::error::{Error, Result};

/// The records in conflict, by collection and id.
pub fn all(connection: &Connection) -> Result<Vec<(Namespace, RecordId, RecordState)>> {
    let mut found = Vec::new();
    for (collection, namespace) in records::collections(connection)? {
        let table = Rows::shown(connection, collection)?.table();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT id, state FROM {table} WHERE collection = ?1 AND conflicts > 0 ORDER BY id"
        ))?;
        let mut rows = statement.query([collection])?;
        while let Some(row) = rows.next()? {
            let id = RecordId::from_bytes(sql::array(&row.get::<_, Vec<u8>>(0)?, "record")?);
            let state = RecordState::decode(&row.get::<_, Vec<u8>>(1)?)
                .map_err(|_| Error::Damaged("record"))?;
            found.push((namespace.clone(), id, state));
        }
    }
    Ok(found)
}
