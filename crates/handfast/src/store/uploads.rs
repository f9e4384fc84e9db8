//! The blocks that this device has uploaded.

#[cfg(test)]
use std::collections::BTreeSet;

use handfast_ipfs::Cid;
use rusqlite::Connection;

#[cfg(test)]
use crate::error::Error;
use crate::error::Result;

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

/// Every block that this device has uploaded, or was about to, and has not given up.
#[cfg(test)]
pub fn all(connection: &Connection) -> Result<BTreeSet<Cid>> {
    let mut statement = connection.prepare("SELECT cid FROM upload")?;
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|bytes| Cid::from_bytes(&bytes?).map_err(|_| Error::Damaged("upload"))).collect()
}

/// Notes that a block was given up.
pub fn remove(connection: &Connection, cid: &Cid) -> Result<()> {
    connection.execute("DELETE FROM upload WHERE cid = ?1", [cid.to_bytes()])?;
    Ok(())
}
