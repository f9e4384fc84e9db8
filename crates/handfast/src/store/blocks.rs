//! Blocks that this device keeps for its peers.

use handfast_ipfs::{Block, Cid};
use rusqlite::{Connection, OptionalExtension};

use crate::error::Result;

/// Keeps blocks.
pub fn put(connection: &Connection, blocks: &[Block]) -> Result<()> {
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO block (cid, bytes) VALUES (?1, ?2)")?;
    let mut kept = connection.prepare_cached(
        "INSERT INTO kept (cid) VALUES (?1) ON CONFLICT DO UPDATE SET unlisted = NULL",
    )?;
    for block in blocks {
        let cid = block.cid().to_bytes();
        statement.execute(rusqlite::params![cid, block.bytes()])?;
        kept.execute([cid])?;
    }
    Ok(())
}

/// A block, if it is kept.
pub fn get(connection: &Connection, cid: &Cid) -> Result<Option<Vec<u8>>> {
    Ok(connection
        .prepare_cached("SELECT bytes FROM block WHERE cid = ?1")?
        .query_row([cid.to_bytes()], |row| row.get(0))
        .optional()?)
}

/// Whether a block is kept.
pub fn contains(connection: &Connection, cid: &Cid) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM block WHERE cid = ?1")?.exists([cid.to_bytes()])?)
}

/// Keeps a block no longer.
pub fn remove(connection: &Connection, cid: &Cid) -> Result<()> {
    for table in ["block", "kept"] {
        connection
            .prepare_cached(&format!("DELETE FROM {table} WHERE cid = ?1"))?
            .execute([cid.to_bytes()])?;
    }
    Ok(())
}
