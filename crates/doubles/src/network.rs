//! What lies behind the services: content and names that all of them can reach.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use handfast_ipfs::{Cid, Name, Record};
use handfast_keys::Timestamp;

/// The network: blocks by their CID, and records by their name. Clones are the same network.
#[derive(Debug, Clone, Default)]
pub struct Network(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    blocks: Mutex<BTreeMap<Cid, Bytes>>,
    records: Mutex<BTreeMap<Name, Record>>,
    archives: Mutex<BTreeMap<String, Bytes>>,
}

/// What one account has pinned: CIDs in their usual text, with sizes.
#[derive(Debug, Default)]
pub struct Account {
    pins: Mutex<BTreeMap<String, usize>>,
}

impl Network {
    /// An empty network.
    pub fn new() -> Network {
        Network::default()
    }

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        lock(&self.0.blocks).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Loses all blocks, as a service that is gone does.
    pub fn lose_blocks(&self) {
        lock(&self.0.blocks).clear();
    }

    /// The record of a name.
    pub fn record(&self, name: &Name) -> Option<Record> {
        lock(&self.0.records).get(name).cloned()
    }

    /// Replaces whatever there is by a record, even a newer one, as careless routers do.
    pub fn roll_back_to(&self, record: Record) {
        lock(&self.0.records).insert(*record.name(), record);
    }

    pub(crate) fn put(&self, bytes: Bytes) -> Cid {
        let cid = Cid::of(&bytes);
        lock(&self.0.blocks).insert(cid, bytes);
        cid
    }

    pub(crate) fn get(&self, cid: &Cid) -> Option<Bytes> {
        lock(&self.0.blocks).get(cid).cloned()
    }

    pub(crate) fn put_archive(&self, root: String, car: Bytes) {
        lock(&self.0.archives).insert(root, car);
    }

    pub(crate) fn archive(&self, root: &str) -> Option<Bytes> {
        lock(&self.0.archives).get(root).cloned()
    }

    /// Takes a record; refuses one that is older than what there is.
    pub(crate) fn publish(&self, record: Record) -> Result<(), ()> {
        let mut records = lock(&self.0.records);
        match records.get(record.name()) {
            Some(held) if held.newer_than(&record) => Err(()),
            _ => {
                records.insert(*record.name(), record);
                Ok(())
            }
        }
    }
}

impl Account {
    /// Pins something, if it fits into the quota.
    pub(crate) fn pin(&self, cid: &str, size: usize, quota: usize) -> bool {
        let mut pins = lock(&self.pins);
        let used: usize = pins.values().sum();
        let fits = pins.contains_key(cid) || used.saturating_add(size) <= quota;
        if fits {
            pins.insert(cid.to_owned(), size);
        }
        fits
    }

    pub(crate) fn unpin(&self, cid: &str) -> bool {
        lock(&self.pins).remove(cid).is_some()
    }

    pub(crate) fn is_pinned(&self, cid: &str) -> bool {
        lock(&self.pins).contains_key(cid)
    }

    pub(crate) fn pins(&self) -> Vec<(String, usize)> {
        lock(&self.pins).iter().map(|(cid, size)| (cid.clone(), *size)).collect()
    }
}

/// The clock.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
