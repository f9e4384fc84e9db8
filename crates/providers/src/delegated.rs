//! Delegated Routing V1 for IPNS: names over plain HTTP.
//!
//! ```text
//! PUT /routing/v1/ipns/{name}   body = the record                 → 200
//! GET /routing/v1/ipns/{name}   Accept: …ipns-record              → 200 and the record
//!     If-None-Match: "tag"                                        → 304, nothing new
//!     ?wait=SECONDS             at servers whose answers have     → as above, but not before
//!                               a Handfast-Wait header, and         something is new
//!                               at those not asked before
//! ```
//!
//! Source: <https://specs.ipfs.tech/routing/http-routing-v1/>, "IPNS API"; the waiting is ours.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use handfast_ipfs::{MAX_RECORD, Name, Record};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};

use crate::config::{ConfigError, base_url};
use crate::http::{Answer, Body};
use crate::service::{Service, media_type};
use crate::{ErrorKind, Http, NameRouter, ProviderError, Resolve, Resolved, Retry, Validator};

/// The media type of a record.
pub const RECORD_TYPE: &str = "application/vnd.ipfs.ipns-record";
/// The header by which a server says how many seconds it lets a `?wait=` last.
pub const WAIT_HEADER: &str = "handfast-wait";
/// The public routers, for providers that have none of their own.
pub const DEFAULT_NAME_ROUTERS: &[&str] = &["https://delegated-ipfs.dev"];

/// The API's prefix, which an address may contain already.
const API: &str = "/routing/v1";
const PUBLISHING: &str = "publishing a name";
const RESOLVING: &str = "resolving a name";

/// Whether a server lets queries wait is not known. Asking it to is no harm: the query is part of
/// no path that means anything to others.
const NOT_ASKED: u64 = u64::MAX;

/// A client of one delegated router.
pub struct Delegated {
    service: Service,
    /// What the server's last [`WAIT_HEADER`] said, in seconds; 0 if there was none, and
    /// [`NOT_ASKED`] before.
    longest_wait: AtomicU64,
}

/// What came of asking a server that may not be a router at all.
pub(crate) enum Reply {
    /// It answered as a router does.
    Answered(Resolved),
    /// It has no record, or does not know what one is.
    Nothing,
}

impl Delegated {
    /// A router at a base URL, with or without `/routing/v1`.
    pub fn new(address: &str, http: &Http) -> Result<Self, ConfigError> {
        let base = base_url(address, API)?;
        Ok(Self::at(Service::new("name router", base, None, http)))
    }

    pub(crate) fn at(service: Service) -> Self {
        Self { service, longest_wait: AtomicU64::new(NOT_ASKED) }
    }

    /// Asks for a record.
    pub(crate) async fn ask(&self, name: &Name, query: &Resolve) -> Result<Reply, ProviderError> {
        let mut call = self.service.call(Method::GET, &format!("routing/v1/ipns/{name}"));
        call.headers.insert(ACCEPT, HeaderValue::from_static(RECORD_TYPE));
        call.cap = MAX_RECORD;
        let tags = query.known.as_ref().map(Validator::if_none_match);
        if let Some(tags) = tags.and_then(|tags| HeaderValue::try_from(tags).ok()) {
            call.headers.insert(IF_NONE_MATCH, tags);
        }
        let wait = match self.longest_wait.load(Ordering::Relaxed) {
            0 => None,
            longest => query.wait.map(|wished| wished.min(Duration::from_secs(longest))),
        };
        let never = Retry::never();
        let retry = match wait {
            Some(wait) => {
                call.url.query_pairs_mut().append_pair("wait", &wait.as_secs().to_string());
                call.patience += wait;
                &never
            }
            None => self.service.retry(),
        };
        retry
            .run(|| async {
                let answer = self.service.send(RESOLVING, &call).await?;
                self.read(name, query, &answer)
            })
            .await
    }

