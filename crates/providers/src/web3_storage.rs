//! web3.storage as it was until 2024: uploads of archives with a Bearer token.
//!
//! ```text
//! GET  /user/uploads?size=1                        → 200, or 401
//! POST /car            body = a CAR                → {"cid":"bafkrei…"}
//! GET  /car/{cid}                                  → a CAR
//! GET  /status/{cid}                               → {"pins":[{"status"}]}, or 404
//! POST /pins           {"cid"}                     → 202; accounts that may pin only
//! ```
//!
//! An upload cannot be given up with a token: only a person who has logged in could. The service
//! itself answers 410 since it was shut down. Source: <https://github.com/web3-storage/web3.storage>.

use async_trait::async_trait;
use bytes::Bytes;
use handfast_ipfs::{Block, Cid, MAX_BLOCK};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use crate::config::{ConfigError, SecretText, base_url};
use crate::http::{Answer, Body};
use crate::service::{Credentials, Service, reason};
use crate::{BlockStore, ErrorKind, Http, ProviderError, car};

/// The service's own address, and that of its gateway.
pub(crate) const ENDPOINT: &str = "https://api.web3.storage";
pub(crate) const GATEWAY: &str = "https://w3s.link";

const CAR_TYPE: &str = "application/vnd.ipld.car";

/// A client of one account.
pub struct Web3Storage {
    service: Service,
}

#[derive(Deserialize)]
struct Uploaded {
    cid: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    pins: Vec<serde_json::Value>,
}

impl Web3Storage {
    /// An account by its token; at web3.storage itself, or at another address that speaks its API.
    pub fn new(
        token: &SecretText,
        endpoint: Option<&str>,
        http: &Http,
    ) -> Result<Self, ConfigError> {
        let credentials = Credentials::bearer(token).ok_or(ConfigError::Credentials)?;
        let base = base_url(endpoint.unwrap_or(ENDPOINT), "")?;
        Ok(Self { service: Service::new("web3.storage", base, Some(credentials), http) })
    }
}

/// What a failure means that has a meaning of its own here.
fn kind(answer: &Answer) -> Option<ErrorKind> {
    match reason(answer)?.as_str() {
        "ERROR_FEATURE_HAS_BEEN_SUNSET" | "NEW_USER_DENIED_TRY_OTHER_PRODUCT" => {
            Some(ErrorKind::Sunset)
        }
        "ACCOUNT_RESTRICTED" | "ERROR_ACCOUNT_RESTRICTED" => Some(ErrorKind::Quota),
        "PINNING_UNAUTHORIZED" | "ERROR_PINNING_UNAUTHORIZED" | "DELETE_RESTRICTED" => {
            Some(ErrorKind::Rejected)
        }
        _ => None,
    }
}

fn failure<T>(answer: &Answer) -> Option<Result<T, ErrorKind>> {
    kind(answer).map(Err)
}

#[async_trait]
impl BlockStore for Web3Storage {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        const DOING: &str = "storing a block";
        let mut call = self.service.call(Method::POST, "car");
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(CAR_TYPE));
        call.body = Body::Bytes(Bytes::from(car::of(block)));
        let uploaded: Uploaded = self.service.ask(DOING, &call, failure).await?;
        match Cid::parse(&uploaded.cid) {
            Ok(cid) if cid == *block.cid() => Ok(()),
            _ => Err(self.service.nonsense(DOING, "it computed another CID")),
        }
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        const DOING: &str = "fetching a block";
        let mut call = self.service.call(Method::GET, &format!("car/{cid}"));
        call.cap = MAX_BLOCK + car::OVERHEAD;
        self.service
            .retry()
            .run(|| async {
                let answer = self.service.send(DOING, &call).await?;
                if !answer.status.is_success() {
                    return Err(match kind(&answer) {
                        Some(kind) => self.service.error(kind, DOING, &answer),
                        None => self.service.refusal(DOING, &answer),
                    });
                }
                let bytes = car::find(&answer.body, cid)
                    .ok_or_else(|| self.service.nonsense(DOING, "no archive with the block"))?;
                match cid.verify(bytes) {
                    Ok(()) => Ok(bytes.to_vec()),
                    Err(_) => Err(self.service.nonsense(DOING, "it sent other bytes")),
                }
            })
            .await
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        // What was uploaded here is pinned, and few accounts may pin anything else.
        if self.is_pinned(cid).await? {
            return Ok(());
        }
        let call = self.service.call(Method::POST, "pins");
        let call = call.with_json(&json!({ "cid": cid.to_string() }));
        self.service.ask("pinning a block", &call, failure).await.map(|_: serde_json::Value| ())
    }

    async fn unpin(&self, _: &Cid) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        let call = self.service.call(Method::GET, &format!("status/{cid}"));
        let status: Option<Status> = self
            .service
            .ask("looking for a pin", &call, |answer| match answer.status.as_u16() {
                404 => Some(Ok(None)),
                _ => failure(answer),
            })
            .await?;
        Ok(status.is_some_and(|status| !status.pins.is_empty()))
    }

    async fn check(&self) -> Result<(), ProviderError> {
        const DOING: &str = "checking the credentials";
        let mut call = self.service.call(Method::GET, "user/uploads");
        call.url.query_pairs_mut().append_pair("size", "1");
        let answer = self.service.brief_retry().run(|| self.service.send(DOING, &call)).await?;
        match (answer.status.is_success(), kind(&answer)) {
            (true, _) if serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok() => {
                Ok(())
            }
            (true, _) => Err(self.service.nonsense(DOING, "not the JSON that was expected")),
            (false, Some(kind)) => Err(self.service.error(kind, DOING, &answer)),
            (false, None) => Err(self.service.refusal(DOING, &answer)),
        }
    }

    fn unpins(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        self.service.describe()
    }
}
