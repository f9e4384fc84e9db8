//! Lanes: further connections with the same peer, for bulk. One stream of the transport sends about
//! 1.2 MB/s, however fast the network is, and what waits on it delays everything behind it.
//!
//! A second connection under the same key would be taken for a reconnect. So a lane is dialled under a
//! key of its own, which the dialler registers with the acceptor on the connection that it belongs to:
//!
//! ```text
//! dialler:  open "handfast/lanes/1" id "dial" {lane key ‖ signature} ──► acceptor: open
//!           dials under the lane key, as often as it wants          ──► each is a lane of that connection
//! acceptor: open "handfast/lanes/1" id "ask" {count} ──► dialler: registers and dials
//! ```
//!
//! The signature is the lane key's over the connection's handshake hash: nobody can register a key
//! that is not theirs. Where the application takes no lanes, it is rejected.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use peeroxide_dht::crypto::{sign_detached, verify_detached};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::dial::Dialler;
use super::{ConnectError, Connection};
use crate::dht::NodeAddress;
use crate::key::{KeyPair, PublicKey};
use crate::mux::{Channel, Offer};

/// Most lanes of one connection.
pub const MAX_LANES: usize = 32;

const PROTOCOL: &str = "handfast/lanes/1";
const DIAL: &[u8] = b"dial";
const ASK: &[u8] = b"ask";
/// How long the application may take to say that it takes lanes.
const GRACE: Duration = Duration::from_secs(1);
/// How long lanes that were asked for may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a connection knows about its lanes.
#[derive(Default)]
pub(crate) struct Lanes {
    /// How to dial further ones; set on the dialler's side by the swarm.
    way: OnceLock<Way>,
    /// Our word to the acceptor, once it has been taken.
    registered: tokio::sync::Mutex<Option<Channel>>,
    /// Whether the application takes what the peer dials.
    wanted: watch::Sender<bool>,
    open: Mutex<Open>,
    arrived: Notify,
    over: CancellationToken,
}

#[derive(Default)]
struct Open {
    lanes: Vec<Connection>,
    /// Of these, what the application has not taken yet.
    waiting: VecDeque<Connection>,
}

struct Way {
    dialler: Dialler,
    hints: Vec<NodeAddress>,
}

impl Lanes {
    /// Says how to dial lanes; `dialler` has the lane keys.
    pub(crate) fn set_way(&self, dialler: Dialler, hints: Vec<NodeAddress>) {
        // Set once, when the connection is made.
        let _ = self.way.set(Way { dialler, hints });
    }

    /// A lane that the peer dialled; refused if there are too many.
    pub(crate) fn arrive(&self, lane: Connection) {
        if self.keep(&lane) {
            self.hand_out(lane);
        } else {
            lane.close();
        }
    }

    /// Puts a lane that is kept where the application takes them from.
    fn hand_out(&self, lane: Connection) {
        self.open().waiting.push_back(lane);
        self.arrived.notify_one();
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the application takes lanes, or says so within [`GRACE`].
    async fn are_wanted(&self) -> bool {
        let mut wanted = self.wanted.subscribe();
        // The sender is in `self`.
        timeout(GRACE, wanted.wait_for(|wanted| *wanted)).await.is_ok()
    }

    /// The next lane that is still open; `None` when the connection has ended.
    async fn next(&self) -> Option<Connection> {
        self.wanted.send_replace(true);
        loop {
            let arrived = self.arrived.notified();
            if self.over.is_cancelled() {
                return None;
            }
            if let Some(lane) = self.open().next() {
                return Some(lane);
            }
            tokio::select! {
                () = arrived => {}
                () = self.over.cancelled() => return None,
            }
        }
    }

    /// The connection is over, and with it its lanes.
    pub(super) fn end(&self) {
        self.over.cancel();
        let open = std::mem::take(&mut *self.open());
        open.lanes.iter().for_each(Connection::close);
    }

    fn keep(&self, lane: &Connection) -> bool {
        let mut open = self.open();
        open.lanes.retain(|lane| !lane.is_closed());
        open.waiting.retain(|lane| !lane.is_closed());
        let fits = open.lanes.len() < MAX_LANES && !self.over.is_cancelled();
        if fits {
            open.lanes.push(lane.clone());
        }
        fits
    }
}

impl Open {
    fn next(&mut self) -> Option<Connection> {
        std::iter::from_fn(|| self.waiting.pop_front()).find(|lane| !lane.is_closed())
    }
}

impl Connection {
    /// Opens `count` further connections with the same peer, for bulk; they end with this one. On
    /// the other side they come out of [`Self::accept_lane`], and on this side they are returned,
    /// whichever side dials. Only for peers that know lanes.
    ///
    /// # Errors
    /// [`ConnectError::NoLanes`] if the peer does not take them or `count` is more than
    /// [`MAX_LANES`]; the error of the last attempt if none could be opened.
    pub async fn lanes(&self, count: usize) -> Result<Vec<Self>, ConnectError> {
        if count > MAX_LANES {
            return Err(ConnectError::NoLanes);
        }
        if self.is_initiator() { self.dial_lanes(count).await } else { self.ask_lanes(count).await }
    }

