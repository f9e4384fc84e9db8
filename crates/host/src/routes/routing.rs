//! `routing/put` and `routing/get`: names, as Kubo's RPC has them. What is taken and what is
//! answered is the same as under `/routing/v1/ipns`.

use std::sync::Arc;

use axum::extract::{Multipart, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use handfast_ipfs::{MAX_RECORD, Name, Record};
use serde_json::{Value, json};

use super::blocks::file;
use super::kubo::{Arguments, Authorized, Failure};
use super::{now, on_disk};
use crate::records::RecordsError;
use crate::server::App;

/// libp2p's number of the event that carries a value.
const VALUE: u8 = 5;

/// `routing/put?arg=/ipns/NAME` with the record as a file.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    _: Authorized,
    arguments: Arguments,
    form: Multipart,
) -> Result<Response, Failure> {
    let name = name(&arguments)?;
    let bytes = file(form, MAX_RECORD).await?;
    let now = now();
    let record = Record::parse(&name, &bytes, Some(now)).map_err(Failure::new)?;
    let taken = on_disk(&app, move |app| app.records.put(record, true, now)).await?;
    taken.map_err(|error| match error {
        RecordsError::Full => Failure::with_status(StatusCode::INSUFFICIENT_STORAGE, error),
        RecordsError::Outdated | RecordsError::Io(_) => Failure::new(error),
    })?;
    Ok(event(&name, ""))
}

/// `routing/get?arg=/ipns/NAME`.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    _: Authorized,
    arguments: Arguments,
) -> Result<Response, Failure> {
    let name = name(&arguments)?;
    let held = app.records.get(&name, now()).ok_or_else(|| Failure::new("routing: not found"))?;
    Ok(event(&name, &BASE64.encode(held.record.as_bytes())))
}

fn name(arguments: &Arguments) -> Result<Name, Failure> {
    let key = arguments.get("arg").and_then(|key| key.strip_prefix("/ipns/"));
    let name = key.ok_or_else(|| Failure::bad_argument("argument 'arg' must begin with /ipns/"))?;
    Name::parse(name).map_err(Failure::bad_argument)
}

/// One line of a query's events. The peer that it comes from is, for want of others, the name's.
fn event(name: &Name, extra: &str) -> Response {
    let event = json!({
        "Extra": extra,
        "ID": name.peer_id(),
        "Responses": Value::Null,
        "Type": VALUE,
    });
    ([(CONTENT_TYPE, "application/json")], format!("{event}\n")).into_response()
}
