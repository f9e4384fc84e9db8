//! Devices that are online together, over a DHT of their own on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod home;

use std::net::Ipv4Addr;

use handfast::{Device, Event, Events, Online, SwarmOptions};
use handfast_swarm::testnet::Testnet;
use home::{PATIENCE, World, pair};

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
