//! What happens on a device, as a stream.

use handfast_ring::{DeviceId, DeviceName};
use tokio::sync::broadcast;

/// How many events a slow reader may be behind before it misses some.
const CAPACITY: usize = 1_024;

/// Something that happened on this device, or that it learned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Part of a longer work is done.
    Progress(Progress),
    /// Records changed: by another device's edits, or this one's.
    RecordsChanged {
        /// In which collection.
        collection: String,
        /// How many.
        records: u64,
    },
    /// Fields have more than one value now, or again.
    Conflicts {
        /// In which collection.
        collection: String,
        /// How many records of it are in conflict.
        records: u64,
    },
    /// Another device belongs to this one now.
    DeviceAdded {
        /// Which.
        device: DeviceId,
        /// What it calls itself.
        name: DeviceName,
        /// Who admitted it; `None` when this device did.
        by: Option<DeviceName>,
    },
    /// This device's feed is published.
    Published {
        /// Under this sequence.
        sequence: u64,
    },
    /// Another device's log contradicts itself: its store was copied or restored.
    Forked {
        /// Whose log.
        name: DeviceName,
        /// Of which collection.
        collection: String,
    },
    /// This device's store was copied or restored; it goes on with new writer keys.
    NewIncarnation,
    /// A service could not be used; trying goes on.
    Trouble {
        /// What a person should read.
        message: String,
    },
}

/// How far a longer work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which work.
    pub work: Work,
    /// How much is done.
    pub done: u64,
    /// Of how much.
    pub total: u64,
}

/// A work that takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Solo records become mutations; counted in records.
    Sealing,
    /// Blocks go to the provider; counted in blocks.
    Uploading,
    /// Another device's changes come in; counted in mutations.
    Importing,
}

/// Where events come from.
#[derive(Debug, Clone)]
pub(crate) struct Bus(broadcast::Sender<Event>);

impl Bus {
    pub fn new() -> Bus {
        Bus(broadcast::Sender::new(CAPACITY))
    }

    pub fn emit(&self, event: Event) {
        // Nobody listening is no error.
        let _ = self.0.send(event);
    }

    pub fn progress(&self, work: Work, done: u64, total: u64) {
        self.emit(Event::Progress(Progress { work, done, total }));
    }

    pub fn subscribe(&self) -> Events {
        Events(self.0.subscribe())
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the device is gone. A reader that was too slow misses some.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.0.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => (),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event that has happened already.
    pub fn try_next(&mut self) -> Option<Event> {
        loop {
            match self.0.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => (),
                Err(_) => return None,
            }
        }
    }
}
