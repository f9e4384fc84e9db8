//! What an application holds of its swarm.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::RngExt;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::events::{Events, Subscribers, SwarmEvent};
use super::manager::{Command, Manager, unpoisoned};
use super::options::{JoinOptions, SwarmOptions};
use super::peers::Peers;
use super::rounds::Rounds;
use super::topics::Topics;
use crate::connection::accept::Acceptor;
use crate::connection::dial::Dialler;
use crate::connection::relayed::RelayOffer;
use crate::connection::{ConnectError, Connection};
use crate::dht::{Dht, DhtError, DhtOptions, Node};
use crate::key::{KeyPair, PublicKey, Topic};

/// How long closing waits for announcements to be taken back and connections to end.
const CLOSE: Duration = Duration::from_secs(6);
/// How often the way to this side is announced again.
const REANNOUNCE: Duration = Duration::from_secs(300);
/// When no node took it, or nodes that know the way are gone.
const REANNOUNCE_SOON: Duration = Duration::from_secs(5);

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

pub(super) struct Shared {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) tasks: TaskTracker,
    pub(super) over: CancellationToken,
    live: Mutex<HashMap<PublicKey, Connection>>,
    /// By the keys under which peers dial their lanes.
    lanes: Mutex<HashMap<PublicKey, Connection>>,
    subscribers: Mutex<Subscribers>,
    topics: Mutex<Topics>,
    /// A round of a topic is due that was not before.
    pub(super) topics_changed: Notify,
    banned: Mutex<HashSet<PublicKey>>,
    /// Whether this side listens at all, and whether handshakes find their way to it.
    listens: watch::Sender<bool>,
    reachable: watch::Sender<bool>,
    /// Not suspended.
    awake: watch::Sender<bool>,
    lost: Arc<Notify>,
    announced: Arc<Notify>,
    pub(super) start: Instant,
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
        let shared = Arc::new(Shared {
            commands,
            tasks: TaskTracker::new(),
            over: CancellationToken::new(),
            live: Mutex::default(),
            lanes: Mutex::default(),
            subscribers: Mutex::default(),
            topics: Mutex::new(Topics::new()),
            topics_changed: Notify::new(),
            banned: Mutex::default(),
            listens: watch::Sender::new(false),
            reachable: watch::Sender::new(false),
            awake: watch::Sender::new(true),
            lost: Arc::new(Notify::new()),
            announced: Arc::new(Notify::new()),
            start: Instant::now(),
        });
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
        swarm.shared.tasks.spawn(swarm.clone().stay_reachable());
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
        unpoisoned(self.shared.subscribers.lock()).add()
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
        self.tell(Command::Join(peer));
    }

    /// Takes [`Self::join_peer`] back; a connection stays until it is closed.
    pub fn leave_peer(&self, peer: PublicKey) {
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
        unpoisoned(self.shared.banned.lock()).insert(peer);
        self.tell(Command::Ban(peer));
    }

    /// Takes [`Self::ban`] back.
    pub fn unban(&self, peer: PublicKey) {
        unpoisoned(self.shared.banned.lock()).remove(&peer);
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
        self.shared.lost.notify_one();
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
        unpoisoned(self.shared.subscribers.lock()).clear();
        unpoisoned(self.shared.live.lock()).clear();
    }

    fn tell(&self, command: Command) {
        // Closed: nothing is left to do.
        let _ = self.shared.commands.send(command);
    }

    /// Once this side listens, keeps nodes that know the way to it.
    async fn stay_reachable(self) {
        let over = self.shared.over.clone();
        let own = Topic(self.public_key().target());
        let mut listens = self.shared.listens.subscribe();
        let announce = async {
            // The sender is in `self`.
            let _ = listens.wait_for(|listens| *listens).await;
            self.node.handle().register_server(&own.0);
            let mut awake = self.shared.awake.subscribe();
            loop {
                let _ = awake.wait_for(|awake| *awake).await;
                let told = self.dht.announce(own, &self.keys).await;
                let wait = if told.is_ok() {
                    self.shared.announced.notify_one();
                    self.shared.reachable.send_replace(true);
                    self.shared.change_topics(Topics::set_reachable);
                    REANNOUNCE.mul_f64(rand::rng().random_range(0.8..1.2))
                } else {
                    REANNOUNCE_SOON
                };
                // Not more often than that, however often nodes fail.
                tokio::time::sleep(REANNOUNCE_SOON.min(wait)).await;
                let _ = timeout(wait, self.shared.lost.notified()).await;
            }
        };
        let _: Option<()> = over.run_until_cancelled(announce).await;
        if *self.shared.reachable.borrow() {
            self.node.handle().unregister_server(&own.0);
            // Nodes forget it by themselves in the end.
            let _ = timeout(CLOSE / 2, self.dht.unannounce(own, &self.keys)).await;
        }
    }
}

