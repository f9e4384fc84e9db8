//! Where a device's feed can be read by others: addresses, no credentials.

use serde::{Deserialize, Serialize};

use crate::delegated::DEFAULT_NAME_ROUTERS;
use crate::gateway::DEFAULT_GATEWAYS;
use crate::{ProviderConfig, pinata, web3_storage};

/// Most addresses of a kind, and bytes of one.
const MAX_ADDRESSES: usize = 8;
const MAX_ADDRESS: usize = 256;

/// The name routers and gateways at which a device's feed can be read without its credentials. Two
/// devices with different providers tell each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Addresses of name routers, as [`name_routers_at`](crate::name_routers_at) takes them.
    pub routers: Vec<String>,
    /// Base URLs of trustless gateways.
    pub gateways: Vec<String>,
}

impl Reach {
    /// How far what is left at a provider reaches.
    pub fn of(config: &ProviderConfig) -> Reach {
        let own = match config {
            ProviderConfig::Pinata { endpoint, .. } => {
                Some(endpoint.as_deref().unwrap_or(pinata::GATEWAY))
            }
            ProviderConfig::Web3Storage { endpoint: None, .. } => Some(web3_storage::GATEWAY),
            ProviderConfig::SelfHosted { endpoint, .. } => Some(endpoint.as_str()),
            _ => None,
        };
        let gateways = own.into_iter().map(str::to_owned).chain(gateways(config));
        let routers = name_routers(config).into_iter();
        Reach { routers: routers.collect(), gateways: gateways.collect() }.bounded()
    }

    /// As much of it as is taken from another device: few addresses, none of them long, none twice.
    pub fn bounded(mut self) -> Reach {
        for list in [&mut self.routers, &mut self.gateways] {
            let mut seen = std::collections::BTreeSet::new();
            list.retain(|it| it.len() <= MAX_ADDRESS && seen.insert(it.clone()));
            list.truncate(MAX_ADDRESSES);
        }
        self
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.routers.is_empty() && self.gateways.is_empty()
    }
}

/// The gateways that go with a config: its own, else the public ones, unless its endpoint is
/// another one than the service's: then nobody else is asked.
pub(crate) fn gateways(config: &ProviderConfig) -> Vec<String> {
    match (config.gateways(), config.endpoint()) {
        (Some(gateways), _) => gateways.to_vec(),
        (None, Some(_)) => Vec::new(),
        (None, None) => {
            let own = match config {
                ProviderConfig::Web3Storage { .. } => Some(web3_storage::GATEWAY),
                _ => None,
            };
            own.iter().chain(DEFAULT_GATEWAYS).map(|&it| it.to_owned()).collect()
        }
    }
}

/// The name routers that go with a config, as far as they want no credentials.
pub(crate) fn name_routers(config: &ProviderConfig) -> Vec<String> {
    let public = DEFAULT_NAME_ROUTERS.iter().map(|&it| it.to_owned());
    match (config.name_routers(), config) {
        (Some(routers), _) => routers.to_vec(),
        (None, ProviderConfig::SelfHosted { endpoint, .. }) => vec![endpoint.clone()],
        (None, ProviderConfig::Web3Storage { .. }) => {
            let w3name = format!("w3name+{}", crate::w3name::W3NAME);
            std::iter::once(w3name).chain(public).collect()
        }
        (None, _) => public.collect(),
    }
}
