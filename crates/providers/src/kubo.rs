//! Kubo's RPC (`/api/v0`): what a Kubo node, services built on one, and a Handfast host understand.
//!
//! Every call is a POST. Failures of a command are HTTP 500 with `{"Message","Code","Type":"error"}`;
//! missing credentials are 403.

mod upload;

use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::BASE64;
use handfast_ipfs::{Block, Cid, MAX_BLOCK, MAX_RECORD, Name, Record};
use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::http::{Answer, Body, Call};
use crate::service::{Service, message};
use crate::{BlockStore, ErrorKind, ProviderError, Resolve, Resolved};

/// How long a node may search the network for a block, as it is told.
const SEARCH: &str = "20s";

/// A client of one RPC endpoint.
pub(crate) struct Kubo {
    service: Service,
    /// The server knows `format=raw` only, as js-ipfs and old Kubos do.
    legacy: AtomicBool,
    /// The server has taken an upload in today's form, so that a failure is a failure.
    modern: AtomicBool,
    /// The server takes one file a request.
    one_file: AtomicBool,
}

#[derive(Deserialize)]
struct RoutingLine {
    #[serde(rename = "Extra", default)]
    extra: String,
    #[serde(rename = "Type", default)]
    kind: u32,
}

const NOT_JSON: &str = "not Kubo's JSON";

/// `Type` of a routing event that carries a value.
const ROUTING_VALUE: u32 = 5;

impl Kubo {
    pub(crate) fn new(service: Service) -> Self {
        Self {
            service,
            legacy: AtomicBool::new(false),
            modern: AtomicBool::new(false),
            one_file: AtomicBool::new(false),
        }
    }

    /// A call of `command` with these query parameters.
    fn command(&self, command: &str, parameters: &[(&str, &str)]) -> Call {
        let mut call = self.service.call(Method::POST, &format!("api/v0/{command}"));
        if !parameters.is_empty() {
            call.url.query_pairs_mut().extend_pairs(parameters);
        }
        call
    }

    /// What a command's failure means.
    fn command_error(&self, doing: &'static str, answer: &Answer) -> ProviderError {
        let kind = match answer.status.as_u16() {
            404 | 405 => ErrorKind::Nonsense,
            400 | 500 => match message(&String::from_utf8_lossy(&answer.body)) {
                Some(message) => kind_of_message(&message),
                None => return self.service.refusal(doing, answer),
            },
            _ => return self.service.refusal(doing, answer),
        };
        self.service.error(kind, doing, answer)
    }

    /// Runs a command for its effect. `fine` names a failure that is none. Whoever answers in other
    /// words than JSON is no Kubo, and has not done it.
    async fn run(
        &self,
        doing: &'static str,
        call: &Call,
        fine: impl Fn(&str) -> bool,
    ) -> Result<bool, ProviderError> {
        self.service
            .retry()
            .run(|| async {
                let answer = self.service.send(doing, call).await?;
                match message(&String::from_utf8_lossy(&answer.body)) {
                    _ if answer.status.is_success() => {
                        match lines::<IgnoredAny>(&answer.body).all(|line| line.is_ok()) {
                            true => Ok(true),
                            false => Err(self.service.nonsense(doing, NOT_JSON)),
                        }
                    }
                    Some(message) if answer.status.is_server_error() && fine(&message) => Ok(false),
                    _ => Err(self.command_error(doing, &answer)),
                }
            })
            .await
    }