impl Shared {
    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<PublicKey, Connection>> {
        unpoisoned(self.live.lock())
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, HashMap<PublicKey, Connection>> {
        unpoisoned(self.lanes.lock())
    }

    pub(super) fn topics(&self) -> MutexGuard<'_, Topics> {
        unpoisoned(self.topics.lock())
    }

    /// Changes what is wanted of the topics, and has the rounds begun that are due.
    fn change_topics<T>(&self, change: impl FnOnce(&mut Topics, Duration) -> T) -> T {
        let changed = change(&mut self.topics(), self.now());
        self.topics_changed.notify_one();
        changed
    }

    /// Announces and looks up everything anew.
    pub(super) fn begin_anew(&self) {
        self.lost.notify_one();
        self.change_topics(Topics::begin_all_anew);
    }

    pub(super) fn is_awake(&self) -> bool {
        *self.awake.borrow()
    }

    /// Time since the swarm was started.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(super) fn tell(&self, event: &SwarmEvent) {
        unpoisoned(self.subscribers.lock()).tell(event);
    }

    fn lets_in(&self, peer: &PublicKey, most: usize) -> bool {
        if self.over.is_cancelled() || !self.is_awake() {
            return false;
        }
        if unpoisoned(self.banned.lock()).contains(peer) {
            return false;
        }
        if self.lanes().contains_key(peer) {
            return true;
        }
        let live = self.live();
        live.len() < most || live.contains_key(peer)
    }
}

/// A topic that is joined; dropping it leaves the topic.
pub struct Discovery {
    shared: Arc<Shared>,
    topic: Topic,
    options: JoinOptions,
    /// Of the first round that does what this join wants.
    number: u64,
    left: bool,
}

impl Discovery {
    /// The topic.
    pub fn topic(&self) -> Topic {
        self.topic
    }

    /// Waits until the topic was announced and looked up as this join wants it, as well as it went.
    /// (What waits does not keep the topic joined.)
    pub fn flushed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.made(self.number)
    }

    /// Announces and looks up at once, not when it is due.
    pub fn refresh(&self) {
        self.shared.change_topics(|topics, now| topics.begin_anew(self.topic, now));
    }

    /// Leaves the topic and waits until its announcement was taken back, as dropping does not.
    pub async fn leave(mut self) {
        if let Some(number) = self.leave_now() {
            self.made(number).await;
        }
    }

    fn made(&self, number: u64) -> impl Future<Output = ()> + Send + 'static {
        let made = self.shared.topics().wait(self.topic, number);
        async move {
            if let Some(made) = made {
                // The sender is gone when the swarm is closed, or the topic forgotten.
                let _ = made.await;
            }
        }
    }

    /// The round in which the announcement is taken back, if nobody else has joined the topic.
    fn leave_now(&mut self) -> Option<u64> {
        if std::mem::replace(&mut self.left, true) {
            return None;
        }
        let (topic, options) = (self.topic, self.options);
        self.shared.change_topics(|topics, now| {
            let number = topics.leave(topic, options, now);
            if number.is_some() {
                // Closed: forgotten with the rest.
                let _ = self.shared.commands.send(Command::ForgetTopic(topic));
            }
            number
        })
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.leave_now();
    }
}
