//! A provider: one block store, and the name routers that go with it.

use std::fmt;
use std::sync::Arc;

use crate::config::{ConfigError, ProviderConfig};
use crate::delegated::Delegated;
use crate::self_hosted::SelfHosted;
use crate::{BlockStore, Http, NameRouter};

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
        let ProviderConfig::SelfHosted { endpoint, auth_token, name_routers } = config else {
            return Err(ConfigError::NotSupported(config.service_name()));
        };
        let host = Arc::new(SelfHosted::new(endpoint, auth_token.as_ref(), http)?);
        let names = match name_routers {
            Some(routers) => name_routers_at(routers, http)?,
            None => vec![host.clone() as Arc<dyn NameRouter>],
        };
        Ok(Self { blocks: host, names })
    }
}

/// Clients of delegated routers at these base URLs, such as
/// [`DEFAULT_NAME_ROUTERS`](crate::DEFAULT_NAME_ROUTERS).
pub fn name_routers_at(
    addresses: &[impl AsRef<str>],
    http: &Http,
) -> Result<Vec<Arc<dyn NameRouter>>, ConfigError> {
    addresses
        .iter()
        .map(|address| Ok(Arc::new(Delegated::new(address.as_ref(), http)?) as Arc<dyn NameRouter>))
        .collect()
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
