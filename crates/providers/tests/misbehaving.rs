//! Servers that do everything wrong, and what becomes of it: always a typed error, never a hang,
//! a flood, or a secret in a message.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod script;

use std::time::Duration;

use handfast_ipfs::{Block, Cid};
use handfast_providers::{ErrorKind, ProviderError};
use script::{Reply, Script, answer, hasty, html, http, json, provider, stubborn};

fn cid() -> Cid {
    Cid::of(b"right")
}

/// Fetches a block from a server that gives this reply.
async fn fetch(reply: Reply) -> Result<Vec<u8>, ProviderError> {
    let server = Script::play([reply]).await;
    provider(&server.url, None, &http()).blocks.get(&cid()).await
}

/// Stores a block at a server that gives this reply.
async fn store(reply: Reply) -> Result<(), ProviderError> {
    let server = Script::play([reply]).await;
    let block = Block::new(b"right".to_vec()).unwrap();
    provider(&server.url, None, &http()).blocks.put(&block).await
}

fn ok_head(length: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn every_status_is_understood() {
    assert_eq!(fetch(answer(200, &[], "right")).await.unwrap(), b"right");
    let wait = Some(Duration::from_secs(7));
    for (status, headers, kind) in [
        (401, &[][..], ErrorKind::BadCredentials),
        (403, &[], ErrorKind::BadCredentials),
        (402, &[], ErrorKind::Quota),
        (507, &[], ErrorKind::Quota),
        (404, &[], ErrorKind::Nonsense),
        (405, &[], ErrorKind::Nonsense),
        (410, &[], ErrorKind::Sunset),
        (413, &[], ErrorKind::TooLarge),
        (418, &[], ErrorKind::Rejected),
        (429, &["retry-after: 7"], ErrorKind::RateLimited { wait }),
        (429, &[], ErrorKind::RateLimited { wait: None }),
        (503, &["retry-after: 7"], ErrorKind::RateLimited { wait }),
        (503, &[], ErrorKind::Broken),
        (500, &[], ErrorKind::Broken),
        (502, &[], ErrorKind::Broken),
        (504, &[], ErrorKind::Broken),
        (304, &[], ErrorKind::Nonsense),
    ] {
        let error = fetch(answer(status, headers, "")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert!(error.to_string().contains(&format!("HTTP {status}")), "{error}");
        // A 500 without Kubo's JSON makes a put try its other dialect: the script is over then.
        let error = store(answer(status, headers, "")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}: {error}");
    }
}

#[tokio::test]
async fn what_is_not_the_thing_is_nonsense() {
    for (what, reply) in [
        ("a login page", html(200)),
        ("other bytes", answer(200, &[], "wrong")),
        ("no bytes", answer(200, &[], "")),
        ("half the bytes", answer(200, &[], "rig")),
        ("JSON", json(200, "{}")),
    ] {
        let error = fetch(reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Nonsense, "{what}: {error}");
    }
    for (what, reply) in [
        ("a login page", html(200)),
        ("nothing", json(200, "")),
        ("another CID", json(200, format!(r#"{{"Key":"{}","Size":5}}"#, Cid::of(b"wrong")))),
        ("no CID", json(200, r#"{"Key":"Qm","Size":5}"#)),
        ("other JSON", json(200, r#"{"key":"x"}"#)),
    ] {
        let error = store(reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Nonsense, "{what}: {error}");
    }
    for (what, reply) in [("a login page", html(200)), ("words", answer(200, &[], "certainly"))] {
        let server = Script::play([reply]).await;
        let error = provider(&server.url, None, &http()).blocks.pin(&cid()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Nonsense, "{what}: {error}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off() {
    let torn = [ok_head(100), b"some".to_vec()].concat();
    for reply in [Reply::Say(torn), Reply::Say(Vec::new()), Reply::Say(b"hello?\r\n\r\n".to_vec())]
    {
        let error = fetch(reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
}

#[tokio::test]
async fn nobody_there() {
    let server = Script::play([]).await;
    let url = server.url.replace("127.0.0.1", "127.0.0.77");
    let error = provider(&url, None, &http()).blocks.get(&cid()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn silence_ends() {
    let half = [ok_head(100), b"some".to_vec()].concat();
    for reply in [Reply::SayAndHang(Vec::new()), Reply::SayAndHang(half)] {
        let server = Script::play([reply]).await;
        let blocks = provider(&server.url, None, &hasty()).blocks;
        let error = blocks.get(&cid()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains("no answer within"), "{error}");
    }
}

#[tokio::test]
async fn floods_are_cut_off() {
    let endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    for head in [ok_head(100_000_000), endless.clone()] {
        let server = Script::play([Reply::SayAndPour(head)]).await;
        let http = http();
        let error = provider(&server.url, None, &http).blocks.get(&cid()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Nonsense);
        assert!(error.to_string().contains("more than 262144 bytes"), "{error}");
        assert!(http.traffic().totals().received < 1_000_000);
    }
    // A flood that is an excuse is an excuse all the same.
    let excuse = b"HTTP/1.1 507 x\r\n\r\n".to_vec();
    let error = fetch(Reply::SayAndPour(excuse)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota);
}

#[tokio::test]
async fn redirects_are_followed_three_times() {
    let hop = |status| answer(status, &["location: /elsewhere"], "");
    let server = Script::play([hop(307), hop(308), hop(307), answer(200, &[], "right")]).await;
    let http = http();
    let blocks = provider(&server.url, Some("hush-hush"), &http).blocks;
    assert_eq!(blocks.get(&cid()).await.unwrap(), b"right");
    assert_eq!(http.traffic().totals().requests, 4);
    let last = server.seen().pop().unwrap();
    assert_eq!(last.line, "POST /elsewhere HTTP/1.1");
    assert_eq!(last.header("authorization"), Some("Bearer hush-hush"));

    let server = Script::play([hop(307), hop(307), hop(307), hop(307)]).await;
    let error = provider(&server.url, None, &http).blocks.get(&cid()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Nonsense);
    assert!(error.to_string().contains("in circles"), "{error}");
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn redirects_that_are_not_followed() {
    let other = Script::play([answer(200, &[], "right")]).await;
    let elsewhere = format!("location: {}/x", other.url);
    for (status, location, token) in [
        (307, elsewhere.as_str(), Some("hush-hush")),
        (302, "location: /login", None),
        (307, "location: ftp://example.com/", None),
        (307, "x-location: /", None),
    ] {
        let server = Script::play([answer(status, &[location], "")]).await;
        let error = provider(&server.url, token, &http()).blocks.get(&cid()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Nonsense, "{location}: {error}");
        assert_eq!(server.seen().len(), 1);
    }
    assert!(other.seen().is_empty(), "another origin must not see the credentials");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let busy = answer(429, &["retry-after: 0"], "");
    let server = Script::play([busy, html(502), answer(200, &[], "right")]).await;
    let blocks = provider(&server.url, None, &stubborn()).blocks;
    assert_eq!(blocks.get(&cid()).await.unwrap(), b"right");
    assert_eq!(server.seen().len(), 3);

    let server = Script::play([answer(401, &[], "")]).await;
    let blocks = provider(&server.url, None, &stubborn()).blocks;
    assert_eq!(blocks.get(&cid()).await.unwrap_err().kind(), ErrorKind::BadCredentials);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_left_alone() {
    let busy = answer(429, &["retry-after: 3600"], "");
    let server = Script::play([busy, answer(200, &[], "right")]).await;
    let blocks = provider(&server.url, None, &stubborn()).blocks;
    for _ in 0..5 {
        let error = blocks.get(&cid()).await.unwrap_err();
        let ErrorKind::RateLimited { wait: Some(wait) } = error.kind() else { panic!("{error}") };
        assert!(wait > Duration::from_secs(3_500) && wait <= Duration::from_secs(3_600));
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn secrets_that_come_back_are_not_repeated() {
    let server = Script::play([
        answer(403, &[], "no such token: hush-hush\u{1b}[2J\n".to_owned() + &"x".repeat(1000)),
        json(500, r#"{"Message":"Authorization: Basic YTpodXNoLWh1c2g= is wrong","Type":"error"}"#),
        html(403),
    ])
    .await;
    let blocks = provider(&server.url, Some("a:hush-hush"), &http()).blocks;
    let mut said = Vec::new();
    for _ in 0..3 {
        let error = blocks.check().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error}");
        assert!(!format!("{error} {error:?}").contains("YTpod"), "{error}");
        assert!(error.to_string().len() < 500 && !error.to_string().contains('\u{1b}'));
        said.push(error.detail().unwrap().to_owned());
    }
    assert!(said[0].starts_with("HTTP 403: no such token: … [2J xxx"), "{}", said[0]);
    assert_eq!(said[1], "HTTP 500: Authorization: Basic … is wrong");
    assert_eq!(said[2], "HTTP 403: an HTML page");
    assert!(!format!("{:?}", provider(&server.url, Some("hush-hush"), &http())).contains("hush"));
}
