//! The JSON objects of version 1: the code and the response.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use handfast_keys::{AuthPublic, Digest, IpnsPublic, IpnsSecret, Label};
use handfast_ring::DeviceKeys;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::qr::code::CodeError;
use crate::qr::message::ProviderGrant;

const MAX_RESPONSE: usize = 1_024;

/// A code of version 1: a JSON object with the seed's fields, keys in base64url.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiteralCode {
    /// The initiator's IPNS key.
    pub ipns: IpnsPublic,
    /// The initiator's auth key.
    pub auth: AuthPublic,
    /// The key of the name at which the joiner answers.
    pub temp: IpnsSecret,
    /// The initiator's provider config, in the clear.
    pub provider: Option<ProviderGrant>,
    json: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CodeJson {
    version: u64,
    ipns_public_key: String,
    auth_public_key: String,
    temp_ipns_private_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_config: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseJson {
    ipns_pub_key: String,
    auth_pub_key: String,
}

impl LiteralCode {
    /// Makes the code of the device with these keys. A provider config that is no JSON stays out.
    pub fn new(keys: &DeviceKeys, temp: IpnsSecret, provider: Option<ProviderGrant>) -> Self {
        let (ipns, auth) = (keys.ipns.public(), keys.auth.public());
        let provider_config: Option<Value> =
            provider.as_ref().and_then(|grant| serde_json::from_str(grant.expose()).ok());
        let provider = provider_config
            .as_ref()
            .and_then(|config| ProviderGrant::new(alloc::format!("{config}")).ok());
        let fields = CodeJson {
            version: 1,
            ipns_public_key: BASE64URL_NOPAD.encode(ipns.as_ref()),
            auth_public_key: BASE64URL_NOPAD.encode(&auth.uncompressed()),
            temp_ipns_private_key: BASE64URL_NOPAD.encode(temp.seed()),
            provider_config,
        };
        let json = serde_json::to_string(&fields).unwrap_or_default();
        LiteralCode { ipns, auth, temp, provider, json }
    }

    /// Reads the JSON object. Line breaks, which a terminal may have put anywhere, are skipped.
    pub fn parse(text: &str) -> Result<LiteralCode, CodeError> {
        let text = text.trim().chars();
        let json: String = text.filter(|c| !matches!(c, '\n' | '\r' | '\t')).collect();
        let value: Value = serde_json::from_str(&json).map_err(|_| CodeError::Damaged)?;
        match value.get("version").and_then(Value::as_u64) {
            Some(1) => (),
            Some(version) => return Err(CodeError::UnsupportedVersion(version)),
            None => return Err(CodeError::NotACode),
        }
        let fields: CodeJson = serde_json::from_str(&json).map_err(|_| CodeError::Invalid)?;
        let seed = key_bytes(&fields.temp_ipns_private_key).ok_or(CodeError::Invalid)?;
        let (ipns, auth) = public_keys(&fields.ipns_public_key, &fields.auth_public_key)
            .ok_or(CodeError::Invalid)?;
        let provider = fields
            .provider_config
            .map(|config| ProviderGrant::new(alloc::format!("{config}")))
            .transpose()
            .map_err(|_| CodeError::Invalid)?;
        let temp = IpnsSecret::from_seed(seed);
        Ok(LiteralCode { ipns, auth, temp, provider, json })
    }

    /// `H(code)`, over the JSON bytes.
    pub fn hash(&self) -> Digest {
        Label::CODE_V1.hash([self.json.as_bytes()])
    }
}

/// The JSON object as it is shown.
impl fmt::Display for LiteralCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}

/// The code holds a secret: whoever has it can answer.
impl fmt::Debug for LiteralCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiteralCode").field("hash", &self.hash()).finish_non_exhaustive()
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok()
}

fn key_bytes(text: &str) -> Option<[u8; 32]> {
    bytes(text)?.try_into().ok()
}

fn public_keys(ipns: &str, auth: &str) -> Option<(IpnsPublic, AuthPublic)> {
    let ipns = IpnsPublic::from_bytes(key_bytes(ipns)?);
    ipns.check().ok()?;
    Some((ipns, AuthPublic::from_sec1(&bytes(auth)?).ok()?))
}

/// The joiner's response: `{ipnsPubKey, authPubKey}`.
pub(super) fn response_json(keys: &DeviceKeys) -> Vec<u8> {
    let response = ResponseJson {
        ipns_pub_key: BASE64URL_NOPAD.encode(keys.ipns.public().as_ref()),
        auth_pub_key: BASE64URL_NOPAD.encode(&keys.auth.public().uncompressed()),
    };
    serde_json::to_vec(&response).unwrap_or_default()
}

/// The keys in a response.
pub(super) fn parse_response(bytes: &[u8]) -> Option<(IpnsPublic, AuthPublic)> {
    if bytes.len() > MAX_RESPONSE {
        return None;
    }
    let response: ResponseJson = serde_json::from_slice(bytes).ok()?;
    public_keys(&response.ipns_pub_key, &response.auth_pub_key)
}
