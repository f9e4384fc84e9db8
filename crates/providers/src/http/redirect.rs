//! Which redirects are followed.

use reqwest::header::LOCATION;
use reqwest::{Method, Response};
use url::Url;

use super::{Call, Failure};
use crate::ErrorKind;

/// Where to go on, if the answer is a redirect.
///
/// Only what needs no credentials may be led to another origin, nothing from https to http, and a
/// request with a body only by a status that keeps method and body.
pub(super) fn redirect(
    response: &Response,
    call: &Call,
    from: &Url,
) -> Result<Option<Url>, Failure> {
    let keeps_method = match response.status().as_u16() {
        307 | 308 => true,
        301..=303 => false,
        _ => return Ok(None),
    };
    let refuse = |detail: String| Err(Failure::new(ErrorKind::Nonsense, detail));
    let next = response
        .headers()
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| from.join(location).ok());
    let Some(next) = next else {
        return refuse("it redirects to nowhere".into());
    };
    let origin = next.origin().ascii_serialization();
    if !matches!(next.scheme(), "http" | "https") {
        return refuse(format!("it redirects to a {} address", next.scheme()));
    }
    if from.scheme() == "https" && next.scheme() == "http" {
        return refuse(format!("it redirects to {origin}, which is not encrypted"));
    }
    if !keeps_method && call.method != Method::GET && call.method != Method::HEAD {
        return refuse(format!("it redirects to {origin}; use its right address"));
    }
    if call.credentials && next.origin() != from.origin() {
        return refuse(format!("it redirects to {origin}, which must not see the credentials"));
    }
    Ok(Some(next))
}
