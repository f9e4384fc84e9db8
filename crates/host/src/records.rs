//! The records that are kept: the newest of each name, `records/<shard>/<name>`, and in memory.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handfast_ipfs::{Cid, Name, Record};
use handfast_keys::Timestamp;
use tokio::sync::Notify;

use crate::files::{self, Staging};

/// A record, and the entity tag that stands for its bytes: their hash, in quotes.
#[derive(Debug)]
pub(crate) struct Held {
    pub record: Record,
    pub tag: String,
}

impl Held {
    fn new(record: Record) -> Arc<Self> {
        let tag = format!("\"{}\"", Cid::of(record.as_bytes()));
        Arc::new(Self { record, tag })
    }
}

/// Why a record was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    #[error("can't replace a newer value with an older value")]
    Outdated,
    #[error("there is no room for more names")]
    Full,
    #[error("the disk refused: {0}")]
    Io(#[from] io::Error),
}

/// All records of a host.
///
/// Expired records are kept, because they still guard against older ones, until room is needed.
#[derive(Debug)]
pub(crate) struct Records {
    dir: PathBuf,
    staging: Arc<Staging>,
    max_names: usize,
    /// Held while a record is compared and written, so that the file is the newest too.
    writing: Mutex<()>,
    held: Mutex<HashMap<Name, Arc<Held>>>,
    listeners: Mutex<HashMap<Name, Arc<Notify>>>,
}

impl Records {
    /// Opens `records` below `dir`. Files that hold no valid record are left alone and ignored.
    pub(crate) fn open(dir: &Path, staging: Arc<Staging>, max_names: usize) -> io::Result<Self> {
        let dir = dir.join("records");
        let mut held = HashMap::new();
        files::walk(&dir, |file_name, file| {
            let Ok(name) = Name::parse(file_name) else {
                return Ok(());
            };
            match Record::parse(&name, &fs::read(file.path())?, None) {
                Ok(record) => drop(held.insert(name, Held::new(record))),
                Err(error) => tracing::error!(%name, %error, "the file of a record was spoilt"),
            }
            Ok(())
        })?;
        Ok(Self {
            dir,
            staging,
            max_names,
            writing: Mutex::default(),
            held: Mutex::new(held),
            listeners: Mutex::default(),
        })
    }

    /// The newest record of a name, if it is still valid.
    pub(crate) fn get(&self, name: &Name, now: Timestamp) -> Option<Arc<Held>> {
        let held = lock(&self.held).get(name).cloned()?;
        (!held.record.is_expired(now)).then_some(held)
    }

    /// Takes a record, unless it holds a newer one. Blocks on the disk.
    ///
    /// `trusted` are records that come with a token: there is twice the room for them.
    pub(crate) fn put(
        &self,
        record: Record,
        trusted: bool,
        now: Timestamp,
    ) -> Result<(), RecordsError> {
        let name = *record.name();
        let _writing = lock(&self.writing);
        let held = lock(&self.held).get(&name).cloned();
        match held {
            Some(held) if says_the_same(&held.record, &record) => return Ok(()),
            Some(held) if !record.newer_than(&held.record) => return Err(RecordsError::Outdated),
            Some(_) => {}
            None => self.make_room(if trusted { 2 } else { 1 } * self.max_names, now)?,
        }
        self.staging.write(&self.path(&name), record.as_bytes())?;
        lock(&self.held).insert(name, Held::new(record));
        if let Some(listener) = lock(&self.listeners).get(&name) {
            listener.notify_waiters();
        }
        Ok(())
    }

    /// Makes sure that one more name fits, by forgetting expired records.
    fn make_room(&self, max_names: usize, now: Timestamp) -> Result<(), RecordsError> {
        let mut held = lock(&self.held);
        if held.len() < max_names {
            return Ok(());
        }
        held.retain(|name, held| {
            !held.record.is_expired(now) || fs::remove_file(self.path(name)).is_err()
        });
        if held.len() < max_names { Ok(()) } else { Err(RecordsError::Full) }
    }

    /// Listens for newer records of a name; see [`Listening::heard`].
    pub(crate) fn listen(&self, name: Name) -> Listening<'_> {
        let notify = lock(&self.listeners).entry(name).or_default().clone();
        Listening { records: self, name, notify }
    }

    fn path(&self, name: &Name) -> PathBuf {
        files::shard(&self.dir, &name.to_string())
    }
}

