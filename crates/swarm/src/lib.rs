//! Peers that find and reach each other without a server: Hyperswarm, wire-compatible with npm
//! `hyperswarm` 4, `hyperdht` 6 and `protomux` 3.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use handfast_swarm::{Bootstrap, JoinOptions, Swarm, SwarmEvent, SwarmOptions, Topic};
//!
//! let swarm = Swarm::new(SwarmOptions::new(Bootstrap::Public)).await?;
//! let mut events = swarm.subscribe();
//! let discovery = swarm.join(Topic([7; 32]), JoinOptions::default())?;
//! while let Some(event) = events.next().await {
//!     if let SwarmEvent::Connected(connection) = event {
//!         let channel = connection.mux().open("chat", None, b"")?;
//!         channel.send(0, b"hello").await?;
//!     }
//! }
//! # drop(discovery);
//! # Ok(()) }
//! ```
//!
//! | module | |
//! |---|---|
//! | [`dht`] | records, and who announces a topic |
//! | [`discovery`] | [`Swarm`]: topics, whom to dial, which connections stay |
//! | [`connection`] | [`Connection`]: dialling, accepting, the encrypted stream, lanes |
//! | [`mux`] | [`Mux`]: several protocols over one connection |
//! | [`testnet`] | nodes of one's own |
//!
//! The DHT's messages, its handshakes and the transport below are those of `peeroxide-dht`; none of
//! its types is in what this crate offers.

pub mod connection;
pub mod dht;
pub mod discovery;
mod key;
pub mod mux;
pub mod testnet;

pub use connection::{CloseReason, ConnectError, Connection};
pub use dht::{Bootstrap, Dht, DhtError, DhtOptions, FoundPeer, Mutable};
pub use discovery::{
    Backoff, Discovery, Events, JoinOptions, Limits, Swarm, SwarmError, SwarmEvent, SwarmOptions,
};
pub use key::{KeyPair, PublicKey, Topic, discovery_key};
pub use mux::{Channel, ChannelSender, Listener, Meeting, Message, Mux, Offer};
