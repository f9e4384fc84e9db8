//! How routers' answers are read, those of different makers included.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod script;

use std::time::Duration;

use handfast_ipfs::Record;
use handfast_keys::Timestamp;
use handfast_providers::conformance::random_records;
use handfast_providers::delegated::Delegated;
use handfast_providers::{ErrorKind, NameRouter, Resolve, Resolved, Validator, name_routers_at};
use script::{Reply, Script, answer, html, http, provider, stubborn};

const TYPE: &str = "content-type: application/vnd.ipfs.ipns-record";

fn records() -> [Record; 2] {
    random_records(&[1, 2]).unwrap().try_into().unwrap()
}

fn router(server: &Script) -> Delegated {
    Delegated::new(&format!("{}/routing/v1", server.url), &http()).unwrap()
}

fn held(record: &Record, headers: &[&str]) -> Reply {
    answer(200, &[&[TYPE], headers].concat(), record.as_bytes())
}

#[tokio::test]
async fn publishes_and_resolves() {
    let [one, _] = records();
    let server = Script::play([answer(200, &[], ""), held(&one, &[])]).await;
    let router = router(&server);
    router.publish(&one).await.unwrap();
    let resolved = router.resolve(one.name(), &Resolve::default()).await.unwrap();
    assert!(matches!(resolved, Resolved::Record(record, _) if record == one));
    let [put, get] = server.seen().try_into().unwrap();
    assert_eq!(put.line, format!("PUT /routing/v1/ipns/{} HTTP/1.1", one.name()));
    assert_eq!(put.header("content-type"), Some("application/vnd.ipfs.ipns-record"));
    assert_eq!(put.body, one.as_bytes());
    assert_eq!(get.line, format!("GET /routing/v1/ipns/{} HTTP/1.1", one.name()));
    assert_eq!(get.header("accept"), Some("application/vnd.ipfs.ipns-record"));
    assert_eq!(get.header("if-none-match"), None);
}

#[tokio::test]
async fn no_record_in_all_its_forms() {
    let text = "content-type: text/plain; charset=utf-8";
    let [record, _] = records();
    for reply in [
        answer(404, &[], ""),
        answer(404, &[text], "Record not found"),
        answer(200, &[text], "delegate error: routing: not found"),
        answer(200, &[], "Record not found"),
        answer(500, &[text], "delegate error: routing: not found"),
    ] {
        let server = Script::play([reply]).await;
        let resolved = router(&server).resolve(record.name(), &Resolve::default()).await.unwrap();
        assert!(matches!(resolved, Resolved::Missing), "{resolved:?}");
    }
    let server = Script::play([held(&record, &[])]).await;
    let late = Resolve::at(Timestamp(u64::MAX));
    let resolved = router(&server).resolve(record.name(), &late).await.unwrap();
    assert!(matches!(resolved, Resolved::Missing), "expired: {resolved:?}");
}

