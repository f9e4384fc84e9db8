//! Clients of other people's services: where blocks are kept and where names lead.
//!
//! Two traits, because most pinning services know nothing about names: a [`BlockStore`] keeps
//! blocks, a [`NameRouter`] keeps records. A [`ProviderConfig`] stands for one store and the
//! routers that go with it, a [`Provider`]. A connected peer implements both traits too, elsewhere.
//!
//! | module | |
//! |---|---|
//! | [`block_store`], [`name_router`] | the traits |
//! | [`conformance`] | what every implementation must pass |
//! | [`memory`] | both, in memory |
//! | [`pinata`], [`infura`](ProviderConfig::Infura), [`web3_storage`] | blocks, at these services |
//! | [`self_hosted`] | both: a Handfast host or a Kubo node |
//! | [`delegated`], [`w3name`] | names |
//! | [`gateway`] | reading blocks and names from whoever has them |
//! | [`http`], [`retry`] | the one client and the one way of trying again, for all of them |
//!
//! Nothing here is trusted: blocks are verified against their CIDs and records against their names
//! before anybody sees them, and every answer has a size limit and a time limit.

pub mod block_store;
mod car;
pub mod config;
pub mod conformance;
pub mod delegated;
mod error;
pub mod gateway;
mod health;
pub mod http;
mod infura;
mod kubo;
pub mod memory;
pub mod name_router;
pub mod pinata;
mod provider;
mod reach;
pub mod retry;
pub mod self_hosted;
mod service;
mod traffic;
pub mod w3name;
pub mod web3_storage;

pub use block_store::BlockStore;
pub use config::{ConfigError, ProviderConfig, SecretText};
pub use delegated::DEFAULT_NAME_ROUTERS;
pub use error::{ErrorKind, ProviderError};
pub use gateway::DEFAULT_GATEWAYS;
pub use http::{Http, HttpOptions, Transport};
pub use name_router::{NameRouter, Resolve, Resolved, Validator};
pub use provider::{Provider, name_routers_at};
pub use reach::Reach;
pub use retry::Retry;
pub use traffic::{Totals, Traffic};
