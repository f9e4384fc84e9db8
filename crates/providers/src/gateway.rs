//! Trustless gateways: blocks from whoever has them, verified here.
//!
//! ```text
//! GET /ipfs/{cid}?format=raw            Accept: application/vnd.ipld.raw           → the block
//! GET /ipns/{name}?format=ipns-record   Accept: application/vnd.ipfs.ipns-record   → the record
//! ```
//!
//! The hash decides, not the content type: some gateways call every block an octet stream. Source:
//! <https://specs.ipfs.tech/http-gateways/trustless-gateway/>.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use handfast_ipfs::{Block, Cid, MAX_BLOCK, MAX_RECORD, Name, Record};
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderValue};

use crate::config::{ConfigError, base_url};
use crate::delegated::RECORD_TYPE;
use crate::http::Answer;
use crate::service::{Service, media_type};
use crate::{BlockStore, ErrorKind, Http, NameRouter, ProviderError, Resolve, Resolved, Retry};

/// The public gateways that serve single blocks, the first one first.
pub const DEFAULT_GATEWAYS: &[&str] =
    &["https://trustless-gateway.link", "https://ipfs.io", "https://dweb.link"];

const RAW_TYPE: &str = "application/vnd.ipld.raw";
const FETCHING: &str = "fetching a block";
const RESOLVING: &str = "resolving a name";

/// How long whoever was asked first may take before the next one is asked as well.
const HEAD_START: Duration = Duration::from_millis(700);

/// A client of one gateway. As a name router it resolves only.
pub struct Gateway {
    service: Service,
}

impl Gateway {
    /// A gateway at a base URL, with or without `/ipfs`.
    pub fn new(address: &str, http: &Http) -> Result<Self, ConfigError> {
        Ok(Self { service: Service::new("gateway", base_url(address, "/ipfs")?, None, http) })
    }

    /// Fetches a block and verifies it.
    pub async fn get(&self, cid: &Cid, retry: &Retry) -> Result<Vec<u8>, ProviderError> {
        let mut call = self.service.call(Method::GET, &format!("ipfs/{cid}"));
        call.url.query_pairs_mut().append_pair("format", "raw");
        call.headers.insert(ACCEPT, HeaderValue::from_static(RAW_TYPE));
        call.cap = MAX_BLOCK;
        retry
            .run(|| async {
                let answer = self.service.send(FETCHING, &call).await?;
                if !answer.status.is_success() {
                    return Err(self.refusal(FETCHING, &answer));
                }
                match cid.verify(&answer.body) {
                    Ok(()) => Ok(answer.body.to_vec()),
                    Err(_) => Err(self.service.nonsense(FETCHING, "it sent other bytes")),
                }
            })
            .await
    }

    /// Here 410 and 451 are about the content, not about the service.
    fn refusal(&self, doing: &'static str, answer: &Answer) -> ProviderError {
        match answer.status.as_u16() {
            403 | 410 | 451 => self.service.error(ErrorKind::Rejected, doing, answer),
            _ => self.service.refusal(doing, answer),
        }
    }
}

#[async_trait]
impl NameRouter for Gateway {
    async fn publish(&self, _: &Record) -> Result<(), ProviderError> {
        let service = self.service.describe();
        Err(ProviderError::new(ErrorKind::Rejected, service, "publishing a name")
            .because("a gateway takes no names"))
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        let mut call = self.service.call(Method::GET, &format!("ipns/{name}"));
        call.url.query_pairs_mut().append_pair("format", "ipns-record");
        call.headers.insert(ACCEPT, HeaderValue::from_static(RECORD_TYPE));
        call.cap = MAX_RECORD;
        let answer = self.service.send(RESOLVING, &call).await?;
        match answer.status.as_u16() {
            200 if media_type(&answer).as_deref() == Some(RECORD_TYPE) => {
                Resolved::verify(name, query, &answer.body, None)
                    .map_err(|error| self.service.nonsense(RESOLVING, error.to_string()))
            }
            200 if media_type(&answer).as_deref() == Some("text/html") => {
                Err(self.service.nonsense(RESOLVING, "an HTML page"))
            }
            200 | 404 => Ok(Resolved::Missing),
            500 if String::from_utf8_lossy(&answer.body).contains("not find") => {
                Ok(Resolved::Missing)
            }
            _ => Err(self.refusal(RESOLVING, &answer)),
        }
    }

    fn publishes(&self) -> bool {
        false
    }

    fn longest_wait(&self) -> Option<Duration> {
        None
    }

    fn describe(&self) -> String {
        self.service.describe()
    }
}

/// A store whose blocks, and those of others, may also come from gateways. The store itself is
/// asked first; whoever is slow gets company, and the first who has the block wins.
pub struct WithGateways {
    own: Arc<dyn BlockStore>,
    gateways: Vec<Arc<Gateway>>,
}

impl WithGateways {
    /// Adds gateways to a store.
    pub fn new(own: Arc<dyn BlockStore>, gateways: Vec<Arc<Gateway>>) -> Self {
        Self { own, gateways }
    }

    async fn ask(&self, source: usize, cid: &Cid) -> (usize, Result<Vec<u8>, ProviderError>) {
        let answer = match source.checked_sub(1).and_then(|index| self.gateways.get(index)) {
            // Another gateway is as good as another try.
            Some(gateway) => gateway.get(cid, &Retry::never()).await,
            None => self.own.get(cid).await,
        };
        (source, answer)
    }
}

#[async_trait]
impl BlockStore for WithGateways {
    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        let mut asked = FuturesUnordered::from_iter([self.ask(0, cid)]);
        let mut waiting = 1..=self.gateways.len();
        let mut failures = Vec::new();
        loop {
            let answer = match waiting.is_empty() {
                true => asked.next().await,
                false => match tokio::time::timeout(HEAD_START, asked.next()).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        asked.extend(waiting.next().map(|next| self.ask(next, cid)));
                        continue;
                    }
                },
            };
            match answer {
                Some((_, Ok(block))) => return Ok(block),
                Some((source, Err(error))) => {
                    failures.push((source, error));
                    asked.extend(waiting.next().map(|next| self.ask(next, cid)));
                }
                None => break,
            }
        }
        // What the own store says counts; if it has nothing, what else went wrong.
        failures.sort_by_key(|(source, error)| (error.kind() == ErrorKind::NotFound, *source));
        let own = failures.iter().position(|(source, _)| *source == 0).unwrap_or_default();
        Err(failures.swap_remove(own).1)
    }

    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        self.own.put(block).await
    }

    async fn put_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        self.own.put_all(blocks).await
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.own.pin(cid).await
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.own.unpin(cid).await
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        self.own.is_pinned(cid).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        self.own.check().await
    }

    fn unpins(&self) -> bool {
        self.own.unpins()
    }

    fn describe(&self) -> String {
        self.own.describe()
    }
}