#[tokio::test]
async fn answers_that_are_errors() {
    let [record, _] = records();
    let [foreign, _] = records();
    let mut spoilt = record.as_bytes().to_vec();
    *spoilt.last_mut().unwrap() ^= 1;
    for (reply, kind) in [
        (html(200), ErrorKind::Nonsense),
        (held(&foreign, &[]), ErrorKind::Nonsense),
        (answer(200, &[TYPE], spoilt), ErrorKind::Nonsense),
        (answer(200, &[TYPE], ""), ErrorKind::Nonsense),
        (answer(200, &[TYPE], vec![0; 10_241]), ErrorKind::Nonsense),
        (answer(304, &[], ""), ErrorKind::Nonsense),
        (answer(400, &[], "bad name"), ErrorKind::Rejected),
        (answer(422, &[], ""), ErrorKind::Rejected),
        (answer(406, &[], ""), ErrorKind::Rejected),
        (answer(500, &[], "delegate error: context"), ErrorKind::Broken),
    ] {
        let server = Script::play([reply]).await;
        let error = router(&server).resolve(record.name(), &Resolve::default()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn unchanged_is_a_small_question_and_a_small_answer() {
    let [one, two] = records();
    let server = Script::play([
        held(&one, &["etag: \"router's own\""]),
        answer(304, &[], ""),
        // Here is one that knows no conditions.
        held(&one, &[]),
        held(&two, &[]),
    ])
    .await;
    let http = http();
    let router = Delegated::new(&server.url, &http).unwrap();
    let resolve = async |query: &Resolve| router.resolve(one.name(), query).await.unwrap();
    let Resolved::Record(_, validator) = resolve(&Resolve::default()).await else {
        panic!("the record must come")
    };
    let query = Resolve::default().unless(validator);
    let before = http.traffic().totals();
    assert!(matches!(resolve(&query).await, Resolved::Unchanged));
    let cost = http.traffic().totals().since(before);
    assert!(cost.requests == 1 && cost.sent + cost.received < 1024, "{cost:?}");
    let tag = server.seen()[1].header("if-none-match").unwrap().to_owned();
    assert!(tag.starts_with("\"router's own\", \"bafkrei"), "{tag}");

    assert!(matches!(resolve(&query).await, Resolved::Unchanged));
    assert!(matches!(resolve(&query).await, Resolved::Record(record, _) if record == two));
}

#[tokio::test]
async fn asks_to_wait_unless_waiting_is_not_offered() {
    let [one, two] = records();
    let server = Script::play([
        held(&one, &[]),
        answer(404, &["handfast-wait: 60"], ""),
        held(&two, &["handfast-wait: 20"]),
        answer(304, &["handfast-wait: 20"], ""),
    ])
    .await;
    let router = router(&server);
    let query = Resolve::default().unless(Validator::of(&one)).waiting(Duration::from_secs(30));
    let mut offers = Vec::new();
    for _ in 0..4 {
        router.resolve(one.name(), &query).await.unwrap();
        offers.push(router.longest_wait().map(|wait| wait.as_secs()));
    }
    assert_eq!(offers, [None, Some(60), Some(20), Some(20)]);
    let waits: Vec<_> = server
        .lines()
        .iter()
        .map(|line| line.split_once('?').map(|(_, query)| query.to_owned()))
        .collect();
    assert_eq!(
        waits,
        [Some("wait=30".into()), None, Some("wait=30".into()), Some("wait=20".into())]
    );
}

#[tokio::test]
async fn refusals_to_publish() {
    let [one, two] = records();
    for (replies, kind) in [
        (vec![answer(409, &[], "")], ErrorKind::Outdated),
        (
            vec![answer(500, &[], "can't replace a newer value with an older value")],
            ErrorKind::Outdated,
        ),
        (vec![answer(400, &[], "")], ErrorKind::Rejected),
        (vec![answer(415, &[], "")], ErrorKind::Rejected),
        (vec![html(200)], ErrorKind::Nonsense),
        (vec![answer(404, &[], "")], ErrorKind::Nonsense),
        (vec![answer(500, &[], ""), answer(404, &[], "")], ErrorKind::Broken),
        (vec![answer(500, &[], ""), held(&two, &[])], ErrorKind::Outdated),
    ] {
        let server = Script::play(replies).await;
        let error = router(&server).publish(&one).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

/// A router gives up on the DHT before the DHT does.
#[tokio::test]
async fn a_record_that_arrived_in_spite_of_an_error_is_published() {
    let [one, _] = records();
    let failed = || answer(500, &[], "delegate error: context deadline exceeded");
    let server = Script::play([failed(), held(&one, &[])]).await;
    router(&server).publish(&one).await.unwrap();
    // With retries, it is looked for after the last.
    let server = Script::play([failed(), failed(), failed(), failed(), held(&one, &[])]).await;
    let router = Delegated::new(&server.url, &stubborn()).unwrap();
    router.publish(&one).await.unwrap();
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn a_self_hosted_gateway_is_asked_first_and_remembered() {
    let [one, _] = records();
    let offered = "handfast-wait: 60";
    let server = Script::play([
        answer(404, &[offered], ""),
        answer(200, &[offered], ""),
        held(&one, &[offered]),
    ])
    .await;
    let host = provider(&server.url, Some("token-token"), &http()).names.remove(0);
    let query = Resolve::default();
    assert!(matches!(host.resolve(one.name(), &query).await.unwrap(), Resolved::Missing));
    host.publish(&one).await.unwrap();
    let resolved = host.resolve(one.name(), &query).await.unwrap();
    assert!(matches!(resolved, Resolved::Record(..)));
    assert_eq!(server.seen().len(), 3);
    assert_eq!(host.longest_wait(), Some(Duration::from_secs(60)));
}

#[test]
fn routers_from_addresses() {
    let http = http();
    let routers = name_routers_at(handfast_providers::DEFAULT_NAME_ROUTERS, &http).unwrap();
    assert_eq!(routers[0].describe(), "name router at https://delegated-ipfs.dev");
    assert!(name_routers_at(&["not a url"], &http).is_err());
}
