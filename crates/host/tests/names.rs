//! Names as anybody publishes and resolves them.
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
use handfast_ipfs::{Cid, Draft, EMPTY_PATH, Record};
use handfast_keys::{IpnsSecret, Timestamp};
use handfast_providers::conformance::random_records;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use running::{RECORD, Running, client, start};

fn records() -> [Record; 2] {
    random_records(&[1, 2]).unwrap().try_into().unwrap()
}

fn path(record: &Record) -> String {
    format!("/routing/v1/ipns/{}", record.name())
}

fn put(running: &Running, client: &Client, record: &Record) -> RequestBuilder {
    let request = running.request(client, Method::PUT, &path(record));
    request.header("content-type", RECORD).body(record.as_bytes().to_vec())
}

async fn published(running: &Running, client: &Client, record: &Record) -> StatusCode {
    put(running, client, record).send().await.unwrap().status()
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers()[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn keeps_the_newest_record() {
    let running = start(Limits::default()).await;
    let client = client();
    let [one, two] = records();
    assert_eq!(published(&running, &client, &two).await, StatusCode::OK);
    assert_eq!(published(&running, &client, &two).await, StatusCode::OK);
    assert_eq!(published(&running, &client, &one).await, StatusCode::CONFLICT);

    let get = || running.request(&client, Method::GET, &path(&one)).header("accept", RECORD);
    let answer = get().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(header(&answer, "content-type"), RECORD);
    assert_eq!(header(&answer, "cache-control"), "public, max-age=300");
    assert_eq!(header(&answer, "handfast-wait"), "60");
    let tag = header(&answer, "etag");
    assert_eq!(tag, format!("\"{}\"", Cid::of(two.as_bytes())));
    assert_eq!(answer.bytes().await.unwrap(), two.as_bytes());

    let answer = get().header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(header(&answer, "etag"), tag);
    assert_eq!(answer.bytes().await.unwrap(), "");
}

#[tokio::test]
async fn takes_names_in_every_form() {
    let running = start(Limits::default()).await;
    let client = client();
    let [one, _] = records();
    published(&running, &client, &one).await;
    let path = format!("/routing/v1/ipns/{}", one.name().peer_id());
    let answer = running.request(&client, Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.bytes().await.unwrap(), one.as_bytes());
}

#[tokio::test]
async fn records_from_the_gateway() {
    let running = start(Limits::default()).await;
    let client = client();
    let [one, _] = records();
    let path = format!("/ipns/{}", one.name());
    let get = |query: &str, accept: Option<&str>| {
        let request = running.request(&client, Method::GET, &format!("{path}{query}"));
        match accept {
            Some(accept) => request.header("accept", accept),
            None => request,
        }
    };
    let status = async |request: RequestBuilder| request.send().await.unwrap().status();
    assert_eq!(status(get("?format=ipns-record", None)).await, StatusCode::NOT_FOUND);
    published(&running, &client, &one).await;
    for request in [get("?format=ipns-record", Some("text/html")), get("", Some(RECORD))] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "content-type"), RECORD);
        assert_eq!(header(&answer, "cache-control"), "public, max-age=300");
        assert_eq!(header(&answer, "etag"), format!("\"{}\"", Cid::of(one.as_bytes())));
        let file = format!("attachment; filename=\"{}.ipns-record\"", one.name());
        assert_eq!(header(&answer, "content-disposition"), file);
        assert_eq!(answer.bytes().await.unwrap(), one.as_bytes());
    }
    let wishless = running.status_without_accept(&path).await;
    assert_eq!(wishless, "HTTP/1.1 400 Bad Request");
    assert_eq!(status(get("?format=raw", Some(RECORD))).await, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(status(get("", Some("text/html"))).await, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test]
async fn refusals() {
    let running = start(Limits::default()).await;
    let client = client();
    let [one, _] = records();
    let [foreign, _] = records();
    let key = IpnsSecret::from_seed([7; 32]);
    let expired = Draft::new(EMPTY_PATH, 1, Timestamp(1000)).sign(&key).unwrap();
    let body = |bytes: &[u8]| put(&running, &client, &one).body(bytes.to_vec());
    let at = |method: Method, path: &str| running.request(&client, method, path);
    for (what, request, status) in [
        ("another name's record", body(foreign.as_bytes()), StatusCode::BAD_REQUEST),
        ("half a record", body(&one.as_bytes()[1..]), StatusCode::BAD_REQUEST),
        ("nothing", body(&[]), StatusCode::BAD_REQUEST),
        ("an expired record", put(&running, &client, &expired), StatusCode::BAD_REQUEST),
        ("too much", body(&[0; 10_241]), StatusCode::PAYLOAD_TOO_LARGE),
        (
            "no type",
            at(Method::PUT, &path(&one)).body(one.as_bytes().to_vec()),
            StatusCode::NOT_ACCEPTABLE,
        ),
        (
            "another type",
            at(Method::PUT, &path(&one)).header("content-type", "text/plain"),
            StatusCode::NOT_ACCEPTABLE,
        ),
        ("a bad name", at(Method::GET, "/routing/v1/ipns/example.com"), StatusCode::BAD_REQUEST),
        ("a name that is not there", at(Method::GET, &path(&one)), StatusCode::NOT_FOUND),
        (
            "another format",
            at(Method::GET, &path(&one)).header("accept", "application/json"),
            StatusCode::NOT_ACCEPTABLE,
        ),
        ("a bad wait", at(Method::GET, &format!("{}?wait=x", path(&one))), StatusCode::BAD_REQUEST),
        ("another method", at(Method::POST, &path(&one)), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        assert_eq!(request.send().await.unwrap().status(), status, "{what}");
    }
}

#[tokio::test]
async fn a_query_waits_for_news() {
    let running = start(Limits::default()).await;
    let client = client();
    let [one, two] = records();
    let wait = |known: Option<&Record>| {
        let path = format!("{}?wait=60", path(&one));
        let request = running.request(&client, Method::GET, &path);
        match known {
            Some(known) => {
                request.header("if-none-match", format!("\"{}\"", Cid::of(known.as_bytes())))
            }
            None => request,
        }
    };
    // First for the name to appear, then for a newer record.
    for (known, next) in [(None, &one), (Some(&one), &two)] {
        let (answer, _) = tokio::join!(wait(known).send(), put(&running, &client, next).send());
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(answer.bytes().await.unwrap(), next.as_bytes());
    }
    // Nothing to wait for.
    for known in [None, Some(&one)] {
        let answer = wait(known).send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), two.as_bytes());
    }
}

