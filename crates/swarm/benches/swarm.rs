//! What meeting, talking and waiting cost, on this machine and over ten nodes of our own; beside it
//! npm `hyperswarm`, if `interop/swarm/node_modules` is there.
//!
//!     cargo bench -p handfast-swarm --bench swarm

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a measurement that fails stops"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use handfast_swarm::testnet::Testnet;
use handfast_swarm::{
    Bootstrap, Channel, Connection, Events, JoinOptions, Swarm, SwarmEvent, SwarmOptions, Topic,
};
use tokio::task::JoinSet;

const DIALS: usize = 100;
const WORDS: usize = 300;
const IDLE: Duration = Duration::from_secs(20);
const CHUNK: usize = 64 * 1024;
const PER_LANE: usize = 4 * 1024 * 1024;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--idle") {
        idle(&arguments[at + 1], arguments[at + 2].parse().unwrap()).await;
        return;
    }
    let net = Testnet::new(10).await.unwrap();
    dials(&net).await;
    talk(&net).await;
    let node = net.nodes()[0].address().to_string();
    for topics in ["1", "1000"] {
        let itself = std::env::current_exe().unwrap();
        let child = tokio::process::Command::new(itself).args(["--idle", &node, topics]).status();
        assert!(child.await.unwrap().success());
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/swarm/figures.mjs");
    let there = concat!(env!("CARGO_MANIFEST_DIR"), "/../../interop/swarm/node_modules");
    if std::path::Path::new(there).exists() {
        let js = Command::new("node").args([script, &node]).stdin(Stdio::null()).status();
        assert!(js.unwrap().success());
    }
    net.close().await;
}

async fn pair(net: &Testnet) -> (Swarm, Events, Swarm) {
    let server = Swarm::new(SwarmOptions::new(net.bootstrap())).await.unwrap();
    let events = server.subscribe();
    server.listen();
    server.listening().await;
    (server, events, Swarm::new(SwarmOptions::new(net.bootstrap())).await.unwrap())
}

async fn connected(events: &mut Events) -> Connection {
    loop {
        if let SwarmEvent::Connected(connection) = events.next().await.unwrap() {
            return connection;
        }
    }
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1e3;
    println!("Rust  {what:<44} median {:.2} ms, 95 % {:.2} ms", at(50), at(95));
}

async fn dials(net: &Testnet) {
    let (server, mut events, client) = pair(net).await;
    let mut took = Vec::new();
    for _ in 0..DIALS {
        let start = Instant::now();
        let connection = client.connect(server.public_key()).await.unwrap();
        took.push(start.elapsed());
        connected(&mut events).await.closed_by(&connection).await;
    }
    report("dial", took);
    client.close().await;
    server.close().await;
}

trait ClosedBy {
    async fn closed_by(&self, other: &Connection);
}

impl ClosedBy for Connection {
    async fn closed_by(&self, other: &Connection) {
        other.close();
        self.closed().await;
    }
}

async fn talk(net: &Testnet) {
    let (server, mut events, client) = pair(net).await;
    let near = client.connect(server.public_key()).await.unwrap();
    let far = connected(&mut events).await;
    let mut ping = near.mux().open("ping", None, b"").unwrap();
    let mut pong = far.mux().open("ping", None, b"").unwrap();
    tokio::spawn(async move {
        while let Some(word) = pong.recv().await {
            if pong.send(0, &word.bytes).await.is_err() {
                break;
            }
        }
    });
    report("200 bytes there and back", words(&mut ping, WORDS).await);
    for count in [1, 4, 8, 16] {
        let mut far_lanes = Vec::with_capacity(count);
        let accept = async {
            for _ in 0..count {
                far_lanes.push(far.accept_lane().await.unwrap());
            }
        };
        let (lanes, ()) = tokio::join!(near.lanes(count), accept);
        let lanes = lanes.unwrap();
        let start = Instant::now();
        let mut ends = JoinSet::new();
        for lane in far_lanes {
            ends.spawn(async move {
                let mut bulk = lane.mux().open("bulk", None, b"").unwrap();
                let mut got = 0;
                while got < PER_LANE {
                    got += bulk.recv().await.unwrap().bytes.len();
                }
            });
        }
        for lane in &lanes {
            let lane = lane.clone();
            ends.spawn(async move {
                let bulk = lane.mux().open("bulk", None, b"").unwrap();
                for _ in 0..PER_LANE / CHUNK {
                    bulk.send(0, &[7; CHUNK]).await.unwrap();
                }
                lane.closed().await;
            });
        }
        let beside = words(&mut ping, 50).await;
        for _ in 0..count {
            ends.join_next().await.unwrap().unwrap();
        }
        let rate = (count * PER_LANE) as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("Rust  bulk over {count:>2} lanes {rate:>34.1} MB/s");
        report("  200 bytes beside it", beside);
        lanes.iter().for_each(Connection::close);
        while ends.join_next().await.is_some() {}
    }
    client.close().await;
    server.close().await;
}

async fn words(channel: &mut Channel, count: usize) -> Vec<Duration> {
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        channel.send(0, &[1; 200]).await.unwrap();
        channel.recv().await.unwrap();
        took.push(start.elapsed());
    }
    took
}

/// A swarm that waits; what it holds and burns.
async fn idle(node: &str, topics: usize) {
    let swarm = Swarm::new(SwarmOptions::new(Bootstrap::Nodes(vec![node.to_owned()])));
    let swarm = swarm.await.unwrap();
    let announce = JoinOptions { announce: true, lookup: false };
    let mut joined = Vec::new();
    for number in 0..topics {
        let mut topic = [0; 32];
        topic[..8].copy_from_slice(&number.to_le_bytes());
        joined.push(swarm.join(Topic(topic), announce).unwrap());
    }
    for discovery in &joined {
        discovery.flushed().await;
    }
    let before = burnt();
    tokio::time::sleep(IDLE).await;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let resident: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!(
        "Rust  idle with {topics:>4} topics {:>25.1} MB resident, {} ms of CPU in {} s",
        resident / 1024.0,
        (burnt() - before) * 10,
        IDLE.as_secs()
    );
    std::process::exit(0);
}

/// In clock ticks, a hundredth of a second each.
fn burnt() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
