//! w3name.

use std::io;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use data_encoding::BASE64;
use handfast_ipfs::{Name, Record};
use serde_json::json;

use crate::network::now;
use crate::{Double, Network, Service};

/// Starts it.
pub async fn start(network: &Network) -> io::Result<Double> {
    Double::start(network, |service| {
        Router::new().route("/name/{name}", get(resolve).post(publish)).with_state(service)
    })
    .await
}

fn failure(status: StatusCode, message: String) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

async fn resolve(State(service): State<Service>, Path(key): Path<String>) -> Response {
    let record = Name::parse(&key).ok().and_then(|name| service.network.record(&name));
    match record {
        Some(record) => Json(json!({
            "value": record.value(),
            "record": BASE64.encode(record.as_bytes()),
        }))
        .into_response(),
        None => failure(StatusCode::NOT_FOUND, format!("record not found for key: {key}")),
    }
}

async fn publish(
    State(service): State<Service>,
    Path(key): Path<String>,
    body: String,
) -> Response {
    let invalid =
        |error: String| failure(StatusCode::BAD_REQUEST, format!("invalid ipns entry: {error}"));
    let Ok(name) = Name::parse(&key) else { return invalid("the key".into()) };
    let Ok(bytes) = BASE64.decode(body.as_bytes()) else { return invalid("not base64".into()) };
    let record = match Record::parse(&name, &bytes, Some(now())) {
        Ok(record) => record,
        Err(error) => return invalid(error.to_string()),
    };
    match service.network.publish(record) {
        Ok(()) => (StatusCode::ACCEPTED, Json(json!({ "id": key }))).into_response(),
        Err(()) => {
            failure(StatusCode::BAD_REQUEST, "invalid record: the record is outdated.".into())
        }
    }
}
