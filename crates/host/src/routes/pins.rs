//! `pin/add`, `pin/rm` and `pin/ls`, each for the account alone that asks.
//!
//! Raw blocks lead nowhere, so every pin is called "recursive", which is Kubo's default.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use handfast_ipfs::Cid;
use serde_json::{Map, Value, json};

use super::blocks::cid;
use super::kubo::{Arguments, Authorized, Failure};
use super::on_disk;
use crate::server::App;

/// `pin/add?arg=CID…`: of blocks that are here already; nothing is fetched.
pub(super) async fn add(
    State(app): State<Arc<App>>,
    Authorized(account): Authorized,
    arguments: Arguments,
) -> Result<Response, Failure> {
    let cids = some_cids(&arguments)?;
    let pins = texts(&cids);
    on_disk(&app, move |app| app.blocks.pin(&account, &cids)).await??;
    Ok(Json(json!({ "Pins": pins })).into_response())
}

/// `pin/rm?arg=CID…`.
pub(super) async fn rm(
    State(app): State<Arc<App>>,
    Authorized(account): Authorized,
    arguments: Arguments,
) -> Result<Response, Failure> {
    let cids = some_cids(&arguments)?;
    let pins = texts(&cids);
    on_disk(&app, move |app| app.blocks.unpin(&account, &cids)).await??;
    Ok(Json(json!({ "Pins": pins })).into_response())
}

/// `pin/ls?arg=CID…&type=all|recursive|direct|indirect&stream=BOOL`; without `arg`, all pins.
pub(super) async fn ls(
    State(app): State<Arc<App>>,
    Authorized(account): Authorized,
    arguments: Arguments,
) -> Result<Response, Failure> {
    let kind = arguments.get("type").unwrap_or("all").to_owned();
    let listed = match kind.as_str() {
        "" | "all" | "recursive" => true,
        "direct" | "indirect" => false,
        _ => {
            return Err(Failure::new(format_args!(
                "invalid type '{kind}', must be one of {{direct, indirect, recursive, all}}"
            )));
        }
    };
    let asked = cids(&arguments)?;
    let found = on_disk(&app, move |_| {
        let book = account.book();
        if asked.is_empty() {
            let all = if listed { book.pins().keys().copied().collect() } else { Vec::new() };
            return Ok(all);
        }
        match asked.iter().find(|cid| !listed || !book.pins().contains_key(cid)) {
            Some(cid) => Err(Failure::new(format_args!("path '{cid}' is not pinned"))),
            None => Ok(asked),
        }
    })
    .await??;
    if arguments.flag("stream", false) {
        let lines: String = found
            .iter()
            .map(|cid| format!("{}\n", json!({ "Cid": cid.to_string(), "Type": "recursive" })))
            .collect();
        return Ok(([(CONTENT_TYPE, "application/json")], lines).into_response());
    }
    let keys: Map<String, Value> =
        found.iter().map(|cid| (cid.to_string(), json!({ "Type": "recursive" }))).collect();
    Ok(Json(json!({ "Keys": keys })).into_response())
}

fn cids(arguments: &Arguments) -> Result<Vec<Cid>, Failure> {
    arguments.all("arg").map(|text| cid(Some(text))).collect()
}

fn some_cids(arguments: &Arguments) -> Result<Vec<Cid>, Failure> {
    let cids = cids(arguments)?;
    if cids.is_empty() { cid(None).map(|cid| vec![cid]) } else { Ok(cids) }
}

fn texts(cids: &[Cid]) -> Vec<String> {
    cids.iter().map(ToString::to_string).collect()
}
