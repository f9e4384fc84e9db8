//! The tables, and how older stores become newer ones.
//!
//! | table | key → value |
//! |---|---|
//! | `meta` | name → one value: see [`super::meta`] |
//! | `collection` | number → name |
//! | `solo` | collection, record → fields and time, before the first pairing |
//! | `record` | collection, record → materialised state, from then on |
//! | `log` | number → whose log of which collection, and where it ends |
//! | `mutation` | log, id → the mutation and the hash of the log up to it |
//! | `cut` | log, first id → how the log is cut into segments, and where these are |
//! | `peer` | device → its keys, the highest record that was accepted from it, and what that lists |
//! | `upload` | block that this device has uploaded → when nobody listed it any more |
//! | `snapshot` | collection → the snapshot of it that this device publishes |
//! | `chunk` | collection, number → a part of that snapshot |
//! | `block` | CID → a block that this device keeps for its peers |
//! | `kept` | the same block → when nobody listed it any more |
//! | `provisional` | collection → a peer's snapshot, shown until the logs behind it are here |
//! | `provisional_record` | collection, record → state, while that is so |

use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Error, Result};

/// How long another process that writes is waited for.
const BUSY: Duration = Duration::from_secs(10);

/// Each takes the store from one version to the next. Never changed once released.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (
        name TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE collection (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT;

    CREATE TABLE solo (
        collection INTEGER NOT NULL REFERENCES collection,
        id BLOB NOT NULL,
        timestamp INTEGER NOT NULL,
        fields TEXT NOT NULL,
        PRIMARY KEY (collection, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE record (
        collection INTEGER NOT NULL REFERENCES collection,
        id BLOB NOT NULL,
        state BLOB NOT NULL,
        visible INTEGER NOT NULL,
        conflicts INTEGER NOT NULL,
        PRIMARY KEY (collection, id)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX conflicting ON record (collection, id) WHERE conflicts > 0;

    CREATE TABLE log (
        id INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL REFERENCES collection,
        writer BLOB NOT NULL,
        device BLOB NOT NULL,
        certificate BLOB NOT NULL,
        secret BLOB,
        last INTEGER NOT NULL,
        hash BLOB NOT NULL,
        tip BLOB,
        fork BLOB,
        UNIQUE (collection, writer)
    ) STRICT;

    CREATE TABLE mutation (
        log INTEGER NOT NULL REFERENCES log,
        id INTEGER NOT NULL,
        hash BLOB NOT NULL,
        bytes BLOB NOT NULL,
        PRIMARY KEY (log, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE cut (
        log INTEGER NOT NULL REFERENCES log,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        size INTEGER NOT NULL,
        key BLOB NOT NULL,
        cids BLOB NOT NULL,
        body BLOB,
        uploaded INTEGER NOT NULL,
        PRIMARY KEY (log, first)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE peer (
        device BLOB PRIMARY KEY,
        feed BLOB,
        sequence INTEGER,
        eol INTEGER,
        record BLOB,
        parts BLOB,
        listed BLOB,
        imported INTEGER NOT NULL DEFAULT 0,
        seen INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE upload (
        cid BLOB PRIMARY KEY,
        unlisted INTEGER
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE snapshot (
        collection INTEGER PRIMARY KEY REFERENCES collection,
        head BLOB NOT NULL
    ) STRICT;

    CREATE TABLE chunk (
        collection INTEGER NOT NULL REFERENCES collection,
        number INTEGER NOT NULL,
        key BLOB NOT NULL,
        cids BLOB NOT NULL,
        body BLOB,
        PRIMARY KEY (collection, number)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE block (
        cid BLOB PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;

    CREATE TABLE provisional (
        collection INTEGER PRIMARY KEY REFERENCES collection,
        publisher BLOB NOT NULL,
        head BLOB NOT NULL
    ) STRICT;

    CREATE TABLE provisional_record (
        collection INTEGER NOT NULL REFERENCES collection,
        id BLOB NOT NULL,
        state BLOB NOT NULL,
        visible INTEGER NOT NULL,
        conflicts INTEGER NOT NULL,
        PRIMARY KEY (collection, id)
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE cut ADD COLUMN is_full INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE peer ADD COLUMN archive BLOB;
",
    "
    CREATE TABLE kept (
        cid BLOB PRIMARY KEY,
        unlisted INTEGER
    ) STRICT, WITHOUT ROWID;

    INSERT INTO kept (cid) SELECT cid FROM block;
",
];

/// Prepares a connection and brings the store up to the present version.
pub fn prepare(connection: &mut Connection) -> Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(Error::NewerHome { found, known });
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -32_000)?; // KiB
    for (version, migration) in (1..).zip(MIGRATIONS).skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let present: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if present >= version {
            // Another process has just done it.
            continue;
        }
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Prepares a second connection to a store that was [prepared](prepare), which only reads.
pub fn prepare_to_read(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -8_000)?; // KiB
    Ok(())
}
