//! Which provider to use, as a person enters it and as a pairing code carries it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use subtle::ConstantTimeEq;
use url::Url;
use zeroize::Zeroizing;

/// A provider's name and credentials.
///
/// On the wire it is a map that `type` tells apart, with camel-cased keys:
/// `{ "type": "self-hosted", "endpoint": "https://home.example", "authToken": "…" }`. Keys that it
/// does not know are refused, because a misspelt `authToken` must not pass for none.
///
/// It holds secrets: they are wiped when dropped and left out of `Debug`. Serialising it yields
/// them, so the caller keeps the result under a seal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ProviderConfig {
    /// Pinata.
    #[serde(rename = "pinata")]
    Pinata {
        /// The API key; without a `secret_key`, a JWT.
        api_key: SecretText,
        /// The secret that belongs to the key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_key: Option<SecretText>,
        /// Another base URL that speaks Pinata's API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// Addresses of name routers, instead of the public ones; see
        /// [`name_routers_at`](crate::name_routers_at).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name_routers: Option<Vec<String>>,
        /// Base URLs of trustless gateways to read blocks from as well, instead of the public ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gateways: Option<Vec<String>>,
    },
    /// Infura.
    #[serde(rename = "infura")]
    Infura {
        /// The project's id.
        project_id: SecretText,
        /// The project's secret.
        project_secret: SecretText,
        /// Another base URL that speaks Kubo's RPC with Basic credentials.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// Addresses of name routers, instead of the public ones; see
        /// [`name_routers_at`](crate::name_routers_at).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name_routers: Option<Vec<String>>,
        /// Base URLs of trustless gateways to read blocks from as well, instead of the public ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gateways: Option<Vec<String>>,
    },
    /// web3.storage, as it was until 2024.
    #[serde(rename = "web3storage")]
    Web3Storage {
        /// The API token.
        token: SecretText,
        /// Another base URL that speaks its API.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
        /// Addresses of name routers, instead of the usual ones; see
        /// [`name_routers_at`](crate::name_routers_at).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name_routers: Option<Vec<String>>,
        /// Base URLs of trustless gateways to read blocks from as well, instead of the public ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gateways: Option<Vec<String>>,
    },
    /// A Handfast host or a Kubo node.
    #[serde(rename = "self-hosted")]
    SelfHosted {
        /// Its base URL, up to but without `/api/v0`.
        endpoint: String,
        /// A Bearer token; `user:password` for Basic; or a whole `Authorization` header that
        /// begins with `Bearer ` or `Basic `.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        auth_token: Option<SecretText>,
        /// Addresses of name routers, instead of the endpoint itself; see
        /// [`name_routers_at`](crate::name_routers_at).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name_routers: Option<Vec<String>>,
        /// Base URLs of trustless gateways to read blocks from as well, instead of the public ones.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gateways: Option<Vec<String>>,
    },
}

impl ProviderConfig {
    /// What the provider is called among people.
    pub fn service_name(&self) -> &'static str {
        match self {
            Self::Pinata { .. } => "Pinata",
            Self::Infura { .. } => "Infura",
            Self::Web3Storage { .. } => "web3.storage",
            Self::SelfHosted { .. } => "self-hosted provider",
        }
    }

    /// The base URL that replaces the service's own, or is it.
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::Pinata { endpoint, .. }
            | Self::Infura { endpoint, .. }
            | Self::Web3Storage { endpoint, .. } => endpoint.as_deref(),
            Self::SelfHosted { endpoint, .. } => Some(endpoint),
        }
    }

    /// Whether what was stored with one is there with the other: the same service under the same
    /// account, whatever else differs.
    pub fn is_same_account(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Pinata { api_key: a, endpoint: at, .. },
                Self::Pinata { api_key: b, endpoint: there, .. },
            ) => a == b && at == there,
            (
                Self::Infura { project_id: a, endpoint: at, .. },
                Self::Infura { project_id: b, endpoint: there, .. },
            ) => a == b && at == there,
            (
                Self::Web3Storage { token: a, endpoint: at, .. },
                Self::Web3Storage { token: b, endpoint: there, .. },
            ) => a == b && at == there,
            // A new token of the same machine.
            (Self::SelfHosted { endpoint: at, .. }, Self::SelfHosted { endpoint: there, .. }) => {
                at == there
            }
            _ => false,
        }
    }

    /// The gateways to read from instead of the usual ones.
    pub fn gateways(&self) -> Option<&[String]> {
        match self {
            Self::Pinata { gateways, .. }
            | Self::Infura { gateways, .. }
            | Self::Web3Storage { gateways, .. }
            | Self::SelfHosted { gateways, .. } => gateways.as_deref(),
        }
    }

    /// The name routers to use instead of the usual ones.
    pub fn name_routers(&self) -> Option<&[String]> {
        match self {
            Self::Pinata { name_routers, .. }
            | Self::Infura { name_routers, .. }
            | Self::Web3Storage { name_routers, .. }
            | Self::SelfHosted { name_routers, .. } => name_routers.as_deref(),
        }
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An address may have been entered with a password in it.
        let origin = |address: &str| match Url::parse(address) {
            Ok(url) => url.origin().ascii_serialization(),
            Err(_) => "not an address".to_owned(),
        };
        let routers = self
            .name_routers()
            .map(|routers| routers.iter().map(|router| origin(router)).collect::<Vec<_>>());
        f.debug_struct(self.service_name())
            .field("endpoint", &self.endpoint().map(origin))
            .field("name_routers", &routers)
            .finish_non_exhaustive()
    }
}

