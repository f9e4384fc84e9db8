//! The host's HTTP interface.
//!
//! | path | |
//! |---|---|
//! | `GET`, `HEAD /ipfs/{cid}` | [`gateway`]: raw blocks |
//! | `GET`, `PUT /routing/v1/ipns/{name}` | [`names`]: records |
//! | `GET`, `HEAD /ipns/{name}` | the same records |
//! | `POST /api/v0/…` | [`kubo`]: the part of Kubo's RPC that pinning needs; wants a token |
//! | `GET /healthz` | whether it is alive |

mod blocks;
mod gateway;
mod kubo;
mod names;
mod pins;
mod routing;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use handfast_keys::Timestamp;

use crate::server::App;

/// All routes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/ipfs/{cid}", get(gateway::get))
        .route("/routing/v1/ipns/{name}", get(names::get).put(names::put))
        .route("/ipns/{name}", get(names::get_from_gateway))
        .route("/healthz", get(health))
        .nest("/api/v0", kubo::router())
        .layer(DefaultBodyLimit::max(app.limits.request_bytes))
        .layer(middleware::from_fn_with_state(app.clone(), supervise))
        .with_state(app)
}

/// Logs a request, without what may be secret in it, and ends it when its time is up.
async fn supervise(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = tokio::select! {
        response = next.run(request) => response,
        () = tokio::time::sleep(app.limits.request_time + app.limits.wait) => {
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "this took too long").into_response()
        }
        () = app.cut.cancelled() => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the host is stopping").into_response()
        }
    };
    let status = response.status().as_u16();
    tracing::debug!(%method, path, status, elapsed = ?start.elapsed(), "request");
    response
}

async fn health() -> impl IntoResponse {
    Json(serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// The clock.
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

/// Runs something that waits for the disk where that blocks nobody else.
async fn on_disk<T: Send + 'static>(
    app: &Arc<App>,
    work: impl FnOnce(&App) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let app = app.clone();
    tokio::task::spawn_blocking(move || work(&app)).await.map_err(|error| {
        tracing::error!(%error, "a request failed");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the host has a fault")
    })
}

/// A request that is not granted: a status and a line of text, not to be cached.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    fn new(status: StatusCode, reason: impl ToString) -> Self {
        Self { status, reason: reason.to_string() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, [(CACHE_CONTROL, "no-store")], self.reason).into_response()
    }
}

/// What a request wants to have, as far as it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    None,
    /// What is here, or anything.
    This,
    Other,
}

/// Whether a request is for what has this name as a `format` and this media type. The parameter is
/// the stronger wish of the two.
fn wish(format: Option<&str>, headers: &HeaderMap, name: &str, media_type: &str) -> Wish {
    let accept = headers.get(ACCEPT).map(|accept| accept.to_str().unwrap_or_default());
    match (format, accept) {
        (Some(format), _) if format == name => Wish::This,
        (None, Some(accept)) if accepts(accept, media_type) => Wish::This,
        (None, None) => Wish::None,
        _ => Wish::Other,
    }
}

/// Whether an `Accept` header admits a media type.
fn accepts(accept: &str, wanted: &str) -> bool {
    accept.split(',').any(|range| {
        let mut parameters = range.split(';').map(str::trim);
        let range = parameters.next().unwrap_or_default();
        let refused = parameters.any(|parameter| {
            let quality = parameter.strip_prefix("q=");
            quality.is_some_and(|quality| quality.parse::<f32>().is_ok_and(|q| q == 0.0))
        });
        let kind = wanted.split('/').next().unwrap_or_default();
        !refused
            && (range == "*/*"
                || range.eq_ignore_ascii_case(wanted)
                || range.strip_suffix("/*").is_some_and(|range| range.eq_ignore_ascii_case(kind)))
    })
}

/// Whether an `If-None-Match` header lists an entity tag. Weak tags are as good as strong ones
/// there (RFC 9110, 13.1.2).
fn lists(if_none_match: Option<&str>, tag: &str) -> bool {
    if_none_match.is_some_and(|header| {
        header.trim() == "*"
            || header
                .split(',')
                .map(str::trim)
                .any(|listed| listed.strip_prefix("W/").unwrap_or(listed) == tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept() {
        let raw = "application/vnd.ipld.raw";
        for header in ["*/*", raw, "text/html, application/*;q=0.1"] {
            assert!(accepts(header, raw), "{header}");
        }
        for header in ["text/html", "", "application/vnd.ipld.raw;q=0", "image/*", "application"] {
            assert!(!accepts(header, raw), "{header}");
        }
    }

    #[test]
    fn wishes() {
        let raw = "application/vnd.ipld.raw";
        let wish = |format, accept: Option<&'static str>| {
            let accept = accept.map(|accept| (ACCEPT, accept.parse().unwrap()));
            wish(format, &accept.into_iter().collect(), "raw", raw)
        };
        assert_eq!(wish(None, None), Wish::None);
        assert_eq!(wish(Some("raw"), Some("text/html")), Wish::This);
        assert_eq!(wish(None, Some(raw)), Wish::This);
        assert_eq!(wish(Some("car"), Some(raw)), Wish::Other);
        assert_eq!(wish(None, Some("text/html")), Wish::Other);
    }

    #[test]
    fn if_none_match() {
        assert!(lists(Some("\"a\", W/\"b\""), "\"b\""));
        assert!(lists(Some("*"), "\"b\""));
        assert!(!lists(Some("\"bb\""), "\"b\""));
        assert!(!lists(None, "\"b\""));
    }
}
