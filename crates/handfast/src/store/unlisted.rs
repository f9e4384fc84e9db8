//! Since when nobody has listed a block, and so when it is time to give it up.

use std::collections::BTreeSet;

use handfast_ipfs::Cid;
use handfast_keys::Timestamp;
use rusqlite::{Connection, params};

use super::sql;
use crate::error::{Error, Result};

/// Where this device has put blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At its provider.
    Provider,
    /// On its own shelf, for its peers.
    Shelf,
}

impl Place {
    const fn table(self) -> &'static str {
        match self {
            Place::Provider => "upload",
            Place::Shelf => "kept",
        }
    }
}

/// Notes which blocks are listed now. Returns those that nobody has listed since `before`.
pub fn note(
    connection: &Connection,
    place: Place,
    listed: &BTreeSet<Cid>,
    now: Timestamp,
    before: Timestamp,
) -> Result<Vec<Cid>> {
    let table = place.table();
    let mut statement = connection.prepare(&format!("SELECT cid, unlisted FROM {table}"))?;
    let mut set =
        connection.prepare(&format!("UPDATE {table} SET unlisted = ?2 WHERE cid = ?1"))?;
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<i64>>(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut due = Vec::new();
    for (bytes, unlisted) in rows {
        let cid = Cid::from_bytes(&bytes).map_err(|_| Error::Damaged(table))?;
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
        set.execute(params![bytes, unlisted])?;
    }
    Ok(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, uploads};

    #[test]
    fn a_clock_that_was_ahead_delays_nothing_for_ever() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::create(&dir.path().join("store"), |_| Ok(())).unwrap();
        let (cid, nobody) = (Cid::of(b"block"), BTreeSet::new());
        store.write(|tx| uploads::add(tx, [cid])).unwrap();
        let due = |now, before| {
            let (now, before) = (Timestamp(now), Timestamp(before));
            store.write(|tx| note(tx, Place::Provider, &nobody, now, before)).unwrap()
        };
        assert_eq!(due(9_000_000, 8_000_000), []);
        // The clock is put right, and from then on it counts.
        assert_eq!(due(1_000, 900), []);
        assert_eq!(due(1_050, 950), []);
        assert_eq!(due(1_101, 1_001), [cid]);
    }
}
