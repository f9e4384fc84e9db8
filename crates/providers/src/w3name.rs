//! w3name: a keeper of IPNS records that also puts them to the DHT again until they expire.
//!
//! ```text
//! POST /name/{k51…}   body = base64 of the record   → 202; 400 if it is invalid or outdated
//! GET  /name/{k51…}                                 → {"value","record"}, or 404
//! ```
//!
//! It knows only what was published through it. Source: <https://github.com/storacha/w3name>.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::BASE64;
use handfast_ipfs::{MAX_RECORD, Name, Record};
use reqwest::Method;
use serde::Deserialize;

use crate::config::{ConfigError, base_url};
use crate::http::Body;
use crate::service::{Service, message};
use crate::{ErrorKind, Http, NameRouter, ProviderError, Resolve, Resolved};

/// The service's own address.
pub const W3NAME: &str = "https://name.web3.storage";

const PUBLISHING: &str = "publishing a name";
const RESOLVING: &str = "resolving a name";

/// A client of w3name.
pub struct W3Name {
    service: Service,
}

#[derive(Deserialize)]
struct Held {
    record: String,
}

impl W3Name {
    /// The service at a base URL.
    pub fn new(address: &str, http: &Http) -> Result<Self, ConfigError> {
        Ok(Self { service: Service::new("w3name", base_url(address, "/name")?, None, http) })
    }
}

#[async_trait]
impl NameRouter for W3Name {
    async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        let mut call = self.service.call(Method::POST, &format!("name/{}", record.name()));
        call.body = Body::Bytes(Bytes::from(BASE64.encode(record.as_bytes())));
        let done: Result<serde_json::Value, _> = self
            .service
            .ask(PUBLISHING, &call, |answer| {
                let said = message(&String::from_utf8_lossy(&answer.body))?;
                (answer.status.as_u16() == 400 && said.contains("outdated"))
                    .then_some(Err(ErrorKind::Outdated))
            })
            .await;
        done.map(drop)
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        let mut call = self.service.call(Method::GET, &format!("name/{name}"));
        call.cap = call.cap.max(4 * MAX_RECORD);
        let held: Option<Held> = self
            .service
            .ask(RESOLVING, &call, |answer| (answer.status.as_u16() == 404).then_some(Ok(None)))
            .await?;
        let Some(held) = held else { return Ok(Resolved::Missing) };
        let bytes = BASE64
            .decode(held.record.as_bytes())
            .map_err(|_| self.service.nonsense(RESOLVING, "not base64"))?;
        Resolved::verify(name, query, &bytes, None)
            .map_err(|error| self.service.nonsense(RESOLVING, error.to_string()))
    }

    fn longest_wait(&self) -> Option<Duration> {
        None
    }

    fn describe(&self) -> String {
        self.service.describe()
    }
}
