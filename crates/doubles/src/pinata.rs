//! Pinata: version 1 of its API which our own client speaks,
//! the part of version 3 that the npm package `pinata` speaks, and the gateway.

mod v3;

use std::io;

use axum::extract::{Multipart, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use bytes::Bytes;
use handfast_ipfs::Cid;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Double, Network, Service, gateway, unixfs};

/// The key, the secret and the JWT of the one account.
pub const KEY: &str = "pinata-key-of-a-test";
/// See [`KEY`].
pub const SECRET: &str = "pinata-secret-of-a-test";
/// See [`KEY`].
pub const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.pinata.jwt-of-a-test";

/// Starts it. Version 3 is at `/v3`, for both the API and uploads; the gateway at `/ipfs`.
pub async fn start(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        let v1 = Router::new()
            .route("/data/testAuthentication", get(test))
            .route("/data/pinList", get(list))
            .route("/pinning/pinFileToIPFS", post(upload))
            .route("/pinning/pinByHash", post(pin))
            .route("/pinning/unpin/{cid}", delete(unpin));
        v1.nest("/v3", v3::routes())
            .layer(middleware::from_fn_with_state(service.clone(), authorize))
            .route("/ipfs/{cid}", get(gateway::block))
            .with_state(service)
    })
    .await
}

/// A failure: a reason for programs, details for people.
fn failure(status: StatusCode, reason: &str, details: &str) -> Response {
    (status, Json(json!({ "error": { "reason": reason, "details": details } }))).into_response()
}

async fn authorize(
    State(service): State<Service>,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Response {
    // Version 3 takes tokens alone.
    let is_v3 = request.uri().path().starts_with("/v3");
    match (is_known(request.headers(), is_v3), service.control.is_revoked()) {
        (true, false) => next.run(request).await,
        (true, true) => failure(StatusCode::FORBIDDEN, "API_KEY_REVOKED", "This key was revoked"),
        (false, _) if is_v3 => {
            let error = json!({ "code": 401, "message": "no Authorization header found" });
            (StatusCode::UNAUTHORIZED, Json(json!({ "error": error }))).into_response()
        }
        (false, _) => {
            let details = "Invalid/expired credentials";
            failure(StatusCode::UNAUTHORIZED, "INVALID_CREDENTIALS", details)
        }
    }
}

fn is_known(headers: &HeaderMap, is_v3: bool) -> bool {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let by_key = (header("pinata_api_key"), header("pinata_secret_api_key"));
    let by_token = header("authorization") == Some(&format!("Bearer {JWT}"));
    by_token || (by_key == (Some(KEY), Some(SECRET)) && !is_v3)
}

async fn test() -> Json<Value> {
    Json(json!({ "message": "Congratulations! You are communicating with the Pinata API!" }))
}

/// A file of a form, by its name there.
struct File {
    name: String,
    bytes: Bytes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    #[serde(default)]
    cid_version: u8,
}

async fn upload(State(service): State<Service>, mut form: Multipart) -> Response {
    let (mut files, mut options) = (Vec::new(), Options::default());
    while let Ok(Some(field)) = form.next_field().await {
        let name = field.name().unwrap_or_default().to_owned();
        let file_name = field.file_name().map(str::to_owned);
        let Ok(bytes) = field.bytes().await else {
            return failure(StatusCode::BAD_REQUEST, "INVALID_FORM", "the form breaks off");
        };
        match (name.as_str(), file_name) {
            ("file", Some(name)) => files.push(File { name, bytes }),
            ("pinataOptions", _) => match serde_json::from_slice(&bytes) {
                Ok(read) => options = read,
                Err(_) => {
                    return failure(StatusCode::BAD_REQUEST, "INVALID_OPTIONS", "no JSON");
                }
            },
            ("pinataMetadata", _) if serde_json::from_slice::<Value>(&bytes).is_err() => {
                return failure(StatusCode::BAD_REQUEST, "INVALID_METADATA", "no JSON");
            }
            _ => {}
        }
    }
    if files.is_empty() {
        return failure(StatusCode::BAD_REQUEST, "NO_FILES", "no file found in the form");
    }
    if options.cid_version != 1 {
        // What comes back then is a CID of version 0, over other bytes than the file's own.
        let other = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
        return Json(json!({ "IpfsHash": other, "PinSize": 4 })).into_response();
    }
    match store(&service, &files) {
        Ok((cid, size)) => Json(json!({
            "IpfsHash": cid,
            "PinSize": size,
            "Timestamp": "2026-01-01T00:00:00.000Z",
        }))
        .into_response(),
        Err(StatusCode::PAYLOAD_TOO_LARGE) => {
            failure(StatusCode::PAYLOAD_TOO_LARGE, "FILE_TOO_LARGE", "the file is too large")
        }
        Err(status) => failure(status, "PAYMENT_REQUIRED", "the plan is used up"),
    }
}

/// Stores and pins a file, or a directory of files; answers its CID and size.
fn store(service: &Service, files: &[File]) -> Result<(String, usize), StatusCode> {
    let size = files.iter().map(|file| file.bytes.len()).sum();
    if size > service.control.largest() {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let listed = files.iter().map(|File { name, bytes }| {
        let name = name.rsplit('/').next().unwrap_or_default().to_owned();
        (name, Cid::of(bytes), bytes.len())
    });
    let listed: Vec<_> = listed.collect();
    let in_folder = files.iter().any(|file| file.name.contains('/'));
    let root = match listed.as_slice() {
        [(_, cid, _)] if !in_folder => cid.to_string(),
        files => unixfs::directory(files),
    };
    if !service.account.pin(&root, size, service.control.quota()) {
        return Err(StatusCode::PAYMENT_REQUIRED);
    }
    for file in files {
        service.network.put(file.bytes.clone());
    }
    Ok((root, size))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ByHash {
    hash_to_pin: String,
}

async fn pin(
    State(service): State<Service>,
    Json(ByHash { hash_to_pin }): Json<ByHash>,
) -> Response {
    let Ok(cid) = Cid::parse(&hash_to_pin) else {
        return failure(StatusCode::BAD_REQUEST, "INVALID_HASH", "this is no CID");
    };
    // Fetched later; what nobody has stays a job.
    if let Some(bytes) = service.network.get(&cid) {
        let _ = service.account.pin(&cid.to_string(), bytes.len(), service.control.quota());
    }
    let id = "b6a0c2fc-0000-4000-8000-000000000000";
    let answer =
        json!({ "id": id, "ipfsHash": hash_to_pin, "status": "prechecking", "name": null });
    Json(answer).into_response()
}

async fn unpin(State(service): State<Service>, Path(cid): Path<String>) -> Response {
    if service.account.unpin(&cid) {
        return "OK".into_response();
    }
    failure(
        StatusCode::BAD_REQUEST,
        "CURRENT_USER_HAS_NOT_PINNED_CID",
        "The current user has not pinned this CID",
    )
}

#[derive(Deserialize)]
struct Wanted {
    cid: Option<String>,
    status: Option<String>,
}

async fn list(State(service): State<Service>, Query(wanted): Query<Wanted>) -> Json<Value> {
    let listed = wanted.status.as_deref().is_none_or(|status| matches!(status, "pinned" | "all"));
    let pins = service.account.pins().into_iter();
    let rows: Vec<Value> = pins
        .filter(|(cid, _)| listed && wanted.cid.as_ref().is_none_or(|wanted| wanted == cid))
        .map(|(cid, size)| json!({ "id": cid, "ipfs_pin_hash": cid, "size": size }))
        .collect();
    Json(json!({ "rows": rows }))
}
