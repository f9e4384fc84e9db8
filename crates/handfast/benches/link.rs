//! What a change costs over a link of 100 ms: round trips on the critical path, requests and bytes,
//! at every type of provider.
//!
//! `cargo bench -p handfast --bench link`; the profile hardly matters, the link does.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, missing_docs)]

#[allow(dead_code, reason = "not every measurement needs everything")]
#[path = "../tests/device/home.rs"]
mod home;

use std::time::{Duration, Instant};

use handfast::{
    Device, DeviceName, DeviceOptions, Event, Http, KeyStore, ProviderConfig, RecordId,
};
use handfast_doubles::{Double, Network, delegated, kubo, pinata, web3_storage};
use handfast_providers::Provider;
use handfast_providers::conformance::random_block;

/// A round trip.
const LINK: Duration = Duration::from_millis(100);

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for kind in ["pinata", "infura", "web3storage", "self-hosted"] {
            edit(kind).await;
        }
        for kind in ["pinata", "infura", "web3storage", "self-hosted"] {
            upload(kind).await;
        }
    });
}

async fn service(kind: &str, router: &Double, network: &Network) -> (Double, ProviderConfig) {
    let (id, secret) = kubo::PROJECT;
    let (double, credentials) = match kind {
        "pinata" => (pinata::start(network).await, format!(r#""apiKey":"{}""#, pinata::JWT)),
        "infura" => (
            kubo::start_infura(network).await,
            format!(r#""projectId":"{id}","projectSecret":"{secret}""#),
        ),
        "web3storage" => {
            (web3_storage::start(network).await, format!(r#""token":"{}""#, web3_storage::TOKEN))
        }
        _ => (kubo::start(network).await, format!(r#""authToken":"{}""#, kubo::TOKEN)),
    };
    let double = double.unwrap();
    let (at, router) = (&double.url, &router.url);
    let json = format!(
        r#"{{"type":"{kind}",{credentials},"endpoint":"{at}","nameRouters":["{router}"]}}"#
    );
    (double, serde_json::from_str(&json).unwrap())
}

/// Ten records are changed on one device, and read on the other.
async fn edit(kind: &str) {
    let (network, dir) = (Network::new(), tempfile::tempdir().unwrap());
    let router = delegated::start(&network).await.unwrap();
    let (double, config) = service(kind, &router, &network).await;
    let device = |name: &str| {
        let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
        Device::create(dir.path().join(name), DeviceName::new(name).unwrap(), options).unwrap()
    };
    let (a, b) = (device("a"), device("b"));
    a.set_provider(&config).unwrap();
    let change = |number: &str| {
        for record in 0..10 {
            let id = RecordId::from_bytes([record; 16]);
            a.records("notes").unwrap().set(&id, "text", home::text(number)).unwrap();
        }
    };
    change("one");
    home::pair(&a, &b).await;
    for device in [&a, &b, &a, &b] {
        device.sync().await.unwrap();
    }
    change("two");
    for control in [&double.control, &router.control] {
        control.delay(LINK);
    }
    println!("{kind}: ten records are changed");
    measure("the writer", &a, &[&double, &router]).await;
    measure("the reader", &b, &[&double, &router]).await;
    measure("no news", &b, &[&double, &router]).await;
}

async fn measure(what: &str, device: &Device, doubles: &[&Double]) {
    for double in doubles {
        double.control.forget();
    }
    let (start, before) = (Instant::now(), device.traffic());
    let mut events = device.events();
    let round = device.sync();
    tokio::pin!(round);
    let mut reached = Vec::new();
    loop {
        tokio::select! {
            Some(event) = events.next() => match event {
                Event::Published { .. } => reached.push(("published", start.elapsed())),
                Event::RecordsChanged { .. } => reached.push(("readable", start.elapsed())),
                _ => {}
            },
            report = &mut round => break drop(report.unwrap()),
        }
    }
    let (took, traffic) = (start.elapsed(), device.traffic().since(before));
    let trips = |took: Duration| took.as_secs_f64() / LINK.as_secs_f64();
    for (what, took) in reached {
        println!("{what}: {:.1} round trips ({} ms)", trips(took), took.as_millis());
    }
    println!(
        "{what}: the round takes {:.1} round trips ({} ms), {} requests, {} B sent, {} B received",
        trips(took),
        took.as_millis(),
        traffic.requests,
        traffic.sent,
        traffic.received,
    );
    for double in doubles {
        for line in double.control.seen() {
            println!("      {}", line.chars().take(60).collect::<String>());
        }
    }
}

/// Sixty-four full blocks are uploaded.
async fn upload(kind: &str) {
    let network = Network::new();
    let router = delegated::start(&network).await.unwrap();
    let (double, config) = service(kind, &router, &network).await;
    let provider = Provider::from_config(&config, &Http::new().unwrap()).unwrap();
    let blocks: Vec<_> = (0..64).map(|_| random_block(250_000).unwrap()).collect();
    double.control.delay(LINK);
    let start = Instant::now();
    provider.blocks.put_all(&blocks).await.unwrap();
    let requests = double.control.seen().len();
    println!(
        "{kind}: 64 blocks of 250 kB in {} ms, {requests} requests",
        start.elapsed().as_millis()
    );
}
