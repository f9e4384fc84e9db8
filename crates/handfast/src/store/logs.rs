//! Logs and what is in them.

use std::collections::BTreeMap;

use handfast_keys::{WriterPublic, WriterSecret};
use handfast_ledger::{ChainHash, LogEntry, LogId, Namespace, Position, Tip};
use handfast_ring::{DeviceId, DeviceKeys, WriterCertificate};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{meta, records, sql};
use crate::error::{Error, Result};

/// One log.
#[derive(Debug, Clone)]
pub struct Log {
    pub id: i64,
    pub collection: i64,
    pub log: LogId,
    pub device: DeviceId,
    pub certificate: WriterCertificate,
    /// The writer's secret, while this device writes it.
    pub secret: Option<WriterSecret>,
    /// Where it ends.
    pub end: Position,
    /// The latest tip that its writer signed; behind `end` where this device has edited since.
    pub tip: Option<Tip>,
    /// The fork that counts, encoded, if the log contradicts itself.
    pub fork: Option<Vec<u8>>,
}

const COLUMNS: &str = "log.id, log.collection, collection.name, log.writer, log.device, \
    log.certificate, log.secret, log.last, log.hash, log.tip, log.fork";

/// All logs, in a stable order.
pub fn all(connection: &Connection) -> Result<Vec<Log>> {
    query(connection, "ORDER BY collection.name, log.writer", [])
}

/// The logs of one collection.
pub fn of_collection(connection: &Connection, collection: i64) -> Result<Vec<Log>> {
    query(connection, "WHERE log.collection = ?1 ORDER BY log.writer", [collection])
}

/// One log.
pub fn find(connection: &Connection, log: &LogId) -> Result<Option<Log>> {
    let found = query(
        connection,
        "WHERE collection.name = ?1 AND log.writer = ?2",
        params![log.namespace.as_str(), log.writer.as_ref()],
    )?;
    Ok(found.into_iter().next())
}

/// How far each writer's log of a collection is.
pub fn ends(connection: &Connection, collection: i64) -> Result<BTreeMap<WriterPublic, u64>> {
    let logs = of_collection(connection, collection)?;
    Ok(logs.into_iter().map(|log| (log.log.writer, log.end.id)).collect())
}

/// The log that this device writes in a collection; begun if there is none.
pub fn own(connection: &Connection, keys: &DeviceKeys, namespace: &Namespace) -> Result<Log> {
    let own = query(
        connection,
        "WHERE collection.name = ?1 AND log.secret IS NOT NULL",
        [namespace.as_str()],
    )?;
    if let Some(log) = own.into_iter().next() {
        return Ok(log);
    }
    let secret = WriterSecret::generate(&mut rand::rng());
    let incarnation = meta::INCARNATION.get(connection)?;
    let certificate = WriterCertificate::sign(keys, &secret, namespace.as_str(), incarnation);
    let log = begin(connection, &certificate)?;
    connection
        .execute("UPDATE log SET secret = ?2 WHERE id = ?1", params![log.id, secret.seed()])?;
    Ok(Log { secret: Some(secret), ..log })
}

/// Enters a log that somebody writes. Its certificate was verified.
pub fn begin(connection: &Connection, certificate: &WriterCertificate) -> Result<Log> {
    let namespace = Namespace::new(certificate.namespace())?;
    let collection = records::collection(connection, &namespace)?;
    let log = LogId { namespace, writer: certificate.writer() };
    let end = log.start();
    connection.execute(
        "INSERT INTO log (collection, writer, device, certificate, last, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            collection,
            log.writer.as_ref(),
            certificate.device().as_ref(),
            sql::encode(certificate),
            sql::signed(end.id),
            end.hash.as_ref(),
        ],
    )?;
    Ok(Log {
        id: connection.last_insert_rowid(),
        collection,
        log,
        device: certificate.device(),
        certificate: certificate.clone(),
        secret: None,
        end,
        tip: None,
        fork: None,
    })
}

