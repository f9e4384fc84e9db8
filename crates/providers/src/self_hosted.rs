//! A person's own machine: a Handfast host or a Kubo node.
//!
//! Blocks go through Kubo's RPC. Names go through `/routing/v1/ipns` at the same address, or, at a
//! node that has only the RPC there, through `routing/put` and `routing/get`. Which of the two it
//! is comes out of the first answer that tells; nothing is probed beforehand.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::BASE64;
use handfast_ipfs::{Block, Cid, Name, Record};

use crate::config::{ConfigError, SecretText, base_url};
use crate::delegated::{Delegated, Reply};
use crate::kubo::Kubo;
use crate::service::{Credentials, Service};
use crate::{BlockStore, ErrorKind, Http, NameRouter, ProviderError, Resolve, Resolved};

/// The RPC's prefix, which an address may contain already.
const API: &str = "/api/v0";

/// A client of a self-hosted provider: both a block store and a name router.
pub struct SelfHosted {
    kubo: Kubo,
    routing: Delegated,
    road: AtomicU8,
}

/// Where the provider takes names, once it is known.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Road {
    Unknown = 0,
    Routing = 1,
    Rpc = 2,
}

/// The names of a Kubo node, through its RPC, without credentials.
pub struct KuboNames(Kubo);

impl KuboNames {
    /// A node at a base URL, with or without `/api/v0`.
    pub fn new(address: &str, http: &Http) -> Result<Self, ConfigError> {
        let base = base_url(address, API)?;
        Ok(Self(Kubo::new(Service::new("Kubo node", base, None, http))))
    }
}

#[async_trait]
impl NameRouter for KuboNames {
    async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        self.0.publish(record).await
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        self.0.resolve(name, query).await
    }

    fn longest_wait(&self) -> Option<Duration> {
        None
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

impl SelfHosted {
    /// A provider at a base URL, with or without `/api/v0`. What `auth_token` may look like is
    /// said at [`ProviderConfig::SelfHosted`](crate::ProviderConfig::SelfHosted).
    pub fn new(
        address: &str,
        auth_token: Option<&SecretText>,
        http: &Http,
    ) -> Result<Self, ConfigError> {
        let base = base_url(address, API)?;
        let service = || {
            let credentials = auth_token.map(authorization).transpose()?.flatten();
            Ok(Service::new("self-hosted provider", base.clone(), credentials, http))
        };
        Ok(Self {
            kubo: Kubo::new(service()?),
            routing: Delegated::at(service()?),
            road: AtomicU8::new(Road::Unknown as u8),
        })
    }

    fn road(&self) -> Road {
        match self.road.load(Ordering::Relaxed) {
            1 => Road::Routing,
            2 => Road::Rpc,
            _ => Road::Unknown,
        }
    }

    /// Whether a refusal may only mean that there is no name router at this address: a Kubo node
    /// whose tokens are limited to its RPC calls the path forbidden, others call it a bad request.
    fn may_be_elsewhere(&self, error: &ProviderError) -> bool {
        self.road() == Road::Unknown
            && matches!(error.kind(), ErrorKind::Rejected | ErrorKind::BadCredentials)
    }

    fn take(&self, road: Road) {
        self.road.store(road as u8, Ordering::Relaxed);
    }
}

/// The `Authorization` header for what people enter as a token. An empty one is none.
fn authorization(token: &SecretText) -> Result<Option<Credentials>, ConfigError> {
    let secret = token.expose().trim();
    if secret.is_empty() {
        return Ok(None);
    }
    let header = if secret.starts_with("Bearer ") || secret.starts_with("Basic ") {
        secret.into()
    } else if secret.contains(':') {
        SecretText::from(format!("Basic {}", BASE64.encode(secret.as_bytes())))
    } else {
        SecretText::from(format!("Bearer {secret}"))
    };
    let mut secrets = vec![SecretText::from(secret)];
    secrets.extend(secret.split_once(':').map(|(_, password)| password.into()));
    Credentials::new(&header, secrets).map(Some).ok_or(ConfigError::Credentials)
}

#[async_trait]
impl BlockStore for SelfHosted {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        self.kubo.put(block).await
    }

    async fn put_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        self.kubo.put_all(blocks).await
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        self.kubo.get(cid).await
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.kubo.pin(cid).await
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.kubo.unpin(cid).await
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        self.kubo.is_pinned(cid).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        self.kubo.check().await
    }

    fn describe(&self) -> String {
        self.kubo.describe()
    }
}

#[async_trait]
impl NameRouter for SelfHosted {
    async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        if self.road() != Road::Rpc {
            match self.routing.put(record).await {
                Ok(true) => {
                    self.take(Road::Routing);
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) if self.may_be_elsewhere(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.kubo.publish(record).await?;
        self.take(Road::Rpc);
        Ok(())
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        if self.road() != Road::Rpc {
            match self.routing.ask(name, query).await {
                Ok(Reply::Answered(resolved)) => {
                    self.take(Road::Routing);
                    return Ok(resolved);
                }
                Ok(Reply::Nothing) if self.road() == Road::Routing => return Ok(Resolved::Missing),
                Ok(Reply::Nothing) => {}
                Err(error) if self.may_be_elsewhere(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let resolved = self.kubo.resolve(name, query).await?;
        self.take(Road::Rpc);
        Ok(resolved)
    }

    fn longest_wait(&self) -> Option<Duration> {
        self.routing.longest_wait()
    }

    fn describe(&self) -> String {
        self.routing.describe()
    }
}
