//! The one task that decides whom to dial and which connections stay.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::events::SwarmEvent;
use super::peers::{Incoming, Peers};
use super::shared::Shared;
use super::surroundings::{self, Surroundings};
use crate::connection::dial::{Dialler, Reached};
use crate::connection::{CloseReason, ConnectError, Connection, lanes};
use crate::dht::{FoundPeer, NodeAddress};
use crate::key::{PublicKey, Topic};

/// What the manager is told.
pub(super) enum Command {
    Found { topic: Topic, found: Vec<FoundPeer> },
    ForgetTopic(Topic),
    Join(PublicKey),
    Leave(PublicKey),
    Connect { peer: PublicKey, reply: Reply },
    Ban(PublicKey),
    Unban(PublicKey),
    Suspend,
    Resume,
    NetworkChanged,
    Dialled { peer: PublicKey, result: Result<Reached, ConnectError> },
    Ended { connection: Connection },
}

pub(super) type Reply = oneshot::Sender<Result<Connection, ConnectError>>;

pub(super) struct Manager {
    shared: Arc<Shared>,
    dialler: Dialler,
    peers: Peers,
    dials: HashMap<PublicKey, Dial>,
    suspended: bool,
}

/// A dial under way.
struct Dial {
    task: AbortHandle,
    /// Who waits for it.
    waiting: Vec<Reply>,
    /// What the peer dialled meanwhile.
    held: Option<Connection>,
}

