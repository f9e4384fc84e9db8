//! The one HTTP client that all providers share: timeouts, size limits, redirects and counting.

mod redirect;
mod tls;
mod transport;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Client, Method, Response, StatusCode, multipart};
use url::Url;

use self::redirect::redirect;
use self::tls::tls;
use self::transport::Network;
pub use self::transport::Transport;
use crate::traffic::Traffic;
use crate::{ErrorKind, Retry};

/// How we introduce ourselves. It must not resemble a browser's or Kubo's own: Kubo refuses both.
const USER_AGENT: &str = concat!("handfast/", env!("CARGO_PKG_VERSION"));
/// Redirects followed before we believe to be led in a circle.
const MAX_REDIRECTS: usize = 3;
/// How much of a failure's body is read, in bytes.
const LONGEST_EXCUSE: usize = 16 * 1024;

/// How long to wait for what, and how often.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For a whole answer. Time to transfer the bytes over the slowest line comes on top.
    pub answer: Duration,
    /// For the answer of something that writes to a DHT first: publishing through Kubo, or
    /// pinning what it must fetch.
    pub slow_answer: Duration,
    /// The slowest line that is still waited for, in bytes per second.
    pub slowest_line: u64,
    /// When to try again.
    pub retry: Retry,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            // Public delegated routers answer after their own 25 s at the latest.
            answer: Duration::from_secs(35),
            // A DHT write takes tens of seconds.
            slow_answer: Duration::from_secs(100),
            slowest_line: 16 * 1024,
            retry: Retry::default(),
        }
    }
}

/// The HTTP client could not be set up on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct HttpSetupError(String);

/// A shared HTTP client. Clones share connections, counters and options.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

struct Shared {
    /// Makes requests; the transport sends them.
    client: Client,
    transport: Arc<dyn Transport>,
    traffic: Arc<Traffic>,
    options: HttpOptions,
}

impl Http {
    /// A client with the default options.
    ///
    /// TLS is rustls on `ring`, with the roots that this machine trusts. Proxies are taken from the
    /// environment, but never used for this machine itself.
    pub fn new() -> Result<Self, HttpSetupError> {
        Self::with_options(HttpOptions::default())
    }

    /// A client with these options.
    pub fn with_options(options: HttpOptions) -> Result<Self, HttpSetupError> {
        let tls = tls().map_err(|error| HttpSetupError(error.to_string()))?;
        let network = Network::new(&options, &tls)?;
        Ok(Self(Arc::new(Shared {
            client: network.client(),
            transport: Arc::new(network),
            traffic: Arc::default(),
            options,
        })))
    }

    /// A client with the same options whose requests are carried by something else. It counts for
    /// itself.
    pub fn carried_by(&self, transport: Arc<dyn Transport>) -> Self {
        let (client, options) = (self.0.client.clone(), self.0.options.clone());
        Self(Arc::new(Shared { client, transport, traffic: Arc::default(), options }))
    }

