//! Which network devices meet on when they are online together.

use std::net::Ipv4Addr;

use clap::ValueEnum;
use handfast::{Bootstrap, Device, Online, SwarmOptions};
use handfast_swarm::{ConnectError, PublicKey};

use crate::hex;
use crate::report::{CliError, Report};

/// Where a node of one's own is unless it is told otherwise.
pub const LOCAL_NODE: &str = "127.0.0.1:49737";

/// What the command line says of the network.
#[derive(Debug, Clone, clap::Args)]
pub struct Network {
    /// The network on which devices that are online together meet: none, that of a node on this
    /// machine (`handfast dht`), or the public one
    #[arg(
        long,
        value_name = "NETWORK",
        default_value = "public",
        env = "HANDFAST_DHT",
        hide_env_values = true,
        help_heading = "Network"
    )]
    dht: Dht,
    /// A node of the network to begin with, instead of the usual ones; may be given several times
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "HANDFAST_BOOTSTRAP",
        hide_env_values = true,
        value_delimiter = ',',
        help_heading = "Network"
    )]
    bootstrap: Vec<String>,
    /// The key of a relay of one's own (`handfast dht --relay`), which passes on what no direct path
    /// opens to; it is offered to others only where there is none
    #[arg(
        long,
        value_name = "KEY",
        env = "HANDFAST_RELAY",
        hide_env_values = true,
        value_parser = relay,
        help_heading = "Network"
    )]
    relay: Option<PublicKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dht {
    Off,
    Local,
    Public,
}

impl Network {
    /// How to go online, where there is nothing to be done without.
    pub fn needed(&self) -> Result<SwarmOptions, CliError> {
        self.options()?.ok_or_else(|| {
            CliError::usage(
                "an invite is answered over the network, which --dht off keeps away from",
            )
            .hint("--dht public is Hyperswarm's, --dht local that of `handfast dht` here.")
        })
    }

    /// Goes online, where there is nothing to be done without.
    pub async fn go_online(&self, device: &Device, report: &Report) -> Result<Online, CliError> {
        let online = device.go_online(self.needed()?).await?;
        if !online.is_reachable().await {
            warn_of_silence(report);
        }
        Ok(online)
    }

    /// How to go online; `None` if this device is to stay off the network.
    pub fn options(&self) -> Result<Option<SwarmOptions>, CliError> {
        for node in &self.bootstrap {
            is_node(node)?;
        }
        let mut options = match (self.dht, self.bootstrap.as_slice()) {
            (Dht::Off, _) => return Ok(None),
            (Dht::Local, []) => local(vec![LOCAL_NODE.to_owned()]),
            (Dht::Local, nodes) => local(nodes.to_owned()),
            (Dht::Public, []) => SwarmOptions::new(Bootstrap::Public),
            (Dht::Public, nodes) => SwarmOptions::new(Bootstrap::Nodes(nodes.to_owned())),
        };
        options.relay = self.relay;
        Ok(Some(options))
    }
}

/// Says that nobody can be found now.
pub fn warn_of_silence(report: &Report) {
    report.warn(
        "no node of the network answers; it goes on trying. Look at the connection, --dht and \
         --bootstrap",
    );
}

fn relay(text: &str) -> Result<PublicKey, String> {
    let wrong = || "a relay's key is 64 hex digits; `handfast dht --relay` prints it".to_owned();
    hex::key(text.trim()).map(PublicKey).ok_or_else(wrong)
}

/// Why nobody is reached directly, and what helps; nothing where that passes.
pub fn no_road(reason: &ConnectError) -> Option<String> {
    let helps = match reason {
        ConnectError::SymmetricNat | ConnectError::NoPath => {
            "a relay of one's own does: `handfast dht --relay` on a host that both reach, and its key \
             with --relay on the side that has such a NAT, or on both"
        }
        ConnectError::Relay => "look whether the relay runs, and whether --relay names it",
        _ => return None,
    };
    Some(format!(
        "{reason}. What goes over the DHT goes on, more slowly. For a direct road, {helps}"
    ))
}

/// Refuses what names no node.
pub fn is_node(node: &str) -> Result<(), CliError> {
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    match node.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && is_port(port) => Ok(()),
        _ => Err(CliError::usage(format!("{node:?} is no node: it must be HOST:PORT"))),
    }
}

fn local(nodes: Vec<String>) -> SwarmOptions {
    SwarmOptions { host: Ipv4Addr::LOCALHOST, ..SwarmOptions::new(Bootstrap::Nodes(nodes)) }
}
