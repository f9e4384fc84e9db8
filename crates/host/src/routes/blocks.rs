//! `block/put`, `block/get` and `block/stat`.

use std::sync::Arc;

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use handfast_ipfs::{Block, Cid, MAX_BLOCK};
use serde_json::json;

use super::kubo::{Arguments, Authorized, Failure};
use super::on_disk;
use crate::blocks::BlocksError;
use crate::server::App;

/// `block/put?cid-codec=raw&mhtype=sha2-256&pin=BOOL`: a block in each file of a form. Answers a
/// line `{"Key","Size"}` for each, when all are stored.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    Authorized(account): Authorized,
    arguments: Arguments,
    form: Multipart,
) -> Result<Response, Failure> {
    check_format(&arguments)?;
    let pin = arguments.flag("pin", false);
    let blocks = {
        let _turn = app.uploads.acquire().await;
        files(form).await?
    };
    if blocks.is_empty() {
        return Err(Failure::bad_argument("file argument 'data' is required"));
    }
    let lines: String = blocks
        .iter()
        .map(|block| {
            let line = json!({ "Key": block.cid().to_string(), "Size": block.bytes().len() });
            format!("{line}\n")
        })
        .collect();
    on_disk(&app, move |app| app.blocks.put(&account, &blocks, pin)).await??;
    Ok(([(CONTENT_TYPE, "application/json")], lines).into_response())
}

/// `block/get?arg=CID`.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    _: Authorized,
    arguments: Arguments,
) -> Result<Response, Failure> {
    let cid = cid(arguments.get("arg"))?;
    match on_disk(&app, move |app| app.blocks.get(&cid)).await? {
        Ok(Some(bytes)) => {
            let headers =
                [(CONTENT_TYPE, "application/vnd.ipld.raw"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
            Ok((headers, bytes).into_response())
        }
        Ok(None) => Err(BlocksError::NotHeld(cid).into()),
        Err(error) => {
            tracing::error!(%cid, %error, "a block cannot be read");
            Err(Failure::new("the block cannot be read"))
        }
    }
}

/// `block/stat?arg=CID`.
pub(super) async fn stat(
    State(app): State<Arc<App>>,
    _: Authorized,
    arguments: Arguments,
) -> Result<Response, Failure> {
    let cid = cid(arguments.get("arg"))?;
    let size = app.blocks.size(&cid).ok_or(BlocksError::NotHeld(cid))?;
    Ok(Json(json!({ "Key": cid.to_string(), "Size": size })).into_response())
}

/// A CID that an argument names.
pub(super) fn cid(argument: Option<&str>) -> Result<Cid, Failure> {
    let text = argument.ok_or_else(|| Failure::bad_argument("argument 'arg' is required"))?;
    let text = text.strip_prefix("/ipfs/").unwrap_or(text);
    Cid::parse(text).map_err(|error| Failure::bad_argument(format_args!("invalid CID: {error}")))
}

/// Refuses everything but raw blocks under sha2-256, in Kubo's words of today and of before.
fn check_format(arguments: &Arguments) -> Result<(), Failure> {
    let only = |name: &str, accepted: &[&str]| match arguments.get(name) {
        Some(value) if !accepted.contains(&value) => Err(Failure::new(format_args!(
            "unsupported {name} {value:?}: only raw blocks with CIDv1 and sha2-256 are stored here"
        ))),
        _ => Ok(()),
    };
    only("cid-codec", &["", "raw"])?;
    only("format", &["", "raw"])?;
    only("mhtype", &["", "sha2-256"])?;
    only("mhlen", &["", "-1", "32"])?;
    only("version", &["", "1"])
}

/// The files of a form, as blocks. Fields that are no files are skipped, as Kubo does.
async fn files(mut form: Multipart) -> Result<Vec<Block>, Failure> {
    let mut blocks = Vec::new();
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        if field.file_name().is_none() {
            continue;
        }
        let mut bytes = Vec::new();
        while let Some(piece) = field.chunk().await.map_err(unreadable)? {
            if bytes.len() + piece.len() > MAX_BLOCK {
                return Err(Failure::with_status(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format_args!("a block has at most {MAX_BLOCK} bytes"),
                ));
            }
            bytes.extend_from_slice(&piece);
        }
        blocks.push(
            Block::new(bytes)
                .map_err(|error| Failure::with_status(StatusCode::PAYLOAD_TOO_LARGE, error))?,
        );
    }
    Ok(blocks)
}

/// The first file of a form, of at most so many bytes.
pub(super) async fn file(mut form: Multipart, max: usize) -> Result<Vec<u8>, Failure> {
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        if field.file_name().is_some() {
            let bytes = field.bytes().await.map_err(unreadable)?;
            if bytes.len() > max {
                let message = format_args!("at most {max} bytes are taken");
                return Err(Failure::with_status(StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            return Ok(bytes.into());
        }
    }
    Err(Failure::bad_argument("file argument 'value-file' is required"))
}

fn unreadable(error: MultipartError) -> Failure {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::with_status(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large")
        }
        _ => Failure::bad_argument(error.body_text()),
    }
}
