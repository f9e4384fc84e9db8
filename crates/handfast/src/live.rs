//! The live road: devices that are connected ask each other directly.
//!
//! | module | |
//! |---|---|
//! | [`message`] | what they say |
//! | [`link`] | a connected device as one more block store and one more name router |
//! | [`shelf`] | what this device answers from |
//! | [`roads`] | shelf, links and provider as one provider |
//! | [`road`] | keeping links up over the swarm |

mod link;
mod message;
mod road;
mod roads;
mod shelf;

pub use road::Online;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use handfast_ipfs::{Block, Name, Record};
use handfast_providers::{BlockStore, Provider};
use handfast_ring::{DeviceId, DeviceKeys};
use handfast_swarm::Swarm;
use tokio::sync::{Notify, watch};
use tokio::time;

use crate::error::Result;
use crate::store::Store;
use link::Link;
use roads::Links;
use shelf::Shelf;

/// Who asks nothing for so long has what it wanted...
const QUIET: Duration = Duration::from_millis(500);
/// ...and who asks for longer than this will have to ask elsewhere.
const FAREWELL: Duration = Duration::from_secs(10);

/// The live road of a device.
pub(crate) struct Live {
    shelf: Shelf,
    links: Arc<Links>,
    /// Where links are kept up, while somebody does, and how many times somebody has begun to.
    swarm: Mutex<(u64, Option<Swarm>)>,
    /// How many invites are open that strangers may answer.
    open_doors: watch::Sender<usize>,
}

/// While this exists, strangers who connect are not sent away: one of them may have an invite.
pub(crate) struct OpenDoor(watch::Sender<usize>);

impl Drop for OpenDoor {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open = open.saturating_sub(1));
    }
}

impl Live {
    pub fn new(store: &Arc<Store>, keys: &DeviceKeys) -> Live {
        let shelf = Shelf::new(store.clone(), keys.device_id(), Name::of(keys.ipns.public()));
        let (links, swarm) = Default::default();
        Live { shelf, links, swarm, open_doors: watch::Sender::new(0) }
    }

    /// Links are kept up over this swarm from now on. Returns what ends that.
    pub fn go_online(&self, swarm: Swarm) -> u64 {
        let mut online = self.online();
        *online = (online.0 + 1, Some(swarm));
        online.0
    }

    /// No longer, unless there is a newer one.
    pub fn go_offline(&self, which: u64) {
        let mut online = self.online();
        if online.0 == which {
            online.1 = None;
        }
    }

    /// Where links are kept up; `None` while the device is offline.
    pub fn swarm(&self) -> Option<Swarm> {
        self.online().1.clone()
    }

    fn online(&self) -> MutexGuard<'_, (u64, Option<Swarm>)> {
        self.swarm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets strangers stay connected.
    pub fn open_door(&self) -> OpenDoor {
        self.open_doors.send_modify(|open| *open += 1);
        OpenDoor(self.open_doors.clone())
    }

    /// How many invites are open, now and whenever that changes.
    fn open_doors(&self) -> watch::Receiver<usize> {
        self.open_doors.subscribe()
    }

    /// Adds the link to a device that is connected.
    pub fn connect(&self, device: DeviceId, link: &Arc<Link>) {
        self.links.add(device, link.clone());
    }

    /// Removes it again.
    pub fn disconnect(&self, device: &DeviceId, link: &Arc<Link>) {
        self.links.remove(device, link);
    }

    /// What a link rings when its device tells of a record.
    pub fn bell(&self) -> Arc<Notify> {
        self.links.bell()
    }

    /// Waits until the peers that are connected have asked nothing for a while, or for too long.
    pub async fn settled(&self) {
        let links = self.links.all();
        let _ = time::timeout(FAREWELL, join_all(links.iter().map(|link| link.quiet(QUIET)))).await;
    }

    /// The devices that are connected.
    pub fn connected(&self) -> Vec<DeviceId> {
        self.links.devices()
    }

    /// What peers are answered from; `provider` has what is not here.
    pub fn shelf(&self, provider: Option<Arc<dyn BlockStore>>) -> Shelf {
        self.shelf.backed(provider)
    }

    /// A provider that keeps everything here, for the peers that connect; `None` while nobody can.
    pub fn own_provider(&self) -> Option<Provider> {
        let shelf = Arc::new(self.shelf.clone());
        self.swarm().map(|_| Provider { blocks: shelf.clone(), names: vec![shelf] })
    }

    /// A provider, and beside it the peers that are connected: for reading.
    pub fn beside(&self, provider: &Provider) -> Provider {
        roads::beside(provider, &self.shelf, &self.links)
    }

    /// Whether any device is connected.
    pub fn is_linked(&self) -> bool {
        !self.links.all().is_empty()
    }

    /// Keeps blocks for the connected peers.
    pub fn keep(&self, blocks: &[Block]) -> Result<()> {
        self.shelf.keep(blocks)
    }

    /// The record that a connected device has told of by itself: its own newest.
    pub fn told_by(&self, device: &DeviceId, name: &Name) -> Option<Record> {
        let link = self.links.to(device)?;
        Record::parse(name, &link.told(name)?, None).ok()
    }

    /// Returns when a connected device has told of a record since this returned last.
    pub async fn news(&self) {
        self.links.news().await;
    }

    /// Tells the connected peers of what is about to be published: they can have it at once.
    pub async fn tell(&self, fresh: &[Block], record: &Record) -> Result<()> {
        let links = self.links.all();
        if links.is_empty() {
            return Ok(());
        }
        self.shelf.keep(fresh)?;
        for gone in join_all(links.iter().map(|link| link.push(record))).await {
            if let Err(error) = gone {
                tracing::debug!(%error, "a peer was not told");
            }
        }
        Ok(())
    }
}
