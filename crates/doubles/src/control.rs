//! How a double behaves, told from outside while it runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;

/// The largest request, in bytes.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// What a double does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// It answers as the service does.
    Fine,
    /// It breaks the connection off.
    Down,
    /// It says this, whatever was asked: a status, headers, a body.
    Says(u16, Vec<(&'static str, String)>, String),
}

/// The strings by which a double is led. Clones lead the same one.
#[derive(Debug, Clone, Default)]
pub struct Control(Arc<Mutex<Settings>>);

#[derive(Debug)]
struct Settings {
    mood: Mood,
    next: VecDeque<Mood>,
    delay: Duration,
    revoked: bool,
    quota: usize,
    largest: usize,
    seen: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            mood: Mood::Fine,
            next: VecDeque::new(),
            delay: Duration::ZERO,
            revoked: false,
            quota: usize::MAX,
            largest: 2 * 1024 * 1024,
            seen: Vec::new(),
        }
    }
}

impl Control {
    /// From now on.
    pub fn be(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// For the next requests, one each, before the mood counts again.
    pub fn be_next(&self, moods: impl IntoIterator<Item = Mood>) {
        self.lock().next.extend(moods);
    }

    /// Takes so long for every answer, as a far-away service does.
    pub fn delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Whether credentials are refused although they were right.
    pub fn revoke(&self, revoked: bool) {
        self.lock().revoked = revoked;
    }

    /// How many bytes an account may have pinned.
    pub fn set_quota(&self, bytes: usize) {
        self.lock().quota = bytes;
    }

    /// The largest object that is taken, in bytes.
    pub fn set_largest(&self, bytes: usize) {
        self.lock().largest = bytes;
    }

    /// What it was asked so far: method, path and query.
    pub fn seen(&self) -> Vec<String> {
        self.lock().seen.clone()
    }

    /// Forgets what it was asked.
    pub fn forget(&self) {
        self.lock().seen.clear();
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.lock().revoked
    }

    pub(crate) fn quota(&self) -> usize {
        self.lock().quota
    }

    pub(crate) fn largest(&self) -> usize {
        self.lock().largest
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn supervise(
    State(control): State<Control>,
    request: Request,
    next: Next,
) -> Response {
    let (mood, delay) = {
        let mut settings = control.lock();
        settings.seen.push(format!("{} {}", request.method(), request.uri()));
        let mood = settings.next.pop_front().unwrap_or_else(|| settings.mood.clone());
        (mood, settings.delay)
    };
    // All of it is taken in first: a refusal in the middle of an upload breaks the connection.
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_REQUEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = Request::from_parts(head, Body::from(body));
    tokio::time::sleep(delay).await;
    match mood {
        Mood::Fine => next.run(request).await,
        Mood::Down => {
            let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            Body::from_stream(stream::iter([Err::<Bytes, _>(broken)])).into_response()
        }
        Mood::Says(status, headers, body) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            // Only a test that names an impossible header comes here without an answer.
            response.body(Body::from(body)).unwrap_or_default()
        }
    }
}
