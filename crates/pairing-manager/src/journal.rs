//! Where sessions are kept: one SQLite table, `id → kind, revision, session, terms`.
//!
//! A session is only ever replaced by its successor: what is stored names the revision that it
//! takes the place of, and fails if somebody else was faster. So one invite lets one candidate in,
//! even if two processes of one device share a journal.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Semaphore;

/// The journal failed. Without it nothing can be let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be used.
    #[error("the pairing journal cannot be used: {0}")]
    Unusable(#[source] Arc<rusqlite::Error>),
    /// The file cannot be made.
    #[error("the pairing journal cannot be made: {0}")]
    Io(#[source] Arc<std::io::Error>),
    /// Another process, or another call, goes on with this session.
    #[error("this pairing goes on elsewhere: in another process, or by another call")]
    Overtaken,
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> JournalError {
        JournalError::Unusable(Arc::new(error))
    }
}

impl From<std::io::Error> for JournalError {
    fn from(error: std::io::Error) -> JournalError {
        JournalError::Io(Arc::new(error))
    }
}

/// Which side of a pairing a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Member,
    Candidate,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Member => "member",
            Kind::Candidate => "candidate",
        }
    }
}

/// A session as it is stored. Secret.
pub(crate) struct Row {
    pub id: [u8; 32],
    pub revision: i64,
    pub session: Vec<u8>,
    /// What the manager needs besides.
    pub terms: Vec<u8>,
}

/// What has become of a session that nobody carries out.
pub(crate) enum Settled {
    /// It is over: this takes its place.
    Ended(Row),
    /// Nothing of it is needed any more.
    Forgotten(Row),
}

#[derive(Clone)]
pub(crate) struct Journal {
    connection: Arc<Mutex<Connection>>,
    /// Of many sessions that store at one moment one waits on a thread, the others do not.
    turn: Arc<Semaphore>,
    /// Whether storing takes as long as a disk does.
    is_file: bool,
}

impl Journal {
    /// A journal that dies with the process.
    pub fn in_memory() -> Result<Journal, JournalError> {
        Self::of(Connection::open_in_memory()?, false)
    }

    /// The journal in a file, which is made if it is not there. It holds secrets: only its owner
    /// may read it.
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        drop(options.open(path)?);
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        Self::of(connection, true)
    }

    fn of(connection: Connection, is_file: bool) -> Result<Journal, JournalError> {
        connection.pragma_update(None, "secure_delete", true)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS session (
                id BLOB NOT NULL, kind TEXT NOT NULL, revision INTEGER NOT NULL,
                session BLOB NOT NULL, terms BLOB NOT NULL, PRIMARY KEY (id, kind)
            ) STRICT, WITHOUT ROWID",
        )?;
        let (connection, turn) = (Arc::new(Mutex::new(connection)), Arc::new(Semaphore::new(1)));
        Ok(Journal { connection, turn, is_file })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        work(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every session of a kind.
    pub fn all(&self, kind: Kind) -> Result<Vec<Row>, JournalError> {
        self.with(|connection| {
            let mut statement = connection
                .prepare("SELECT id, revision, session, terms FROM session WHERE kind = ?1")?;
            let rows = statement.query_map([kind.as_str()], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// One session.
    pub fn get(&self, kind: Kind, id: &[u8; 32]) -> Result<Option<Row>, JournalError> {
        self.with(|connection| {
            let sql =
                "SELECT id, revision, session, terms FROM session WHERE kind = ?1 AND id = ?2";
            let mut statement = connection.prepare(sql)?;
            Ok(statement.query_row(params![kind.as_str(), id], row).optional()?)
        })
    }

    /// Stores a session: a new one if `revision` is zero, else in place of that revision.
    pub fn put(&self, kind: Kind, row: &Row) -> Result<i64, JournalError> {
        self.with(|connection| {
            let kind = kind.as_str();
            let changed = match row.revision {
                0 => connection
                    .prepare_cached("INSERT OR IGNORE INTO session VALUES (?1, ?2, 1, ?3, ?4)")?
                    .execute(params![row.id, kind, row.session, row.terms])?,
                revision => connection
                    .prepare_cached(
                        "UPDATE session SET revision = revision + 1, session = ?4, terms = ?5
                         WHERE id = ?1 AND kind = ?2 AND revision = ?3",
                    )?
                    .execute(params![row.id, kind, revision, row.session, row.terms])?,
            };
            if changed == 1 { Ok(row.revision + 1) } else { Err(JournalError::Overtaken) }
        })
    }

    /// Stores a session without holding up other tasks. See [`put`](Self::put).
    pub async fn store(&self, kind: Kind, row: Row) -> Result<i64, JournalError> {
        if !self.is_file {
            return self.put(kind, &row);
        }
        let _turn = self.turn.acquire().await;
        let journal = self.clone();
        let stored = tokio::task::spawn_blocking(move || journal.put(kind, &row)).await;
        stored.unwrap_or(Err(JournalError::Overtaken))
    }

    /// Stores what has become of sessions, all in one go. Those that somebody has gone on with in the
    /// meantime stay as they are.
    pub fn settle(&self, kind: Kind, settled: Vec<Settled>) -> Result<(), JournalError> {
        if settled.is_empty() {
            return Ok(());
        }
        self.with(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut end = transaction.prepare(
                "UPDATE session SET revision = revision + 1, session = ?4
                 WHERE id = ?1 AND kind = ?2 AND revision = ?3",
            )?;
            let mut forget = transaction
                .prepare("DELETE FROM session WHERE id = ?1 AND kind = ?2 AND revision = ?3")?;
            for settled in settled {
                match settled {
                    Settled::Ended(row) => {
                        end.execute(params![row.id, kind.as_str(), row.revision, row.session])?
                    }
                    Settled::Forgotten(row) => {
                        forget.execute(params![row.id, kind.as_str(), row.revision])?
                    }
                };
            }
            drop((end, forget));
            Ok(transaction.commit()?)
        })
    }

    /// Forgets a session.
    pub fn delete(&self, kind: Kind, id: &[u8; 32]) -> Result<(), JournalError> {
        self.with(|connection| {
            let sql = "DELETE FROM session WHERE kind = ?1 AND id = ?2";
            connection.execute(sql, params![kind.as_str(), id])?;
            Ok(())
        })
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { id: row.get(0)?, revision: row.get(1)?, session: row.get(2)?, terms: row.get(3)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(revision: i64, text: &str) -> Row {
        Row { id: [1; 32], revision, session: text.into(), terms: Vec::new() }
    }

    #[test]
    fn of_two_processes_one_is_overtaken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (one, two) = (Journal::open(&path).unwrap(), Journal::open(&path).unwrap());
        assert_eq!(one.put(Kind::Member, &session(0, "open")).unwrap(), 1);
        let again = two.put(Kind::Member, &session(0, "open"));
        assert!(matches!(again, Err(JournalError::Overtaken)));
        assert_eq!(two.put(Kind::Member, &session(1, "locked by two")).unwrap(), 2);
        let late = one.put(Kind::Member, &session(1, "locked by one"));
        assert!(matches!(late, Err(JournalError::Overtaken)));
        drop((one, two));
        let reopened = Journal::open(&path).unwrap();
        let row = reopened.get(Kind::Member, &[1; 32]).unwrap().unwrap();
        assert_eq!((row.revision, row.session.as_slice()), (2, "locked by two".as_bytes()));
        assert!(reopened.get(Kind::Candidate, &[1; 32]).unwrap().is_none());
        reopened.delete(Kind::Member, &[1; 32]).unwrap();
        assert!(reopened.all(Kind::Member).unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        Journal::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
