//! A Kubo node's RPC. With Basic credentials it is Infura's, too.

use std::io;

use axum::extract::{Multipart, Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router, middleware};
use bytes::Bytes;
use data_encoding::BASE64;
use handfast_ipfs::{Cid, Name, Record};
use serde_json::{Map, Value, json};

use crate::network::now;
use crate::{Double, Network, Service};

/// The node's Bearer token.
pub const TOKEN: &str = "kubo-token-of-a-test";
/// The id and the secret of Infura's one project.
pub const PROJECT: (&str, &str) = ("infura-project-of-a-test", "infura-secret-of-a-test");

/// Starts a node that wants its token.
pub async fn start(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        let denied = (StatusCode::FORBIDDEN, "Kubo RPC Access Denied: provide a valid token");
        rpc(service, vec![format!("Bearer {TOKEN}")], denied, true)
    })
    .await
}

/// Starts a node that is open to everybody who reaches it.
pub async fn start_open(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        rpc(service, Vec::new(), (StatusCode::FORBIDDEN, "403 - Forbidden"), true)
    })
    .await
}

/// Starts Infura: no names, and Basic credentials.
pub async fn start_infura(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        let (id, secret) = PROJECT;
        let header = format!("Basic {}", BASE64.encode(format!("{id}:{secret}").as_bytes()));
        let denied = (StatusCode::UNAUTHORIZED, "basic auth failure: invalid project id or token");
        rpc(service, vec![header], denied, false)
    })
    .await
}

type Denied = (StatusCode, &'static str);

#[derive(Clone)]
struct Gate {
    service: Service,
    accepted: Vec<String>,
    denied: Denied,
}

fn rpc(service: Service, accepted: Vec<String>, denied: Denied, names: bool) -> Router {
    let mut commands = Router::new()
        .route("/version", post(version))
        .route("/block/put", post(block_put))
        .route("/block/get", post(block_get))
        .route("/pin/add", post(pin_add))
        .route("/pin/rm", post(pin_rm))
        .route("/pin/ls", post(pin_ls));
    if names {
        commands = commands
            .route("/routing/put", post(routing_put))
            .route("/routing/get", post(routing_get));
    }
    let gate = Gate { service: service.clone(), accepted, denied };
    let commands = commands
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
        .layer(middleware::from_fn_with_state(gate, admit));
    Router::new().nest("/api/v0", commands).with_state(service)
}

async fn admit(State(gate): State<Gate>, request: Request, next: middleware::Next) -> Response {
    match gate.refuses(request.headers()) {
        Some(refused) => refused.into_response(),
        None => next.run(request).await,
    }
}

impl Gate {
    fn refuses(&self, headers: &HeaderMap) -> Option<Denied> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let agent = header("user-agent").unwrap_or_default();
        if agent.contains("/kubo/") || agent.contains("/go-ipfs/") {
            return Some((StatusCode::BAD_REQUEST, "client and node are of different versions"));
        }
        let browser = agent.starts_with("Mozilla");
        if header("origin").is_some() || header("referer").is_some() || browser {
            return Some((StatusCode::FORBIDDEN, "403 - Forbidden"));
        }
        let known = header("authorization")
            .is_some_and(|header| self.accepted.iter().any(|accepted| accepted == header));
        let admitted = known || self.accepted.is_empty();
        (!admitted || self.service.control.is_revoked()).then_some(self.denied)
    }
}

fn failure(message: impl Into<String>) -> Response {
    let body = json!({ "Message": message.into(), "Code": 0, "Type": "error" });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

type Arguments = Query<Vec<(String, String)>>;

fn argument<'a>(arguments: &'a Arguments, name: &str) -> Option<&'a str> {
    arguments.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A request that makes no sense: a status and a line of text.
type Refused = (StatusCode, String);

