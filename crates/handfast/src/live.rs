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

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use handfast_ipfs::{Block, Name, Record};
use handfast_providers::{BlockStore, Provider};
use handfast_ring::{DeviceId, DeviceKeys};

use crate::error::Result;
use crate::store::Store;
use link::Link;
use roads::Links;
use shelf::Shelf;

/// The live road of a device.
pub(crate) struct Live {
    shelf: Shelf,
    links: Arc<Links>,
    /// Whether somebody keeps links up.
    running: AtomicBool,
}

impl Live {
    pub fn new(store: &Arc<Store>, keys: &DeviceKeys) -> Live {
        let shelf = Shelf::new(store.clone(), keys.device_id(), Name::of(keys.ipns.public()));
        Live { shelf, links: Arc::default(), running: AtomicBool::new(false) }
    }

    /// Whether links are kept up from now on.
    pub fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Relaxed);
    }

    /// Adds the link to a device that is connected.
    pub fn connect(&self, device: DeviceId, link: &Arc<Link>) {
        self.links.add(device, link.clone());
    }

    /// Removes it again.
    pub fn disconnect(&self, device: &DeviceId, link: &Arc<Link>) {
        self.links.remove(device, link);
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
        self.running
            .load(Ordering::Relaxed)
            .then(|| Provider { blocks: shelf.clone(), names: vec![shelf] })
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

    /// Returns when a connected device tells of a record.
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
