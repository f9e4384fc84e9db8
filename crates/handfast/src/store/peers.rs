//! What is remembered of each other device.

use handfast_ipfs::{Cid, Record};
use handfast_keys::Timestamp;
use handfast_ring::{DeviceId, FeedKeys};
use rusqlite::{Connection, OptionalExtension, params};

use super::sql;
use crate::error::Result;
use crate::feed::Archive;

/// What is remembered of one device.
#[derive(Debug, Clone, Default)]
pub struct Peer {
    /// What opens its feed, once it has handed it over.
    pub feed: Option<FeedKeys>,
    /// The highest record that was accepted from it: its sequence, its expiry, its bytes.
    pub accepted: Option<Accepted>,
    /// Whether everything that the accepted record leads to was taken in.
    pub imported: bool,
    /// When news of it came last.
    pub seen: Option<Timestamp>,
}

/// A record that was accepted. None below it will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub sequence: u64,
    pub eol: Timestamp,
    pub record: Vec<u8>,
}

/// What is remembered of a device; nothing, if it is new.
pub fn get(connection: &Connection, device: &DeviceId) -> Result<Peer> {
    type Columns = (Option<Vec<u8>>, Option<i64>, Option<i64>, Option<Vec<u8>>, bool, Option<i64>);
    let found: Option<Columns> = connection
        .prepare_cached(
            "SELECT feed, sequence, eol, record, imported, seen FROM peer WHERE device = ?1",
        )?
        .query_row([device.as_ref()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .optional()?;
    let Some((feed, sequence, eol, record, imported, seen)) = found else {
        return Ok(Peer::default());
    };
    let accepted = match (sequence, eol, record) {
        (Some(sequence), Some(eol), Some(record)) => Some(Accepted {
            sequence: sql::unsigned(sequence),
            eol: Timestamp(sql::unsigned(eol)),
            record,
        }),
        _ => None,
    };
    Ok(Peer {
        feed: feed.map(|feed| sql::decode(&feed, "peer")).transpose()?,
        accepted,
        imported,
        seen: seen.map(|seen| Timestamp(sql::unsigned(seen))),
    })
}

/// Notes the keys that a device has handed over.
pub fn set_feed(connection: &Connection, device: &DeviceId, feed: &FeedKeys) -> Result<()> {
    connection.execute(
        "INSERT INTO peer (device, feed) VALUES (?1, ?2) \
         ON CONFLICT DO UPDATE SET feed = excluded.feed",
        params![device.as_ref(), sql::encode(feed)],
    )?;
    Ok(())
}

/// Notes that a record was accepted, before anything that it leads to is fetched.
pub fn accept(
    connection: &Connection,
    device: &DeviceId,
    record: &Record,
    now: Timestamp,
) -> Result<()> {
    connection.execute(
        "INSERT INTO peer (device, sequence, eol, record, imported, seen) \
         VALUES (?1, ?2, ?3, ?4, 0, ?5) \
         ON CONFLICT DO UPDATE SET sequence = excluded.sequence, eol = excluded.eol, \
         record = excluded.record, imported = 0, seen = excluded.seen",
        params![
            device.as_ref(),
            sql::signed(record.sequence()),
            sql::signed(record.validity().timestamp().0),
            record.as_bytes(),
            sql::signed(now.0),
        ],
    )?;
    Ok(())
}

/// The same, unless a higher one was accepted before.
pub fn accept_if_newer(
    connection: &Connection,
    device: &DeviceId,
    record: &Record,
    now: Timestamp,
) -> Result<()> {
    match get(connection, device)?.accepted {
        Some(known) if known.sequence > record.sequence() => Ok(()),
        _ => accept(connection, device, record, now),
    }
}

/// The blocks of a device's directory and ring that were read last; they are fetched again only
/// when they change.
pub fn parts(connection: &Connection, device: &DeviceId) -> Result<Vec<Cid>> {
    let parts: Option<Option<Vec<u8>>> = connection
        .query_row("SELECT parts FROM peer WHERE device = ?1", [device.as_ref()], |row| row.get(0))
        .optional()?;
    Ok(parts.flatten().map(|parts| sql::decode(&parts, "peer")).transpose()?.unwrap_or_default())
}

/// The archive of a device's feed that was read last, and its blocks: it is fetched again only when
/// these change.
pub fn archive(connection: &Connection, device: &DeviceId) -> Result<(Vec<Cid>, Archive)> {
    let found: Option<Option<Vec<u8>>> = connection
        .query_row("SELECT archive FROM peer WHERE device = ?1", [device.as_ref()], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(found.flatten().map(|it| sql::decode(&it, "peer")).transpose()?.unwrap_or_default())
}

/// Keeps the archive of a device's feed.
pub fn set_archive(
    connection: &Connection,
    device: &DeviceId,
    blocks: &[Cid],
    archive: &Archive,
) -> Result<()> {
    connection.execute(
        "UPDATE peer SET archive = ?2 WHERE device = ?1",
        params![device.as_ref(), sql::encode(&(blocks, archive))],
    )?;
    Ok(())
}

/// Notes that everything that a record leads to was taken in: the blocks of directory and ring
/// (`parts`), and every block that the feed lists. If another record was accepted meanwhile, that
/// one is still to be taken in.
pub fn set_imported(
    connection: &Connection,
    device: &DeviceId,
    record: &Record,
    parts: &[Cid],
    listed: &[Cid],
) -> Result<()> {
    connection.execute(
        "UPDATE peer SET imported = (sequence IS ?2 AND eol IS ?3), parts = ?4, listed = ?5 \
         WHERE device = ?1",
        params![
            device.as_ref(),
            sql::signed(record.sequence()),
            sql::signed(record.validity().timestamp().0),
            sql::encode(parts),
            sql::encode(listed),
        ],
    )?;
    Ok(())
}

/// Every block that the feed of any other device lists.
pub fn all_listed(connection: &Connection) -> Result<Vec<Cid>> {
    let mut statement =
        connection.prepare_cached("SELECT listed FROM peer WHERE listed IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.extend(sql::decode::<Vec<Cid>>(&row.get::<_, Vec<u8>>(0)?, "peer")?);
    }
    Ok(all)
}

/// Forgets a device's record, so that its feed is read anew: it was paired again.
pub fn forget_record(connection: &Connection, device: &DeviceId) -> Result<()> {
    connection.execute(
        "UPDATE peer SET feed = NULL, parts = NULL, archive = NULL, imported = 0 WHERE device = ?1",
        [device.as_ref()],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use handfast_ipfs::{Draft, EMPTY_PATH};
    use handfast_keys::IpnsSecret;

    use super::*;
    use crate::store::Store;

    /// A pairing may bring an older record than the one that was accepted before a restart.
    #[test]
    fn an_older_record_that_was_taken_in_does_not_hide_a_newer_one() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(&dir.path().join("store"), |_| Ok(())).unwrap();
        let (device, now) = (DeviceId::from_bytes([7; 32]), Timestamp(1));
        let record = |sequence| {
            let key = IpnsSecret::from_seed([7; 32]);
            Draft::new(EMPTY_PATH, sequence, Timestamp(1_000_000)).sign(&key).unwrap()
        };
        let imported = || store.read(|tx| get(tx, &device)).unwrap().imported;
        store.write(|tx| accept_if_newer(tx, &device, &record(5), now)).unwrap();
        store.write(|tx| accept_if_newer(tx, &device, &record(4), now)).unwrap();
        store.write(|tx| set_imported(tx, &device, &record(4), &[], &[])).unwrap();
        assert!(!imported());
        store.write(|tx| set_imported(tx, &device, &record(5), &[], &[])).unwrap();
        assert!(imported());
    }
}
