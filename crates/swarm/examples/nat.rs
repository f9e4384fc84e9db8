//! What `interop/nat/run` starts in its network namespaces.
//!
//! ```text
//! nat nodes HOST COUNT              nodes at HOST; says HOST:PORT of the first, and a relay's key
//! nat serve HOST:PORT [RELAY]       a peer; says its key
//! nat dial HOST:PORT KEY [SECONDS]  dials it, has a word said back, once more after so long
//! nat put HOST:PORT SEED WORD       stores a word and announces its key
//! nat get HOST:PORT SEED            says the word, and who announces
//! ```
//!
//! `nodes` and `serve` run until their input ends.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a script that checks what it prints"
)]

use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use handfast_swarm::testnet::{Service, ServiceOptions};
use handfast_swarm::{
    Bootstrap, ConnectError, Connection, Dht, DhtOptions, KeyPair, PublicKey, Swarm, SwarmEvent,
    SwarmOptions, Topic,
};
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, at, rest @ ..] = arguments.as_slice() else { return };
    match mode.as_str() {
        "nodes" => nodes(at, rest[0].parse().unwrap()).await,
        "serve" => serve(at, rest.first()).await,
        "dial" => dial(at, key(&rest[0]), rest.get(1).map(|rest| rest.parse().unwrap())).await,
        "put" => put(at, &rest[0], &rest[1]).await,
        _ => get(at, &rest[0]).await,
    }
}

async fn until_input_ends() {
    // What is typed does not matter.
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
}

fn bytes(hex: &str) -> [u8; 32] {
    HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
}

fn key(hex: &str) -> PublicKey {
    PublicKey(bytes(hex))
}

fn bootstrap(node: &str) -> Bootstrap {
    Bootstrap::Nodes(vec![node.to_owned()])
}

async fn nodes(host: &str, count: usize) {
    let mut nodes: Vec<Service> = Vec::new();
    for number in 0..count {
        let options = ServiceOptions {
            host: host.parse().unwrap(),
            port: 0,
            bootstrap: nodes.first().map(|first| first.address().to_string()).into_iter().collect(),
            relay: (number + 1 == count).then(KeyPair::generate),
        };
        nodes.push(Service::start(options).await.unwrap());
    }
    let relay = nodes.last().and_then(Service::relay).unwrap();
    println!("{} {relay}", nodes[0].address());
    until_input_ends().await;
}

async fn serve(node: &str, relay: Option<&String>) {
    let mut options = SwarmOptions::new(bootstrap(node));
    options.relay = relay.map(|relay| key(relay));
    let swarm = Swarm::new(options).await.unwrap();
    let mut events = swarm.subscribe();
    swarm.listen();
    swarm.listening().await;
    println!("{}", swarm.public_key());
    let serving = async {
        while let Some(event) = events.next().await {
            if let SwarmEvent::Connected(connection) = event {
                tokio::spawn(say_back(connection));
            }
        }
    };
    tokio::select! {
        () = serving => {}
        () = until_input_ends() => {}
    }
    swarm.close().await;
}

async fn say_back(connection: Connection) {
    let mut listener = connection.mux().listen("echo", None);
    while let Some(offer) = listener.next().await {
        let mut channel = offer.accept(b"").unwrap();
        while let Some(message) = channel.recv().await {
            if channel.send(message.kind, &message.bytes).await.is_err() {
                break;
            }
        }
    }
}

async fn dial(node: &str, peer: PublicKey, idle: Option<u64>) {
    let swarm = Swarm::new(SwarmOptions::new(bootstrap(node))).await.unwrap();
    let start = Instant::now();
    let said = talk(&swarm, peer, idle).await;
    match said {
        Ok(first) => println!("ok {} ms", first.as_millis()),
        Err(reason) => println!("failed {} ms: {reason}", start.elapsed().as_millis()),
    }
    swarm.close().await;
}

/// How long the first word took to come back.
async fn talk(swarm: &Swarm, peer: PublicKey, idle: Option<u64>) -> Result<Duration, ConnectError> {
    let start = Instant::now();
    let connection = swarm.connect(peer).await?;
    let mut channel =
        connection.mux().open("echo", None, b"").map_err(|_| ConnectError::Refused)?;
    let mut words = vec![Duration::ZERO];
    words.extend(idle.map(Duration::from_secs));
    let mut first = None;
    for wait in words {
        tokio::time::sleep(wait).await;
        channel.send(0, b"word").await.map_err(|_| ConnectError::NoPath)?;
        channel.recv().await.ok_or(ConnectError::NoPath)?;
        first.get_or_insert(start.elapsed());
    }
    connection.close();
    Ok(first.unwrap_or_default())
}

async fn put(node: &str, seed: &str, word: &str) {
    let dht = Dht::new(DhtOptions::new(bootstrap(node))).await.unwrap();
    let keys = KeyPair::from_seed(bytes(seed));
    let stored = dht.mutable_put(&keys, 1, word.as_bytes()).await.unwrap();
    dht.announce(Topic(bytes(seed)), &keys).await.unwrap();
    println!("stored {}", stored.nodes);
}

async fn get(node: &str, seed: &str) {
    let dht = Dht::new(DhtOptions::new(bootstrap(node))).await.unwrap();
    let keys = KeyPair::from_seed(bytes(seed));
    let found = dht.mutable_get(&keys.public_key(), 0).await.unwrap().unwrap();
    let peers = dht.lookup(Topic(bytes(seed))).await.unwrap();
    println!("{} {}", String::from_utf8(found.value).unwrap(), peers.len());
}
