//! The DHT: records by key or hash, and who announces a topic.
//!
//! ```text
//! mutable record     under H(public key): value, sequence number, signature; the highest wins
//! immutable record   under H(value)
//! announcement       under a topic: public key, addresses of nodes that pass a handshake on
//! ```
//!
//! Nodes forget a record after about 48 hours and an announcement after about 20 minutes; whoever
//! wants them kept repeats them.

mod node;
mod records;

pub use node::{Bootstrap, DhtOptions};
pub(crate) use node::{Node, Server};
pub use records::{Dht, FoundPeer, MAX_VALUE, Mutable, NodeAddress, Stored};
pub(crate) use records::{from_peer, to_peer};

use thiserror::Error;

/// What can go wrong with the DHT.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DhtError {
    /// The socket could not be bound.
    #[error("no socket for the DHT: {0}")]
    Bind(String),
    /// The address of a bootstrap node cannot be read.
    #[error("not a bootstrap node (HOST:PORT): {0}")]
    Bootstrap(String),
    /// The value is longer than a record holds.
    #[error("a record holds at most {MAX_VALUE} bytes")]
    TooLong,
    /// No node answered that could keep the record or announcement: this side is offline.
    #[error("no node of the DHT answered: offline?")]
    Nobody,
    /// The node is closed.
    #[error("the DHT node is closed")]
    Closed,
    /// The node failed in another way.
    #[error("the DHT node failed: {0}")]
    Failed(String),
}

impl From<peeroxide_dht::hyperdht::HyperDhtError> for DhtError {
    fn from(error: peeroxide_dht::hyperdht::HyperDhtError) -> Self {
        use peeroxide_dht::hyperdht::HyperDhtError;
        match error {
            HyperDhtError::Destroyed | HyperDhtError::ChannelClosed => Self::Closed,
            HyperDhtError::Dht(error) => error.into(),
            other => Self::Failed(other.to_string()),
        }
    }
}

impl From<peeroxide_dht::rpc::DhtError> for DhtError {
    fn from(error: peeroxide_dht::rpc::DhtError) -> Self {
        match error {
            peeroxide_dht::rpc::DhtError::ChannelClosed => Self::Closed,
            other => Self::Failed(other.to_string()),
        }
    }
}
