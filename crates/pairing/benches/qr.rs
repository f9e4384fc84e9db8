//! What a pairing costs in computing: everything that both machines do, without any network.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use handfast_ipfs::{Cid, Draft, Name, Record};
use handfast_keys::Timestamp;
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::{Code, Consent, Effect, Initiator, Input, Joiner, ScannedCode, Setup};
use handfast_ring::{DeviceKeys, DeviceName};
use rand::SeedableRng;
use rand::rngs::StdRng;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn setup(name: &str, rng: &mut StdRng) -> Setup {
    let json = r#"{"type":"self-hosted","endpoint":"https://pins.example"}"#;
    Setup {
        keys: DeviceKeys::generate(rng),
        name: DeviceName::new(name).unwrap(),
        records: 0,
        provider: Some(handfast_pairing::qr::message::ProviderGrant::new(json.into()).unwrap()),
        reach: None,
        consent: Consent::Unseen,
        members: Vec::new(),
        again: false,
    }
}

fn options() -> CodeOptions {
    CodeOptions { lifetime: 600, ..CodeOptions::default() }
}

/// A router that is always at hand: what it holds, and who watches what.
#[derive(Default)]
struct Router {
    records: BTreeMap<Name, Record>,
    watched: [Vec<Name>; 2],
}

/// Performs an effect; returns what is to be told to the machine.
fn perform(router: &mut Router, who: usize, keys: &DeviceKeys, effect: Effect) -> Option<Input> {
    match effect {
        Effect::Publish(record) => _ = router.records.insert(*record.name(), record),
        Effect::Watch(name) => router.watched[who].push(name),
        Effect::Unwatch(name) => router.watched[who].retain(|watched| *watched != name),
        Effect::Admit(introduction) => {
            let path = Cid::of(introduction.transcript.as_ref()).path();
            return Some(Input::Published(Draft::new(path, 1, NOW).sign(&keys.ipns).unwrap()));
        }
        Effect::Import(_) => return Some(Input::Imported),
        _ => (),
    }
    None
}

fn pair(laptop: &Setup, phone: &Setup, rng: &mut StdRng) {
    let mut router = Router::default();
    let mut initiator = Initiator::start(laptop.clone(), options(), NOW, rng);
    let text = initiator.code().unwrap().to_string();
    let ScannedCode::Code(code) = Code::parse(&text).unwrap() else { return };
    let mut joiner = Joiner::start(phone.clone(), code, NOW, rng).unwrap();
    while initiator.ended().is_none() || joiner.ended().is_none() {
        let mut inputs: [Vec<Input>; 2] = Default::default();
        while let Some(effect) = initiator.poll() {
            inputs[0].extend(perform(&mut router, 0, &laptop.keys, effect));
        }
        while let Some(effect) = joiner.poll() {
            inputs[1].extend(perform(&mut router, 1, &phone.keys, effect));
        }
        for (inputs, watched) in inputs.iter_mut().zip(&router.watched) {
            inputs.extend(watched.iter().filter_map(|name| {
                let record = Some(router.records.get(name)?.clone());
                Some(Input::Answer { router: 0, routers: 1, name: *name, record })
            }));
        }
        let [to_initiator, to_joiner] = inputs;
        for input in to_initiator {
            initiator.handle(NOW, rng, input).unwrap();
        }
        for input in to_joiner {
            joiner.handle(NOW, rng, input).unwrap();
        }
    }
}

fn bench(c: &mut Criterion) {
    let rng = &mut StdRng::seed_from_u64(1);
    let (laptop, phone) = (setup("laptop", rng), setup("phone", rng));
    c.bench_function("pair by QR, both machines", |b| b.iter(|| pair(&laptop, &phone, rng)));

    let rng = &mut StdRng::seed_from_u64(2);
    let initiator = Initiator::start(laptop.clone(), options(), NOW, rng);
    let text = initiator.code().unwrap().to_string();
    c.bench_function("parse a code", |b| b.iter(|| Code::parse(black_box(&text)).unwrap()));
    c.bench_function("draw a code", |b| {
        b.iter(|| Initiator::start(black_box(laptop.clone()), options(), NOW, rng))
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