/// Gives up every writer key: from the next edit on the device writes new logs.
pub fn retire_own(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE log SET secret = NULL", [])?;
    Ok(())
}

/// Notes where a log ends now.
pub fn set_end(connection: &Connection, log: i64, end: Position) -> Result<()> {
    connection
        .prepare_cached("UPDATE log SET last = ?2, hash = ?3 WHERE id = ?1")?
        .execute(params![log, sql::signed(end.id), end.hash.as_ref()])?;
    Ok(())
}

/// Notes the latest tip of a log.
pub fn set_tip(connection: &Connection, log: i64, tip: &Tip) -> Result<()> {
    connection
        .prepare_cached("UPDATE log SET tip = ?2 WHERE id = ?1")?
        .execute(params![log, sql::encode(tip)])?;
    Ok(())
}

/// Adds a mutation at the end of a log.
pub fn append(connection: &Connection, log: i64, entry: &LogEntry) -> Result<()> {
    append_raw(connection, log, entry.mutation.id(), entry.hash, &entry.bytes)
}

/// The same, of a mutation that is known by its bytes.
pub fn append_raw(
    connection: &Connection,
    log: i64,
    id: u64,
    hash: ChainHash,
    bytes: &[u8],
) -> Result<()> {
    connection
        .prepare_cached("INSERT INTO mutation (log, id, hash, bytes) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![log, sql::signed(id), hash.as_ref(), bytes])?;
    Ok(())
}

/// The hash of a log at an id that it has.
pub fn hash_at(connection: &Connection, log: &Log, id: u64) -> Result<Option<ChainHash>> {
    if id == 0 {
        return Ok(Some(log.log.start().hash));
    }
    let hash: Option<Vec<u8>> = connection
        .prepare_cached("SELECT hash FROM mutation WHERE log = ?1 AND id = ?2")?
        .query_row(params![log.id, sql::signed(id)], |row| row.get(0))
        .optional()?;
    hash.map(|hash| sql::array(&hash, "mutation").map(ChainHash::from_bytes)).transpose()
}

/// The bytes of the mutations from `first` to `last`.
pub fn mutations(connection: &Connection, log: i64, first: u64, last: u64) -> Result<Vec<Vec<u8>>> {
    let mut statement = connection.prepare_cached(
        "SELECT bytes FROM mutation WHERE log = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id",
    )?;
    let rows = statement
        .query_map(params![log, sql::signed(first), sql::signed(last)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn query(
    connection: &Connection,
    condition: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Log>> {
    let text = format!(
        "SELECT {COLUMNS} FROM log JOIN collection ON collection.id = log.collection {condition}"
    );
    let mut statement = connection.prepare_cached(&text)?;
    let mut rows = statement.query(params)?;
    let mut logs = Vec::new();
    while let Some(row) = rows.next()? {
        logs.push(read(row)?);
    }
    Ok(logs)
}

fn read(row: &Row<'_>) -> Result<Log> {
    let blob = |index| row.get_ref(index)?.as_blob().map_err(|_| Error::Damaged("log"));
    let optional = |index| -> Result<Option<Vec<u8>>> { Ok(row.get(index)?) };
    let namespace = Namespace::new(&row.get::<_, String>(2)?)?;
    let writer = WriterPublic::from_bytes(sql::array(blob(3)?, "log")?);
    let secret = optional(6)?.map(|seed| sql::array(&seed, "log").map(WriterSecret::from_seed));
    let hash = ChainHash::from_bytes(sql::array(blob(8)?, "log")?);
    Ok(Log {
        id: row.get(0)?,
        collection: row.get(1)?,
        log: LogId { namespace, writer },
        device: DeviceId::from_bytes(sql::array(blob(4)?, "log")?),
        certificate: sql::decode(blob(5)?, "log")?,
        secret: secret.transpose()?,
        end: Position { id: sql::unsigned(row.get(7)?), hash },
        tip: optional(9)?.map(|tip| sql::decode(&tip, "log")).transpose()?,
        fork: optional(10)?,
    })
}