    /// Has `count` lanes opened, by whichever side dials, that come out of [`Self::accept_lane`] on
    /// this side, too: for who takes lanes as they come.
    ///
    /// # Errors
    /// As [`Self::lanes`]; but whether the peer dials when it is its turn, only lanes can tell.
    pub async fn request_lanes(&self, count: usize) -> Result<(), ConnectError> {
        if count > MAX_LANES {
            return Err(ConnectError::NoLanes);
        }
        if self.is_initiator() {
            for lane in self.dial_lanes(count).await? {
                self.lanes_state().hand_out(lane);
            }
            return Ok(());
        }
        self.lanes_state().wanted.send_replace(true);
        let asked = self.mux().open(PROTOCOL, Some(ASK), &[count as u8]);
        let mut asked = asked.map_err(|_| ConnectError::NoLanes)?;
        asked.opened().await.map_err(|_| ConnectError::NoLanes)?;
        Ok(())
    }

    /// The next lane that the peer opened; `None` when the connection has ended. For one task at a
    /// time, which had better wait here from the start: until this side has said so, or asked for lanes
    /// itself, the peer's wish to dial some is rejected after a second.
    pub async fn accept_lane(&self) -> Option<Self> {
        self.lanes_state().next().await
    }

    async fn dial_lanes(&self, count: usize) -> Result<Vec<Self>, ConnectError> {
        let way = self.lanes_state().way.get().ok_or(ConnectError::NoLanes)?;
        self.register(&way.dialler.keys).await?;
        let mut dials = JoinSet::new();
        for _ in 0..count {
            let (dialler, hints) = (way.dialler.clone(), way.hints.clone());
            let peer = self.remote_public_key();
            dials.spawn(async move { dialler.dial(peer, &hints).await });
        }
        let mut lanes = Vec::with_capacity(count);
        let mut last = None;
        while let Some(dialled) = dials.join_next().await {
            match dialled {
                Ok(Ok(reached)) if self.lanes_state().keep(&reached.connection) => {
                    lanes.push(reached.connection);
                }
                Ok(Ok(reached)) => reached.connection.close(),
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(ConnectError::NoPath),
            }
        }
        match last {
            Some(error) if lanes.is_empty() && count > 0 => Err(error),
            _ => Ok(lanes),
        }
    }

    async fn register(&self, keys: &KeyPair) -> Result<(), ConnectError> {
        let mut registered = self.lanes_state().registered.lock().await;
        if registered.is_some() {
            return Ok(());
        }
        let mut word = keys.public_key().0.to_vec();
        word.extend_from_slice(&sign_detached(&self.lane_statement(), &keys.to_dht().secret_key));
        let channel = self.mux().open(PROTOCOL, Some(DIAL), &word);
        let mut channel = channel.map_err(|_| ConnectError::NoLanes)?;
        channel.opened().await.map_err(|_| ConnectError::NoLanes)?;
        *registered = Some(channel);
        Ok(())
    }

