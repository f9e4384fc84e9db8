//! What is sent to a Kubo node, and how its answers and those of its relatives are read.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod script;

use data_encoding::BASE64;
use handfast_ipfs::{Block, Cid};
use handfast_providers::conformance::{random_block, random_records};
use handfast_providers::{ErrorKind, Resolve, Resolved, Validator};
use script::{Reply, Script, answer, http, json, kubo_error, provider};

fn block(text: &str) -> Block {
    Block::new(text.as_bytes().to_vec()).unwrap()
}

fn line(block: &Block) -> String {
    format!("{{\"Key\":\"{}\",\"Size\":{}}}\n", block.cid(), block.bytes().len())
}

fn no_such_path() -> Reply {
    answer(404, &["content-type: text/plain"], "404 page not found\n")
}

#[tokio::test]
async fn calls_as_kubo_wants_them() {
    let hello = block("hello");
    let cid = hello.cid();
    let pins = format!(r#"{{"Pins":["{cid}"]}}"#);
    let keys = format!(r#"{{"Keys":{{"{cid}":{{"Type":"recursive"}}}}}}"#);
    let server = Script::play([
        json(200, r#"{"Version":"0.30.0","Commit":"","Repo":"16"}"#),
        json(200, line(&hello)),
        answer(200, &["content-type: application/vnd.ipld.raw"], "hello"),
        json(200, &pins),
        json(200, &keys),
        json(200, &pins),
    ])
    .await;
    // The prefix may be part of the address.
    let url = format!("{}/some/where/api/v0/", server.url);
    let blocks = provider(&url, Some("token-token"), &http()).blocks;
    blocks.check().await.unwrap();
    blocks.put(&hello).await.unwrap();
    assert_eq!(blocks.get(cid).await.unwrap(), b"hello");
    blocks.pin(cid).await.unwrap();
    assert!(blocks.is_pinned(cid).await.unwrap());
    blocks.unpin(cid).await.unwrap();

    let base = "POST /some/where/api/v0";
    assert_eq!(
        server.lines(),
        [
            format!("{base}/version"),
            format!("{base}/block/put?cid-codec=raw&mhtype=sha2-256&pin=true"),
            format!("{base}/block/get?arg={cid}&timeout=20s"),
            format!("{base}/pin/add?arg={cid}&recursive=true"),
            format!("{base}/pin/ls?arg={cid}&type=all"),
            format!("{base}/pin/rm?arg={cid}"),
        ]
    );
    for seen in server.seen() {
        assert_eq!(seen.header("authorization"), Some("Bearer token-token"));
        let agent = seen.header("user-agent").unwrap();
        assert!(agent.starts_with("handfast/") && !agent.contains("kubo"));
        assert_eq!((seen.header("origin"), seen.header("referer")), (None, None));
    }
    let upload = server.seen().remove(1);
    assert!(upload.header("content-type").unwrap().starts_with("multipart/form-data; boundary="));
    let body = String::from_utf8(upload.body).unwrap();
    assert!(body.contains("form-data; name=\"data\"; filename=\"data\"\r\n"), "{body}");
    assert!(body.contains("\r\n\r\nhello\r\n"), "{body}");
}

#[tokio::test]
async fn credentials_in_every_form() {
    for (token, header) in [
        (Some("abc"), Some("Bearer abc")),
        (Some("anna:abc"), Some("Basic YW5uYTphYmM=")),
        (Some("Bearer a:b"), Some("Bearer a:b")),
        (Some("Basic YW5uYTphYmM="), Some("Basic YW5uYTphYmM=")),
        (Some(" "), None),
        (None, None),
    ] {
        let server = Script::play([json(200, r#"{"Version":"1"}"#)]).await;
        provider(&server.url, token, &http()).blocks.check().await.unwrap();
        assert_eq!(server.seen()[0].header("authorization"), header, "{token:?}");
    }
}

#[tokio::test]
async fn words_of_failure() {
    let missing = "block was not found locally (offline): ipld: could not find bafk";
    let server = Script::play([
        kubo_error(missing),
        kubo_error("not pinned or pinned indirectly"),
        kubo_error("path 'bafk' is not pinned"),
        kubo_error("context deadline exceeded"),
        kubo_error("no space left on device"),
        kubo_error("merkledag: something"),
    ])
    .await;
    let blocks = provider(&server.url, None, &http()).blocks;
    let cid = Cid::of(b"x");
    let kind = |result: Result<(), handfast_providers::ProviderError>| result.unwrap_err().kind();
    assert_eq!(kind(blocks.get(&cid).await.map(drop)), ErrorKind::NotFound);
    blocks.unpin(&cid).await.unwrap();
    assert!(!blocks.is_pinned(&cid).await.unwrap());
    assert_eq!(kind(blocks.pin(&cid).await), ErrorKind::NotFound);
    assert_eq!(kind(blocks.pin(&cid).await), ErrorKind::Quota);
    let error = blocks.pin(&cid).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("HTTP 500: merkledag: something"), "{error}");
}

/// js-ipfs takes `format=raw` only, and answers in base58.
#[tokio::test]
async fn falls_back_to_the_old_dialect_and_stays_there() {
    let block = block("hello");
    let put = r#"{"Key":"zb2rhZfjRh2FHHB2RkHVEvL2vJnCTcu7kwRqgVsf9gpkLgteo","Size":5}"#;
    let server =
        Script::play([kubo_error("dag-pb: unexpected"), json(200, put), json(200, put)]).await;
    let blocks = provider(&server.url, None, &http()).blocks;
    blocks.put(&block).await.unwrap();
    blocks.put(&block).await.unwrap();
    let lines = server.lines();
    assert!(lines[0].contains("cid-codec=raw"));
    assert!(lines[1].contains("format=raw") && lines[2].contains("format=raw"), "{lines:?}");
}

/// No bytes at all are a dag-pb block, too, which js-ipfs makes of them.
#[tokio::test]
async fn a_block_of_another_kind_is_a_matter_of_dialect() {
    let empty = block("");
    let wrong = r#"{"Key":"QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n","Size":0}"#;
    let server = Script::play([json(200, wrong), json(200, line(&empty)), json(200, wrong)]).await;
    let blocks = provider(&server.url, None, &http()).blocks;
    blocks.put(&empty).await.unwrap();
    // A server that goes wrong in its own dialect is not asked in another one.
    let error = blocks.put(&empty).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Nonsense);
    let lines = server.lines();
    assert!(lines[0].contains("cid-codec=raw"));
    assert!(lines[1].contains("format=raw") && lines[2].contains("format=raw"), "{lines:?}");
}

#[tokio::test]
async fn a_failure_in_both_dialects_is_the_first_one() {
    let server = Script::play([kubo_error("disk full"), kubo_error("unknown option")]).await;
    let error = provider(&server.url, None, &http()).blocks.put(&block("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Quota);
    // Once today's dialect has worked, a failure is not put down to it.
    let x = block("x");
    let server = Script::play([json(200, line(&x)), kubo_error("disk full")]).await;
    let blocks = provider(&server.url, None, &http()).blocks;
    blocks.put(&x).await.unwrap();
    assert_eq!(blocks.put(&x).await.unwrap_err().kind(), ErrorKind::Quota);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn many_blocks_in_few_requests() {
    let blocks: Vec<_> = (0..40).map(|_| random_block(250_000).unwrap()).collect();
    // 33 of them fit into 8 MiB.
    let lines = |blocks: &[Block]| json(200, blocks.iter().map(line).collect::<String>());
    let server = Script::play([lines(&blocks[..33]), lines(&blocks[33..])]).await;
    provider(&server.url, None, &http()).blocks.put_all(&blocks).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|seen| seen.body.len() <= 9 << 20));

    let wrong = Script::play([lines(&blocks[1..3])]).await;
    let put = provider(&wrong.url, None, &http()).blocks.put_all(&blocks[..2]).await;
    assert_eq!(put.unwrap_err().kind(), ErrorKind::Nonsense);
}

#[tokio::test]
async fn one_block_a_request_where_the_server_wants_it_so() {
    let [a, b] = [block("same"), block("same")];
    for first in [json(200, line(&a)), answer(413, &[], "")] {
        let one = || json(200, line(&a));
        let server = Script::play([first, one(), one(), one(), one()]).await;
        let blocks = provider(&server.url, None, &http()).blocks;
        blocks.put_all(&[a.clone(), b.clone()]).await.unwrap();
        blocks.put_all(&[a.clone(), b.clone()]).await.unwrap();
        assert_eq!(server.seen().len(), 5);
    }
}

/// js-ipfs stores the last of several files.
#[tokio::test]
async fn a_server_that_takes_the_last_file_is_one_that_takes_one() {
    let (all, other) = ([block("first"), block("last")], block("other"));
    for (stored, kind) in [(&all[1], ErrorKind::TooLarge), (&other, ErrorKind::Nonsense)] {
        // What comes one by one is refused, so that it can be told.
        let too_large = || answer(413, &[], "");
        let server = Script::play([json(200, line(stored)), too_large(), too_large()]).await;
        let stored = provider(&server.url, None, &http()).blocks.put_all(&all).await;
        assert_eq!(stored.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn names_through_the_rpc_of_a_node_without_a_gateway() {
    let [one, two] = random_records(&[1, 2]).unwrap().try_into().unwrap();
    let name = one.name();
    let event = |extra: &str| {
        json(200, format!("{{\"Extra\":\"{extra}\",\"ID\":\"\",\"Responses\":null,\"Type\":5}}\n"))
    };
    let queries = "{\"Extra\":\"\",\"ID\":\"12D3\",\"Responses\":null,\"Type\":0}\n";
    let value = format!("{{\"Extra\":\"{}\",\"Type\":5}}\n", BASE64.encode(one.as_bytes()));
    let server = Script::play([
        no_such_path(),
        kubo_error("routing: not found"),
        event(""),
        json(200, format!("{queries}{value}")),
        event(&BASE64.encode(one.as_bytes())),
        event(&BASE64.encode(two.as_bytes())),
        kubo_error("can't replace a newer value with an older value"),
        event("!"),
        event(&BASE64.encode(b"not a record")),
        answer(200, &[], "as you wish"),
        answer(200, &[], "as you wish"),
    ])
    .await;
    let router = provider(&server.url, Some("token-token"), &http()).names.remove(0);
    let query = Resolve::default();

    assert!(matches!(router.resolve(name, &query).await.unwrap(), Resolved::Missing));
    router.publish(&one).await.unwrap();
    let resolved = router.resolve(name, &query).await.unwrap();
    assert!(matches!(resolved, Resolved::Record(record, _) if record == one));
    let known = query.clone().unless(Validator::of(&one));
    assert!(matches!(router.resolve(name, &known).await.unwrap(), Resolved::Unchanged));
    let resolved = router.resolve(name, &known).await.unwrap();
    assert!(matches!(resolved, Resolved::Record(record, _) if record == two));
    assert_eq!(router.publish(&one).await.unwrap_err().kind(), ErrorKind::Outdated);
    for _ in 0..3 {
        assert_eq!(router.resolve(name, &query).await.unwrap_err().kind(), ErrorKind::Nonsense);
    }
    assert_eq!(router.publish(&two).await.unwrap_err().kind(), ErrorKind::Nonsense);

    let lines = server.lines();
    let escaped = format!("%2Fipns%2F{name}");
    assert_eq!(lines[0], format!("GET /routing/v1/ipns/{name}"));
    assert_eq!(lines[1], format!("POST /api/v0/routing/get?arg={escaped}"));
    assert_eq!(lines[2], format!("POST /api/v0/routing/put?arg={escaped}&allow-offline=true"));
    assert!(lines[3..].iter().all(|line| line.starts_with("POST /api/v0/routing/")));
    let body = &server.seen()[2].body;
    assert!(body.windows(one.as_bytes().len()).any(|window| window == one.as_bytes()));
}

/// A token of `API.Authorizations` may be good for some paths of the RPC and nothing else.
#[tokio::test]
async fn names_where_the_token_is_good_for_the_rpc_only() {
    let record = random_records(&[1]).unwrap().remove(0);
    let denied = || answer(403, &[], "Kubo RPC Access Denied");
    let done = "{\"Extra\":\"\",\"ID\":\"12D3\",\"Responses\":null,\"Type\":5}\n";
    let server = Script::play([denied(), json(200, done), kubo_error("routing: not found")]).await;
    let router = provider(&server.url, Some("token-token"), &http()).names.remove(0);
    router.publish(&record).await.unwrap();
    let resolved = router.resolve(record.name(), &Resolve::default()).await.unwrap();
    assert!(matches!(resolved, Resolved::Missing));
    assert_eq!(server.seen().len(), 3);

    let server = Script::play([denied(), denied()]).await;
    let router = provider(&server.url, Some("token-token"), &http()).names.remove(0);
    let error = router.publish(&record).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadCredentials);
}
