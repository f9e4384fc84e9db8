//! Every road at once, for reading: the shelf, the peers that are connected, and the provider.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use handfast_ipfs::{Block, Cid};
use handfast_providers::{BlockStore, ErrorKind, NameRouter, Provider, ProviderError};
use handfast_ring::DeviceId;
use tokio::sync::Notify;
use tokio::time;

use super::link::Link;
use super::shelf::Shelf;

/// So long is a peer asked alone; then whoever else may have a block is asked beside it.
const ALONE: Duration = Duration::from_secs(1);

/// The peers that are connected.
#[derive(Default)]
pub struct Links {
    links: Mutex<Vec<(DeviceId, Arc<Link>)>>,
    bell: Arc<Notify>,
}

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

    /// Returns when one of them has told of a record since this returned last.
    pub async fn news(&self) {
        self.bell.notified().await;
    }

    /// What a link rings when its device tells of a record.
    pub fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    /// Which devices are connected.
    pub fn devices(&self) -> Vec<DeviceId> {
        self.lock().iter().map(|(device, _)| *device).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(DeviceId, Arc<Link>)>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Asks one after the other, the next as soon as one has failed or lets wait. The first who has the
/// block counts; and whether that is a peer.
async fn first(cid: &Cid, roads: Vec<Road<'_>>) -> Result<(Vec<u8>, bool), ProviderError> {
    let (mut asked, mut roads) = (FuturesUnordered::new(), roads.into_iter().peekable());
    let mut failure = None;
    loop {
        if let Some(road) = roads.next() {
            asked.push(async move {
                match road {
                    Road::Peer(link) => (link.get(cid).await, true),
                    Road::Provider(provider) => (provider.get(cid).await, false),
                }
            });
        }
        tokio::select! {
            answer = asked.next() => match answer {
                Some((Ok(bytes), is_peers)) => return Ok((bytes, is_peers)),
                // What the provider says of it counts more than that a peer doesn't have it.
                Some((Err(error), is_peers)) if !is_peers || failure.is_none() => {
                    failure = Some(error);
                }
                Some(_) => (),
                None => {
                    let nobody = || ProviderError::new(ErrorKind::NotFound, "nobody", "fetching");
                    return Err(failure.unwrap_or_else(nobody));
                }
            },
            () = time::sleep(ALONE), if roads.peek().is_some() => (),
        }
    }
}

/// Where a block may be.
enum Road<'a> {
    Peer(&'a Link),
    Provider(&'a dyn BlockStore),
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
        let (silent, links): (Vec<_>, Vec<_>) =
            self.links.iter().partition(|link| link.is_silent_for(ALONE));
        let provider: &dyn BlockStore = self.provider.as_ref();
        let mut roads = links.into_iter().map(|link| Road::Peer(link)).collect::<Vec<_>>();
        roads.push(Road::Provider(provider));
        roads.extend(silent.into_iter().map(|link| Road::Peer(link)));
        let (bytes, is_peers) = first(cid, roads).await?;
        if is_peers && let Ok(block) = Block::new(bytes.clone()) {
            self.shelf.put(&block).await?;
        }
        Ok(bytes)
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

#[cfg(test)]
mod tests {
    use handfast_ipfs::Name;
    use handfast_keys::IpnsSecret;
    use tempfile::TempDir;
    use tokio::sync::mpsc;
    use tokio::time::Instant;

    use super::*;
    use crate::store::Store;

    fn shelf(dir: &TempDir, name: &str) -> Shelf {
        let store = Arc::new(Store::create(&dir.path().join(name), |_| Ok(())).unwrap());
        let own = Name::of(IpnsSecret::from_seed([7; 32]).public());
        Shelf::new(store, DeviceId::from_bytes([7; 32]), own)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_holds_up_one_block_for_a_second() {
        let dir = TempDir::new().unwrap();
        let blocks = [b"one", b"two"].map(|bytes| Block::new(bytes.to_vec()).unwrap());
        let provider = shelf(&dir, "provider");
        provider.keep(&blocks).unwrap();
        let (frames, _never_answered) = mpsc::channel(8);
        let link = Link::new("phone", frames, Arc::default(), Arc::default());
        let links = vec![link.clone()];
        let roads = Roads { shelf: shelf(&dir, "own"), links, provider: Arc::new(provider) };

        let begun = Instant::now();
        assert_eq!(roads.get(blocks[0].cid()).await.unwrap(), b"one");
        assert_eq!(begun.elapsed().as_secs(), ALONE.as_secs());
        // A question to it is still open.
        let asks = link.clone();
        let other = *blocks[1].cid();
        let open = tokio::spawn(async move { asks.get(&other).await });
        time::sleep(2 * ALONE).await;
        let begun = Instant::now();
        assert_eq!(roads.get(blocks[1].cid()).await.unwrap(), b"two");
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(!open.is_finished());
        let missing = roads.get(&Cid::of(b"three")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_bell_that_rang_before_is_heard() {
        let links = Links::default();
        links.bell().notify_one();
        links.news().await;
    }
}
