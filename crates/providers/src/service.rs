//! One service at one address: its base URL, its credentials, and how its answers are read.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use data_encoding::BASE64;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use crate::config::SecretText;
use crate::http::{Answer, Body, Call, Failure};
use crate::retry::{Retry, retry_after};
use crate::{ErrorKind, Http, ProviderError};

/// Answers that are not the thing itself are small.
const SMALL_ANSWER: usize = 64 * 1024;
/// How much of what a server says is shown to people, in characters.
const SHOWN: usize = 160;
/// What is shorter than this is not looked for in texts: it would be found everywhere.
const SHORTEST_SECRET: usize = 4;

/// What all requests to one service have in common.
pub(crate) struct Service {
    what: &'static str,
    base: Url,
    credentials: Option<Credentials>,
    http: Http,
    /// Until when the service has asked to be left alone.
    rest: Mutex<Option<Instant>>,
}

/// What a request proves itself with, and the secrets to be cut out of whatever is shown.
pub(crate) struct Credentials {
    headers: Vec<(HeaderName, HeaderValue)>,
    secrets: Vec<SecretText>,
}

impl Credentials {
    /// Takes a complete `Authorization` value, and the secrets that went into it; `None` if a
    /// header cannot hold it.
    pub(crate) fn new(header: &SecretText, mut secrets: Vec<SecretText>) -> Option<Self> {
        if let Some((_, payload)) = header.expose().split_once(' ') {
            secrets.push(payload.into());
        }
        Some(Self { headers: vec![(AUTHORIZATION, sensitive(header)?)], secrets })
    }

    /// A Bearer token; `None` if a header cannot hold it.
    pub(crate) fn bearer(token: &SecretText) -> Option<Self> {
        let token = token.expose().trim();
        Self::new(&SecretText::from(format!("Bearer {token}")), Vec::new())
    }

    /// A user and a password; `None` if a header cannot hold them, which never is.
    pub(crate) fn basic(user: &SecretText, password: &SecretText) -> Option<Self> {
        let (user, password) = (user.expose().trim(), password.expose().trim());
        let pair = Zeroizing::new(format!("{user}:{password}"));
        let header = SecretText::from(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        Self::new(&header, vec![user.into(), password.into()])
    }

    /// Secrets in headers of a service's own; `None` if a header cannot hold one.
    pub(crate) fn in_headers(headers: &[(&'static str, &SecretText)]) -> Option<Self> {
        let trimmed = |secret: &SecretText| SecretText::from(secret.expose().trim());
        let secrets: Vec<_> = headers.iter().map(|(_, secret)| trimmed(secret)).collect();
        let headers = headers
            .iter()
            .zip(&secrets)
            .map(|((name, _), secret)| Some((HeaderName::from_static(name), sensitive(secret)?)));
        Some(Self { headers: headers.collect::<Option<_>>()?, secrets })
    }

    fn redact(&self, mut text: String) -> String {
        for secret in &self.secrets {
            if secret.expose().len() >= SHORTEST_SECRET {
                text = text.replace(secret.expose(), "…");
            }
        }
        text
    }
}

impl Service {
    /// `what` reads like "self-hosted provider"; `base` must end in a slash and hold neither
    /// credentials nor a query, see [`config::base_url`](crate::config).
    pub(crate) fn new(
        what: &'static str,
        base: Url,
        credentials: Option<Credentials>,
        http: &Http,
    ) -> Self {
        Self { what, base, credentials, http: http.clone(), rest: Mutex::default() }
    }

    pub(crate) fn describe(&self) -> String {
        let base = self.base.as_str();
        format!("{} at {}", self.what, base.strip_suffix('/').unwrap_or(base))
    }

    /// A request to a path below the base URL. The path must be one that needs no escaping; the
    /// caller fills in the rest.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        let mut headers = HeaderMap::new();
        for (name, value) in self.credentials.iter().flat_map(|it| &it.headers) {
            headers.insert(name, value.clone());
        }
        Call {
            method,
            url,
            headers,
            credentials: self.credentials.is_some(),
            body: Body::Empty,
            cap: SMALL_ANSWER,
            patience: self.http.options().answer,
        }
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.http.options().retry
    }

    /// For a check of what somebody has just typed, and waits to see whether it is right.
    pub(crate) fn brief_retry(&self) -> Retry {
        let retry = self.retry();
        Retry { attempts: retry.attempts.min(2), ..retry.clone() }
    }

    /// One attempt. Answers that ask for another one later are errors already; what else the
    /// status means is for the caller to say. While the service has asked to be left alone nothing
    /// is sent, whoever calls and however often.
    pub(crate) async fn send(
        &self,
        doing: &'static str,
        call: &Call,
    ) -> Result<Answer, ProviderError> {
        if let Some(rest) = self.rest() {
            let kind = ErrorKind::RateLimited { wait: Some(rest) };
            return Err(ProviderError::new(kind, self.describe(), doing));
        }
        let answer = self.http.send(call).await.map_err(|Failure { kind, detail }| {
            ProviderError::new(kind, self.describe(), doing).because(self.redact(detail))
        })?;
        match answer.status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let error = self.refusal(doing, &answer);
                if let ErrorKind::RateLimited { wait: Some(wait) } = error.kind() {
                    let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
                    *rest = Some(Instant::now() + wait);
                }
                Err(error)
            }
            _ => Ok(answer),
        }
    }

