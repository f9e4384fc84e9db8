//! Starts a double of every service on one network, prints their addresses and credentials as one
//! line of JSON, and runs until standard input is closed.
#![allow(clippy::print_stdout, reason = "whoever started it reads the addresses")]

use std::io::Read;

use handfast_doubles::{Network, delegated, gateway, kubo, pinata, w3name, web3_storage};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let network = Network::new();
    let pinata = pinata::start(&network).await?;
    let kubo = kubo::start(&network).await?;
    let infura = kubo::start_infura(&network).await?;
    let web3_storage = web3_storage::start(&network).await?;
    let w3name = w3name::start(&network).await?;
    let delegated = delegated::start(&network).await?;
    let gateway = gateway::start(&network).await?;
    let (id, secret) = kubo::PROJECT;
    println!(
        "{}",
        serde_json::json!({
            "pinata": { "url": pinata.url, "jwt": pinata::JWT },
            "kubo": { "url": kubo.url, "token": kubo::TOKEN },
            "infura": { "url": infura.url, "id": id, "secret": secret },
            "web3storage": { "url": web3_storage.url, "token": web3_storage::TOKEN },
            "w3name": { "url": w3name.url },
            "delegated": { "url": delegated.url },
            "gateway": { "url": gateway.url },
        })
    );
    let mut rest = Vec::new();
    tokio::task::spawn_blocking(move || std::io::stdin().read_to_end(&mut rest)).await??;
    Ok(())
}
