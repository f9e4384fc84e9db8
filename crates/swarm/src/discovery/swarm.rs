//! What an application holds of its swarm.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::events::{Events, SwarmEvent};
use super::joined::Discovery;
use super::manager::{Command, Manager};
use super::options::{JoinOptions, SwarmOptions};
use super::peers::Peers;
use super::reach::Reach;
use super::rounds::Rounds;
use super::shared::Shared;
use crate::connection::accept::Acceptor;
use crate::connection::dial::Dialler;
use crate::connection::relayed::RelayOffer;
use crate::connection::{ConnectError, Connection};
use crate::dht::{Dht, DhtError, DhtOptions, Node};
use crate::key::{KeyPair, PublicKey, Topic};

/// How long closing waits for announcements to be taken back and connections to end.
const CLOSE: Duration = Duration::from_secs(6);
/// What can go wrong with a swarm.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SwarmError {
    /// The DHT node cannot be started.
    #[error(transparent)]
    Dht(#[from] DhtError),
    /// The swarm is closed.
    #[error("the swarm is closed")]
    Closed,
}

/// A peer among peers: announces and looks up topics, dials and accepts, and stays connected with
/// those whom it met. Clones share it; [`Self::close`] ends it.
#[derive(Clone)]
pub struct Swarm {
    shared: Arc<Shared>,
    dht: Dht,
    node: Arc<Node>,
    keys: KeyPair,
}

