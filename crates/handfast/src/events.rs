//! What happens on a device, as a stream.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Another device is connected: what happens on either is on the other at once.
    Connected {
        /// Which.
        name: DeviceName,
    },
    /// It is no longer connected.
    Disconnected {
        /// Which.
        name: DeviceName,
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
    /// Another device's snapshot of a collection is not what the logs say. It was shown meanwhile;
    /// now the logs count.
    WrongSnapshot {
        /// Whose snapshot.
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
    /// Another device's snapshot comes in; counted in records, which are shown when all are here.
    Loading,
    /// Another device's changes come in; counted in mutations.
    Importing,
}

/// Where events come from.
#[derive(Debug, Clone)]
pub(crate) struct Bus {
    sender: broadcast::Sender<Event>,
    /// What happened while the device was opened, for the first who subscribes.
    opening: Arc<Mutex<VecDeque<Event>>>,
}

impl Bus {
    /// A bus of a device that is being opened, with what happened meanwhile.
    pub fn new(opening: impl IntoIterator<Item = Event>) -> Bus {
        let opening = Arc::new(Mutex::new(opening.into_iter().collect()));
        Bus { sender: broadcast::Sender::new(CAPACITY), opening }
    }

    pub fn emit(&self, event: Event) {
        // Nobody listening is no error.
        let _ = self.sender.send(event);
    }

    pub fn progress(&self, work: Work, done: u64, total: u64) {
        self.emit(Event::Progress(Progress { work, done, total }));
    }

    pub fn subscribe(&self) -> Events {
        let receiver = self.sender.subscribe();
        let opening = &mut *self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        Events { opening: std::mem::take(opening), receiver }
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct Events {
    opening: VecDeque<Event>,
    receiver: broadcast::Receiver<Event>,
}

impl Events {
    /// The next event; `None` when the device is gone. A reader that was too slow misses some.
    pub async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.opening.pop_front() {
            return Some(event);
        }
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => (),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// The next event that has happened already.
    pub fn try_next(&mut self) -> Option<Event> {
        if let Some(event) = self.opening.pop_front() {
            return Some(event);
        }
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => (),
                Err(_) => return None,
            }
        }
    }
}
