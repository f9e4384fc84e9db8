//! What a swarm's handles and its tasks share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::events::{Subscribers, SwarmEvent};
use super::manager::Command;
use super::topics::Topics;
use crate::connection::Connection;
use crate::key::PublicKey;

pub(super) struct Shared {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) tasks: TaskTracker,
    pub(super) over: CancellationToken,
    live: Mutex<HashMap<PublicKey, Connection>>,
    /// By the keys under which peers dial their lanes.
    lanes: Mutex<HashMap<PublicKey, Connection>>,
    subscribers: Mutex<Subscribers>,
    topics: Mutex<Topics>,
    /// A round of a topic is due that was not before.
    pub(super) topics_changed: Notify,
    guests: Mutex<Guests>,
    /// Whether this side listens at all, and whether handshakes find their way to it.
    pub(super) listens: watch::Sender<bool>,
    pub(super) reachable: watch::Sender<bool>,
    /// Not suspended.
    pub(super) awake: watch::Sender<bool>,
    /// A node that knows the way to us no longer answers.
    pub(super) lost: Arc<Notify>,
    /// There are new nodes that know the way to us.
    pub(super) announced: Arc<Notify>,
    pub(super) start: Instant,
}

/// Whom the application has named.
#[derive(Default)]
pub(super) struct Guests {
    /// Let in though there is no room.
    pub(super) joined: HashSet<PublicKey>,
    /// Never let in.
    pub(super) banned: HashSet<PublicKey>,
}

impl Shared {
    pub(super) fn new(commands: mpsc::UnboundedSender<Command>) -> Self {
        Self {
            commands,
            tasks: TaskTracker::new(),
            over: CancellationToken::new(),
            live: Mutex::default(),
            lanes: Mutex::default(),
            subscribers: Mutex::default(),
            topics: Mutex::new(Topics::new()),
            topics_changed: Notify::new(),
            guests: Mutex::default(),
            listens: watch::Sender::new(false),
            reachable: watch::Sender::new(false),
            awake: watch::Sender::new(true),
            lost: Arc::new(Notify::new()),
            announced: Arc::new(Notify::new()),
            start: Instant::now(),
        }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<PublicKey, Connection>> {
        unpoisoned(self.live.lock())
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, HashMap<PublicKey, Connection>> {
        unpoisoned(self.lanes.lock())
    }

    pub(super) fn subscribers(&self) -> MutexGuard<'_, Subscribers> {
        unpoisoned(self.subscribers.lock())
    }

    pub(super) fn topics(&self) -> MutexGuard<'_, Topics> {
        unpoisoned(self.topics.lock())
    }

    pub(super) fn guests(&self) -> MutexGuard<'_, Guests> {
        unpoisoned(self.guests.lock())
    }

    /// Changes what is wanted of the topics, and has the rounds begun that are due.
    pub(super) fn change_topics<T>(&self, change: impl FnOnce(&mut Topics, Duration) -> T) -> T {
        let changed = change(&mut self.topics(), self.now());
        self.topics_changed.notify_one();
        changed
    }

    /// Announces and looks up everything anew.
    pub(super) fn begin_anew(&self) {
        self.lost.notify_one();
        self.change_topics(Topics::begin_all_anew);
    }

    pub(super) fn is_awake(&self) -> bool {
        *self.awake.borrow()
    }

    /// Time since the swarm was started.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn tell(&self, event: &SwarmEvent) {
        self.subscribers().tell(event);
    }

    /// Whether a handshake with `peer` is answered. What becomes of the connection the manager decides.
    pub(super) fn lets_in(&self, peer: &PublicKey, most: usize) -> bool {
        if self.over.is_cancelled() || !self.is_awake() {
            return false;
        }
        let is_joined = {
            let guests = self.guests();
            if guests.banned.contains(peer) {
                return false;
            }
            guests.joined.contains(peer)
        };
        if is_joined || self.lanes().contains_key(peer) {
            return true;
        }
        let live = self.live();
        live.len() < most || live.contains_key(peer)
    }
}

/// Poisoned locks hold what they held.
fn unpoisoned<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
