//! Infura: Kubo's RPC with a project's id and secret as Basic credentials. There are no names.
//!
//! It gives out no new keys; projects that were active in late 2024 go on. Source:
//! <https://docs.metamask.io/services/reference/ipfs/>.

use crate::Http;
use crate::config::{ConfigError, SecretText, base_url};
use crate::kubo::Kubo;
use crate::service::{Credentials, Service};

/// The service's own address.
pub(crate) const ENDPOINT: &str = "https://ipfs.infura.io:5001";

/// A client of one project; at Infura itself, or at another address that speaks Kubo's RPC with
/// Basic credentials.
pub(crate) fn project(
    id: &SecretText,
    secret: &SecretText,
    endpoint: Option<&str>,
    http: &Http,
) -> Result<Kubo, ConfigError> {
    let credentials = Credentials::basic(id, secret).ok_or(ConfigError::Credentials)?;
    let base = base_url(endpoint.unwrap_or(ENDPOINT), "/api/v0")?;
    Ok(Kubo::new(Service::new("Infura", base, Some(credentials), http)))
}
