//! One node: its sockets, its task, and what was asked of it.

use std::net::Ipv4Addr;
use std::time::Duration;

use libudx::{UdxRuntime, UdxSocket};
use peeroxide_dht::hyperdht::{self, HyperDhtConfig, HyperDhtHandle, ServerEvent};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::DhtError;

/// How long the first contact with the network may hold up whoever starts a node.
const FIRST_CONTACT: Duration = Duration::from_secs(5);

/// Where a node meets the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bootstrap {
    /// The public nodes of Hyperswarm.
    Public,
    /// These nodes, `HOST:PORT` each; none: a network of one's own.
    Nodes(Vec<String>),
}

/// How a node is started.
#[derive(Debug, Clone)]
pub struct DhtOptions {
    /// Where it meets the network.
    pub bootstrap: Bootstrap,
    /// The address that its sockets are bound to.
    pub host: Ipv4Addr,
    /// The port; 0: any.
    pub port: u16,
    /// Whether it serves other people's records from the start, for which it must be reachable under
    /// `host`. Otherwise it does so only once the network has found it reachable and lasting.
    pub serves: bool,
}

impl DhtOptions {
    /// A client of the network, on any port of every interface.
    pub fn new(bootstrap: Bootstrap) -> Self {
        Self { bootstrap, host: Ipv4Addr::UNSPECIFIED, port: 0, serves: false }
    }
}

/// What other nodes ask of this one as a peer: handshakes and hole punching.
pub(crate) type Server = mpsc::UnboundedReceiver<ServerEvent>;

/// A running node.
pub(crate) struct Node {
    handle: HyperDhtHandle,
    runtime: UdxRuntime,
}

impl Node {
    pub(crate) async fn start(options: &DhtOptions) -> Result<(Self, Server), DhtError> {
        let mut config = match &options.bootstrap {
            Bootstrap::Public => HyperDhtConfig::with_public_bootstrap(),
            Bootstrap::Nodes(nodes) => {
                let mut config = HyperDhtConfig::default();
                for node in nodes {
                    config.dht.bootstrap.push(resolve(node).await?);
                }
                config
            }
        };
        config.dht.host = options.host.to_string();
        config.dht.port = options.port;
        if options.serves {
            config.dht.ephemeral = Some(false);
            config.dht.firewalled = false;
        }
        let runtime = UdxRuntime::new().map_err(|error| DhtError::Bind(error.to_string()))?;
        // The node's task ends with [`Self::close`].
        let (_task, handle, server) = hyperdht::spawn(&runtime, config)
            .await
            .map_err(|error| DhtError::Bind(error.to_string()))?;
        // Without an answer the node keeps trying, and what is asked of it fails meanwhile.
        let _ = timeout(FIRST_CONTACT, handle.bootstrapped()).await;
        Ok((Self { handle, runtime }, server))
    }

    pub(crate) fn handle(&self) -> &HyperDhtHandle {
        &self.handle
    }

    pub(crate) fn runtime(&self) -> &UdxRuntime {
        &self.runtime
    }

    pub(crate) async fn port(&self) -> Result<u16, DhtError> {
        Ok(self.handle.local_port().await?)
    }

    /// The socket that direct streams leave from and arrive at.
    pub(crate) async fn socket(&self) -> Result<UdxSocket, DhtError> {
        self.handle.server_socket().await?.ok_or(DhtError::Closed)
    }

    pub(crate) async fn close(&self) {
        // Closed already: as wanted.
        let _ = self.handle.destroy().await;
    }
}

/// The node reads addresses, not names.
async fn resolve(node: &str) -> Result<String, DhtError> {
    let unreadable = || DhtError::Bootstrap(node.to_owned());
    let mut found = tokio::net::lookup_host(node).await.map_err(|_| unreadable())?;
    let address = found.find(std::net::SocketAddr::is_ipv4).ok_or_else(unreadable)?;
    Ok(address.to_string())
}