#[tokio::test]
async fn a_wait_ends_as_the_host_limits_it() {
    let limits = Limits { wait: Duration::from_millis(20), ..Limits::default() };
    let running = start(limits).await;
    let client = client();
    let [one, _] = records();
    let path = format!("{}?wait=60", path(&one));
    let get = || running.request(&client, Method::GET, &path);
    assert_eq!(get().send().await.unwrap().status(), StatusCode::NOT_FOUND);
    published(&running, &client, &one).await;
    let known = get().header("if-none-match", format!("\"{}\"", Cid::of(one.as_bytes())));
    assert_eq!(known.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn without_room_nobody_waits() {
    let running = start(Limits { waiting: 0, ..Limits::default() }).await;
    let [one, _] = records();
    let path = format!("{}?wait=60", path(&one));
    let answer = running.request(&client(), Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn strangers_publish_so_much_and_no_more() {
    let limits = Limits { publish_burst: 3, publish_rate: 0.001, names: 2, ..Limits::default() };
    let running = start(limits).await;
    let client = client();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = put(&running, &client, &records()[0]).send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert!(header(&answer, "retry-after").parse::<u32>().unwrap() > 900);
        }
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 507, 429]);
    // A token is worth some room, and as much haste as you like.
    let put = put(&running, &client, &records()[0]).bearer_auth("0123456789abcdef");
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
}
