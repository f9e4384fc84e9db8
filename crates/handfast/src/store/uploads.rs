//! The blocks that this device has uploaded, and which of them nobody lists any more.

use std::collections::BTreeSet;

use handfast_ipfs::Cid;
use handfast_keys::Timestamp;
use rusqlite::{Connection, params};

use super::sql;
use crate::error::{Error, Result};

/// Notes that blocks were uploaded.
pub fn add(connection: &Connection, cids: impl IntoIterator<Item = Cid>) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO upload (cid) VALUES (?1) ON CONFLICT DO UPDATE SET unlisted = NULL",
    )?;
    for cid in cids {
        statement.execute([cid.to_bytes()])?;
    }
    Ok(())
}

/// Notes which blocks are listed now. Returns those that nobody has listed since `before`.
pub fn note_listed(
    connection: &Connection,
    listed: &BTreeSet<Cid>,
    now: Timestamp,
    before: Timestamp,
) -> Result<Vec<Cid>> {
    let mut statement = connection.prepare("SELECT cid, unlisted FROM upload")?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut due = Vec::new();
    for (bytes, unlisted) in rows {
        let cid = Cid::from_bytes(&bytes).map_err(|_| Error::Damaged("upload"))?;
        let unlisted = match (listed.contains(&cid), unlisted) {
            (true, None) => continue,
            (true, Some(_)) => None,
            (false, None) => Some(sql::signed(now.0)),
            (false, Some(since)) => {
                if sql::unsigned(since) < before.0 {
                    due.push(cid);
                }
                continue;
            }
        };
        connection
            .execute("UPDATE upload SET unlisted = ?2 WHERE cid = ?1", params![bytes, unlisted])?;
    }
    Ok(due)
}

/// Notes that a block was given up.
pub fn remove(connection: &Connection, cid: &Cid) -> Result<()> {
    connection.execute("DELETE FROM upload WHERE cid = ?1", [cid.to_bytes()])?;
    Ok(())
}
