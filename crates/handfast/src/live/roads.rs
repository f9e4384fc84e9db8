//! Every road at once, for reading: the shelf, the peers that are connected, and the provider.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use handfast_ipfs::{Block, Cid};
use handfast_providers::{BlockStore, NameRouter, Provider, ProviderError};
use handfast_ring::DeviceId;

use super::link::Link;
use super::shelf::Shelf;

/// The peers that are connected.
#[derive(Default)]
pub struct Links(Mutex<Vec<(DeviceId, Arc<Link>)>>);

impl Links {
    /// Adds a link; the one before it to the same device is forgotten.
    pub fn add(&self, device: DeviceId, link: Arc<Link>) {
        let mut links = self.lock();
        links.retain(|(known, _)| *known != device);
        links.push((device, link));
    }

    /// Removes a link, unless there is a newer one.
    pub fn remove(&self, device: &DeviceId, link: &Arc<Link>) {
        self.lock().retain(|(known, other)| known != device || !Arc::ptr_eq(other, link));
    }

    /// All links.
    pub fn all(&self) -> Vec<Arc<Link>> {
        self.lock().iter().map(|(_, link)| link.clone()).collect()
    }

    /// The link to a device.
    pub fn to(&self, device: &DeviceId) -> Option<Arc<Link>> {
        self.lock().iter().find(|(known, _)| known == device).map(|(_, link)| link.clone())
    }

    /// Returns when one of them tells of a record.
    pub async fn news(&self) {
        let links = self.all();
        let news = links.iter().map(|link| Box::pin(link.news()));
        match links.is_empty() {
            true => std::future::pending().await,
            false => drop(futures_util::future::select_all(news).await),
        }
    }

    /// Which devices are connected.
    pub fn devices(&self) -> Vec<DeviceId> {
        self.lock().iter().map(|(device, _)| *device).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(DeviceId, Arc<Link>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A provider with the peers that are connected beside it.
pub fn beside(provider: &Provider, shelf: &Shelf, links: &Arc<Links>) -> Provider {
    let links = links.all();
    let mut names = provider.names.clone();
    names.extend(links.iter().map(|link| link.clone() as Arc<dyn NameRouter>));
    let roads = Roads { shelf: shelf.clone(), links, provider: provider.blocks.clone() };
    Provider { blocks: Arc::new(roads), names }
}

struct Roads {
    shelf: Shelf,
    links: Vec<Arc<Link>>,
    provider: Arc<dyn BlockStore>,
}

#[async_trait]
impl BlockStore for Roads {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        self.provider.put(block).await
    }

    /// The nearest first. What comes from a peer is kept, so that it can be passed on.
    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        if let Ok(bytes) = self.shelf.get(cid).await {
            return Ok(bytes);
        }
        for link in &self.links {
            if let Ok(bytes) = link.get(cid).await {
                if let Ok(block) = Block::new(bytes.clone()) {
                    self.shelf.put(&block).await?;
                }
                return Ok(bytes);
            }
        }
        self.provider.get(cid).await
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.provider.pin(cid).await
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.provider.unpin(cid).await
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        self.provider.is_pinned(cid).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        self.provider.check().await
    }

    fn describe(&self) -> String {
        self.provider.describe()
    }
}
