//! A block store and a name router in memory: for tests, and for what need not outlive a process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use handfast_ipfs::{Block, Cid, Name, Record};
use tokio::sync::Notify;

use crate::name_router::Validator;
use crate::{BlockStore, ErrorKind, NameRouter, ProviderError, Resolve, Resolved};

/// A [`BlockStore`] in memory. Unpinned blocks stay.
#[derive(Debug, Default)]
pub struct MemoryBlockStore {
    blocks: Mutex<BTreeMap<Cid, Held>>,
}

#[derive(Debug)]
struct Held {
    bytes: Vec<u8>,
    pinned: bool,
}

impl MemoryBlockStore {
    /// How many blocks it holds, pinned or not.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Forgets a block, as providers do; says whether it was there.
    pub fn lose(&self, cid: &Cid) -> bool {
        self.lock().remove(cid).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Cid, Held>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_found(&self, doing: &'static str) -> ProviderError {
        ProviderError::new(ErrorKind::NotFound, BlockStore::describe(self), doing)
    }
}

#[async_trait]
impl BlockStore for MemoryBlockStore {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        let held = Held { bytes: block.bytes().to_vec(), pinned: true };
        self.lock().insert(*block.cid(), held);
        Ok(())
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        let blocks = self.lock();
        let held = blocks.get(cid).ok_or_else(|| self.not_found("fetching a block"))?;
        Ok(held.bytes.clone())
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        let mut blocks = self.lock();
        let held = blocks.get_mut(cid).ok_or_else(|| self.not_found("pinning a block"))?;
        held.pinned = true;
        Ok(())
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        if let Some(held) = self.lock().get_mut(cid) {
            held.pinned = false;
        }
        Ok(())
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        Ok(self.lock().get(cid).is_some_and(|held| held.pinned))
    }

    async fn check(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    fn describe(&self) -> String {
        "block store in memory".into()
    }
}

/// A [`NameRouter`] in memory: keeps the newest record of each name, and lets queries wait.
#[derive(Debug, Default)]
pub struct MemoryNameRouter {
    records: Mutex<BTreeMap<Name, Record>>,
    published: Notify,
}

impl MemoryNameRouter {
    /// The longest wait it honours.
    const LONGEST_WAIT: Duration = Duration::from_secs(60);

    /// The record it holds, expired or not.
    pub fn record(&self, name: &Name) -> Option<Record> {
        self.lock().get(name).cloned()
    }

    /// Replaces whatever it holds by a record, even a newer one, as careless routers do.
    pub fn roll_back_to(&self, record: Record) {
        self.lock().insert(*record.name(), record);
        self.published.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, name: &Name, query: &Resolve) -> Resolved {
        let Some(record) = self.record(name) else {
            return Resolved::Missing;
        };
        if query.known.as_ref().is_some_and(|known| known.matches(record.as_bytes())) {
            return Resolved::Unchanged;
        }
        if query.now.is_some_and(|now| record.is_expired(now)) {
            return Resolved::Missing;
        }
        let validator = Validator::of(&record);
        Resolved::Record(record, validator)
    }
}

#[async_trait]
impl NameRouter for MemoryNameRouter {
    async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        let mut records = self.lock();
        match records.get(record.name()) {
            Some(held) if held == record => return Ok(()),
            Some(held) if held.newer_than(record) => {
                let service = NameRouter::describe(self);
                return Err(ProviderError::new(ErrorKind::Outdated, service, "publishing a name"));
            }
            _ => {}
        }
        records.insert(*record.name(), record.clone());
        drop(records);
        self.published.notify_waiters();
        Ok(())
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        let wait = query.wait.unwrap_or_default().min(Self::LONGEST_WAIT);
        let end = tokio::time::Instant::now() + wait;
        loop {
            let mut published = std::pin::pin!(self.published.notified());
            // From here on no publication is missed, then look.
            published.as_mut().enable();
            let answer = self.answer(name, query);
            if matches!(answer, Resolved::Record(..))
                || tokio::time::timeout_at(end, published).await.is_err()
            {
                return Ok(answer);
            }
        }
    }

    fn longest_wait(&self) -> Option<Duration> {
        Some(Self::LONGEST_WAIT)
    }

    fn describe(&self) -> String {
        "name router in memory".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn conforms() {
        conformance::block_store(&MemoryBlockStore::default()).await.unwrap();
        conformance::name_router(&MemoryNameRouter::default()).await.unwrap();
    }

    #[tokio::test]
    async fn loses_and_rolls_back_on_demand() {
        let store = MemoryBlockStore::default();
        let block = Block::new(b"x".to_vec()).unwrap();
        store.put(&block).await.unwrap();
        assert!(store.lose(block.cid()) && store.is_empty());
        assert_eq!(store.get(block.cid()).await.unwrap_err().kind(), ErrorKind::NotFound);

        let [old, new] = conformance::random_records(&[1, 2]).unwrap().try_into().unwrap();
        let router = MemoryNameRouter::default();
        router.publish(&new).await.unwrap();
        assert_eq!(router.publish(&old).await.unwrap_err().kind(), ErrorKind::Outdated);
        router.roll_back_to(old.clone());
        assert_eq!(router.record(old.name()), Some(old));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_asked() {
        let router = MemoryNameRouter::default();
        let record = conformance::random_records(&[1]).unwrap().remove(0);
        let start = tokio::time::Instant::now();
        let query = Resolve::default().waiting(Duration::from_secs(5));
        let answer = router.resolve(record.name(), &query).await.unwrap();
        assert!(matches!(answer, Resolved::Missing));
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }
}