/// A wish to hear of newer records of one name; ends when it is dropped.
pub(crate) struct Listening<'a> {
    records: &'a Records,
    name: Name,
    notify: Arc<Notify>,
}

impl Listening<'_> {
    /// Ends when a record is taken. Enable the future first, then look at what there is, then
    /// await it: so nothing is missed.
    pub(crate) fn heard(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut listeners = lock(&self.records.listeners);
        // Ours and the map's are the last two.
        if Arc::strong_count(&self.notify) <= 2 {
            listeners.remove(&self.name);
        }
    }
}

/// Whether a record adds nothing to another one. Anybody can make other bytes of the same signed
/// content; taking those would let strangers wake everybody who waits.
fn says_the_same(held: &Record, record: &Record) -> bool {
    held.sequence() == record.sequence()
        && held.validity() == record.validity()
        && held.value() == record.value()
        && held.ttl_ns() == record.ttl_ns()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use handfast_ipfs::{Draft, EMPTY_PATH};
    use handfast_keys::IpnsSecret;

    use super::*;

    fn open(dir: &Path, max_names: usize) -> Records {
        let staging = Arc::new(Staging::open(dir.join("tmp")).unwrap());
        Records::open(dir, staging, max_names).unwrap()
    }

    fn record(seed: u8, sequence: u64, eol: u64) -> Record {
        let key = IpnsSecret::from_seed([seed; 32]);
        Draft::new(EMPTY_PATH, sequence, Timestamp(eol)).sign(&key).unwrap()
    }

    #[test]
    fn keeps_the_newest_and_remembers_it() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp(1);
        let records = open(dir.path(), 10);
        let name = *record(1, 1, 1000).name();
        records.put(record(1, 5, 1000), false, now).unwrap();
        records.put(record(1, 5, 1000), false, now).unwrap();
        for lower in [record(1, 4, 9999), record(1, 5, 999)] {
            assert!(matches!(records.put(lower, true, now), Err(RecordsError::Outdated)));
        }
        records.put(record(1, 5, 2000), false, now).unwrap();
        drop(records);

        let records = open(dir.path(), 10);
        let held = records.get(&name, now).unwrap();
        assert_eq!(held.record, record(1, 5, 2000));
        assert_eq!(held.tag, format!("\"{}\"", Cid::of(held.record.as_bytes())));
        assert!(records.get(&name, Timestamp(2000)).is_none());
        // An expired record still guards.
        let put = records.put(record(1, 4, 9999), false, Timestamp(3000));
        assert!(matches!(put, Err(RecordsError::Outdated)));
    }

    #[test]
    fn a_spoilt_file_is_no_record() {
        let dir = tempfile::tempdir().unwrap();
        let records = open(dir.path(), 10);
        let record = record(1, 1, 1000);
        records.put(record.clone(), false, Timestamp(1)).unwrap();
        let path = records.path(record.name());
        fs::write(&path, &record.as_bytes()[..100]).unwrap();
        let records = open(dir.path(), 10);
        assert!(records.get(record.name(), Timestamp(1)).is_none());
        records.put(record.clone(), false, Timestamp(1)).unwrap();
        assert_eq!(fs::read(path).unwrap(), record.as_bytes());
    }

    #[test]
    fn room_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let records = open(dir.path(), 2);
        let now = Timestamp(1);
        records.put(record(1, 1, 10), false, now).unwrap();
        records.put(record(2, 1, 1000), false, now).unwrap();
        let third = || record(3, 1, 1000);
        assert!(matches!(records.put(third(), false, now), Err(RecordsError::Full)));
        // Names that are there can still change, and tokens have room of their own.
        records.put(record(2, 2, 1000), false, now).unwrap();
        records.put(record(4, 1, 1000), true, now).unwrap();
        // Later the first one has expired, but three are still one too many for strangers.
        let later = Timestamp(10);
        assert!(matches!(records.put(third(), false, later), Err(RecordsError::Full)));
        assert!(records.get(record(1, 1, 10).name(), now).is_none());
        records.put(third(), true, later).unwrap();
    }

    #[test]
    fn listeners_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let records = open(dir.path(), 2);
        let name = *record(1, 1, 10).name();
        let one = records.listen(name);
        let two = records.listen(name);
        drop(one);
        assert_eq!(lock(&records.listeners).len(), 1);
        drop(two);
        assert!(lock(&records.listeners).is_empty());
    }
}
