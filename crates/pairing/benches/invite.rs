//! The codec of invites, requests and responses. `interop/blind-pairing/bench` holds it against
//! npm's blind-pairing-core.

#![allow(missing_docs, clippy::indexing_slicing, reason = "of a bench")]

use criterion::{Criterion, criterion_group, criterion_main};
use data_encoding::HEXLOWER;
use handfast_keys::InviteSecret;
use handfast_pairing::invite::{Invite, Request, Response, StructureKey};
use std::hint::black_box;

fn codec(criterion: &mut Criterion) {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../tests/golden/blind-pairing.json"))
            .unwrap_or_default();
    let bytes = |value: &serde_json::Value| {
        HEXLOWER.decode(value.as_str().unwrap_or_default().as_bytes()).unwrap_or_default()
    };
    let invite = bytes(&golden["invites"][9]["hex"]);
    criterion.bench_function("invite: decode and encode", |bencher| {
        bencher.iter(|| Invite::from_bytes(black_box(&invite)).map(|it| it.to_bytes()));
    });
    let request = bytes(&golden["requests"][0]["request"]);
    criterion.bench_function("request: decode and encode", |bencher| {
        bencher.iter(|| Request::from_bytes(black_box(&request)).map(|it| it.to_bytes()));
    });
    let response = bytes(&golden["requests"][0]["responses"]["with both"]);
    criterion.bench_function("response: decode and encode", |bencher| {
        bencher.iter(|| Response::from_bytes(black_box(&response)).map(|it| it.to_bytes()));
    });
    let key = InviteSecret::from_seed([7; 32]);
    criterion.bench_function("request: make and open", |bencher| {
        let public = key.public();
        bencher.iter(|| Request::new(&key, black_box(b"hello world")).open(&public));
    });
    let discovery_key = StructureKey::from_bytes([1; 32]).discovery_key();
    let session = Request::new(&key, b"hello world").session;
    let sealed = Response::from_bytes(&response);
    criterion.bench_function("response: open", |bencher| {
        let public = key.public();
        bencher.iter(|| {
            let sealed = sealed.as_ref().ok();
            sealed.map(|it| it.open(&public, &session, black_box(&discovery_key)))
        });
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
