//! What an application holds of its swarm.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::RngExt;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::events::{Events, Subscribers, SwarmEvent};
use super::manager::{Command, Manager, unpoisoned};
use super::options::{JoinOptions, SwarmOptions};
use super::peers::Peers;
use super::topic::{Progress, TURNS, TopicTask, Wish};
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
    topics: Mutex<HashMap<Topic, Joined>>,
    banned: Mutex<HashSet<PublicKey>>,
    /// Whether this side listens at all, and whether handshakes find their way to it.
    listens: watch::Sender<bool>,
    reachable: watch::Sender<bool>,
    turns: Arc<Semaphore>,
    /// Not suspended.
    awake: watch::Sender<bool>,
    lost: Arc<Notify>,
    announced: Arc<Notify>,
}

/// A topic that is joined, once or several times.
struct Joined {
    joins: HashMap<u64, JoinOptions>,
    next: u64,
    wish: watch::Sender<Wish>,
    progress: watch::Receiver<Progress>,
    over: CancellationToken,
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
            topics: Mutex::default(),
            banned: Mutex::default(),
            listens: watch::Sender::new(false),
            reachable: watch::Sender::new(false),
            turns: Arc::new(Semaphore::new(TURNS)),
            awake: watch::Sender::new(true),
            lost: Arc::new(Notify::new()),
            announced: Arc::new(Notify::new()),
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
        let mut topics = unpoisoned(self.shared.topics.lock());
        let joined = topics.entry(topic).or_insert_with(|| self.start(topic));
        let id = joined.next;
        joined.next += 1;
        joined.joins.insert(id, options);
        let awake = *self.shared.awake.borrow();
        let number = if awake { joined.tell(true) } else { joined.pause() };
        let progress = joined.progress.clone();
        Ok(Discovery { shared: self.shared.clone(), topic, id, number, progress })
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
        for joined in unpoisoned(self.shared.topics.lock()).values() {
            joined.pause();
        }
        self.tell(Command::Suspend);
    }

    /// After [`Self::suspend`], or when the network has changed: announces, looks up and dials anew.
    pub fn resume(&self) {
        self.shared.awake.send_replace(true);
        self.shared.lost.notify_one();
        for joined in unpoisoned(self.shared.topics.lock()).values() {
            joined.tell(true);
        }
        self.tell(Command::Resume);
    }

    /// Takes all announcements back, closes all connections and ends every task.
    pub async fn close(&self) {
        self.shared.over.cancel();
        for (_, joined) in unpoisoned(self.shared.topics.lock()).drain() {
            joined.over.cancel();
        }
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

    fn start(&self, topic: Topic) -> Joined {
        let options = JoinOptions { announce: false, lookup: false };
        let (wish, wishes) = watch::channel(Wish { options, number: 0 });
        let (progress, done) = watch::channel(Progress::default());
        let over = CancellationToken::new();
        let task = TopicTask {
            topic,
            dht: self.dht.clone(),
            keys: self.keys.clone(),
            wishes,
            progress,
            reachable: self.shared.reachable.subscribe(),
            commands: self.shared.commands.clone(),
            over: over.clone(),
            turns: self.shared.turns.clone(),
        };
        self.shared.tasks.spawn(task.run());
        Joined { joins: HashMap::new(), next: 0, wish, progress: done, over }
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

    pub(super) fn tell(&self, event: &SwarmEvent) {
        unpoisoned(self.subscribers.lock()).tell(event);
    }

    fn lets_in(&self, peer: &PublicKey, most: usize) -> bool {
        if self.over.is_cancelled() || !*self.awake.borrow() {
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

impl Joined {
    /// The task takes its announcement back and waits. The round's number.
    fn pause(&self) -> u64 {
        let options = JoinOptions { announce: false, lookup: false };
        self.wish.send_modify(|wish| *wish = Wish { options, number: wish.number + 1 });
        self.wish.borrow().number
    }

    /// Tells the task what all joins together want; `anew` makes it begin a round. The round's number.
    fn tell(&self, anew: bool) -> u64 {
        let options = JoinOptions {
            announce: self.joins.values().any(|options| options.announce),
            lookup: self.joins.values().any(|options| options.lookup),
        };
        self.wish.send_if_modified(|wish| {
            let changed = anew || wish.options != options;
            if changed {
                *wish = Wish { options, number: wish.number + 1 };
            }
            changed
        });
        self.wish.borrow().number
    }
}

/// A topic that is joined; dropping it leaves the topic.
pub struct Discovery {
    shared: Arc<Shared>,
    topic: Topic,
    id: u64,
    number: u64,
    progress: watch::Receiver<Progress>,
}

impl Discovery {
    /// The topic.
    pub fn topic(&self) -> Topic {
        self.topic
    }

    /// Waits until the topic was announced and looked up as this join wants it, as well as it went.
    pub async fn flushed(&self) {
        let mut progress = self.progress.clone();
        // The task is gone when the swarm is closed.
        let _ = progress.wait_for(|progress| progress.done >= self.number).await;
    }

    /// Announces and looks up at once, not when it is due.
    pub fn refresh(&self) {
        if let Some(joined) = unpoisoned(self.shared.topics.lock()).get(&self.topic)
            && *self.shared.awake.borrow()
        {
            joined.tell(true);
        }
    }

    /// Leaves the topic and waits until its announcement was taken back, as dropping does not.
    pub async fn leave(self) {
        let mut progress = self.progress.clone();
        if self.leave_now() {
            // The sender goes with the task.
            while progress.changed().await.is_ok() {}
        }
    }

    /// Whether nobody else has joined it.
    fn leave_now(&self) -> bool {
        let mut topics = unpoisoned(self.shared.topics.lock());
        let Some(joined) = topics.get_mut(&self.topic) else { return false };
        if joined.joins.remove(&self.id).is_none() {
            return false;
        }
        let last = joined.joins.is_empty();
        if last {
            joined.over.cancel();
            topics.remove(&self.topic);
            // Closed: forgotten with the rest.
            let _ = self.shared.commands.send(Command::ForgetTopic(self.topic));
        } else {
            if *self.shared.awake.borrow() {
                joined.tell(false);
            }
        }
        last
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.leave_now();
    }
}
