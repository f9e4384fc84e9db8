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
//! | [`self_hosted`] | both: a Handfast host or a Kubo node |
//! | [`delegated`] | names: Delegated Routing V1 |
//! | [`http`], [`retry`] | the one client and the one way of trying again, for all of them |
//!
//! Nothing here is trusted: blocks are verified against their CIDs and records against their names
//! before anybody sees them, and every answer has a size limit and a time limit.

pub mod block_store;
pub mod config;
pub mod conformance;
pub mod delegated;
mod error;
pub mod http;
mod kubo;
pub mod memory;
pub mod name_router;
mod provider;
pub mod retry;
pub mod self_hosted;
mod service;
mod traffic;

pub use block_store::BlockStore;
pub use config::{ConfigError, ProviderConfig, SecretText};
pub use delegated::DEFAULT_NAME_ROUTERS;
pub use error::{ErrorKind, ProviderError};
pub use http::{Http, HttpOptions};
pub use name_router::{NameRouter, Resolve, Resolved, Validator};
pub use provider::{Provider, name_routers_at};
pub use retry::Retry;
pub use traffic::{Totals, Traffic};