impl Manager {
    pub(super) fn new(shared: Arc<Shared>, dialler: Dialler, peers: Peers) -> Self {
        Self { shared, dialler, peers, dials: HashMap::new(), suspended: false }
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut accepted: mpsc::UnboundedReceiver<Connection>,
    ) {
        let shared = self.shared.clone();
        let mut surroundings = Surroundings::look();
        let mut look = interval(surroundings::PERIOD);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.dial_who_is_due();
            let due = self.peers.next_time().filter(|_| !self.suspended);
            let due = due.map(|due| shared.start + due);
            tokio::select! {
                () = shared.over.cancelled() => break,
                command = commands.recv() => match command {
                    Some(command) => self.handle(command),
                    None => break,
                },
                connection = accepted.recv() => match connection {
                    Some(connection) => self.accepted(connection),
                    None => break,
                },
                () = sleep_until(due.unwrap_or(shared.start)), if due.is_some() => {}
                _ = look.tick() => {
                    let now = Surroundings::look();
                    if surroundings.have_changed(&now) {
                        self.begin_anew();
                    }
                    surroundings = now;
                }
            }
        }
        self.hang_up(CloseReason::Local);
    }

    fn handle(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Found { topic, found } => {
                for peer in found {
                    self.peers.found(peer.public_key, topic, peer.relays, now);
                }
            }
            Command::ForgetTopic(topic) => self.peers.forget_topic(&topic),
            Command::Join(peer) => self.peers.join(peer, now),
            Command::Leave(peer) => self.peers.leave(&peer),
            Command::Connect { peer, reply } => self.connect(peer, reply),
            Command::Ban(peer) => {
                self.peers.ban(peer);
                if let Some(dial) = self.dials.remove(&peer) {
                    dial.give_up(&ConnectError::Banned);
                }
                if let Some(connection) = self.shared.live().get(&peer) {
                    connection.close();
                }
            }
            Command::Unban(peer) => self.peers.unban(&peer),
            Command::Suspend => {
                self.suspended = true;
                self.hang_up(CloseReason::Local);
            }
            Command::Resume => {
                self.suspended = false;
                self.peers.refresh(now);
            }
            Command::NetworkChanged => self.begin_anew(),
            Command::Dialled { peer, result } => self.dialled(peer, result),
            Command::Ended { connection } => self.ended(&connection),
        }
    }

    /// Connections and announcements are from before a sleep, or from another network.
    fn begin_anew(&mut self) {
        // (Whoever suspends it may not have been heard yet.)
        if self.suspended || !self.shared.is_awake() {
            return;
        }
        tracing::debug!("the network has changed");
        self.hang_up(CloseReason::Local);
        self.peers.refresh(self.now());
        self.shared.begin_anew();
    }

    fn dial_who_is_due(&mut self) {
        while !self.suspended
            && let Some((peer, hints)) = self.peers.next(self.now())
        {
            self.dial(peer, hints, Vec::new());
        }
    }

    fn connect(&mut self, peer: PublicKey, reply: Reply) {
        let live = self.shared.live().get(&peer).cloned();
        if let Some(over) = live.as_ref().filter(|live| live.is_closed()) {
            self.ended(over);
        }
        // Whoever asked and left needs no answer, here and below.
        if self.suspended {
            let _ = reply.send(Err(ConnectError::Offline));
        } else if self.peers.is_banned(&peer) {
            let _ = reply.send(Err(ConnectError::Banned));
        } else if let Some(connection) = live.filter(|live| !live.is_closed()) {
            let _ = reply.send(Ok(connection));
        } else if let Some(dial) = self.dials.get_mut(&peer) {
            dial.waiting.push(reply);
        } else {
            let hints = self.peers.dial(peer, self.now());
            self.dial(peer, hints, vec![reply]);
        }
    }

    fn dial(&mut self, peer: PublicKey, hints: Vec<NodeAddress>, waiting: Vec<Reply>) {
        let (dialler, commands) = (self.dialler.clone(), self.shared.commands.clone());
        let task = self.shared.tasks.spawn(async move {
            let result = dialler.dial(peer, &hints).await;
            // Closed meanwhile: dropping it ends it.
            if let Err(mpsc::error::SendError(Command::Dialled { result: Ok(reached), .. })) =
                commands.send(Command::Dialled { peer, result })
            {
                reached.connection.close();
            }
        });
        self.dials.insert(peer, Dial { task: task.abort_handle(), waiting, held: None });
    }

    fn dialled(&mut self, peer: PublicKey, result: Result<Reached, ConnectError>) {
        let Some(mut dial) = self.dials.remove(&peer) else {
            // Given up meanwhile.
            if let Ok(reached) = result {
                reached.connection.close();
            }
            return;
        };
        match result {
            Ok(reached) => {
                if let Some(held) = dial.held.take() {
                    held.close_because(CloseReason::Duplicate);
                }
                let connection = reached.connection;
                let keys = self.dialler.keys.lane();
                let lanes = Dialler { keys, opening: None, ..self.dialler.clone() };
                connection.lanes_state().set_way(lanes, reached.relays.clone());
                self.adopt(connection.clone(), true, reached.relays);
                dial.answer(&Ok(connection));
            }
            Err(error) => {
                if let Some(held) = dial.held.take().filter(|held| !held.is_closed()) {
                    self.adopt(held.clone(), false, Vec::new());
                    dial.answer(&Ok(held));
                    return;
                }
                tracing::debug!(%peer, %error, "a dial failed");
                self.peers.dial_failed(&peer, self.now(), rand::random());
                self.shared.tell(&SwarmEvent::Failed { peer, reason: error.clone() });
                dial.answer(&Err(error));
            }
        }
    }

    fn accepted(&mut self, connection: Connection) {
        let peer = connection.remote_public_key();
        let of = self.shared.lanes().get(&peer).cloned();
        if let Some(main) = of {
            main.lanes_state().arrive(connection);
            return;
        }
        if self.suspended || self.peers.is_banned(&peer) {
            connection.close();
            return;
        }
        match self.peers.incoming(&peer, self.now()) {
            Incoming::Refuse => connection.close_because(CloseReason::Duplicate),
            Incoming::Full => connection.close(),
            Incoming::Hold => {
                if let Some(dial) = self.dials.get_mut(&peer)
                    && let Some(earlier) = dial.held.replace(connection)
                {
                    earlier.close_because(CloseReason::Duplicate);
                }
            }
            Incoming::Take => {
                let dial = self.dials.remove(&peer);
                self.adopt(connection.clone(), false, Vec::new());
                if let Some(mut dial) = dial {
                    dial.task.abort();
                    dial.answer(&Ok(connection));
                }
            }
        }
    }

    /// From now on this is the peer's connection.
    fn adopt(&mut self, connection: Connection, dialled: bool, hints: Vec<NodeAddress>) {
        let peer = connection.remote_public_key();
        self.peers.connected(peer, dialled, hints, self.now());
        let earlier = self.shared.live().insert(peer, connection.clone());
        if let Some(earlier) = earlier {
            earlier.close_because(CloseReason::Duplicate);
        }
        let (shared, served) = (self.shared.clone(), connection.clone());
        self.shared.tasks.spawn(async move {
            let register = |key| {
                shared.lanes().insert(key, served.clone());
            };
            tokio::select! {
                () = lanes::serve(served.clone(), register) => {}
                _ = served.closed() => {}
            }
            served.closed().await;
            shared.lanes().retain(|_, main| !main.is_same(&served));
            // The manager has ended: nobody is left to be told.
            let _ = shared.commands.send(Command::Ended { connection: served.clone() });
        });
        self.shared.tell(&SwarmEvent::Connected(connection));
    }

    fn ended(&mut self, connection: &Connection) {
        let peer = connection.remote_public_key();
        let mut live = self.shared.live();
        if live.get(&peer).is_some_and(|current| current.is_same(connection)) {
            live.remove(&peer);
            drop(live);
            self.peers.disconnected(&peer, self.now(), rand::random());
            self.shared.tell(&SwarmEvent::Disconnected { peer });
        }
    }

    fn hang_up(&mut self, reason: CloseReason) {
        let now = self.now();
        for (peer, dial) in self.dials.drain() {
            self.peers.dial_failed(&peer, now, 0.5);
            dial.give_up(&ConnectError::Offline);
        }
        for connection in self.shared.live().values() {
            connection.close_because(reason);
        }
    }

    fn now(&self) -> Duration {
        self.shared.now()
    }
}

impl Dial {
    fn answer(&mut self, result: &Result<Connection, ConnectError>) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.send(result.clone());
        }
    }

    fn give_up(mut self, error: &ConnectError) {
        self.task.abort();
        if let Some(held) = self.held.take() {
            held.close();
        }
        self.answer(&Err(error.clone()));
    }
}
