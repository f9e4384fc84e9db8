//! Every road at once: the shelf, the peers that are connected, and the provider, as one provider.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use handfast_ipfs::{Block, Cid};
use handfast_providers::{BlockStore, ErrorKind, NameRouter, Provider, ProviderError};
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

    /// Which devices are connected.
    pub fn devices(&self) -> Vec<DeviceId> {
        self.lock().iter().map(|(device, _)| *device).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(DeviceId, Arc<Link>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The roads of a device as one provider; `configured` is the one that its person has set up.
pub fn provider(shelf: &Shelf, links: &Arc<Links>, configured: Option<Provider>) -> Provider {
    let mut names: Vec<Arc<dyn NameRouter>> = Vec::new();
    match &configured {
        Some(provider) => names.extend(provider.names.iter().cloned()),
        None => names.push(Arc::new(shelf.clone())),
    }
    names.extend(links.all().into_iter().map(|link| link as Arc<dyn NameRouter>));
    let provider = configured.map(|provider| provider.blocks);
    let roads = Roads { shelf: shelf.clone(), links: links.clone(), provider };
    Provider { blocks: Arc::new(roads), names }
}

struct Roads {
    shelf: Shelf,
    links: Arc<Links>,
    provider: Option<Arc<dyn BlockStore>>,
}

impl Roads {
    /// Where what is published goes: to the provider; without one it stays here. While peers are
    /// connected it is kept for them too.
    async fn keep(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        if self.provider.is_none() || !self.links.all().is_empty() {
            self.shelf.put_all(blocks).await?;
        }
        Ok(())
    }

    fn home(&self) -> &dyn BlockStore {
        match &self.provider {
            Some(provider) => provider.as_ref(),
            None => &self.shelf,
        }
    }
}

#[async_trait]
impl BlockStore for Roads {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        self.put_all(std::slice::from_ref(block)).await
    }

    async fn put_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        self.keep(blocks).await?;
        match &self.provider {
            Some(provider) => provider.put_all(blocks).await,
            None => Ok(()),
        }
    }

    /// The nearest first. What comes from a peer is kept where there is no provider, so that it can
    /// be passed on.
    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        if let Ok(bytes) = self.shelf.get(cid).await {
            return Ok(bytes);
        }
        let mut failure = None;
        for link in self.links.all() {
            match link.get(cid).await {
                Ok(bytes) => {
                    if self.provider.is_none()
                        && let Ok(block) = Block::new(bytes.clone())
                    {
                        self.shelf.put(&block).await?;
                    }
                    return Ok(bytes);
                }
                Err(error) => failure = Some(error),
            }
        }
        match (&self.provider, failure) {
            (Some(provider), _) => provider.get(cid).await,
            (None, Some(error)) => Err(error),
            (None, None) => Err(ProviderError::new(
                ErrorKind::Unreachable,
                "the other devices",
                "fetching a block",
            )
            .because("none of them is connected")),
        }
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.home().pin(cid).await
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.shelf.unpin(cid).await?;
        self.home().unpin(cid).await
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        self.home().is_pinned(cid).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        self.home().check().await
    }

    fn describe(&self) -> String {
        self.home().describe()
    }
}
