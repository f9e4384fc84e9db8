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
//! that is not theirs.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use peeroxide_dht::crypto::{sign_detached, verify_detached};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

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
/// How long lanes that were asked for may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a connection knows about its lanes.
pub(crate) struct Lanes {
    /// How to dial further ones; set on the dialler's side by the swarm.
    way: OnceLock<Way>,
    /// Our word to the acceptor, once it has been taken.
    registered: tokio::sync::Mutex<Option<Channel>>,
    open: Mutex<Vec<Connection>>,
    arrived: mpsc::UnboundedSender<Connection>,
    arrivals: tokio::sync::Mutex<mpsc::UnboundedReceiver<Connection>>,
    over: tokio_util::sync::CancellationToken,
}

struct Way {
    dialler: Dialler,
    hints: Vec<NodeAddress>,
}

impl Default for Lanes {
    fn default() -> Self {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        Self {
            way: OnceLock::new(),
            registered: tokio::sync::Mutex::default(),
            open: Mutex::default(),
            arrived,
            arrivals: tokio::sync::Mutex::new(arrivals),
            over: tokio_util::sync::CancellationToken::new(),
        }
    }
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
            // The receiver is in `self`.
            let _ = self.arrived.send(lane);
        } else {
            lane.close();
        }
    }

    /// The connection is over, and with it its lanes.
    pub(super) fn end(&self) {
        self.over.cancel();
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        open.iter().for_each(Connection::close);
    }

    fn keep(&self, lane: &Connection) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|lane| !lane.is_closed());
        let fits = open.len() < MAX_LANES && !self.over.is_cancelled();
        if fits {
            open.push(lane.clone());
        }
        fits
    }
}

impl Connection {
    /// Opens `count` further connections with the same peer, for bulk; they end with this one. On
    /// the other side they come out of [`Self::accept_lane`], and on this side they are returned,
    /// whichever side dials. Only for peers that know lanes.
    ///
    /// # Errors
    /// [`ConnectError::NoLanes`] if the peer does not offer them or `count` is more than
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
                // The receiver is in the state.
                let _ = self.lanes_state().arrived.send(lane);
            }
            return Ok(());
        }
        let asked = self.mux().open(PROTOCOL, Some(ASK), &[count as u8]);
        let mut asked = asked.map_err(|_| ConnectError::NoLanes)?;
        asked.opened().await.map_err(|_| ConnectError::NoLanes)?;
        Ok(())
    }

    /// The next lane that the peer opened; `None` when the connection has ended. For one task at a
    /// time.
    pub async fn accept_lane(&self) -> Option<Self> {
        let lanes = self.lanes_state();
        let mut arrivals = lanes.arrivals.lock().await;
        tokio::select! {
            biased;
            lane = arrivals.recv() => lane,
            () = lanes.over.cancelled() => None,
        }
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
                if let Some(key) = read_word(&connection, &offer)
                    && held.is_empty()
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
