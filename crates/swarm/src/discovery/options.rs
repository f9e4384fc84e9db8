//! How a swarm behaves.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::dht::Bootstrap;
use crate::key::{KeyPair, PublicKey};

/// How a swarm is started.
#[derive(Debug, Clone)]
pub struct SwarmOptions {
    /// Who this side is; peers that dial it prove that they reached this key.
    pub keys: KeyPair,
    /// Where it meets the network.
    pub bootstrap: Bootstrap,
    /// The address that its sockets are bound to.
    pub host: Ipv4Addr,
    /// What peers may cost.
    pub limits: Limits,
    /// When a peer is dialled again.
    pub backoff: Backoff,
    /// The key of a blind relay: offered to peers to whom no direct path opens.
    pub relay: Option<PublicKey>,
}

impl SwarmOptions {
    /// New keys and the usual limits.
    pub fn new(bootstrap: Bootstrap) -> Self {
        Self {
            keys: KeyPair::generate(),
            bootstrap,
            host: Ipv4Addr::UNSPECIFIED,
            limits: Limits::default(),
            backoff: Backoff::default(),
            relay: None,
        }
    }
}

/// What peers may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most peers connected or being dialled at a time; a peer that is joined by key comes in
    /// nevertheless, and one that the application connects.
    pub peers: usize,
    /// Most dials at a time.
    pub dials: usize,
    /// Most peers that are remembered; who was dialled in vain makes room for those who are found later.
    pub known: usize,
    /// Bytes of one connection that may wait to be read by the application; more ends it.
    pub unread: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { peers: 64, dials: 8, known: 1024, unread: 64 * 1024 * 1024 }
    }
}

/// When a peer is dialled again: `first` after the first failure, four times as long after each
/// further one, at most `most`, each a quarter more or less by chance. A connection that lasted
/// `proven` makes the next failure the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub most: Duration,
    /// What a connection has to last to make a fresh start.
    pub proven: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(600),
            proven: Duration::from_secs(15),
        }
    }
}

impl Backoff {
    /// The wait after so many failures; `chance` is between 0 and 1.
    pub(super) fn wait(&self, failures: u32, chance: f64) -> Duration {
        let factor = 4_u32.saturating_pow(failures.saturating_sub(1));
        self.first
            .saturating_mul(factor)
            .min(self.most)
            .mul_f64(0.75 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

/// What a swarm does with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinOptions {
    /// Whether others find this side under the topic and may dial it.
    pub announce: bool,
    /// Whether this side dials those who announce the topic.
    pub lookup: bool,
}

impl Default for JoinOptions {
    fn default() -> Self {
        Self { announce: true, lookup: true }
    }
}
