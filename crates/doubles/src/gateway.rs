//! A trustless gateway: `/ipfs/{cid}` and `/ipns/{name}`.

use std::io;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use handfast_ipfs::{Cid, Name};

use crate::{Double, Network, Service};

/// Starts it.
pub async fn start(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        Router::new()
            .route("/ipfs/{cid}", get(block))
            .route("/ipns/{name}", get(record))
            .with_state(service)
    })
    .await
}

/// A block, raw.
pub(crate) async fn block(State(service): State<Service>, Path(cid): Path<String>) -> Response {
    let Ok(cid) = Cid::parse(&cid) else {
        return (StatusCode::BAD_REQUEST, "invalid cid\n").into_response();
    };
    match service.network.get(&cid) {
        Some(bytes) => ([(CONTENT_TYPE, "application/vnd.ipld.raw")], bytes).into_response(),
        None => (StatusCode::NOT_FOUND, "block not found\n").into_response(),
    }
}

async fn record(State(service): State<Service>, Path(name): Path<String>) -> Response {
    let Ok(name) = Name::parse(&name) else {
        return (StatusCode::BAD_REQUEST, "invalid name\n").into_response();
    };
    match service.network.record(&name) {
        Some(record) => {
            let kind = [(CONTENT_TYPE, "application/vnd.ipfs.ipns-record")];
            (kind, record.into_bytes()).into_response()
        }
        None => (StatusCode::INTERNAL_SERVER_ERROR, "could not find record\n").into_response(),
    }
}