    async fn ask_lanes(&self, count: usize) -> Result<Vec<Self>, ConnectError> {
        self.lanes_state().wanted.send_replace(true);
        let asked = self.mux().open(PROTOCOL, Some(ASK), &[count as u8]);
        let mut asked = asked.map_err(|_| ConnectError::NoLanes)?;
        asked.opened().await.map_err(|_| ConnectError::NoLanes)?;
        let mut lanes = Vec::with_capacity(count);
        let arrive = async {
            while lanes.len() < count {
                match self.accept_lane().await {
                    Some(lane) => lanes.push(lane),
                    None => break,
                }
            }
        };
        let in_time = timeout(PATIENCE, arrive).await;
        if lanes.is_empty() && count > 0 {
            return Err(if in_time.is_err() {
                ConnectError::Timeout
            } else {
                ConnectError::Offline
            });
        }
        Ok(lanes)
    }

    fn lane_statement(&self) -> Vec<u8> {
        [PROTOCOL.as_bytes(), self.handshake_hash()].concat()
    }
}

/// Serves the lanes of one connection until it ends; `register` is told the peer's lane key.
pub(crate) async fn serve(connection: Connection, register: impl Fn(PublicKey)) {
    let mut listener = connection.mux().listen(PROTOCOL, None);
    let mut held = Vec::new();
    while let Some(offer) = listener.next().await {
        match (offer.id(), connection.is_initiator()) {
            (DIAL, false) => {
                if held.is_empty()
                    && let Some(key) = read_word(&connection, &offer)
                    && connection.lanes_state().are_wanted().await
                {
                    register(key);
                    // Rejected or gone: then there will be no lanes.
                    held.extend(offer.accept(b""));
                }
            }
            (ASK, true) => answer(&connection, offer),
            _ => {}
        }
    }
}

/// The peer would have us dial.
fn answer(connection: &Connection, offer: Offer) {
    let count = offer.handshake().first().map_or(0, |count| usize::from(*count));
    let (Ok(mut channel), 1..=MAX_LANES) = (offer.accept(b""), count) else { return };
    let connection = Arc::new(connection.clone());
    tokio::spawn(async move {
        // On this side too they are lanes that the peer opened.
        let _ = connection.request_lanes(count).await;
        // Until the peer closes it.
        while channel.recv().await.is_some() {}
    });
}

fn read_word(connection: &Connection, offer: &Offer) -> Option<PublicKey> {
    let (key, signature) = offer.handshake().split_first_chunk::<32>()?;
    let signature: &[u8; 64] = signature.try_into().ok()?;
    verify_detached(signature, &connection.lane_statement(), key).then_some(PublicKey(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Connection {
        Connection::without_stream(PublicKey([2; 32]))
    }

    #[tokio::test]
    async fn of_lanes_that_have_ended_nothing_is_kept() {
        let lanes = Lanes::default();
        for _ in 0..10 * MAX_LANES {
            let ended = lane();
            lanes.arrive(ended.clone());
            ended.close();
        }
        assert!(lanes.open().lanes.len() == 1 && lanes.open().waiting.len() == 1);
        let open = lane();
        lanes.arrive(open.clone());
        assert!(lanes.next().await.unwrap().is_same(&open));
    }

    #[tokio::test]
    async fn there_are_only_so_many_and_they_end_with_their_connection() {
        let lanes = Lanes::default();
        let all: Vec<_> = (0..2 * MAX_LANES).map(|_| lane()).collect();
        all.iter().for_each(|lane| lanes.arrive(lane.clone()));
        assert_eq!(all.iter().filter(|lane| !lane.is_closed()).count(), MAX_LANES);
        assert!(lanes.next().await.unwrap().is_same(&all[0]));
        lanes.end();
        assert!(lanes.next().await.is_none() && all[0].is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_none_is_asked_for_a_moment_only() {
        let lanes = Lanes::default();
        assert!(!lanes.are_wanted().await);
        let (wanted, next) = tokio::join!(lanes.are_wanted(), timeout(GRACE / 2, lanes.next()));
        assert!(wanted && next.is_err());
    }
}
