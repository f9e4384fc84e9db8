//! `handfast dht`: runs a node of a network of one's own.

use std::net::SocketAddrV4;

use handfast_swarm::KeyPair;
use handfast_swarm::testnet::{Service, ServiceOptions};
use serde_json::json;

use crate::network::{LOCAL_NODE, is_node};
use crate::prompt::Interrupt;
use crate::report::{CliError, Exit, Report};

/// What to run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Devices find each other by such nodes when they are online together. On the public network there are
enough of them; in a closed one somebody has to run some. A node sees who looks for whom, by keys
that mean nothing to it, and nothing of what is said.

Examples:
  handfast dht                                       for the devices of this machine
  handfast dht --listen 192.168.1.5:49737            for those of a network
  handfast dht --listen 192.168.1.6:49737 --bootstrap 192.168.1.5:49737
  handfast sync --watch --bootstrap 192.168.1.5:49737")]
pub struct Args {
    /// The address to listen at, which others reach it under; port 0 is any that is free
    #[arg(long, value_name = "ADDR", default_value = LOCAL_NODE)]
    listen: SocketAddrV4,
    /// Another node of the same network; may be given several times
    #[arg(long, value_name = "HOST:PORT")]
    bootstrap: Vec<String>,
    /// Also pass on what devices say whom no direct path opens to; it sees nothing of it
    #[arg(long)]
    relay: bool,
}

/// Runs it until it is stopped.
pub async fn run(args: Args, report: &Report) -> Result<(), CliError> {
    for node in &args.bootstrap {
        is_node(node)?;
    }
    let mut interrupt = Interrupt::listen()?;
    let service = Service::start(ServiceOptions {
        host: *args.listen.ip(),
        port: args.listen.port(),
        bootstrap: args.bootstrap,
        relay: args.relay.then(KeyPair::generate),
    })
    .await
    .map_err(|error| {
        CliError::new("listen", Exit::Other, format!("cannot listen at {}: {error}", args.listen))
            .hint("Choose another address or port with --listen.")
    })?;
    let (address, relay) = (service.address(), service.relay());
    report.say(format_args!("Listening at {}", report.ink().bold(address)))?;
    report.say(format_args!("On a device:\n  handfast sync --watch --bootstrap {address}"))?;
    if let Some(relay) = relay {
        report.say(format_args!(
            "It relays under the key\n  {relay}\nOn a device that no direct path leads to:\n  \
             handfast sync --watch --bootstrap {address} --relay {relay}"
        ))?;
    }
    report.json(json!({
        "type": "listening",
        "address": address.to_string(),
        "relay": relay.map(|key| key.to_string()),
    }))?;
    interrupt.next().await;
    service.close().await;
    report.say("Stopped.")?;
    report.json(json!({ "type": "stopped" }))
}