    /// What has been sent and received through this client.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.0.traffic
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.0.options
    }

    /// One attempt, redirects included. Any status is an answer; a failure is one of transport,
    /// size or redirection.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, Failure> {
        let bytes = (call.body.len() + call.cap) as u64;
        let transfer = Duration::from_secs(bytes / self.0.options.slowest_line.max(1));
        let patience = call.patience + transfer;
        tokio::time::timeout(patience, self.follow(call)).await.unwrap_or_else(|_| {
            let seconds = patience.as_secs().max(1);
            Err(Failure::new(ErrorKind::Unreachable, format!("no answer within {seconds} s")))
        })
    }

    async fn follow(&self, call: &Call) -> Result<Answer, Failure> {
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(call, url.clone()).await?;
            match redirect(&response, call, &url)? {
                Some(next) => url = next,
                None => return self.read(response, call).await,
            }
        }
        Err(Failure::new(ErrorKind::Nonsense, "it redirects in circles"))
    }

    async fn exchange(&self, call: &Call, url: Url) -> Result<Response, Failure> {
        let mut request = self.0.client.request(call.method.clone(), url);
        request = request.headers(call.headers.clone());
        request = match &call.body {
            Body::Empty => request,
            Body::Bytes(bytes) => request.body(bytes.clone()),
            Body::Files { part, files, fields } => request.multipart(form(part, files, fields)?),
        };
        let request = request
            .build()
            .map_err(|error| Failure::new(ErrorKind::Rejected, innermost(&error.without_url())))?;
        self.0.traffic.count_request(size_of_request(&request));
        let response = self.0.transport.carry(request).await;
        let response = response.map_err(|error| Failure::unreachable(error.as_ref()))?;
        self.0.traffic.count_received(size_of_head(response.headers()));
        Ok(response)
    }

    async fn read(&self, mut response: Response, call: &Call) -> Result<Answer, Failure> {
        let status = response.status();
        // Of a failure, only what is going to be shown matters; the rest is left unread.
        let cap = if status.is_success() { call.cap } else { LONGEST_EXCUSE };
        let mut body = BytesMut::new();
        let broken_off = |error: reqwest::Error| Failure::unreachable(&error.without_url());
        while let Some(piece) = response.chunk().await.map_err(broken_off)? {
            self.0.traffic.count_received(piece.len());
            if body.len() + piece.len() > cap {
                if !status.is_success() {
                    break;
                }
                let detail = format!("it answered more than {cap} bytes");
                return Err(Failure::new(ErrorKind::Nonsense, detail));
            }
            body.extend_from_slice(&piece);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("traffic", &self.0.traffic).finish_non_exhaustive()
    }
}

/// One request, ready to be sent as often as need be.
#[derive(Clone)]
pub(crate) struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// Whether `headers` hold credentials, which then must not reach another origin.
    pub credentials: bool,
    pub body: Body,
    /// The largest body of a success, in bytes; more is a failure.
    pub cap: usize,
    pub patience: Duration,
}

#[derive(Clone)]
pub(crate) enum Body {
    Empty,
    Bytes(Bytes),
    /// A multipart form: text fields first, then these files, all in parts of one name.
    Files {
        part: &'static str,
        files: Vec<Bytes>,
        fields: Vec<(&'static str, String)>,
    },
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Files { files, .. } => files.iter().map(Bytes::len).sum(),
        }
    }
}

/// What came back, whatever the status.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An exchange that did not come to an answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub kind: ErrorKind,
    pub detail: String,
}

impl Failure {
    fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    fn unreachable(error: &(dyn Error + 'static)) -> Self {
        Self::new(ErrorKind::Unreachable, innermost(error))
    }
}

/// The innermost cause: the outer ones only say "error sending request", and might name a URL.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

fn form(
    part: &'static str,
    files: &[Bytes],
    fields: &[(&'static str, String)],
) -> Result<multipart::Form, Failure> {
    let form = fields
        .iter()
        .fold(multipart::Form::new(), |form, (name, text)| form.text(*name, text.clone()));
    files.iter().try_fold(form, |form, file| {
        let length = file.len() as u64;
        let file = multipart::Part::stream_with_length(file.clone(), length)
            .file_name(part)
            .mime_str("application/octet-stream")
            .map_err(|error| Failure::new(ErrorKind::Rejected, innermost(&error)))?;
        Ok(form.part(part, file))
    })
}

fn size_of_request(request: &reqwest::Request) -> usize {
    let line = request.method().as_str().len() + request.url().path().len() + 12;
    let query = request.url().query().map_or(0, |query| query.len() + 1);
    let host = request.url().authority().len() + "host: \r\n".len();
    let agent = "user-agent: \r\n".len() + USER_AGENT.len();
    let body = match request.body().and_then(reqwest::Body::as_bytes) {
        Some(bytes) => bytes.len(),
        None => request
            .headers()
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .unwrap_or(0),
    };
    line + query + host + agent + size_of_head(request.headers()) + body
}

fn size_of_head(headers: &HeaderMap) -> usize {
    let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    fields.sum::<usize>() + "HTTP/1.1 200 OK\r\n\r\n".len()
}
