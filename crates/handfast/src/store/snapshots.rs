//! The snapshots of its collections that this device publishes, for newcomers to begin with.
//!
//! A snapshot is made anew when enough was written since the last one, so that making them costs a
//! constant factor of what is written. Its chunks are kept here until they are uploaded, one by one.

use handfast_ipfs::{Block, Cid};
use handfast_keys::ContentKey;
use handfast_ledger::{Included, Namespace, Sealed, Snapshot, SnapshotError, SnapshotWriter};
use handfast_ring::DeviceKeys;
use rusqlite::{Connection, params};
use serde_bytes::ByteBuf;

use super::logs::{self, Log};
use super::records::{self, Rows};
use super::sql;
use crate::error::{Error, Result};
use crate::feed::{Database, SnapshotRef};

/// How many mutations are worth a snapshot: what is less is replayed in a moment.
pub const WORTH: u64 = 10_000;

/// Makes the snapshots anew that have become old. Tells whether there were any.
pub fn renew(connection: &Connection, keys: &DeviceKeys) -> Result<bool> {
    let mut renewed = false;
    for (collection, namespace) in records::collections(connection)? {
        let logs = logs::of_collection(connection, collection)?;
        if is_due(connection, collection, &logs)? {
            make(connection, keys, collection, &namespace, &logs)?;
            renewed = true;
        }
    }
    Ok(renewed)
}

/// Whether enough was written since the last snapshot. There is none of what a peer's snapshot
/// says, of logs that nobody has signed to their end yet, or that contradict themselves.
fn is_due(connection: &Connection, collection: i64, logs: &[Log]) -> Result<bool> {
    let written: u64 = logs.iter().map(|log| log.end.id).sum();
    let included: u64 = match find(connection, collection)? {
        Some(snapshot) => snapshot.logs().iter().map(|log| log.id).sum(),
        None => 0,
    };
    let signed = |log: &Log| {
        log.fork.is_none() && log.tip.as_ref().map_or(0, |tip| tip.position.id) >= log.end.id
    };
    Ok(written.saturating_sub(included) >= WORTH.max(included / 4)
        && logs.iter().all(signed)
        && Rows::shown(connection, collection)? == Rows::Replayed)
}

fn make(
    connection: &Connection,
    keys: &DeviceKeys,
    collection: i64,
    namespace: &Namespace,
    logs: &[Log],
) -> Result<()> {
    remove(connection, collection)?;
    let included = logs
        .iter()
        .filter(|log| log.end.id > 0)
        .filter_map(|log| log.tip.clone().map(|tip| Included { tip, id: log.end.id }));
    let mut writer = SnapshotWriter::new(namespace, included.collect());
    let mut number = 0;
    let mut too_large = false;
    let mut keep = |body: Vec<u8>| {
        number += 1;
        add_chunk(connection, collection, number, Sealed::new(body, &mut rand::rng()))
    };
    records::every(connection, collection, |id, state| {
        match writer.push(id, &state) {
            Ok(Some(body)) if !too_large => keep(body)?,
            Ok(_) => (),
            // A collection with such a record has no snapshot; its segments say everything.
            Err(SnapshotError::TooLarge(_)) => too_large = true,
            Err(_) => return Err(Error::Damaged("record")),
        }
        Ok(())
    })?;
    let (last, snapshot) = writer.finish(&keys.auth);
    if too_large {
        return remove(connection, collection);
    }
    last.map(keep).transpose()?;
    connection.execute(
        "INSERT INTO snapshot (collection, head) VALUES (?1, ?2)",
        params![collection, snapshot.encode()],
    )?;
    Ok(())
}

fn remove(connection: &Connection, collection: i64) -> Result<()> {
    connection.execute("DELETE FROM snapshot WHERE collection = ?1", [collection])?;
    connection.execute("DELETE FROM chunk WHERE collection = ?1", [collection])?;
    Ok(())
}

/// Forgets all snapshots: nothing of them is at the provider, which is another one now.
pub fn forget(connection: &Connection) -> Result<()> {
    connection.execute("DELETE FROM snapshot", [])?;
    connection.execute("DELETE FROM chunk", [])?;
    Ok(())
}

fn find(connection: &Connection, collection: i64) -> Result<Option<Snapshot>> {
    let mut statement =
        connection.prepare_cached("SELECT head FROM snapshot WHERE collection = ?1")?;
    let mut rows = statement.query([collection])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let head: Vec<u8> = row.get(0)?;
    Snapshot::decode(&head).map(Some).map_err(|_| Error::Damaged("snapshot"))
}

/// What is published of them.
pub fn database(connection: &Connection) -> Result<Database> {
    let mut heads =
        connection.prepare_cached("SELECT collection, head FROM snapshot ORDER BY 1")?;
    let mut chunks = connection
        .prepare_cached("SELECT key, cids FROM chunk WHERE collection = ?1 ORDER BY number")?;
    let mut database = Database::default();
    let mut rows = heads.query([])?;
    while let Some(row) = rows.next()? {
        let (collection, head): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let mut rows = chunks.query([collection])?;
        let mut refs = Vec::new();
        while let Some(row) = rows.next()? {
            let key = sql::decode(&row.get::<_, Vec<u8>>(0)?, "chunk")?;
            refs.push((key, sql::decode(&row.get::<_, Vec<u8>>(1)?, "chunk")?));
        }
        database.snapshots.push(SnapshotRef { head: ByteBuf::from(head), chunks: refs });
    }
    Ok(database)
}

/// A chunk that is not at the provider yet.
pub struct Chunk {
    collection: i64,
    number: i64,
    sealed: Sealed,
}

impl Chunk {
    /// Its blocks, to be uploaded.
    pub fn blocks(&self) -> Result<Vec<Block>> {
        let blocks = self.sealed.blocks().into_iter();
        blocks.map(|bytes| Block::new(bytes).map_err(|_| Error::Damaged("chunk"))).collect()
    }
}

fn add_chunk(connection: &Connection, collection: i64, number: i64, sealed: Sealed) -> Result<()> {
    let cids: Vec<Cid> = sealed.blocks().iter().map(|block| Cid::of(block)).collect();
    connection
        .prepare_cached(
            "INSERT INTO chunk (collection, number, key, cids, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            collection,
            number,
            sql::encode(sealed.key()),
            sql::encode(&cids),
            sealed.body()
        ])?;
    Ok(())
}

/// The next chunk that is not at the provider yet.
pub fn to_upload(connection: &Connection) -> Result<Option<Chunk>> {
    let mut statement = connection.prepare_cached(
        "SELECT collection, number, key, body FROM chunk WHERE body IS NOT NULL LIMIT 1",
    )?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let key: ContentKey = sql::decode(&row.get::<_, Vec<u8>>(2)?, "chunk")?;
    let sealed = Sealed::restore(key, row.get(3)?);
    Ok(Some(Chunk { collection: row.get(0)?, number: row.get(1)?, sealed }))
}

/// How many chunks are not at the provider yet.
pub fn count_to_upload(connection: &Connection) -> Result<u64> {
    let count =
        connection
            .query_row("SELECT count(*) FROM chunk WHERE body IS NOT NULL", [], |row| row.get(0))?;
    Ok(sql::unsigned(count))
}

/// Notes that a chunk's blocks are at the provider.
pub fn set_uploaded(connection: &Connection, chunk: &Chunk) -> Result<()> {
    connection.execute(
        "UPDATE chunk SET body = NULL WHERE collection = ?1 AND number = ?2",
        params![chunk.collection, chunk.number],
    )?;
    Ok(())
}