/// A secret that people copy and paste: wiped when dropped, compared in constant time, never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Lends the secret out; it must not be copied to where it is shown or nobody wipes it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretText {}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

/// Why nothing can be made of a [`ProviderConfig`]; the person who entered it must change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not a base URL.
    #[error("the provider's address must look like https://host or http://host:port/path: {0}")]
    Address(&'static str),
    /// The credentials contain what no HTTP header can.
    #[error("the provider's token contains characters that no token has: copy it again")]
    Credentials,
}

/// Reads a base URL, with or without the API's own prefix, which is cut off. The result ends in a
/// slash.
pub(crate) fn base_url(address: &str, api: &str) -> Result<Url, ConfigError> {
    let mut url = Url::parse(address.trim()).map_err(|_| ConfigError::Address("it is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(ConfigError::Address("it is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ConfigError::Address("a password belongs into authToken, as user:password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::Address("it has more than a path after the host"));
    }
    let path = url.path().trim_end_matches('/');
    let path = format!("{}/", path.strip_suffix(api).unwrap_or(path));
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<ProviderConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn reads_all_four_and_writes_them_back() {
        for json in [
            r#"{"type":"pinata","apiKey":"K"}"#,
            r#"{"type":"pinata","apiKey":"K","secretKey":"S","endpoint":"http://127.0.0.1:1"}"#,
            r#"{"type":"infura","projectId":"I","projectSecret":"S","nameRouters":["http://r"]}"#,
            r#"{"type":"web3storage","token":"T"}"#,
            r#"{"type":"self-hosted","endpoint":"https://home.example","authToken":"T"}"#,
            r#"{"type":"self-hosted","endpoint":"https://home.example","nameRouters":[]}"#,
            r#"{"type":"self-hosted","endpoint":"http://h:5001","gateways":["http://h:8080"]}"#,
        ] {
            assert_eq!(serde_json::to_string(&parse(json).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for json in [
            r#"{"type":"dropbox","token":"T"}"#,
            r#"{"type":"self-hosted","endpoint":"https://h","authtoken":"T"}"#,
            r#"{"type":"self-hosted","authToken":"T"}"#,
            r#"{"apiKey":"K"}"#,
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    #[test]
    fn shows_no_secret() {
        let config = parse(
            r#"{"type":"self-hosted","endpoint":"https://u:hush@home.example/x?k=hush",
                "authToken":"hush","nameRouters":["https://hush@r.example"]}"#,
        );
        assert_eq!(
            format!("{:?}", config.unwrap()),
            "self-hosted provider { endpoint: Some(\"https://home.example\"), \
             name_routers: Some([\"https://r.example\"]), .. }"
        );
        assert_eq!(format!("{:?}", SecretText::from("hush")), "SecretText(…)");
    }

    #[test]
    fn base_urls() {
        let base = |address| base_url(address, "/api/v0").map(String::from);
        for address in ["http://h:5001", "http://h:5001/", "http://h:5001/api/v0/"] {
            assert_eq!(base(address).unwrap(), "http://h:5001/");
        }
        assert_eq!(base("https://h/ipfs/api/v0").unwrap(), "https://h/ipfs/");
        for address in ["h:5001", "ftp://h", "http://u:p@h", "http://h/?token=1", "", "http://"] {
            assert!(matches!(base(address), Err(ConfigError::Address(_))), "{address}");
        }
    }
}