impl Swarm {
    /// Starts a swarm. Being offline is no error: it goes on trying.
    ///
    /// # Errors
    /// [`SwarmError::Dht`] if the socket cannot be bound or a bootstrap address cannot be read.
    pub async fn new(options: SwarmOptions) -> Result<Self, SwarmError> {
        let mut dht_options = DhtOptions::new(options.bootstrap);
        dht_options.host = options.host;
        let (node, server) = Node::start(&dht_options).await?;
        let node = Arc::new(node);
        let (commands, receiver) = mpsc::unbounded_channel();
        let (accepted, arrivals) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(commands));
        let opening = shared.clone();
        let dialler = Dialler {
            node: node.clone(),
            keys: options.keys.clone(),
            tasks: shared.tasks.clone(),
            unread_limit: options.limits.unread,
            opening: Some(Arc::new(move |connection| {
                opening.tell(&SwarmEvent::Opening(connection.clone()));
            })),
        };
        let own = options.keys.public_key();
        let (gate, most) = (shared.clone(), options.limits.peers);
        let acceptor = Acceptor {
            dialler: dialler.clone(),
            gate: Arc::new(move |peer| *peer != own && gate.lets_in(peer, most)),
            relay: options.relay.map(RelayOffer::new),
            accepted,
            lost: shared.lost.clone(),
            announced: shared.announced.clone(),
            awake: shared.awake.subscribe(),
            over: shared.over.clone(),
        };
        let over = shared.over.clone();
        shared.tasks.spawn(async move { over.run_until_cancelled(acceptor.run(server)).await });
        let peers = Peers::new(own, options.limits, options.backoff);
        let manager = Manager::new(shared.clone(), dialler, peers);
        shared.tasks.spawn(manager.run(receiver, arrivals));
        let swarm = Self { shared, dht: Dht::of(node.clone()), node, keys: options.keys };
        let Self { shared, dht, node, keys } = swarm.clone();
        swarm.shared.tasks.spawn(Reach { shared, node, dht, keys }.run());
        let Self { shared, dht, keys, .. } = swarm.clone();
        swarm.shared.tasks.spawn(Rounds { shared, dht, keys }.run());
        Ok(swarm)
    }

    /// Who this side is.
    pub fn public_key(&self) -> PublicKey {
        self.keys.public_key()
    }

    /// The DHT, through the same node.
    pub fn dht(&self) -> &Dht {
        &self.dht
    }

    /// From now on tells what happens. A peer that is connected already is in [`Self::connections`].
    pub fn subscribe(&self) -> Events {
        self.shared.subscribers().add()
    }

    /// Makes this side reachable for peers that know its key, without announcing any topic. Joining a
    /// topic with `announce` does so too.
    pub fn listen(&self) {
        self.shared.listens.send_replace(true);
    }

    /// Waits until handshakes find their way to this side; needs [`Self::listen`] or a join before.
    pub async fn listening(&self) {
        let mut reachable = self.shared.reachable.subscribe();
        // The sender is in `self`.
        let _ = reachable.wait_for(|reachable| *reachable).await;
    }

    /// Joins a topic. It may be joined several times; it is announced and looked up as long as any
    /// of these wants it.
    ///
    /// # Errors
    /// [`SwarmError::Closed`].
    pub fn join(&self, topic: Topic, options: JoinOptions) -> Result<Discovery, SwarmError> {
        if self.shared.over.is_cancelled() {
            return Err(SwarmError::Closed);
        }
        if options.announce {
            self.listen();
        }
        let number = self.shared.change_topics(|topics, now| topics.join(topic, options, now));
        Ok(Discovery { shared: self.shared.clone(), topic, options, number, left: false })
    }

    /// Dials `peer` and stays connected with it, until [`Self::leave_peer`].
    pub fn join_peer(&self, peer: PublicKey) {
        let mut guests = self.shared.guests();
        if !guests.banned.contains(&peer) {
            guests.joined.insert(peer);
        }
        drop(guests);
        self.tell(Command::Join(peer));
    }

    /// Takes [`Self::join_peer`] back; a connection stays until it is closed.
    pub fn leave_peer(&self, peer: PublicKey) {
        self.shared.guests().joined.remove(&peer);
        self.tell(Command::Leave(peer));
    }

    /// The connection with `peer`: the live one, or one attempt to dial it now.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, peer: PublicKey) -> Result<Connection, ConnectError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Connect { peer, reply });
        answer.await.unwrap_or(Err(ConnectError::Offline))
    }

    /// All live connections, without their lanes.
    pub fn connections(&self) -> Vec<Connection> {
        let live = self.shared.live();
        live.values().filter(|connection| !connection.is_closed()).cloned().collect()
    }

    /// The live connection with `peer`.
    pub fn connection(&self, peer: &PublicKey) -> Option<Connection> {
        self.shared.live().get(peer).filter(|connection| !connection.is_closed()).cloned()
    }

    /// From now on `peer` is neither dialled nor let in; a connection with it is closed.
    pub fn ban(&self, peer: PublicKey) {
        let mut guests = self.shared.guests();
        guests.banned.insert(peer);
        guests.joined.remove(&peer);
        drop(guests);
        self.tell(Command::Ban(peer));
    }

    /// Takes [`Self::ban`] back.
    pub fn unban(&self, peer: PublicKey) {
        self.shared.guests().banned.remove(&peer);
        self.tell(Command::Unban(peer));
    }

    /// Closes all connections, takes announcements back and does nothing more, until
    /// [`Self::resume`]: the device goes to sleep.
    pub fn suspend(&self) {
        self.shared.awake.send_replace(false);
        self.shared.change_topics(|topics, now| topics.set_awake(false, now));
        self.tell(Command::Suspend);
    }

    /// After [`Self::suspend`]: announces, looks up and dials anew.
    pub fn resume(&self) {
        self.shared.awake.send_replace(true);
        self.shared.change_topics(|topics, now| topics.set_awake(true, now));
        self.tell(Command::Resume);
    }

    /// Closes all connections, and announces, looks up and dials anew, unless it is suspended. The
    /// swarm does so by itself, within seconds, when the machine has slept or is in another network;
    /// this is for those who are told of that sooner.
    pub fn network_changed(&self) {
        self.tell(Command::NetworkChanged);
    }

    /// Takes all announcements back, closes all connections and ends every task.
    pub async fn close(&self) {
        self.shared.over.cancel();
        self.shared.tasks.close();
        // What has not ended by then ends with the node.
        let _ = timeout(CLOSE, self.shared.tasks.wait()).await;
        self.node.close().await;
        self.shared.subscribers().clear();
        self.shared.live().clear();
    }

    fn tell(&self, command: Command) {
        // Closed: nothing is left to do.
        let _ = self.shared.commands.send(command);
    }
}
