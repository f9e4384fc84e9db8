//! A delegated router that answers as public ones do: no record is 200 with another content type.

use std::io;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use handfast_ipfs::{Cid, MAX_RECORD, Name, Record};

use crate::network::now;
use crate::{Double, Network, Service};

const TYPE: &str = "application/vnd.ipfs.ipns-record";

/// Starts it.
pub async fn start(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        Router::new()
            .route("/routing/v1/ipns/{name}", get(resolve).put(publish))
            .with_state(service)
    })
    .await
}

async fn resolve(
    State(service): State<Service>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Ok(name) = Name::parse(&name) else {
        return (StatusCode::UNPROCESSABLE_ENTITY, "invalid name").into_response();
    };
    let Some(record) = service.network.record(&name) else {
        let text = "delegate error: routing: not found";
        return ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response();
    };
    let tag = format!("\"{}\"", Cid::of(record.as_bytes()));
    let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    if known.is_some_and(|known| known.contains(&tag)) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    let age = format!("public, max-age={}", record.ttl().as_secs());
    let head = [(CONTENT_TYPE, TYPE.to_owned()), (ETAG, tag), (CACHE_CONTROL, age)];
    (head, record.into_bytes()).into_response()
}

async fn publish(
    State(service): State<Service>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != TYPE) {
        return (StatusCode::NOT_ACCEPTABLE, "wrong content type").into_response();
    }
    if body.len() > MAX_RECORD {
        return (StatusCode::BAD_REQUEST, "record too long").into_response();
    }
    let record = Name::parse(&name)
        .map_err(|error| error.to_string())
        .and_then(|name| Record::parse(&name, &body, Some(now())).map_err(|it| it.to_string()));
    let record = match record {
        Ok(record) => record,
        Err(error) => return (StatusCode::BAD_REQUEST, error).into_response(),
    };
    match service.network.publish(record) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(()) => {
            let text = "delegate error: can't replace a newer value with an older value";
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}