    /// One exchange of JSON, as often as need be. `read` says what an answer means whose status is
    /// no success: `Some` is an answer all the same, `None` leaves it to [`refusal`](Self::refusal).
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        doing: &'static str,
        call: &Call,
        read: impl Fn(&Answer) -> Option<Result<T, ErrorKind>>,
    ) -> Result<T, ProviderError> {
        self.retry()
            .run(|| async {
                let answer = self.send(doing, call).await?;
                if answer.status.is_success() {
                    return serde_json::from_slice(&answer.body)
                        .map_err(|_| self.nonsense(doing, not_json(&answer)));
                }
                match read(&answer) {
                    Some(Ok(value)) => Ok(value),
                    Some(Err(kind)) => Err(self.error(kind, doing, &answer)),
                    None => Err(self.refusal(doing, &answer)),
                }
            })
            .await
    }

    /// How long the service wants to be left alone still, in the whole seconds that it counts in.
    fn rest(&self) -> Option<Duration> {
        let until = (*self.rest.lock().unwrap_or_else(PoisonError::into_inner))?;
        let rest = until.saturating_duration_since(Instant::now());
        let seconds = rest.as_secs() + u64::from(rest.subsec_nanos() > 0);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// What a status that is not a success means, where the operation has no meaning of its own
    /// for it.
    pub(crate) fn refusal(&self, doing: &'static str, answer: &Answer) -> ProviderError {
        let wait = answer
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now()));
        let kind = match answer.status.as_u16() {
            401 | 403 => ErrorKind::BadCredentials,
            402 | 507 => ErrorKind::Quota,
            404 => ErrorKind::NotFound,
            410 => ErrorKind::Sunset,
            413 => ErrorKind::TooLarge,
            429 => ErrorKind::RateLimited { wait },
            503 if wait.is_some() => ErrorKind::RateLimited { wait },
            // A network that wants a login first.
            511 => ErrorKind::Nonsense,
            408 | 425 | 500..=599 => ErrorKind::Broken,
            400..=499 => ErrorKind::Rejected,
            _ => ErrorKind::Nonsense,
        };
        self.error(kind, doing, answer)
    }

    /// An error of a kind that the caller knows, with what the answer says.
    pub(crate) fn error(
        &self,
        kind: ErrorKind,
        doing: &'static str,
        answer: &Answer,
    ) -> ProviderError {
        let status = answer.status.as_u16();
        let detail = match self.said(answer) {
            Some(said) => format!("HTTP {status}: {said}"),
            None => format!("HTTP {status}"),
        };
        ProviderError::new(kind, self.describe(), doing).because(detail)
    }

    /// An answer that makes no sense here.
    pub(crate) fn nonsense(&self, doing: &'static str, detail: impl Into<String>) -> ProviderError {
        ProviderError::new(ErrorKind::Nonsense, self.describe(), doing)
            .because(self.redact(detail.into()))
    }

    fn redact(&self, text: String) -> String {
        match &self.credentials {
            Some(credentials) => credentials.redact(text),
            None => text,
        }
    }

    /// What a failed answer says, fit to be shown: one short line of printable text.
    fn said(&self, answer: &Answer) -> Option<String> {
        let text = String::from_utf8_lossy(&answer.body);
        let text = text.trim();
        if text.starts_with('<') {
            return Some("an HTML page".into());
        }
        // Cut out the secrets first: half a secret would no longer be recognised.
        let text = self.redact(message(text).unwrap_or_else(|| text.to_owned()));
        let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let line: String = printable.take(SHOWN).collect();
        Some(line.trim().to_owned()).filter(|line| !line.is_empty())
    }
}

impl Call {
    /// The same request with JSON in it.
    pub(crate) fn with_json(mut self, value: &serde_json::Value) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Body::Bytes(Bytes::from(value.to_string()));
        self
    }
}

fn sensitive(secret: &SecretText) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn not_json(answer: &Answer) -> &'static str {
    match media_type(answer).as_deref() {
        Some("text/html") => "an HTML page",
        _ => "not the JSON that was expected",
    }
}

/// The media type of an answer, without parameters, in lower case.
pub(crate) fn media_type(answer: &Answer) -> Option<String> {
    let value = answer.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// The message in a JSON error: Kubo's `Message`, or `message`, or `error` in its usual forms.
pub(crate) fn message(json: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let error = value.get("error");
    let candidates = [
        value.get("Message"),
        value.get("message"),
        error.and_then(|error| error.get("message")),
        error.and_then(|error| error.get("details")),
        error.and_then(|error| error.get("reason")),
        error,
    ];
    candidates.into_iter().flatten().find_map(|text| text.as_str()).map(str::to_owned)
}

/// The reason in a JSON error, a word for programs: `error.reason`, or `code`.
pub(crate) fn reason(answer: &Answer) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let reason = value.get("error").and_then(|error| error.get("reason"));
    let candidates = [reason, value.get("code")];
    candidates.into_iter().flatten().find_map(|text| text.as_str()).map(str::to_owned)
}
