//! The part of Kubo's RPC that pinning needs: what `kubo-rpc-client`, our own client and other
//! programs made for Kubo call.
//!
//! As at a Kubo node: everything is a POST; a command that fails is HTTP 500 with
//! `{"Message","Code","Type":"error"}`; without a token it is 403; an unknown command is 404.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, Query};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::json;

use super::{Refusal, blocks, pins, routing};
use crate::accounts::Account;
use crate::blocks::BlocksError;
use crate::server::App;

/// The commands.
pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/block/put", post(blocks::put))
        .route("/block/get", post(blocks::get))
        .route("/block/stat", post(blocks::stat))
        .route("/pin/add", post(pins::add))
        .route("/pin/rm", post(pins::rm))
        .route("/pin/ls", post(pins::ls))
        .route("/routing/put", post(routing::put))
        .route("/routing/get", post(routing::get))
        .route("/version", post(version))
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
}

/// `version`: also how clients find out whether a token is accepted.
async fn version(_: Authorized) -> Response {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({
        "Version": version,
        "Commit": "",
        "Repo": "1",
        "System": format!("{}/{}", std::env::consts::ARCH, std::env::consts::OS),
        "Golang": "",
        "Agent": format!("handfast-host/{version}"),
    }))
    .into_response()
}

/// The account whose token came with a request.
pub(super) struct Authorized(pub Arc<Account>);

impl FromRequestParts<Arc<App>> for Authorized {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let header = parts.headers.get(AUTHORIZATION);
        let name = header.and_then(|header| app.tokens.authorize(header));
        name.and_then(|name| app.blocks.account(name)).map(Self).ok_or_else(|| {
            let denied = "Access Denied: provide a valid authorization token of this host";
            Refusal::new(StatusCode::FORBIDDEN, denied)
        })
    }
}

/// The query parameters of a command, any of which may stand several times.
pub(super) struct Arguments(Vec<(String, String)>);

impl Arguments {
    /// Every value of a parameter, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A yes or no; "yes" too if it only stands there.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        match self.get(name) {
            Some(value) => matches!(value, "" | "true" | "1"),
            None => default,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Arguments {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let uri: &Uri = &parts.uri;
        match Query::try_from_uri(uri) {
            Ok(Query(arguments)) => Ok(Self(arguments)),
            Err(error) => Err(Failure::bad_argument(error)),
        }
    }
}

/// A command that failed, as Kubo puts it.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    code: u8,
    message: String,
}

impl Failure {
    /// The command failed.
    pub(super) fn new(message: impl ToString) -> Self {
        Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The command failed, and a status says why better than 500 does.
    pub(super) fn with_status(status: StatusCode, message: impl ToString) -> Self {
        Self { status, code: 0, message: message.to_string() }
    }

    /// The caller said what makes no sense.
    pub(super) fn bad_argument(message: impl ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: 1, message: message.to_string() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "Message": self.message, "Code": self.code, "Type": "error" });
        (self.status, Json(body)).into_response()
    }
}

impl From<BlocksError> for Failure {
    fn from(error: BlocksError) -> Self {
        match error {
            BlocksError::Quota { .. } | BlocksError::LooseQuota => {
                Self::with_status(StatusCode::INSUFFICIENT_STORAGE, error)
            }
            BlocksError::Io(_) => {
                tracing::error!(%error, "a command failed");
                Self::new(error)
            }
            BlocksError::NotHeld(_) | BlocksError::NotPinned => Self::new(error),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(Refusal { status, reason }: Refusal) -> Self {
        Self::with_status(status, reason)
    }
}
