//! Many connections one after the other, and what is left of them.

use std::time::Instant;

use handfast_swarm::SwarmEvent;
use handfast_swarm::testnet::Testnet;

use crate::cases::{say_back, swarm};

/// Descriptors and memory (KiB) of this process.
fn held() -> (usize, u64) {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    (files, line.split_whitespace().nth(1).unwrap().parse().unwrap())
}

pub async fn run(count: usize) {
    let net = Testnet::new(10).await.unwrap();
    let (server, mut events) = swarm(&net.bootstrap()).await;
    // Events that nobody reads would be kept.
    let client = swarm(&net.bootstrap()).await.0;
    server.listen();
    server.listening().await;
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let SwarmEvent::Connected(connection) = event {
                tokio::spawn(say_back(connection));
            }
        }
    });
    let metrics = tokio::runtime::Handle::current().metrics();
    let mut before = (held(), metrics.num_alive_tasks());
    let start = Instant::now();
    let mut took = Vec::with_capacity(count);
    for round in 0..count {
        let since = Instant::now();
        let connection = client.connect(server.public_key()).await.unwrap();
        let mut channel = connection.mux().open("echo", None, b"").unwrap();
        channel.send(0, b"ping").await.unwrap();
        assert_eq!(channel.recv().await.unwrap().bytes, "ping");
        took.push(since.elapsed());
        if round % 2 == 0 {
            connection.close()
        } else {
            server.connections()[0].close()
        }
        connection.closed().await;
        while at_client_is_connected(&client, &server) {
            tokio::task::yield_now().await;
        }
        while !server.connections().is_empty() {
            tokio::task::yield_now().await;
        }
        if round == count / 10 {
            before = (held(), metrics.num_alive_tasks());
        }
    }
    took.sort();
    println!(
        "{count} connections in {:.1?}: connect and one word said back, median {:.1?}, worst {:.1?}",
        start.elapsed(),
        took[count / 2],
        took[count - 1]
    );
    // Handshakes are remembered for 20 seconds, ends for three.
    let settled = async {
        while metrics.num_alive_tasks() > before.1 + 8 {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(30), settled).await;
    let after = (held(), metrics.num_alive_tasks());
    println!("descriptors {} → {}", before.0.0, after.0.0);
    println!("tasks       {} → {}", before.1, after.1);
    println!("memory      {} → {} KiB", before.0.1, after.0.1);
    assert!(after.0.0 <= before.0.0 + 4, "descriptors leak");
    assert!(after.1 <= before.1 + 8, "tasks leak");
    assert!(after.0.1 <= before.0.1 + 8 * 1024, "memory leaks");
    client.close().await;
    server.close().await;
    net.close().await;
}

fn at_client_is_connected(client: &handfast_swarm::Swarm, server: &handfast_swarm::Swarm) -> bool {
    client.connection(&server.public_key()).is_some()
}
