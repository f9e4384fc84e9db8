//! What this device keeps for its peers: the blocks of its feed, and the records that it knows.
//!
//! To a device without a provider the shelf is its provider: what it publishes goes there, and peers
//! fetch it when they are connected.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use handfast_ipfs::{Block, Cid, Name, Record};
use handfast_providers::{BlockStore, ErrorKind, NameRouter, ProviderError, Resolve, Resolved};
use handfast_ring::DeviceId;

use super::link;
use crate::error::Result;
use crate::store::{Store, blocks, meta, peers};

/// The shelf of a device.
#[derive(Clone)]
pub struct Shelf {
    store: Arc<Store>,
    own: (DeviceId, Name),
    /// Where blocks are that are not on it.
    provider: Option<Arc<dyn BlockStore>>,
}

const HERE: &str = "this device";

impl Shelf {
    /// The shelf of the device whose store it is.
    pub fn new(store: Arc<Store>, device: DeviceId, name: Name) -> Shelf {
        Shelf { store, own: (device, name), provider: None }
    }

    /// The same, backed by a provider for what peers ask.
    pub fn backed(&self, provider: Option<Arc<dyn BlockStore>>) -> Shelf {
        Shelf { provider, ..self.clone() }
    }

    /// Keeps blocks for peers.
    pub fn keep(&self, blocks: &[Block]) -> Result<()> {
        self.store.write(|tx| blocks::put(tx, blocks))
    }

    /// The newest record of a name: the own one as it was published last, or a member's.
    fn known(&self, name: &Name) -> Result<Option<Vec<u8>>> {
        self.store.read(|tx| {
            if *name == self.own.1 {
                let published = meta::PUBLISHED.find(tx)?;
                return Ok(published.map(|published| published.record.into_vec()));
            }
            let ring = meta::RING.get(tx)?;
            for (id, admission) in ring.members(&self.own.0) {
                if Name::of(admission.device().ipns) == *name {
                    return Ok(peers::get(tx, &id)?.accepted.map(|accepted| accepted.record));
                }
            }
            Ok(None)
        })
    }

    fn failed(doing: &'static str) -> impl FnOnce(crate::Error) -> ProviderError {
        move |error| {
            ProviderError::new(ErrorKind::Unreachable, HERE, doing).because(error.to_string())
        }
    }
}

#[async_trait]
impl link::Shelf for Shelf {
    async fn record(&self, name: &Name) -> Option<Vec<u8>> {
        self.known(name).ok().flatten()
    }

    async fn block(&self, cid: &Cid) -> Option<Vec<u8>> {
        match self.get(cid).await {
            Ok(bytes) => Some(bytes),
            Err(_) => self.provider.as_ref()?.get(cid).await.ok(),
        }
    }
}

#[async_trait]
impl BlockStore for Shelf {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        self.put_all(std::slice::from_ref(block)).await
    }

    async fn put_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        self.keep(blocks).map_err(Self::failed("keeping blocks"))
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        let doing = "fetching a block";
        let found = self.store.read(|tx| blocks::get(tx, cid)).map_err(Self::failed(doing))?;
        found.ok_or_else(|| ProviderError::new(ErrorKind::NotFound, HERE, doing))
    }

    async fn pin(&self, _: &Cid) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        let removed = self.store.write(|tx| blocks::remove(tx, cid));
        removed.map_err(Self::failed("giving a block up"))
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        let found = self.store.read(|tx| blocks::contains(tx, cid));
        found.map_err(Self::failed("looking for a block"))
    }

    async fn check(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    fn describe(&self) -> String {
        HERE.to_owned()
    }
}

/// What is published here waits for peers; there is never news.
#[async_trait]
impl NameRouter for Shelf {
    async fn publish(&self, _: &Record) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        let doing = "looking up a name";
        match self.known(name).map_err(Self::failed(doing))? {
            Some(record) => Resolved::verify(name, query, &record, None).map_err(|error| {
                ProviderError::new(ErrorKind::Nonsense, HERE, doing).because(error.to_string())
            }),
            None => Ok(Resolved::Missing),
        }
    }

    fn longest_wait(&self) -> Option<Duration> {
        None
    }

    fn describe(&self) -> String {
        HERE.to_owned()
    }
}
