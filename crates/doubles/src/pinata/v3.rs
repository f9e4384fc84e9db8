//! Version 3, as far as Pinata's own client needs it: upload, list, pin by CID, delete.

use axum::extract::{Multipart, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use handfast_ipfs::Cid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::File;
use crate::Service;

pub(super) fn routes() -> Router<Service> {
    Router::new()
        .route("/data/testAuthentication", get(super::test))
        .route("/files", post(upload))
        .route("/files/public", get(list))
        .route("/files/public/{id}", delete(remove))
        .route("/files/public/pin_by_cid", post(pin))
}

fn failure(status: StatusCode, message: &str) -> Response {
    let error = json!({ "code": status.as_u16(), "message": message });
    (status, Json(json!({ "error": error }))).into_response()
}

fn file(cid: &str, size: usize) -> Value {
    json!({
        "id": format!("id-of-{cid}"),
        "name": cid,
        "cid": cid,
        "size": size,
        "number_of_files": 1,
        "mime_type": "application/octet-stream",
        "group_id": null,
        "keyvalues": {},
        "created_at": "2026-01-01T00:00:00.000Z",
    })
}

async fn upload(State(service): State<Service>, mut form: Multipart) -> Response {
    let (mut files, mut network) = (Vec::new(), "private".to_owned());
    while let Ok(Some(field)) = form.next_field().await {
        let name = field.name().unwrap_or_default().to_owned();
        let is_file = field.file_name().is_some();
        let Ok(bytes) = field.bytes().await else {
            return failure(StatusCode::BAD_REQUEST, "the form breaks off");
        };
        match name.as_str() {
            "file" if is_file => files.push(File { name, bytes }),
            "network" => network = String::from_utf8_lossy(&bytes).into_owned(),
            _ => {}
        }
    }
    if network != "public" {
        return failure(StatusCode::BAD_REQUEST, "this double has no private files");
    }
    match super::store(&service, &files) {
        Ok((cid, size)) => Json(json!({ "data": file(&cid, size) })).into_response(),
        Err(status) => failure(status, "not taken"),
    }
}

#[derive(Deserialize)]
struct Wanted {
    cid: Option<String>,
}

async fn list(State(service): State<Service>, Query(wanted): Query<Wanted>) -> Json<Value> {
    let pins = service.account.pins().into_iter();
    let files: Vec<Value> = pins
        .filter(|(cid, _)| wanted.cid.as_ref().is_none_or(|wanted| wanted == cid))
        .map(|(cid, size)| file(&cid, size))
        .collect();
    Json(json!({ "data": { "files": files, "next_page_token": "" } }))
}

async fn remove(State(service): State<Service>, Path(id): Path<String>) -> Response {
    let cid = id.strip_prefix("id-of-").unwrap_or_default();
    if service.account.unpin(cid) {
        return Json(json!({ "data": null })).into_response();
    }
    failure(StatusCode::NOT_FOUND, "not found")
}

async fn pin(State(service): State<Service>, Json(body): Json<Value>) -> Response {
    let text = body.get("cid").and_then(Value::as_str).unwrap_or_default();
    let Ok(cid) = Cid::parse(text) else {
        return failure(StatusCode::BAD_REQUEST, "this is no CID");
    };
    if let Some(bytes) = service.network.get(&cid) {
        let _ = service.account.pin(&cid.to_string(), bytes.len(), service.control.quota());
    }
    let data = json!({ "id": format!("id-of-{cid}"), "cid": text, "status": "prechecking" });
    Json(json!({ "data": data })).into_response()
}
