//! Pinata, through its version 1 API: it takes key and secret as well as a JWT, and unpins by CID.
//!
//! ```text
//! GET    /data/testAuthentication                                → 200, or 401
//! POST   /pinning/pinFileToIPFS   multipart: pinataMetadata, pinataOptions, file
//!                                                                → {"IpfsHash":"bafkrei…"}
//! POST   /pinning/pinByHash       {"hashToPin":"bafkrei…"}       → 200; fetched later
//! GET    /data/pinList?status=pinned&cid=bafkrei…                → {"rows":[{"ipfs_pin_hash"}]}
//! DELETE /pinning/unpin/bafkrei…                                 → 200, or 400: was not pinned
//! ```
//!
//! Failures carry `{"error":{"reason","details"}}`. Blocks come back through a gateway; there are
//! no names. Source: <https://docs.pinata.cloud/>.

use async_trait::async_trait;
use bytes::Bytes;
use handfast_ipfs::{Block, Cid};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::config::{ConfigError, SecretText, base_url};
use crate::gateway::Gateway;
use crate::http::{Answer, Body, Call};
use crate::service::{Credentials, Service, message, reason};
use crate::{BlockStore, ErrorKind, Http, ProviderError};

/// The service's own address, and that of its public gateway.
pub(crate) const ENDPOINT: &str = "https://api.pinata.cloud";
pub(crate) const GATEWAY: &str = "https://gateway.pinata.cloud";

/// What it says about a block that this account does not pin.
const NOT_PINNED: &str = "CURRENT_USER_HAS_NOT_PINNED_CID";

/// A client of one Pinata account.
pub struct Pinata {
    service: Service,
    gateway: Gateway,
}

#[derive(Deserialize)]
struct Pinned {
    #[serde(rename = "IpfsHash")]
    cid: String,
}

#[derive(Deserialize)]
struct PinList {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    ipfs_pin_hash: String,
}

impl Pinata {
    /// An account, by key and secret, or by a JWT if there is no secret; at Pinata itself, or at
    /// another address that speaks its API and has its gateway.
    pub fn new(
        api_key: &SecretText,
        secret_key: Option<&SecretText>,
        endpoint: Option<&str>,
        http: &Http,
    ) -> Result<Self, ConfigError> {
        let credentials = match secret_key {
            Some(secret) => Credentials::in_headers(&[
                ("pinata_api_key", api_key),
                ("pinata_secret_api_key", secret),
            ]),
            None => Credentials::bearer(api_key),
        };
        let credentials = credentials.ok_or(ConfigError::Credentials)?;
        let base = base_url(endpoint.unwrap_or(ENDPOINT), "")?;
        Ok(Self {
            service: Service::new("Pinata", base, Some(credentials), http),
            gateway: Gateway::new(endpoint.unwrap_or(GATEWAY), http)?,
        })
    }

    fn upload(&self, block: &Block) -> Call {
        let mut call = self.service.call(Method::POST, "pinning/pinFileToIPFS");
        call.body = Body::Files {
            part: "file",
            files: vec![Bytes::copy_from_slice(block.bytes())],
            // The default would be version 0, whose CIDs are other ones.
            fields: vec![
                ("pinataMetadata", json!({ "name": block.cid().to_string() }).to_string()),
                ("pinataOptions", json!({ "cidVersion": 1 }).to_string()),
            ],
        };
        call
    }
}

/// What a failure means that has a meaning of its own here.
fn kind(answer: &Answer) -> Option<ErrorKind> {
    let says = |words: &str| {
        let body = String::from_utf8_lossy(&answer.body);
        message(&body).is_some_and(|message| message.to_lowercase().contains(words))
    };
    match (answer.status.as_u16(), reason(answer)?.as_str()) {
        (403, _) if says("limit") => Some(ErrorKind::Quota),
        (_, "over_free_limit" | "OVER_FREE_LIMIT") => Some(ErrorKind::Quota),
        (_, "over_max_size" | "OVER_MAX_SIZE") => Some(ErrorKind::TooLarge),
        _ => None,
    }
}

fn failure<T>(answer: &Answer) -> Option<Result<T, ErrorKind>> {
    kind(answer).map(Err)
}

#[async_trait]
impl BlockStore for Pinata {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        const DOING: &str = "storing a block";
        let pinned: Pinned = self.service.ask(DOING, &self.upload(block), failure).await?;
        // Compared as parsed: the same CID has several texts.
        match Cid::parse(&pinned.cid) {
            Ok(cid) if cid == *block.cid() => Ok(()),
            _ => Err(self.service.nonsense(DOING, "it computed another CID")),
        }
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        self.gateway.get(cid, self.service.retry()).await
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        let call = self.service.call(Method::POST, "pinning/pinByHash");
        let call = call.with_json(&json!({ "hashToPin": cid.to_string() }));
        self.service.ask("pinning a block", &call, failure).await.map(|_: serde_json::Value| ())
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        const DOING: &str = "unpinning a block";
        let call = self.service.call(Method::DELETE, &format!("pinning/unpin/{cid}"));
        self.service
            .retry()
            .run(|| async {
                // "OK", as text.
                let answer = self.service.send(DOING, &call).await?;
                let not_pinned = || reason(&answer).is_some_and(|reason| reason == NOT_PINNED);
                match answer.status.as_u16() {
                    200..=299 => Ok(()),
                    400 | 404 if not_pinned() => Ok(()),
                    _ => Err(match kind(&answer) {
                        Some(kind) => self.service.error(kind, DOING, &answer),
                        None => self.service.refusal(DOING, &answer),
                    }),
                }
            })
            .await
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        let text = cid.to_string();
        let mut call = self.service.call(Method::GET, "data/pinList");
        let query = [("status", "pinned"), ("cid", text.as_str()), ("includeCount", "false")];
        call.url.query_pairs_mut().extend_pairs(query);
        let list: PinList = self.service.ask("looking for a pin", &call, failure).await?;
        // A server that does not know the parameter lists everything.
        Ok(list.rows.iter().any(|row| Cid::parse(&row.ipfs_pin_hash).as_ref() == Ok(cid)))
    }

    async fn check(&self) -> Result<(), ProviderError> {
        const DOING: &str = "checking the credentials";
        let call = self.service.call(Method::GET, "data/testAuthentication");
        let answer = self.service.brief_retry().run(|| self.service.send(DOING, &call)).await?;
        match serde_json::from_slice::<serde_json::Value>(&answer.body) {
            _ if !answer.status.is_success() => Err(self.service.refusal(DOING, &answer)),
            Ok(_) => Ok(()),
            Err(_) => Err(self.service.nonsense(DOING, "not Pinata's JSON")),
        }
    }

    fn describe(&self) -> String {
        self.service.describe()
    }
}
