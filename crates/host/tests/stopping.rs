//! Stopping, and connections that do nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod running;

use std::time::Duration;

use handfast_host::Limits;
use handfast_providers::conformance::random_records;
use handfast_providers::{NameRouter, Resolve, Resolved, Validator};
use running::{TOKEN, http, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn queries_that_wait_are_answered() {
    let running = start(Limits::default()).await;
    let provider = running.provider(TOKEN, &http());
    let record = random_records(&[1]).unwrap().remove(0);
    let router: &dyn NameRouter = &*provider.names[0];
    router.publish(&record).await.unwrap();
    let query = Resolve::default().unless(Validator::of(&record)).waiting(Duration::from_secs(60));
    // Wherever the query is when the host stops, it gets an answer or a closed door, at once.
    let stop = running.host.shutdown();
    let (resolved, ()) = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::join!(router.resolve(record.name(), &query), stop)
    })
    .await
    .unwrap();
    assert!(!matches!(resolved, Ok(Resolved::Record(..) | Resolved::Missing)), "{resolved:?}");
}

#[tokio::test]
async fn a_request_that_never_ends_is_cut_off() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let running = start(limits).await;
    let mut stream = TcpStream::connect(running.host.local_addr()).await.unwrap();
    let head = "PUT /routing/v1/ipns/k51qzi5uqu5dm0t4vbwri4lkg76q03b4x9tsvekgvbu4zli6454ff7w8wdosa4 \
                HTTP/1.1\r\nhost: x\r\ncontent-type: application/vnd.ipfs.ipns-record\r\n\
                expect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The request is being handled when it asks for the body.
    let mut line = [0; 25];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 100 Continue\r\n\r\n");
    running.host.shutdown().await;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let limits = Limits { idle: Duration::from_millis(30), connections: 1, ..Limits::default() };
    let running = start(limits).await;
    // Neither saying nothing nor half a word keeps the only place for long.
    for words in ["", "GET /healthz HT"] {
        let mut stream = TcpStream::connect(running.host.local_addr()).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    }
}

#[tokio::test]
async fn dropping_stops() {
    let running = start(Limits::default()).await;
    let address = running.host.local_addr();
    let mut stream = TcpStream::connect(address).await.unwrap();
    drop(running.host);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn who_is_refused_hears_it_even_while_still_sending() {
    let running = start(Limits::default()).await;
    let mut stream = TcpStream::connect(running.host.local_addr()).await.unwrap();
    // Without a token it is refused at once, but this sender looks up only when it is done.
    let body = vec![0; 20_000_000];
    let head = format!(
        "POST /api/v0/block/put HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; \
         boundary=x\r\ncontent-length: {}\r\n\r\n",
        body.len(),
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}
