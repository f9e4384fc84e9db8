//! Blocks as anybody fetches them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod running;

use data_encoding::HEXLOWER;
use handfast_host::Limits;
use handfast_ipfs::{Block, Cid};
use reqwest::{Method, StatusCode};
use running::{TOKEN, client, http, start};

#[tokio::test]
async fn serves_raw_blocks() {
    let running = start(Limits::default()).await;
    let client = client();
    let block = Block::new(b"a block".to_vec()).unwrap();
    running.provider(TOKEN, &http()).blocks.put(&block).await.unwrap();
    let cid = block.cid();
    let path = format!("/ipfs/{cid}");
    let get = |path: &str| running.request(&client, Method::GET, path);

    let raw = "application/vnd.ipld.raw";
    for request in [
        get(&format!("{path}?format=raw")),
        get(&path).header("accept", raw),
        get(&path).header("accept", "*/*"),
        get(&format!("{path}?format=raw")).header("accept", "text/html"),
        get(&format!("/ipfs/f{}?format=raw", HEXLOWER.encode(&cid.to_bytes()))),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("content-type"), raw);
        assert_eq!(header("content-length"), "7");
        assert_eq!(header("etag"), format!("\"{cid}.raw\""));
        assert_eq!(header("cache-control"), "public, max-age=29030400, immutable");
        assert_eq!(header("content-disposition"), format!("attachment; filename=\"{cid}.bin\""));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert!(answer.headers().get("access-control-allow-origin").is_none());
        assert_eq!(answer.bytes().await.unwrap(), "a block");
    }

    let path = format!("{path}?format=raw");
    let head = running.request(&client, Method::HEAD, &path).send().await.unwrap();
    assert_eq!(
        (head.status(), &head.headers()["content-length"]),
        (StatusCode::OK, &"7".parse().unwrap())
    );
    assert_eq!(head.bytes().await.unwrap(), "");

    let again = get(&path).header("if-none-match", format!("\"x\", W/\"{cid}.raw\""));
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.bytes().await.unwrap(), "");

    let probe = get("/ipfs/bafkqaaa?format=raw").send().await.unwrap();
    assert_eq!((probe.status(), probe.bytes().await.unwrap().len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn refuses_everything_else() {
    let running = start(Limits::default()).await;
    let client = client();
    let missing = Cid::of(b"missing");
    let dag_pb = "QmT5NvUtoM5nWFfrQdVrFtvGfKFmG7AHE8P34isapyhCxX";
    let car = "application/vnd.ipld.car";
    for (path, accept, status) in [
        (format!("/ipfs/{missing}"), "*/*", StatusCode::NOT_FOUND),
        (format!("/ipfs/{dag_pb}"), "*/*", StatusCode::NOT_FOUND),
        (format!("/ipfs/{missing}/path"), "*/*", StatusCode::NOT_FOUND),
        ("/ipfs/nonsense".into(), "*/*", StatusCode::BAD_REQUEST),
        ("/ipfs/..%2f..%2flock".into(), "*/*", StatusCode::BAD_REQUEST),
        (format!("/ipfs/{missing}"), car, StatusCode::NOT_ACCEPTABLE),
        (format!("/ipfs/{missing}?format=car"), "*/*", StatusCode::NOT_ACCEPTABLE),
        ("/".into(), "*/*", StatusCode::NOT_FOUND),
    ] {
        let request = running.request(&client, Method::GET, &path).header("accept", accept);
        assert_eq!(request.send().await.unwrap().status(), status, "{path}");
    }
    let missing = format!("/ipfs/{missing}");
    // Who does not say that any raw block will do may mean the file that it is a part of.
    let wishless = running.status_without_accept(&missing).await;
    assert_eq!(wishless, "HTTP/1.1 400 Bad Request");
    let raw = running.request(&client, Method::GET, &format!("{missing}?format=raw"));
    let cached = raw.header("cache-control", "only-if-cached").send().await.unwrap();
    assert_eq!(cached.status(), StatusCode::PRECONDITION_FAILED);
    let put = running.request(&client, Method::PUT, &missing);
    assert_eq!(put.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn says_that_it_is_alive() {
    let running = start(Limits::default()).await;
    let answer = running.request(&client(), Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["status"], "ok");
}
