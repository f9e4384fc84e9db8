//! The trustless gateway: raw blocks by their CID, for everybody who knows it.
//!
//! Source: <https://specs.ipfs.tech/http-gateways/trustless-gateway/>. Only raw blocks are
//! served, because nothing else is stored.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use handfast_ipfs::{Cid, CidError};
use serde::Deserialize;

use super::{Refusal, Wish, lists, on_disk, wish};
use crate::server::App;

const RAW: &str = "application/vnd.ipld.raw";
/// The empty block inside its own CID, which clients fetch to see whether this is a gateway.
const PROBE: &str = "bafkqaaa";
const IF_CACHED: &str = "only-if-cached";

#[derive(Deserialize)]
pub(super) struct Parameters {
    format: Option<String>,
}

/// `GET` and `HEAD /ipfs/{cid}`.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(text): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    match wish(parameters.format.as_deref(), &headers, "raw", RAW) {
        Wish::This => {}
        Wish::None => return Err(Refusal::new(StatusCode::BAD_REQUEST, "add ?format=raw")),
        Wish::Other => {
            return Err(Refusal::new(
                StatusCode::NOT_ACCEPTABLE,
                "only raw blocks are served here: ?format=raw",
            ));
        }
    }
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text == PROBE {
        return Ok(found(PROBE, Vec::new()));
    }
    let cid = match Cid::parse(&text) {
        Ok(cid) => cid,
        // A proper CID, but of something that is never stored here.
        Err(error @ (CidError::Version0 | CidError::Codec(_) | CidError::Hash(_))) => {
            return Err(Refusal::new(StatusCode::NOT_FOUND, error));
        }
        Err(error) => return Err(Refusal::new(StatusCode::BAD_REQUEST, error)),
    };
    // Always in the usual base, whatever was asked in.
    let text = cid.to_string();
    let tag = tag(&text);
    if lists(header(IF_NONE_MATCH), &tag) && app.blocks.has(&cid) {
        let headers = [(ETAG, tag.as_str()), (CACHE_CONTROL, IMMUTABLE)];
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    match on_disk(&app, move |app| app.blocks.get(&cid)).await? {
        Ok(Some(bytes)) => Ok(found(&text, bytes)),
        Ok(None) => {
            // Nothing is ever fetched from elsewhere; but who says that nothing shall be, is
            // answered in those words.
            let status = match header(CACHE_CONTROL).is_some_and(|it| it.contains(IF_CACHED)) {
                true => StatusCode::PRECONDITION_FAILED,
                false => StatusCode::NOT_FOUND,
            };
            Err(Refusal::new(status, "this block is not stored here"))
        }
        Err(error) => {
            tracing::error!(%cid, %error, "a block cannot be read");
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the block cannot be read"))
        }
    }
}

/// What a CID stands for never changes.
const IMMUTABLE: &str = "public, max-age=29030400, immutable";

fn tag(cid: &str) -> String {
    format!("\"{cid}.raw\"")
}

fn found(cid: &str, bytes: Vec<u8>) -> Response {
    let disposition = format!("attachment; filename=\"{cid}.bin\"");
    let headers = [
        (CONTENT_TYPE, RAW),
        (CONTENT_DISPOSITION, &disposition),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, IMMUTABLE),
        (ETAG, &tag(cid)),
        (VARY, "Accept"),
    ];
    (headers, bytes).into_response()
}
