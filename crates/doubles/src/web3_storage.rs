//! web3.storage as it was until 2024.

use std::io;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use handfast_ipfs::Cid;
use serde_json::{Value, json};

use crate::{Double, Network, Service};

/// The token of the one account.
pub const TOKEN: &str = "web3-storage-token-of-a-test";

/// A raw block's CID, before its hash.
const RAW: &[u8] = &[0x01, 0x55, 0x12, 0x20];

/// Starts it.
pub async fn start(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        Router::new()
            .route("/car", post(upload))
            .route("/user/uploads", get(list))
            .route("/user/uploads/{cid}", delete(remove))
            .route("/pins", post(pin))
            .layer(middleware::from_fn_with_state(service.clone(), authorize))
            // These want no token.
            .route("/car/{cid}", get(archive))
            .route("/status/{cid}", get(status))
            .with_state(service)
    })
    .await
}

fn failure(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}

async fn authorize(
    State(service): State<Service>,
    request: Request,
    next: middleware::Next,
) -> Response {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    match header.and_then(|header| header.strip_prefix("Bearer ")) {
        None => failure(StatusCode::UNAUTHORIZED, "ERROR_NO_TOKEN", "No token was sent"),
        Some(TOKEN) if service.control.is_revoked() => {
            failure(StatusCode::FORBIDDEN, "ERROR_TOKEN_BLOCKED", "This token was blocked")
        }
        Some(TOKEN) => next.run(request).await,
        Some(_) => {
            failure(StatusCode::UNAUTHORIZED, "ERROR_TOKEN_NOT_FOUND", "API token no longer valid")
        }
    }
}

async fn upload(State(service): State<Service>, car: Bytes) -> Response {
    let Some((root, blocks)) = read(&car) else {
        return failure(StatusCode::BAD_REQUEST, "INVALID_CAR", "Invalid CAR file received");
    };
    if blocks.iter().any(|(_, bytes)| bytes.len() > service.control.largest()) {
        return failure(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", "block too big");
    }
    if blocks.is_empty() {
        return failure(StatusCode::BAD_REQUEST, "INVALID_CAR", "empty CAR");
    }
    let root = text(root);
    if !service.account.pin(&root, car.len(), service.control.quota()) {
        let message = "This account is restricted: its storage is used up";
        return failure(StatusCode::FORBIDDEN, "ACCOUNT_RESTRICTED", message);
    }
    for (cid, bytes) in blocks.iter().filter(|(cid, _)| cid.starts_with(RAW)) {
        let put = service.network.put(Bytes::copy_from_slice(bytes));
        if put.to_bytes() != *cid {
            return failure(StatusCode::BAD_REQUEST, "INVALID_CAR", "a block has another hash");
        }
    }
    service.network.put_archive(root.clone(), car.clone());
    Json(json!({ "cid": root })).into_response()
}

async fn archive(State(service): State<Service>, Path(cid): Path<String>) -> Response {
    let held = service.network.archive(&cid).or_else(|| {
        let cid = Cid::parse(&cid).ok()?;
        Some(Bytes::from(write(&cid.to_bytes(), &service.network.get(&cid)?)))
    });
    match held {
        Some(car) => ([(CONTENT_TYPE, "application/car")], car).into_response(),
        None => failure(StatusCode::NOT_FOUND, "HTTP_ERROR", "Not Found"),
    }
}

async fn status(State(service): State<Service>, Path(cid): Path<String>) -> Response {
    if !service.account.is_pinned(&cid) {
        return failure(StatusCode::NOT_FOUND, "HTTP_ERROR", "Not Found");
    }
    let pin = json!({ "status": "Pinned", "peerId": "12D3KooW", "region": "here" });
    Json(json!({
        "cid": cid,
        "created": "2023-01-01T00:00:00.000Z",
        "dagSize": 1,
        "pins": [pin],
        "deals": [],
    }))
    .into_response()
}

async fn list(State(service): State<Service>) -> Json<Value> {
    let pins = service.account.pins().into_iter().map(|(cid, size)| {
        json!({ "cid": cid, "name": cid, "dagSize": size, "created": "2023-01-01T00:00:00.000Z" })
    });
    Json(pins.collect())
}

async fn remove() -> Response {
    let message = "Deleting needs a login, not a token";
    failure(StatusCode::FORBIDDEN, "DELETE_RESTRICTED", message)
}

async fn pin() -> Response {
    let message = "Pinning is not authorized for this user";
    failure(StatusCode::FORBIDDEN, "PINNING_UNAUTHORIZED", message)
}

fn text(cid: &[u8]) -> String {
    format!("b{}", BASE32_NOPAD.encode(cid).to_lowercase())
}

/// A block of an archive: its CID, and its bytes.
type Entry<'a> = (&'a [u8], &'a [u8]);

/// The root of an archive, and its blocks.
fn read(mut car: &[u8]) -> Option<(&[u8], Vec<Entry<'_>>)> {
    let header = take(&mut car)?;
    // A CID in CBOR: tag 42, a string of 37 bytes, a zero.
    let link = b"\xd8\x2a\x58\x25\x00";
    let at = header.windows(link.len()).position(|window| window == link)?;
    let root = header.get(at + link.len()..)?.get(..36)?;
    let mut blocks = Vec::new();
    while !car.is_empty() {
        blocks.push(take(&mut car)?.split_at_checked(36)?);
    }
    Some((root, blocks))
}

fn write(cid: &[u8], bytes: &[u8]) -> Vec<u8> {
    let header = [b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00", cid, b"\x67version\x01"].concat();
    let mut car = Vec::new();
    for part in [header, [cid, bytes].concat()] {
        let mut length = part.len();
        while length >= 0x80 {
            car.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        car.push(length as u8);
        car.extend(part);
    }
    car
}

fn take<'a>(car: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let (&byte, rest) = car.split_first()?;
        *car = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let (part, rest) = car.split_at_checked(length)?;
            *car = rest;
            return Some(part);
        }
    }
    None
}
