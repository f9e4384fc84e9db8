//! Delegated Routing V1 for IPNS, and waiting for news.
//!
//! ```text
//! PUT {name}   200 taken or had · 409 a newer one is held · 400 no record of this name
//!              406 another type · 413 · 429 · 507 no room for more names
//! GET {name}   200 · 304 If-None-Match is what is held · 404 none · 400 · 406
//!              ?wait=SECONDS  not before there is something else than If-None-Match lists,
//!                             or the time is up
//! ```
//!
//! Records prove themselves, so nobody needs a token. Every answer says with `Handfast-Wait` how
//! long a wait may last. Source: <https://specs.ipfs.tech/routing/http-routing-v1/>, "IPNS API".
//!
//! The same records stand under `/ipns/{name}?format=ipns-record`, for who asks a gateway. Source:
//! <https://specs.ipfs.tech/http-gateways/trustless-gateway/>.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use handfast_ipfs::{MAX_RECORD, Name, Record};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Refusal, Wish, lists, now, on_disk, wish};
use crate::connection::Peer;
use crate::records::{Held, RecordsError};
use crate::server::App;

const RECORD: &str = "application/vnd.ipfs.ipns-record";
const WAIT: HeaderName = HeaderName::from_static("handfast-wait");

#[derive(Deserialize)]
pub(super) struct Parameters {
    wait: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct GatewayParameters {
    format: Option<String>,
}

/// `GET` and `HEAD`.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let response = match wish(None, &headers, "ipns-record", RECORD) {
        Wish::Other => Err(not_acceptable(format_args!("retry with Accept: {RECORD}"))),
        Wish::This | Wish::None => look_up(&app, &name, parameters.wait, &headers).await,
    };
    said_wait(&app, response.unwrap_or_else(Refusal::into_response))
}

/// `GET` and `HEAD /ipns/{name}`.
pub(super) async fn get_from_gateway(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(parameters): Query<GatewayParameters>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    match wish(parameters.format.as_deref(), &headers, "ipns-record", RECORD) {
        Wish::This => {}
        Wish::None => return Err(Refusal::new(StatusCode::BAD_REQUEST, "add ?format=ipns-record")),
        Wish::Other => return Err(not_acceptable("only records are served here")),
    }
    let record = look_up(&app, &name, None, &headers).await?;
    let disposition = format!("attachment; filename=\"{}.ipns-record\"", parse(&name)?);
    let headers = [(CONTENT_DISPOSITION, &*disposition), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((headers, record).into_response())
}

/// `PUT`.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    ConnectInfo(Peer(address)): ConnectInfo<Peer>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let trusted =
        headers.get(AUTHORIZATION).is_some_and(|header| app.tokens.authorize(header).is_some());
    let response = match app.publishing.take(address) {
        Err(wait) if !trusted => {
            let seconds = wait.as_secs().saturating_add(1).to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)], "slow down").into_response()
        }
        _ => match take(&app, &name, &headers, body, trusted).await {
            Ok(()) => StatusCode::OK.into_response(),
            Err(refusal) => refusal.into_response(),
        },
    };
    said_wait(&app, response)
}

async fn look_up(
    app: &Arc<App>,
    name: &str,
    wait: Option<u64>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let name = parse(name)?;
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let longest = Duration::from_secs(wait.unwrap_or(0)).min(app.limits.wait);
    let held = news(app, name, known, longest).await;
    let Some(held) = held else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "there is no record of this name here"));
    };
    // A cache must not repeat an answer that came by waiting to somebody who waits.
    let caching = match wait {
        Some(_) => "no-store".to_owned(),
        None => format!("public, max-age={}", max_age(&held).as_secs()),
    };
    let headers = [(ETAG, held.tag.as_str()), (CACHE_CONTROL, &caching), (VARY, "Accept")];
    if lists(known, &held.tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let bytes = held.record.as_bytes().to_vec();
    Ok((headers, [(CONTENT_TYPE, RECORD)], bytes).into_response())
}

/// What is held, once it is not what the caller knows, or the wait is over.
async fn news(
    app: &Arc<App>,
    name: Name,
    known: Option<&str>,
    wait: Duration,
) -> Option<Arc<Held>> {
    let held = || app.records.get(&name, now());
    let is_news =
        |held: &Option<Arc<Held>>| held.as_ref().is_some_and(|held| !lists(known, &held.tag));
    // With no room to wait in, there is no wait.
    let room = if wait.is_zero() { None } else { app.waiting.try_acquire().ok() };
    if room.is_none() {
        return held();
    }
    let listening = app.records.listen(name);
    let end = Instant::now() + wait;
    loop {
        let mut heard = std::pin::pin!(listening.heard());
        heard.as_mut().enable();
        let held = held();
        if is_news(&held) {
            return held;
        }
        tokio::select! {
            () = heard => {}
            () = tokio::time::sleep_until(end) => return held,
            () = app.stop.cancelled() => return held,
        }
    }
}

/// How long a cache may keep a record: its TTL, but not beyond its end of life.
fn max_age(held: &Held) -> Duration {
    held.record.ttl().min(held.record.validity().timestamp().since(now()))
}

async fn take(
    app: &Arc<App>,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    trusted: bool,
) -> Result<(), Refusal> {
    let name = parse(name)?;
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|value| value.split(';').next()).map(str::trim);
    if !media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(RECORD)) {
        return Err(not_acceptable(format_args!("retry with Content-Type: {RECORD}")));
    }
    let bytes = to_bytes(body, MAX_RECORD).await.map_err(|_| {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format_args!("a record has at most {MAX_RECORD} bytes"),
        )
    })?;
    let now = now();
    let record = Record::parse(&name, &bytes, Some(now))
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?;
    let taken = on_disk(app, move |app| app.records.put(record, trusted, now)).await;
    taken?.map_err(|error| {
        let status = match &error {
            RecordsError::Outdated => StatusCode::CONFLICT,
            RecordsError::Full => StatusCode::INSUFFICIENT_STORAGE,
            RecordsError::Io(error) => {
                tracing::error!(%name, %error, "a record cannot be written");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Refusal::new(status, error)
    })
}

fn not_acceptable(reason: impl ToString) -> Refusal {
    Refusal::new(StatusCode::NOT_ACCEPTABLE, reason)
}

fn parse(name: &str) -> Result<Name, Refusal> {
    Name::parse(name).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))
}

/// Adds how long a query may wait.
fn said_wait(app: &App, mut response: Response) -> Response {
    response.headers_mut().insert(WAIT, HeaderValue::from(app.limits.wait.as_secs()));
    response
}

#[cfg(test)]
mod tests {
    use handfast_keys::IpnsSecret;

    use super::*;
    use crate::limits::Limits;
    use crate::server;
    use crate::tokens::Tokens;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_the_host_stops() {
        let dir = tempfile::tempdir().unwrap();
        let (app, _lock) = server::open(dir.path(), Tokens::default(), Limits::default()).unwrap();
        let app = Arc::new(app);
        let name = Name::of(IpnsSecret::from_seed([7; 32]).public());
        let minute = Duration::from_secs(60);
        let start = Instant::now();
        let mut waiting = std::pin::pin!(news(&app, name, None, minute));
        assert!(tokio::time::timeout(minute / 2, &mut waiting).await.is_err());
        app.stop.cancel();
        assert!(waiting.await.is_none());
        assert_eq!(start.elapsed(), minute / 2);
        assert_eq!(app.waiting.available_permits(), Limits::default().waiting);
    }
}
