//! The store: one SQLite file, everything in transactions.

pub(crate) mod blocks;
pub(crate) mod conflicts;
pub(crate) mod cuts;
pub(crate) mod edits;
pub(crate) mod forks;
pub(crate) mod imports;
pub(crate) mod logs;
pub(crate) mod meta;
pub(crate) mod peers;
pub(crate) mod provisional;
pub(crate) mod reach;
pub(crate) mod records;
pub(crate) mod replay;
mod schema;
pub(crate) mod snapshots;
pub(crate) mod solo;
mod sql;
pub(crate) mod unlisted;
pub(crate) mod uploads;

use std::fs::{self, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::error::{Error, Result};

/// The store of one device. Several processes may have it open.
pub(crate) struct Store {
    writer: Mutex<Connection>,
    /// Whoever reads does not wait for whoever writes: peers ask for blocks at any time.
    reader: Mutex<Connection>,
}

impl Store {
    /// Makes a new store with what is written first, readable by its owner only. It is there whole
    /// or not at all: what an attempt leaves that was cut off is no store.
    pub fn create(
        path: &Path,
        first: impl FnOnce(&Transaction<'_>) -> Result<()>,
    ) -> Result<Store> {
        let draft = path.with_extension("new");
        for leftover in [draft.clone(), beside(&draft, "-wal"), beside(&draft, "-shm")] {
            match fs::remove_file(&leftover) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io(leftover)(error));
                }
                _ => (),
            }
        }
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&draft)
            .map_err(Error::io(&draft))?;
        // Closing it brings all into the one file.
        Store::open(&draft)?.write(first)?;
        fs::rename(&draft, path).map_err(Error::io(path))?;
        Store::open(path)
    }

    /// Opens a store and brings it up to date.
    pub fn open(path: &Path) -> Result<Store> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut writer = Connection::open_with_flags(path, flags)?;
        schema::prepare(&mut writer)?;
        let reader = Connection::open_with_flags(path, flags)?;
        schema::prepare_to_read(&reader)?;
        for suffix in ["-wal", "-shm"] {
            let file = beside(path, suffix);
            if file.exists() {
                fs::set_permissions(&file, Permissions::from_mode(0o600))
                    .map_err(Error::io(&file))?;
            }
        }
        Ok(Store { writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// Reads, seeing one state of the store throughout: what was written before, and nothing of a
    /// write that is going on.
    pub fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let mut connection = lock(&self.reader);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        read(&transaction)
    }

    /// Writes: all of it, durably, or nothing.
    pub fn write<T>(&self, write: impl FnOnce(&Transaction<'_>) -> Result<T>) -> Result<T> {
        let write = || {
            let mut connection = self.writer();
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = write(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        out_of_the_way(write)
    }

    /// A number that is another one once another process has written. `None` while this one writes:
    /// then it can't be told yet.
    pub fn version(&self) -> Result<Option<i64>> {
        let connection = match self.writer.try_lock() {
            Ok(connection) => connection,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        Ok(Some(connection.pragma_query_value(None, "data_version", |row| row.get(0))?))
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Connection> {
        lock(&self.writer)
    }
}

/// Does what may take seconds, where the runtime can do that with its other tasks out of the way.
fn out_of_the_way<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    // A panic elsewhere leaves SQLite's own state intact: its transaction was rolled back.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file of SQLite's beside a database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_does_not_wait_for_who_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Store::create(&path, |_| Ok(())).unwrap();
        let sequence = || store.read(|tx| meta::SEQUENCE.find(tx)).unwrap();
        let written = store.write(|tx| {
            meta::SEQUENCE.set(tx, &7)?;
            Ok(sequence())
        });
        assert_eq!(written.unwrap(), None, "nothing of a write that is going on");
        assert_eq!(sequence(), Some(7));
    }

    #[test]
    fn the_version_tells_of_others_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let store = Store::create(&path, |_| Ok(())).unwrap();
        let write = |store: &Store, to| store.write(|tx| meta::SEQUENCE.set(tx, &to)).unwrap();
        let before = store.version().unwrap();
        assert!(before.is_some());
        write(&store, 1);
        assert_eq!(store.version().unwrap(), before);
        write(&Store::open(&path).unwrap(), 2);
        let after = store.version().unwrap();
        assert_ne!(after, before);
        let meanwhile = store.write(|_| store.version()).unwrap();
        assert_eq!(meanwhile, None, "not while this one writes");
        assert_eq!(store.version().unwrap(), after);
    }
}