    /// Puts a record into the routing system that the node is part of.
    pub(crate) async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        const DOING: &str = "publishing a name";
        let key = format!("/ipns/{}", record.name());
        let mut call = self.command("routing/put", &[("arg", &key), ("allow-offline", "true")]);
        call.body = Body::Files {
            part: "value-file",
            files: vec![Bytes::copy_from_slice(record.as_bytes())],
            fields: Vec::new(),
        };
        call.patience = self.service.http().options().slow_answer;
        self.run(DOING, &call, |_| false).await.map(drop)
    }

    /// Asks the routing system that the node is part of.
    pub(crate) async fn resolve(
        &self,
        name: &Name,
        query: &Resolve,
    ) -> Result<Resolved, ProviderError> {
        const DOING: &str = "resolving a name";
        let mut call = self.command("routing/get", &[("arg", &format!("/ipns/{name}"))]);
        call.cap = call.cap.max(4 * MAX_RECORD);
        self.service
            .retry()
            .run(|| async {
                let answer = self.service.send(DOING, &call).await?;
                if !answer.status.is_success() {
                    let error = self.command_error(DOING, &answer);
                    return match error.kind() {
                        ErrorKind::NotFound => Ok(Resolved::Missing),
                        _ => Err(error),
                    };
                }
                let is_value =
                    |line: &RoutingLine| line.kind == ROUTING_VALUE && !line.extra.is_empty();
                let mut lines = lines::<RoutingLine>(&answer.body);
                let value = match lines.find(|line| line.as_ref().map_or(true, is_value)) {
                    Some(Ok(value)) => value,
                    Some(Err(_)) => return Err(self.service.nonsense(DOING, NOT_JSON)),
                    None => return Ok(Resolved::Missing),
                };
                let bytes = BASE64
                    .decode(value.extra.as_bytes())
                    .map_err(|_| self.service.nonsense(DOING, "not base64"))?;
                Resolved::verify(name, query, &bytes, None)
                    .map_err(|error| self.service.nonsense(DOING, error.to_string()))
            })
            .await
    }
}

#[async_trait]
impl BlockStore for Kubo {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        self.upload_one(block).await
    }

    async fn put_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        self.upload_all(blocks).await
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        const DOING: &str = "fetching a block";
        let parameters = [("arg", cid.to_string()), ("timeout", SEARCH.to_owned())];
        let parameters: Vec<_> = parameters.iter().map(|(key, value)| (*key, &**value)).collect();
        let mut call = self.command("block/get", &parameters);
        call.cap = MAX_BLOCK;
        self.service
            .retry()
            .run(|| async {
                let answer = self.service.send(DOING, &call).await?;
                if !answer.status.is_success() {
                    return Err(self.command_error(DOING, &answer));
                }
                // An error after the head comes with status 200: only the hash tells.
                match cid.verify(&answer.body) {
                    Ok(()) => Ok(answer.body.to_vec()),
                    Err(_) => Err(self.service.nonsense(DOING, "it sent other bytes")),
                }
            })
            .await
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        let cid = cid.to_string();
        let mut call = self.command("pin/add", &[("arg", &cid), ("recursive", "true")]);
        call.patience = self.service.http().options().slow_answer;
        self.run("pinning a block", &call, |_| false).await.map(drop)
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        let call = self.command("pin/rm", &[("arg", &cid.to_string())]);
        self.run("unpinning a block", &call, is_not_pinned).await.map(drop)
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        let call = self.command("pin/ls", &[("arg", &cid.to_string()), ("type", "all")]);
        self.run("looking for a pin", &call, is_not_pinned).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        #[derive(Deserialize)]
        struct Version {
            #[serde(rename = "Version")]
            _version: String,
        }
        const DOING: &str = "checking the credentials";
        let call = self.command("version", &[]);
        self.service
            .brief_retry()
            .run(|| async {
                let answer = self.service.send(DOING, &call).await?;
                if !answer.status.is_success() {
                    return Err(self.command_error(DOING, &answer));
                }
                match serde_json::from_slice::<Version>(&answer.body) {
                    Ok(_) => Ok(()),
                    Err(_) => Err(self.service.nonsense(DOING, NOT_JSON)),
                }
            })
            .await
    }

    fn describe(&self) -> String {
        self.service.describe()
    }
}

/// The JSON values of a body, one after another.
fn lines<'a, T: Deserialize<'a>>(body: &'a [u8]) -> impl Iterator<Item = serde_json::Result<T>> {
    serde_json::Deserializer::from_slice(body).into_iter::<T>()
}

fn is_not_pinned(message: &str) -> bool {
    message.contains("not pinned")
}

/// Kubo has words only for what went wrong.
fn kind_of_message(message: &str) -> ErrorKind {
    let message = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["newer", "older", "outdated", "old record"]) {
        ErrorKind::Outdated
    } else if says(&["quota", "no space left", "disk full"]) {
        ErrorKind::Quota
    } else if says(&["not found", "could not find", "deadline exceeded", "timeout", "timed out"]) {
        ErrorKind::NotFound
    } else {
        ErrorKind::Rejected
    }
}
