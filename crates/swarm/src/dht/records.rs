//! What an application asks of the DHT.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use peeroxide_dht::messages::Ipv4Peer;

use super::{DhtError, DhtOptions, Node};
use crate::key::{KeyPair, PublicKey, Topic};

/// Longest value of a record, in bytes: with its signature it travels in one datagram.
pub const MAX_VALUE: usize = 1000;
/// Addresses that an announcement holds.
const RELAYS: usize = 3;

/// The DHT as this node reaches it. Clones share the node.
#[derive(Clone)]
pub struct Dht {
    node: Arc<Node>,
}

/// A mutable record: its signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutable {
    /// Grows with every new value.
    pub seq: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// How a record was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Nodes that are to keep it: those nearest to its key that answered.
    pub nodes: usize,
    /// Of these, nodes that fell silent when they were told to keep it.
    pub silent: usize,
}

/// Somebody who announces a topic. Nothing says that they are there, or may be trusted: the key is
/// proven when connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPeer {
    /// Who they say they are.
    pub public_key: PublicKey,
    /// Nodes that pass a handshake on to them.
    pub relays: Vec<NodeAddress>,
}

/// The address of a DHT node.
pub type NodeAddress = SocketAddrV4;

impl Dht {
    /// Starts a node of its own; a swarm has one already. Being offline is no error here.
    ///
    /// # Errors
    /// [`DhtError`] if the socket cannot be bound or a bootstrap address cannot be read.
    pub async fn new(options: DhtOptions) -> Result<Self, DhtError> {
        // Nobody can dial it: what is asked of it as a peer is dropped.
        let (node, _server) = Node::start(&options).await?;
        Ok(Self { node: Arc::new(node) })
    }

    pub(crate) fn of(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// Stores `value` under the key pair's public key. `seq` must be higher than that of the value
    /// it replaces; nodes keep the higher one. A value lives about 48 hours.
    ///
    /// # Errors
    /// [`DhtError::TooLong`], [`DhtError::Nobody`] if no node answered, or all fell silent. A node that
    /// knows a higher `seq` keeps that without saying so: [`Self::mutable_get`] tells.
    pub async fn mutable_put(
        &self,
        keys: &KeyPair,
        seq: u64,
        value: &[u8],
    ) -> Result<Stored, DhtError> {
        check_length(value)?;
        let put = self.node.handle().mutable_put(&keys.to_dht(), value, seq).await?;
        stored(put.closest_nodes.len(), put.commit_timeouts as usize)
    }

    /// The record under `key` with the highest sequence number that is known, if it is at least
    /// `min_seq`.
    ///
    /// # Errors
    /// [`DhtError`] if the node failed.
    pub async fn mutable_get(
        &self,
        key: &PublicKey,
        min_seq: u64,
    ) -> Result<Option<Mutable>, DhtError> {
        let mut best: Option<Mutable> = None;
        // The node hands out the first answer that will do; ask on until there is none.
        for _ in 0..8 {
            let seq = match &best {
                None => min_seq,
                Some(best) => match best.seq.checked_add(1) {
                    Some(next) => next,
                    None => break,
                },
            };
            match self.node.handle().mutable_get(&key.0, seq).await? {
                Some(found) => best = Some(Mutable { seq: found.seq, value: found.value }),
                None => break,
            }
        }
        Ok(best)
    }

    /// Stores `value` under its hash, which is returned. Whether the nodes that are told to keep it do
    /// so is not known here: only [`Self::immutable_get`] tells.
    ///
    /// # Errors
    /// [`DhtError::TooLong`], [`DhtError::Nobody`] if no node answered.
    pub async fn immutable_put(&self, value: &[u8]) -> Result<[u8; 32], DhtError> {
        check_length(value)?;
        let put = self.node.handle().immutable_put(value).await?;
        stored(put.closest_nodes.len(), 0)?;
        Ok(put.hash)
    }

    /// The value with this hash; it was verified.
    ///
    /// # Errors
    /// [`DhtError`] if the node failed.
    pub async fn immutable_get(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>, DhtError> {
        Ok(self.node.handle().immutable_get(*hash).await?)
    }

    /// Says once that the key pair's owner is to be found under `topic`. Nodes forget it after
    /// about 20 minutes. Whether those that are told take it is not known here: only [`Self::lookup`]
    /// tells.
    ///
    /// # Errors
    /// [`DhtError::Nobody`] if no node answered.
    pub async fn announce(&self, topic: Topic, keys: &KeyPair) -> Result<(), DhtError> {
        let relays = self.node.handle().current_relay_addresses();
        let told = self.node.handle().announce(topic.0, &keys.to_dht(), &relays).await?;
        stored(told.closest_nodes.len(), 0).map(drop)
    }

    /// Takes an announcement back.
    ///
    /// # Errors
    /// [`DhtError`] if the node failed.
    pub async fn unannounce(&self, topic: Topic, keys: &KeyPair) -> Result<(), DhtError> {
        Ok(self.node.handle().unannounce(topic.0, &keys.to_dht()).await?)
    }

    /// Everybody who announces `topic`, each once.
    ///
    /// # Errors
    /// [`DhtError`] if the node failed.
    pub async fn lookup(&self, topic: Topic) -> Result<Vec<FoundPeer>, DhtError> {
        let mut found: HashMap<PublicKey, Vec<NodeAddress>> = HashMap::new();
        let mut order = Vec::new();
        for answer in self.node.handle().lookup(topic.0).await? {
            for peer in answer.peers {
                let key = PublicKey(peer.public_key);
                let relays = found.entry(key).or_insert_with(|| {
                    order.push(key);
                    Vec::new()
                });
                for address in peer.relay_addresses.iter().filter_map(from_peer) {
                    if relays.len() < RELAYS && !relays.contains(&address) {
                        relays.push(address);
                    }
                }
            }
        }
        let take = |key: PublicKey| {
            let relays = found.remove(&key).unwrap_or_default();
            FoundPeer { public_key: key, relays }
        };
        Ok(order.into_iter().map(take).collect())
    }

    /// The port of the node's socket.
    ///
    /// # Errors
    /// [`DhtError::Closed`].
    pub async fn port(&self) -> Result<u16, DhtError> {
        self.node.port().await
    }

    /// How many nodes this one knows; 0: it has reached nobody.
    ///
    /// # Errors
    /// [`DhtError::Closed`].
    pub async fn known_nodes(&self) -> Result<usize, DhtError> {
        Ok(self.node.handle().table_size().await?)
    }

    /// Ends the node. Not for the DHT of a swarm: close the swarm.
    pub async fn close(&self) {
        self.node.close().await;
    }
}

fn check_length(value: &[u8]) -> Result<(), DhtError> {
    if value.len() > MAX_VALUE { Err(DhtError::TooLong) } else { Ok(()) }
}

fn stored(nodes: usize, silent: usize) -> Result<Stored, DhtError> {
    if nodes <= silent { Err(DhtError::Nobody) } else { Ok(Stored { nodes, silent }) }
}

pub(crate) fn from_peer(peer: &Ipv4Peer) -> Option<NodeAddress> {
    let host: Ipv4Addr = peer.host.parse().ok()?;
    (peer.port != 0).then_some(SocketAddrV4::new(host, peer.port))
}

pub(crate) fn to_peer(address: &NodeAddress) -> Ipv4Peer {
    Ipv4Peer { host: address.ip().to_string(), port: address.port() }
}
