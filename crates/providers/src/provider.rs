//! A provider: one block store, and the name routers that go with it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::config::{ConfigError, ProviderConfig};
use crate::delegated::Delegated;
use crate::gateway::{Gateway, WithGateways};
use crate::health::Rested;
use crate::pinata::Pinata;
use crate::reach::{self, Reach};
use crate::self_hosted::{KuboNames, SelfHosted};
use crate::w3name::W3Name;
use crate::web3_storage::Web3Storage;
use crate::{BlockStore, Http, NameRouter, infura};

/// What a [`ProviderConfig`] stands for.
#[derive(Clone)]
pub struct Provider {
    /// Where this device's blocks go.
    pub blocks: Arc<dyn BlockStore>,
    /// Where its names go, the preferred router first.
    pub names: Vec<Arc<dyn NameRouter>>,
}

impl Provider {
    /// Makes the clients; nothing is sent yet.
    pub fn from_config(config: &ProviderConfig, http: &Http) -> Result<Self, ConfigError> {
        Self::reaching(config, &[], http)
    }

    /// Makes the clients, and also reads and tells names where other devices do, and reads blocks
    /// where they leave theirs. What of `others` is no address is left out.
    pub fn reaching(
        config: &ProviderConfig,
        others: &[Reach],
        http: &Http,
    ) -> Result<Self, ConfigError> {
        let (own, names): (Arc<dyn BlockStore>, _) = match config {
            ProviderConfig::Pinata { api_key, secret_key, endpoint, .. } => {
                let secret = secret_key.as_ref();
                (Arc::new(Pinata::new(api_key, secret, endpoint.as_deref(), http)?), None)
            }
            ProviderConfig::Infura { project_id, project_secret, endpoint, .. } => {
                let endpoint = endpoint.as_deref();
                (Arc::new(infura::project(project_id, project_secret, endpoint, http)?), None)
            }
            ProviderConfig::Web3Storage { token, endpoint, .. } => {
                (Arc::new(Web3Storage::new(token, endpoint.as_deref(), http)?), None)
            }
            ProviderConfig::SelfHosted { endpoint, auth_token, name_routers, .. } => {
                let host = Arc::new(SelfHosted::new(endpoint, auth_token.as_ref(), http)?);
                let names = name_routers.is_none().then(|| host.clone() as Arc<dyn NameRouter>);
                (host, names)
            }
        };
        let mut known: BTreeSet<String> = reach::name_routers(config).into_iter().collect();
        let mut names = match names {
            Some(own) => vec![own],
            None => name_routers_at(&reach::name_routers(config), http)?,
        };
        let elsewhere = others.iter().flat_map(|reach| &reach.routers);
        for address in elsewhere.filter(|address| known.insert((*address).clone())) {
            names.extend(name_router_at(address, http).ok());
        }
        let own_reach = Reach::of(config);
        let mut known: BTreeSet<&String> = own_reach.gateways.iter().collect();
        let gateways = reach::gateways(config);
        let mut gateways = gateways_at(&gateways, http)?;
        let elsewhere = others.iter().flat_map(|reach| &reach.gateways);
        for address in elsewhere.filter(|address| known.insert(*address)) {
            gateways.extend(Gateway::new(address, http).ok().map(Arc::new));
        }
        Ok(Self { blocks: with_gateways(own, gateways), names: rested(names) })
    }
}

fn with_gateways(own: Arc<dyn BlockStore>, gateways: Vec<Arc<Gateway>>) -> Arc<dyn BlockStore> {
    if gateways.is_empty() { own } else { Arc::new(WithGateways::new(own, gateways)) }
}

/// Among several routers, those that fail rest. A single one never does: there is no other.
fn rested(names: Vec<Arc<dyn NameRouter>>) -> Vec<Arc<dyn NameRouter>> {
    if names.len() < 2 {
        return names;
    }
    names.into_iter().map(|router| Arc::new(Rested::new(router)) as Arc<dyn NameRouter>).collect()
}

fn gateways_at(addresses: &[String], http: &Http) -> Result<Vec<Arc<Gateway>>, ConfigError> {
    addresses.iter().map(|address| Gateway::new(address, http).map(Arc::new)).collect()
}

/// Clients of the name routers at these addresses, such as
/// [`DEFAULT_NAME_ROUTERS`](crate::DEFAULT_NAME_ROUTERS). Each is the base URL of a delegated
/// router, or one of another kind, which stands before it:
///
/// | address | |
/// |---|---|
/// | `https://…` | Delegated Routing V1 |
/// | `w3name+https://…` | w3name |
/// | `kubo+http://…` | a Kubo node's RPC |
/// | `gateway+https://…` | a trustless gateway; resolves only |
pub fn name_routers_at(
    addresses: &[impl AsRef<str>],
    http: &Http,
) -> Result<Vec<Arc<dyn NameRouter>>, ConfigError> {
    addresses.iter().map(|address| name_router_at(address.as_ref(), http)).collect()
}

fn name_router_at(address: &str, http: &Http) -> Result<Arc<dyn NameRouter>, ConfigError> {
    Ok(match address.trim().split_once('+') {
        Some(("w3name", address)) => Arc::new(W3Name::new(address, http)?),
        Some(("gateway", address)) => Arc::new(Gateway::new(address, http)?),
        Some(("kubo", address)) => Arc::new(KuboNames::new(address, http)?),
        _ => Arc::new(Delegated::new(address, http)?),
    })
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names.iter().map(|router| router.describe()).collect();
        f.debug_struct("Provider")
            .field("blocks", &self.blocks.describe())
            .field("names", &names)
            .finish()
    }
}
