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

/// Every block that this device has uploaded, or was about to, and has not given up.
#[cfg(test)]
pub fn all(connection: &Connection) -> Result<BTreeSet<Cid>> {
    let mut statement = connection.prepare("SELECT cid FROM upload")?;
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|bytes| Cid::from_bytes(&bytes?).map_err(|_| Error::Damaged("upload"))).collect()
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
            (false, Some(since)) if sql::unsigned(since) <= now.0 => {
                if sql::unsigned(since) < before.0 {
                    due.push(cid);
                }
                continue;
            }
            // Also where the clock was ahead when that was noted.
            (false, _) => Some(sql::signed(now.0)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_clock_that_was_ahead_delays_nothing_for_ever() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(&dir.path().join("store"), |_| Ok(())).unwrap();
        let (cid, nobody) = (Cid::of(b"block"), BTreeSet::new());
        store.write(|tx| add(tx, [cid])).unwrap();
        let note = |now, before| {
            store.write(|tx| note_listed(tx, &nobody, Timestamp(now), Timestamp(before))).unwrap()
        };
        assert_eq!(note(9_000_000, 8_000_000), []);
        // The clock is put right, and from then on it counts.
        assert_eq!(note(1_000, 900), []);
        assert_eq!(note(1_050, 950), []);
        assert_eq!(note(1_101, 1_001), [cid]);
    }
}
