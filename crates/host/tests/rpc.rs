//! Kubo's RPC, as programs made for Kubo use it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod running;

use data_encoding::BASE64;
use handfast_host::Limits;
use handfast_ipfs::Cid;
use handfast_providers::conformance::random_records;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use running::{Running, client, start};
use serde_json::{Value, json};

fn form(files: &[&[u8]]) -> Form {
    files.iter().fold(Form::new(), |form, file| {
        form.part("data", Part::bytes(file.to_vec()).file_name("data"))
    })
}

async fn put(running: &Running, client: &Client, files: &[&[u8]]) {
    let put = running.rpc(client, "block/put?pin=true").multipart(form(files));
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
}

async fn said(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn error(message: &str) -> Value {
    json!({ "Message": message, "Code": 0, "Type": "error" })
}

#[tokio::test]
async fn block_put_and_get() {
    let running = start(Limits::default()).await;
    let client = client();
    let options = "block/put?cid-codec=raw&mhtype=sha2-256&pin=true";
    let put = running.rpc(&client, options).multipart(form(&[b"one", b"", b"three"]));
    let answer = put.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let lines: Vec<Value> = answer
        .text()
        .await
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = |bytes: &[u8]| json!({ "Key": Cid::of(bytes).to_string(), "Size": bytes.len() });
    assert_eq!(lines, [line(b"one"), line(b""), line(b"three")]);

    let get = |arg: &str| running.rpc(&client, &format!("block/get?arg={arg}&timeout=20s"));
    for arg in [Cid::of(b"three").to_string(), Cid::of(b"three").path()] {
        let answer = get(&arg).send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/vnd.ipld.raw");
        assert_eq!(answer.bytes().await.unwrap(), "three");
    }
    let missing = Cid::of(b"missing").to_string();
    let (status, body) = said(get(&missing)).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(body, error(&format!("block was not found locally: {missing}")));
    let stat = |arg: &str| running.rpc(&client, &format!("block/stat?arg={arg}"));
    let stated = said(stat(&Cid::of(b"three").to_string())).await;
    assert_eq!(stated, (StatusCode::OK, line(b"three")));
    let not_found = error(&format!("block was not found locally: {missing}"));
    assert_eq!(said(stat(&missing)).await, (StatusCode::INTERNAL_SERVER_ERROR, not_found));
    assert_eq!(said(get("nonsense")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(said(running.rpc(&client, "block/get")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn only_raw_blocks() {
    let running = start(Limits::default()).await;
    let client = client();
    let options = ["format=raw&version=1", "cid-codec=raw&mhlen=-1", "mhtype=sha2-256&mhlen=32"];
    for options in options {
        let put = running.rpc(&client, &format!("block/put?{options}"));
        let (status, body) = said(put.multipart(form(&[b"x"]))).await;
        assert_eq!((status, &body["Size"]), (StatusCode::OK, &json!(1)), "{options}");
    }
    for options in ["format=v0", "cid-codec=dag-pb", "mhtype=blake3", "mhlen=20", "version=0"] {
        let put = running.rpc(&client, &format!("block/put?{options}"));
        let (status, body) = said(put.multipart(form(&[b"x"]))).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{options}");
        assert_eq!(body["Type"], "error");
    }
    let put = || running.rpc(&client, "block/put");
    let (status, _) = said(put().multipart(form(&[&[0; 262_145]]))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, _) = said(put().multipart(Form::new().text("data", "no file"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let plain = put().body("x").send().await.unwrap().status();
    assert_eq!(plain, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pins() {
    let running = start(Limits::default()).await;
    let client = client();
    let [a, b] = [b"a", b"b"].map(|bytes| Cid::of(bytes).to_string());
    put(&running, &client, &[b"a", b"b"]).await;
    let rpc = |command: &str| running.rpc(&client, command);
    let ok = |body: Value| (StatusCode::OK, body);
    let recursive = json!({ "Type": "recursive" });

    let add = format!("pin/add?arg={a}&arg={b}&recursive=true");
    assert_eq!(said(rpc(&add)).await, ok(json!({ "Pins": [a, b] })));
    let one = ok(json!({ "Keys": { a.clone(): recursive } }));
    assert_eq!(said(rpc(&format!("pin/ls?arg={a}&type=all"))).await, one);
    let both = json!({ a.clone(): recursive, b.clone(): recursive });
    assert_eq!(said(rpc("pin/ls")).await, ok(json!({ "Keys": both })));
    assert_eq!(said(rpc("pin/ls?type=direct")).await, ok(json!({ "Keys": {} })));
    let lines = rpc("pin/ls?stream=true&type=recursive").send().await.unwrap();
    let lines = lines.text().await.unwrap();
    let mut listed: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .inspect(|line| assert_eq!(line["Type"], "recursive"))
        .map(|line| line["Cid"].as_str().unwrap().to_owned())
        .collect();
    listed.sort();
    let mut expected = vec![a.clone(), b.clone()];
    expected.sort();
    assert_eq!(listed, expected);

    // Names of pins are not kept, so none has the one that is asked for.
    let named = rpc(&format!("pin/add?arg={a}&name=mine"));
    assert_eq!(said(named).await, ok(json!({ "Pins": [a] })));
    assert_eq!(said(rpc("pin/ls?name=mine")).await, ok(json!({ "Keys": {} })));
    assert_eq!(said(rpc("pin/ls?name=")).await, ok(json!({ "Keys": both })));

    let failed = |message: &str| (StatusCode::INTERNAL_SERVER_ERROR, error(message));
    let rm = format!("pin/rm?arg={a}");
    assert_eq!(said(rpc(&rm)).await, ok(json!({ "Pins": [a] })));
    assert_eq!(said(rpc(&rm)).await, failed("not pinned or pinned indirectly"));
    let not_pinned = failed(&format!("path '{a}' is not pinned"));
    assert_eq!(said(rpc(&format!("pin/ls?arg={a}"))).await, not_pinned);
    assert_eq!(said(rpc("pin/ls?type=odd")).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    let missing = Cid::of(b"missing").to_string();
    let not_found = failed(&format!("block was not found locally: {missing}"));
    assert_eq!(said(rpc(&format!("pin/add?arg={missing}"))).await, not_found);
    assert_eq!(said(rpc("pin/rm")).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pins_are_listed_in_pages() {
    let running = start(Limits::default()).await;
    let client = client();
    let blocks: Vec<Vec<u8>> = (0..2_100_u32).map(|n| n.to_le_bytes().to_vec()).collect();
    let files: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
    put(&running, &client, &files).await;
    let mut expected: Vec<Cid> = blocks.iter().map(|block| Cid::of(block)).collect();
    expected.sort();
    let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();

    let lines = running.rpc(&client, "pin/ls?stream=true").send().await.unwrap();
    let lines = lines.text().await.unwrap();
    let listed: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed: Vec<&str> = listed.iter().map(|line| line["Cid"].as_str().unwrap()).collect();
    assert_eq!(listed, expected);
    let (status, body) = said(running.rpc(&client, "pin/ls")).await;
    assert_eq!(status, StatusCode::OK);
    let keys = body["Keys"].as_object().unwrap();
    assert_eq!(keys.len(), expected.len());
    assert!(expected.iter().all(|cid| keys[cid] == json!({ "Type": "recursive" })));
}

#[tokio::test]
async fn each_account_has_its_own_pins() {
    let running = start(Limits::default()).await;
    let client = client();
    put(&running, &client, &[b"a"]).await;
    let a = Cid::of(b"a").to_string();
    let other = |command: &str| {
        let path = format!("/api/v0/{command}");
        running.request(&client, Method::POST, &path).bearer_auth(running::OTHER)
    };
    assert_eq!(said(other("pin/ls")).await.1, json!({ "Keys": {} }));
    let (status, _) = said(other(&format!("pin/rm?arg={a}"))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(said(other(&format!("pin/add?arg={a}"))).await.0, StatusCode::OK);
    assert_eq!(said(running.rpc(&client, &format!("pin/rm?arg={a}"))).await.0, StatusCode::OK);
    assert_eq!(said(other(&format!("pin/ls?arg={a}"))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn routing() {
    let running = start(Limits::default()).await;
    let client = client();
    let [one, two] = random_records(&[1, 2]).unwrap().try_into().unwrap();
    let name = one.name();
    let put = |record: &handfast_ipfs::Record| {
        let file = Part::bytes(record.as_bytes().to_vec()).file_name("value-file");
        running
            .rpc(&client, &format!("routing/put?arg=/ipns/{name}&allow-offline=true"))
            .multipart(Form::new().part("value-file", file))
    };
    let get = || running.rpc(&client, &format!("routing/get?arg=%2Fipns%2F{name}"));
    let failed = |message: &str| (StatusCode::INTERNAL_SERVER_ERROR, error(message));
    let event =
        |extra: &str| json!({ "Extra": extra, "ID": name.peer_id(), "Responses": null, "Type": 5 });
    assert_eq!(said(get()).await, failed("routing: not found"));
    assert_eq!(said(put(&two)).await, (StatusCode::OK, event("")));
    let older = failed("can't replace a newer value with an older value");
    assert_eq!(said(put(&one)).await, older);
    assert_eq!(said(get()).await, (StatusCode::OK, event(&BASE64.encode(two.as_bytes()))));
    assert_eq!(said(running.rpc(&client, "routing/get?arg=x")).await.0, StatusCode::BAD_REQUEST);
    let path = format!("/routing/v1/ipns/{name}");
    let answer = running.request(&client, Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.bytes().await.unwrap(), two.as_bytes());
}

#[tokio::test]
async fn only_posts_with_a_token() {
    let running = start(Limits::default()).await;
    let client = client();
    let (status, body) = said(running.rpc(&client, "version")).await;
    assert_eq!((status, &body["Version"]), (StatusCode::OK, &json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(running.rpc(&client, "id").send().await.unwrap().status(), StatusCode::NOT_FOUND);
    for command in [
        "block/put",
        "block/get",
        "block/stat",
        "pin/add",
        "pin/rm",
        "pin/ls",
        "routing/put",
        "routing/get",
        "version",
    ] {
        let path = format!("/api/v0/{command}");
        let get = running.request(&client, Method::GET, &path).bearer_auth("0123456789abcdef");
        let status = get.send().await.unwrap().status();
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{command}");
        for token in [None, Some("0123456789abcdeF"), Some("")] {
            let post = running.request(&client, Method::POST, &path);
            let post = match token {
                Some(token) => post.bearer_auth(token),
                None => post,
            };
            let answer = post.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{command}");
            assert!(answer.text().await.unwrap().contains("Access Denied"));
        }
    }
}

#[tokio::test]
async fn quotas() {
    let limits = Limits {
        account_bytes: 100,
        account_pins: 3,
        loose_bytes: 50,
        request_bytes: 300_000,
        ..Limits::default()
    };
    let running = start(limits).await;
    let client = client();
    let put = |pin: bool, files: &[&[u8]]| {
        let put = running.rpc(&client, &format!("block/put?pin={pin}"));
        put.multipart(form(files))
    };
    let full = StatusCode::INSUFFICIENT_STORAGE;
    assert_eq!(put(true, &[&[1; 101]]).send().await.unwrap().status(), full);
    assert_eq!(put(true, &[&[1; 60]]).send().await.unwrap().status(), StatusCode::OK);
    let (status, body) = said(put(true, &[&[2; 41]])).await;
    assert_eq!(status, full);
    assert!(body["Message"].as_str().unwrap().contains("quota exceeded"), "{body}");
    // What is there already costs nothing, and what is given up counts no more.
    assert_eq!(put(true, &[&[1; 60]]).send().await.unwrap().status(), StatusCode::OK);
    let rm = format!("pin/rm?arg={}", Cid::of(&[1; 60]));
    assert_eq!(said(running.rpc(&client, &rm)).await.0, StatusCode::OK);
    assert_eq!(put(true, &[b"1", b"2", b"3", b"4"]).send().await.unwrap().status(), full);
    assert_eq!(put(true, &[b"1", b"2", b"3"]).send().await.unwrap().status(), StatusCode::OK);
    // Unpinned blocks have a limit of their own, which the one given up exceeds already.
    assert_eq!(put(false, &[b"5"]).send().await.unwrap().status(), full);
    let large = put(true, &[&[0; 200_000], &[0; 200_000]]).send().await.unwrap();
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
