//! Records of a device that was never paired, and how they become mutations.

use handfast_keys::Timestamp;
use handfast_ledger::{
    EditError, Fields, Mutation, Position, RecordId, Sealed, SealedBatch, Sealer, SoloRecord,
};
use handfast_ring::DeviceKeys;
use rusqlite::{Connection, OptionalExtension, params};

use super::edits::Edit;
use super::records::{self, Rows};
use super::{cuts, logs, meta, sql};
use crate::error::{Error, Result};

/// A record and when it was last changed.
pub fn get(
    connection: &Connection,
    collection: i64,
    id: &RecordId,
) -> Result<Option<(Timestamp, Fields)>> {
    let found: Option<(i64, String)> = connection
        .prepare_cached("SELECT timestamp, fields FROM solo WHERE collection = ?1 AND id = ?2")?
        .query_row(params![collection, id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found
        .map(|(timestamp, fields)| Ok((Timestamp(sql::unsigned(timestamp)), parse(&fields)?)))
        .transpose()
}

/// Calls `each` with the records of a collection, sorted by id, from behind `after` on, until it
/// says no.
pub fn each(
    connection: &Connection,
    collection: i64,
    after: Option<&RecordId>,
    mut each: impl FnMut(SoloRecord) -> Result<bool>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT id, timestamp, fields FROM solo WHERE collection = ?1 AND id > ?2 ORDER BY id",
    )?;
    let after: &[u8] = after.map_or(&[], |after| after.as_bytes());
    let mut rows = statement.query(params![collection, after])?;
    while let Some(row) = rows.next()? {
        let record = SoloRecord {
            record: RecordId::from_bytes(sql::array(&row.get::<_, Vec<u8>>(0)?, "solo")?),
            timestamp: Timestamp(sql::unsigned(row.get(1)?)),
            fields: parse(row.get_ref(2)?.as_str().map_err(|_| Error::Damaged("solo"))?)?,
        };
        if !each(record)? {
            break;
        }
    }
    Ok(())
}

/// Edits a record of a device that was never paired: without history.
pub fn edit(
    connection: &Connection,
    collection: i64,
    id: &RecordId,
    edit: Edit,
    now: Timestamp,
) -> Result<bool> {
    let existing = get(connection, collection, id)?;
    match (edit, existing) {
        (Edit::Put(fields), None) => {
            put(connection, collection, id, now, &fields)?;
            Ok(true)
        }
        (Edit::Put(changes), Some((_, before))) => {
            let mut fields = before.clone();
            for (name, value) in changes {
                fields.insert(name, value)?;
            }
            let changed = fields != before;
            if changed {
                put(connection, collection, id, now, &fields)?;
            }
            Ok(changed)
        }
        (Edit::Delete, existing) => {
            connection.execute(
                "DELETE FROM solo WHERE collection = ?1 AND id = ?2",
                params![collection, id.as_bytes()],
            )?;
            Ok(existing.is_some())
        }
        (Edit::Restore, _) => Ok(false),
        (Edit::Resolve(field, _), _) => Err(EditError::NoConflict { field }.into()),
    }
}

/// Creates a record, if there is none, from fields that can be sealed one day. Tells whether there
/// was none.
pub fn create(
    connection: &Connection,
    collection: i64,
    id: &RecordId,
    fields: &str,
    now: Timestamp,
) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO solo (collection, id, timestamp, fields) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT DO NOTHING",
    )?;
    let written =
        statement.execute(params![collection, id.as_bytes(), sql::signed(now.0), fields])?;
    Ok(written > 0)
}

/// Writes a record, if it can be sealed one day.
fn put(
    connection: &Connection,
    collection: i64,
    id: &RecordId,
    now: Timestamp,
    fields: &Fields,
) -> Result<()> {
    Mutation::can_create(fields)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO solo (collection, id, timestamp, fields) \
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![collection, id.as_bytes(), sql::signed(now.0), fields.to_text()])?;
    Ok(())
}

/// Seals every solo record, in the transaction of the caller: all or nothing, once per device.
/// Reports how many are done.
pub fn seal(
    connection: &Connection,
    keys: &DeviceKeys,
    mut progress: impl FnMut(u64, u64),
) -> Result<()> {
    if meta::SEALED.find(connection)?.unwrap_or(false) {
        return Ok(());
    }
    let total = records::count_all(connection)?;
    let mut done = 0;
    for (collection, namespace) in records::collections(connection)? {
        if records::count(connection, collection)?.0 == 0 {
            continue;
        }
        let log = logs::own(connection, keys, &namespace)?;
        let Some(secret) = &log.secret else { return Err(Error::Damaged("log")) };
        let mut sealer = Sealer::new(&namespace, secret, Some(log.end));
        let mut store = |batch: SealedBatch| {
            done += batch.rows.len() as u64;
            store_batch(connection, collection, log.id, batch)?;
            progress(done, total);
            Ok::<_, Error>(())
        };
        each(connection, collection, None, |solo| {
            if let Some(batch) = sealer.push(solo)? {
                store(batch)?;
            }
            Ok(true)
        })?;
        if let Some(batch) = sealer.finish()? {
            store(batch)?;
        }
        logs::set_end(connection, log.id, sealer.position())?;
        connection.execute("DELETE FROM solo WHERE collection = ?1", [collection])?;
    }
    meta::SEALED.set(connection, &true)
}

fn store_batch(
    connection: &Connection,
    collection: i64,
    log: i64,
    batch: SealedBatch,
) -> Result<()> {
    let SealedBatch { segment, rows } = batch;
    let before = segment.first().saturating_sub(1);
    let mut position = Position { id: before, hash: segment.before() };
    for (row, mutation) in rows.iter().zip(segment.mutations()) {
        position = position.next(mutation);
        logs::append_raw(connection, log, position.id, position.hash, mutation)?;
        records::store(connection, Rows::Replayed, collection, &row.record, &row.state, true, 0)?;
    }
    logs::set_tip(connection, log, segment.tip())?;
    let sealed = Sealed::new(segment.to_body(), &mut rand::rng());
    cuts::add_own(connection, log, &segment, &sealed)
}

fn parse(fields: &str) -> Result<Fields> {
    Fields::parse(fields).map_err(|_| Error::Damaged("solo"))
}
