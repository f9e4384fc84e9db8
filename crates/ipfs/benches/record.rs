//! What a record costs: making one, and verifying one, which every poll does.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use handfast_ipfs::{Cid, Draft, EMPTY_PATH, Name, Record};
use handfast_keys::{IpnsSecret, Timestamp};

const EOL: Timestamp = Timestamp(4_922_899_200_000);

fn drafts() -> [(&'static str, Draft); 3] {
    let path = Cid::of(b"manifest").path();
    let mut v2_only = Draft::new(path.clone(), 7, EOL);
    v2_only.v1_compatible = false;
    let mut message = Draft::new(EMPTY_PATH, 7, EOL);
    message.extra.insert("_handfast".into(), vec![7; 3000]);
    [("v1+v2", Draft::new(path, 7, EOL)), ("v2 only", v2_only), ("3000 extra bytes", message)]
}

fn create(c: &mut Criterion) {
    let key = IpnsSecret::from_seed([7; 32]);
    let mut group = c.benchmark_group("create a record");
    for (what, draft) in drafts() {
        group.bench_function(what, |b| b.iter(|| black_box(draft.clone()).sign(&key).unwrap()));
    }
}

fn parse(c: &mut Criterion) {
    let key = IpnsSecret::from_seed([7; 32]);
    let name = Name::of(key.public());
    let mut group = c.benchmark_group("parse and verify a record");
    for (what, draft) in drafts() {
        let bytes = draft.sign(&key).unwrap().into_bytes();
        group.bench_function(what, |b| {
            b.iter(|| Record::parse(&name, black_box(&bytes), Some(Timestamp(0))).unwrap());
        });
    }
}

criterion_group!(benches, create, parse);
criterion_main!(benches);