fn cid(arguments: &Arguments) -> Result<Cid, Refused> {
    let text = argument(arguments, "arg").unwrap_or_default();
    let text = text.strip_prefix("/ipfs/").unwrap_or(text);
    Cid::parse(text).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn version() -> Json<Value> {
    Json(json!({ "Version": "0.38.0", "Commit": "", "Repo": "17", "System": "", "Golang": "" }))
}

async fn block_put(
    State(service): State<Service>,
    arguments: Arguments,
    mut form: Multipart,
) -> Response {
    // Today's name of the option, or the old one.
    let codec = argument(&arguments, "cid-codec").or(argument(&arguments, "format"));
    let hash = argument(&arguments, "mhtype").unwrap_or("sha2-256");
    if codec.is_some_and(|codec| codec != "raw") || hash != "sha2-256" {
        return failure("this double stores raw blocks only");
    }
    let pins = argument(&arguments, "pin") == Some("true");
    let mut lines = String::new();
    while let Ok(Some(field)) = form.next_field().await {
        let Ok(bytes) = field.bytes().await else { return failure("unexpected EOF") };
        if bytes.len() > service.control.largest() {
            return failure("produced block is over 2MiB: big blocks can't be exchanged");
        }
        let cid = Cid::of(&bytes).to_string();
        if pins && !service.account.pin(&cid, bytes.len(), service.control.quota()) {
            return failure("write: no space left on device");
        }
        lines += &format!("{}\n", json!({ "Key": cid, "Size": bytes.len() }));
        service.network.put(bytes);
    }
    ([(CONTENT_TYPE, "application/json")], lines).into_response()
}

async fn block_get(State(service): State<Service>, arguments: Arguments) -> Response {
    let cid = match cid(&arguments) {
        Ok(cid) => cid,
        Err(refused) => return refused.into_response(),
    };
    match service.network.get(&cid) {
        Some(bytes) => ([(CONTENT_TYPE, "application/vnd.ipld.raw")], bytes).into_response(),
        None => {
            failure(format!("block was not found locally (offline): ipld: could not find {cid}"))
        }
    }
}

async fn pin_add(State(service): State<Service>, arguments: Arguments) -> Response {
    let cid = match cid(&arguments) {
        Ok(cid) => cid,
        Err(refused) => return refused.into_response(),
    };
    let Some(bytes) = service.network.get(&cid) else {
        return failure(format!("pin: block was not found locally: could not find {cid}"));
    };
    if !service.account.pin(&cid.to_string(), bytes.len(), service.control.quota()) {
        return failure("write: no space left on device");
    }
    Json(json!({ "Pins": [cid.to_string()] })).into_response()
}

async fn pin_rm(State(service): State<Service>, arguments: Arguments) -> Response {
    match cid(&arguments) {
        Ok(cid) if service.account.unpin(&cid.to_string()) => {
            Json(json!({ "Pins": [cid.to_string()] })).into_response()
        }
        Ok(_) => failure("not pinned or pinned indirectly"),
        Err(refused) => refused.into_response(),
    }
}

async fn pin_ls(State(service): State<Service>, arguments: Arguments) -> Response {
    let recursive = |cid: &str| (cid.to_owned(), json!({ "Type": "recursive" }));
    let stream = argument(&arguments, "stream") == Some("true");
    let found: Map<String, Value> = if argument(&arguments, "arg").is_none() {
        service.account.pins().iter().map(|(cid, _)| recursive(cid)).collect()
    } else {
        match cid(&arguments) {
            Ok(cid) if service.account.is_pinned(&cid.to_string()) => {
                Map::from_iter([recursive(&cid.to_string())])
            }
            Ok(cid) => return failure(format!("path '{cid}' is not pinned")),
            Err(refused) => return refused.into_response(),
        }
    };
    if stream {
        let line = |cid| format!("{}\n", json!({ "Cid": cid, "Type": "recursive" }));
        let lines: String = found.keys().map(line).collect();
        return ([(CONTENT_TYPE, "application/json")], lines).into_response();
    }
    Json(json!({ "Keys": found })).into_response()
}

fn name(arguments: &Arguments) -> Result<Name, Refused> {
    let key = argument(arguments, "arg").and_then(|key| key.strip_prefix("/ipns/"));
    Name::parse(key.unwrap_or_default())
        .map_err(|_| (StatusCode::BAD_REQUEST, "invalid key".to_owned()))
}

fn event(name: &Name, extra: &str) -> Response {
    let event = json!({ "Extra": extra, "ID": name.peer_id(), "Responses": null, "Type": 5 });
    ([(CONTENT_TYPE, "application/json")], format!("{event}\n")).into_response()
}

async fn routing_put(
    State(service): State<Service>,
    arguments: Arguments,
    mut form: Multipart,
) -> Response {
    let name = match name(&arguments) {
        Ok(name) => name,
        Err(refused) => return refused.into_response(),
    };
    let mut value = Bytes::new();
    if let Ok(Some(field)) = form.next_field().await {
        value = field.bytes().await.unwrap_or_default();
    }
    match Record::parse(&name, &value, Some(now())) {
        Err(error) => failure(error.to_string()),
        Ok(record) => match service.network.publish(record) {
            Ok(()) => event(&name, ""),
            Err(()) => failure("can't replace a newer value with an older value"),
        },
    }
}

async fn routing_get(State(service): State<Service>, arguments: Arguments) -> Response {
    match name(&arguments) {
        Err(refused) => refused.into_response(),
        Ok(name) => match service.network.record(&name) {
            Some(record) => event(&name, &BASE64.encode(record.as_bytes())),
            None => failure("routing: not found"),
        },
    }
}
