//! Our peers among JavaScript's: every case is played with `interop/swarm/peer.mjs`, a process that
//! does what it is told.
//!
//! ```text
//! swarm_peer PEER.mjs HOST:PORT…      on the network of these nodes
//! swarm_peer PEER.mjs                 on a network of our own nodes
//! swarm_peer --soak COUNT             so many connections among our own, and what they left behind
//! ```

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a case that fails stops the program"
)]

mod cases;
mod peer;
mod soak;

use handfast_swarm::Bootstrap;
use handfast_swarm::testnet::Testnet;

#[tokio::main]
async fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--soak") {
        soak::run(arguments[1].parse().unwrap()).await;
        return;
    }
    let script = arguments.remove(0);
    let net = if arguments.is_empty() { Some(Testnet::new(10).await.unwrap()) } else { None };
    let bootstrap = net.as_ref().map_or(Bootstrap::Nodes(arguments), Testnet::bootstrap);
    cases::run(&script, &bootstrap).await;
    if let Some(net) = net {
        net.close().await;
    }
}
