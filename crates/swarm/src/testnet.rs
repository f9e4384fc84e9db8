//! Nodes for a network of one's own: for tests on one machine, and for closed networks.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use peeroxide_dht::relay_service::{RelayServiceConfig, run_relay_server};
use tokio::task::AbortHandle;

use crate::dht::{Bootstrap, Dht, DhtError, DhtOptions, Node};
use crate::key::{KeyPair, PublicKey};

/// How a lasting node is started.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// The address under which others reach it.
    pub host: Ipv4Addr,
    /// The port; 0: any.
    pub port: u16,
    /// Other nodes of the network; none: it is the first.
    pub bootstrap: Vec<String>,
    /// With keys, it is a blind relay too, under their public key.
    pub relay: Option<KeyPair>,
}

/// A node that others meet at and that keeps their records.
pub struct Service {
    dht: Dht,
    address: SocketAddrV4,
    relay: Option<(PublicKey, AbortHandle)>,
}

impl Service {
    /// Starts the node.
    ///
    /// # Errors
    /// [`DhtError`] if the socket cannot be bound or a bootstrap address cannot be read.
    pub async fn start(options: ServiceOptions) -> Result<Self, DhtError> {
        let dht_options = DhtOptions {
            bootstrap: Bootstrap::Nodes(options.bootstrap),
            host: options.host,
            port: options.port,
            serves: true,
        };
        let (node, server) = Node::start(&dht_options).await?;
        let address = SocketAddrV4::new(options.host, node.port().await?);
        let relay = options.relay.map(|keys| {
            let handle = node.handle().clone();
            let config = RelayServiceConfig::default();
            let (_, task) =
                run_relay_server(node.runtime().handle(), handle, keys.to_dht(), server, config);
            (keys.public_key(), task.abort_handle())
        });
        Ok(Self { dht: Dht::of(Arc::new(node)), address, relay })
    }

    /// Where others reach it: `HOST:PORT` is an entry of [`Bootstrap::Nodes`].
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// The key of its relay, if it is one.
    pub fn relay(&self) -> Option<PublicKey> {
        self.relay.as_ref().map(|(key, _)| *key)
    }

    /// The network as this node sees it.
    pub fn dht(&self) -> &Dht {
        &self.dht
    }

    /// Ends the node.
    pub async fn close(&self) {
        if let Some((_, task)) = &self.relay {
            task.abort();
        }
        self.dht.close().await;
    }
}

/// Nodes on this machine, on free ports.
pub struct Testnet {
    nodes: Vec<Service>,
}

impl Testnet {
    /// Starts that many nodes; ten are what the algorithms of the DHT are at home with.
    ///
    /// # Errors
    /// [`DhtError`] if a socket cannot be bound.
    pub async fn new(count: usize) -> Result<Self, DhtError> {
        let mut nodes: Vec<Service> = Vec::with_capacity(count);
        for _ in 0..count {
            let bootstrap = nodes.first().map(|first| first.address().to_string());
            let options = ServiceOptions {
                host: Ipv4Addr::LOCALHOST,
                port: 0,
                bootstrap: bootstrap.into_iter().collect(),
                relay: None,
            };
            nodes.push(Service::start(options).await?);
        }
        Ok(Self { nodes })
    }

    /// How a swarm meets this network.
    pub fn bootstrap(&self) -> Bootstrap {
        let nodes = self.nodes.iter().take(3).map(|node| node.address().to_string());
        Bootstrap::Nodes(nodes.collect())
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Service] {
        &self.nodes
    }

    /// Ends all nodes.
    pub async fn close(&self) {
        for node in &self.nodes {
            node.close().await;
        }
    }
}
