//! Devices that are online together, over a DHT of their own on loopback.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::home::{PATIENCE, World, pair};
use handfast::{Device, Event, Events, Online, SwarmOptions};
use handfast_swarm::testnet::Testnet;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

async fn online(device: &Device, net: &Testnet) -> Online {
    let options = SwarmOptions { host: Ipv4Addr::LOCALHOST, ..SwarmOptions::new(net.bootstrap()) };
    device.go_online(options).await.unwrap()
}

async fn until(events: &mut Events, mut what: impl FnMut(&Event) -> bool) {
    let found = async {
        loop {
            let event = events.next().await.unwrap();
            if what(&event) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_edited_on_one_is_on_the_other_without_the_provider() {
    let mut world = World::new().await;
    let net = Testnet::new(4).await.unwrap();
    let (a, b) = (world.device("a"), world.bare("b"));
    pair(&a, &b).await;
    let (mut seen_by_a, mut seen_by_b) = (a.events(), b.events());
    let _online = (online(&a, &net).await, online(&b, &net).await);
    until(&mut seen_by_a, |event| matches!(event, Event::Connected { .. })).await;
    until(&mut seen_by_b, |event| matches!(event, Event::Connected { .. })).await;

    world.stop_host().await;
    let _watch = (a.watch().unwrap(), b.watch().unwrap());
    a.records("notes").unwrap().put_key("milk", [("text", "milk")]).unwrap();
    until(&mut seen_by_b, |event| matches!(event, Event::RecordsChanged { .. })).await;
    assert_eq!(b.records("notes").unwrap().len().unwrap(), 1);
    b.records("notes").unwrap().put_key("bread", [("text", "bread")]).unwrap();
    until(&mut seen_by_a, |event| matches!(event, Event::RecordsChanged { .. })).await;
    assert_eq!(a.content_hash().unwrap(), b.content_hash().unwrap());
    net.close().await;
}

/// Takes connections at an address, and never says a word.
async fn say_nothing_at(address: String) -> JoinHandle<()> {
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            taken.push(connection);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_connected_does_not_wait_for_a_provider_that_says_nothing() {
    let mut world = World::new().await;
    let net = Testnet::new(4).await.unwrap();
    let (a, b) = (world.device("a"), world.bare("b"));
    pair(&a, &b).await;
    for device in [&a, &b] {
        device.sync().await.unwrap();
    }
    let (mut seen_by_a, mut seen_by_b) = (a.events(), b.events());
    let _online = (online(&a, &net).await, online(&b, &net).await);
    until(&mut seen_by_a, |event| matches!(event, Event::Connected { .. })).await;
    until(&mut seen_by_b, |event| matches!(event, Event::Connected { .. })).await;
    let address = world.host().url().trim_start_matches("http://").to_owned();
    world.stop_host().await;
    let silent = say_nothing_at(address).await;

    let _watch = (a.watch().unwrap(), b.watch().unwrap());
    // One request that is not answered takes longer than all of this may.
    let edits = async {
        for round in 0..5 {
            let record = format!("{round}");
            // The last is so much that it travels in blocks of its own.
            let text = if round == 4 { noise() } else { "milk".to_owned() };
            a.records("notes").unwrap().put_key(&record, [("text", &*text)]).unwrap();
            until(&mut seen_by_b, |event| matches!(event, Event::RecordsChanged { .. })).await;
            b.records("notes").unwrap().put_key(&record, [("by", "b")]).unwrap();
            until(&mut seen_by_a, |event| matches!(event, Event::RecordsChanged { .. })).await;
        }
    };
    tokio::time::timeout(UNANSWERED, edits).await.unwrap();
    assert_eq!(a.content_hash().unwrap(), b.content_hash().unwrap());
    silent.abort();
    net.close().await;
}

/// How long a request is waited for that is not answered.
const UNANSWERED: Duration = Duration::from_secs(30);

/// What does not compress.
fn noise() -> String {
    let part =
        |number: u64| handfast_keys::Label::STATE.hash([&number.to_be_bytes()[..]]).to_string();
    (0..1_000).map(part).collect()
}