    fn read(&self, name: &Name, query: &Resolve, answer: &Answer) -> Result<Reply, ProviderError> {
        let waits = self.learn(answer);
        match answer.status.as_u16() {
            200 => match media_type(answer).as_deref() {
                Some(RECORD_TYPE) => {
                    let tag = answer.headers.get(ETAG).and_then(|tag| tag.to_str().ok());
                    Resolved::verify(name, query, &answer.body, tag)
                        .map(Reply::Answered)
                        .map_err(|error| self.service.nonsense(RESOLVING, error.to_string()))
                }
                // A router's "no record" is any other type, but no router speaks HTML.
                Some("text/html") => Err(self.service.nonsense(RESOLVING, "an HTML page")),
                _ => Ok(Reply::Nothing),
            },
            304 if query.known.is_some() => Ok(Reply::Answered(Resolved::Unchanged)),
            404 if waits => Ok(Reply::Answered(Resolved::Missing)),
            404 => Ok(Reply::Nothing),
            500 if contains(answer, "routing: not found") => Ok(Reply::Nothing),
            _ => Err(self.service.refusal(RESOLVING, answer)),
        }
    }

    /// Notes whether the server lets queries wait; says whether this answer told.
    fn learn(&self, answer: &Answer) -> bool {
        let seconds = answer.headers.get(WAIT_HEADER).and_then(|wait| wait.to_str().ok());
        let seconds = seconds.and_then(|seconds| seconds.parse().ok());
        self.longest_wait.store(seconds.unwrap_or(0), Ordering::Relaxed);
        seconds.is_some()
    }

    /// Publishes a record. `false`: the server does not know what one is.
    pub(crate) async fn put(&self, record: &Record) -> Result<bool, ProviderError> {
        let path = format!("routing/v1/ipns/{}", record.name());
        let mut call = self.service.call(Method::PUT, &path);
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(RECORD_TYPE));
        call.body = Body::Bytes(Bytes::copy_from_slice(record.as_bytes()));
        let outcome = self
            .service
            .retry()
            .run(|| async {
                let answer = self.service.send(PUBLISHING, &call).await?;
                self.learn(&answer);
                match answer.status.as_u16() {
                    200..=299 if media_type(&answer).as_deref() == Some("text/html") => {
                        Err(self.service.nonsense(PUBLISHING, "an HTML page"))
                    }
                    200..=299 => Ok(true),
                    404 | 405 | 501 => Ok(false),
                    409 => Err(self.service.error(ErrorKind::Outdated, PUBLISHING, &answer)),
                    500 if contains(&answer, "newer value") || contains(&answer, "outdated") => {
                        Err(self.service.error(ErrorKind::Outdated, PUBLISHING, &answer))
                    }
                    _ => Err(self.service.refusal(PUBLISHING, &answer)),
                }
            })
            .await;
        match outcome {
            // Routers give up on the DHT before the DHT does: it may have arrived all the same.
            Err(error) if error.kind() == ErrorKind::Broken => self.arrived(record, error).await,
            outcome => outcome,
        }
    }

    /// Looks whether a record that the router failed to take is there anyhow.
    async fn arrived(&self, record: &Record, error: ProviderError) -> Result<bool, ProviderError> {
        let query = Resolve::default().unless(Validator::of(record));
        match self.ask(record.name(), &query).await {
            Ok(Reply::Answered(Resolved::Unchanged)) => Ok(true),
            Ok(Reply::Answered(Resolved::Record(held, _))) if held.newer_than(record) => {
                Err(ProviderError::new(ErrorKind::Outdated, self.service.describe(), PUBLISHING))
            }
            _ => Err(error),
        }
    }
}

#[async_trait]
impl NameRouter for Delegated {
    async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        match self.put(record).await? {
            true => Ok(()),
            false => Err(self.service.nonsense(PUBLISHING, "there is no name router")),
        }
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        Ok(match self.ask(name, query).await? {
            Reply::Answered(resolved) => resolved,
            Reply::Nothing => Resolved::Missing,
        })
    }

    fn longest_wait(&self) -> Option<Duration> {
        match self.longest_wait.load(Ordering::Relaxed) {
            0 | NOT_ASKED => None,
            seconds => Some(Duration::from_secs(seconds)),
        }
    }

    fn describe(&self) -> String {
        self.service.describe()
    }
}

fn contains(answer: &Answer, words: &str) -> bool {
    String::from_utf8_lossy(&answer.body).contains(words)
}
