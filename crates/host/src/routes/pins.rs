//! `pin/add`, `pin/rm` and `pin/ls`, each for the account alone that asks.
//!
//! Raw blocks lead nowhere, so every pin is called "recursive", which is Kubo's default.

use std::ops::Bound;
use std::sync::Arc;
use std::{io, mem};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use handfast_ipfs::Cid;
use serde_json::json;

use super::blocks::cid;
use super::kubo::{Arguments, Authorized, Failure};
use super::{Refusal, on_disk};
use crate::accounts::Account;
use crate::server::App;

/// Pins that are listed at a time.
const PAGE: usize = 1024;

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

/// `pin/ls?arg=CID…&type=all|recursive|direct|indirect&name=TEXT&stream=BOOL`; without `arg`, all
/// pins, in order.
///
/// Pins have no names here: those given to `pin/add` are dropped, and none has the one asked for.
pub(super) async fn ls(
    State(app): State<Arc<App>>,
    Authorized(account): Authorized,
    arguments: Arguments,
) -> Result<Response, Failure> {
    let kind = arguments.get("type").unwrap_or("all").to_owned();
    let of_this_kind = match kind.as_str() {
        "" | "all" | "recursive" => true,
        "direct" | "indirect" => false,
        _ => {
            return Err(Failure::new(format_args!(
                "invalid type '{kind}', must be one of {{direct, indirect, recursive, all}}"
            )));
        }
    };
    let listed = of_this_kind && arguments.get("name").is_none_or(str::is_empty);
    let form = if arguments.flag("stream", false) { Form::Lines } else { Form::Object };
    let asked = cids(&arguments)?;
    let body = if asked.is_empty() {
        match listed {
            true => form.body(pages(app, account)),
            false => form.body(stream::empty()),
        }
    } else {
        let pinned = on_disk(&app, move |_| {
            let book = account.book();
            match asked.iter().find(|cid| !listed || !book.pins().contains_key(cid)) {
                Some(cid) => Err(Failure::new(format_args!("path '{cid}' is not pinned"))),
                None => Ok(asked),
            }
        });
        let pinned = pinned.await??;
        form.body(stream::once(future::ok(pinned)))
    };
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// All pins of an account, some at a time, so that a million of them need no room.
fn pages(app: Arc<App>, account: Arc<Account>) -> impl Stream<Item = Result<Vec<Cid>, Refusal>> {
    stream::try_unfold(Bound::Unbounded, move |from| {
        let (app, account) = (app.clone(), account.clone());
        async move {
            let page: Vec<Cid> = on_disk(&app, move |_| {
                let book = account.book();
                let rest = book.pins().range((from, Bound::Unbounded));
                rest.take(PAGE).map(|(cid, _)| *cid).collect()
            })
            .await?;
            let last = page.last().copied();
            Ok(last.map(|last| (page, Bound::Excluded(last))))
        }
    })
}

/// How pins are written down.
#[derive(Clone, Copy)]
enum Form {
    /// An object for each, on a line of its own.
    Lines,
    /// One object that holds them all.
    Object,
}

impl Form {
    fn body(self, pages: impl Stream<Item = Result<Vec<Cid>, Refusal>> + Send + 'static) -> Body {
        let (head, tail) = match self {
            Self::Lines => ("", ""),
            Self::Object => (r#"{"Keys":{"#, "}}\n"),
        };
        let mut first = true;
        let pages = pages.map(move |page| {
            page.map(|page| page.iter().map(|cid| self.pin(cid, mem::take(&mut first))).collect())
        });
        let whole = stream::once(future::ok(head.to_owned()))
            .chain(pages)
            .chain(stream::once(future::ok(tail.to_owned())));
        Body::from_stream(whole.map_err(|Refusal { reason, .. }| io::Error::other(reason)))
    }

    fn pin(self, cid: &Cid, first: bool) -> String {
        match self {
            Self::Lines => format!("{{\"Cid\":\"{cid}\",\"Type\":\"recursive\"}}\n"),
            Self::Object => {
                let comma = if first { "" } else { "," };
                format!("{comma}\"{cid}\":{{\"Type\":\"recursive\"}}")
            }
        }
    }
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
