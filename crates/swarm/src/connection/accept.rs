//! The acceptor: answers handshakes and waits for the stream that follows.
//!
//! What makes it work, each rule found by a failure:
//!
//! - Copies of one handshake arrive through several nodes; all get the same answer.
//! - The stream is expected on every socket that the dialler may choose: the one that direct packets
//!   go to, the one that the LAN address leads to, and, once it punches, the puncher's. The first
//!   packet decides, and nothing is sent before.
//! - The answer names nodes that pass messages on to us, each with *our* address as that node sees it.
//! - These nodes are pinged every few seconds, or a NAT forgets the way from them to us.
//! - A dialler without NAT waits to be sent to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libudx::{UdxSocket, UdxStream};
use peeroxide_dht::hyperdht::ServerEvent;
use peeroxide_dht::hyperdht_messages::{
    FIREWALL_OPEN, FIREWALL_UNKNOWN, HandshakeMessage, HolepunchInfo, HolepunchMessage,
    MODE_FROM_RELAY, MODE_FROM_SECOND_RELAY, MODE_FROM_SERVER, MODE_REPLY, NoisePayload, RelayInfo,
    RelayThroughInfo, SecretStreamInfo, UdxInfo, encode_handshake_to_bytes,
};
use peeroxide_dht::messages::Ipv4Peer;
use peeroxide_dht::noise_wrap::{NoiseWrap, NoiseWrapResult};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::dial::Dialler;
use super::punch::Passive;
use super::relayed::{self, RelayOffer};
use super::secret::Session;
use super::{ConnectError, Connection};
use crate::dht::Server;
use crate::key::PublicKey;

/// How long a dialler may take from its handshake to the first packet of its stream.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most handshakes under way at a time; more are not answered.
const MAX_PENDING: usize = 128;
/// Most handshakes remembered, for copies that are still on their way.
const MAX_KNOWN: usize = 1024;
/// By then the copies have come.
const COPIES: Duration = Duration::from_secs(2);
/// How often the nodes that know the way to us are pinged.
const PING: Duration = Duration::from_secs(5);

/// Whose handshakes are answered.
pub(crate) type Gate = dyn Fn(&PublicKey) -> bool + Send + Sync;

/// What an acceptor needs.
pub(crate) struct Acceptor {
    pub(crate) dialler: Dialler,
    pub(crate) gate: Arc<Gate>,
    /// Given to diallers for whom there was no direct path, and to all if our own NAT is symmetric.
    pub(crate) relay: Option<RelayOffer>,
    pub(crate) accepted: mpsc::UnboundedSender<Connection>,
    /// Told when a node that knows the way to us no longer answers.
    pub(crate) lost: Arc<Notify>,
    /// Tells that there are new nodes that know the way to us.
    pub(crate) announced: Arc<Notify>,
    /// Whether the swarm is neither suspended nor closed.
    pub(crate) awake: watch::Receiver<bool>,
    pub(crate) over: CancellationToken,
}

/// Our address as each node that knows the way to us sees it.
type Seen = Arc<Mutex<HashMap<(String, u16), Ipv4Peer>>>;

impl Acceptor {
    /// Answers until the node is closed.
    pub(crate) async fn run(self, mut server: Server) {
        let acceptor = Arc::new(self);
        let mut desk = Desk {
            acceptor: acceptor.clone(),
            seen: Seen::default(),
            known: HashMap::new(),
            next: 1,
        };
        let mut ping = tokio::time::interval(PING);
        loop {
            tokio::select! {
                event = server.recv() => match event {
                    Some(ServerEvent::PeerHandshake { msg, from, peer_address, reply_tx, .. }) => {
                        // The asker gave up: as if it had not asked.
                        let _ = reply_tx.send(desk.handshake(msg, from, peer_address).await);
                    }
                    Some(ServerEvent::PeerHolepunch { msg, from, peer_address, reply_tx, .. }) => {
                        desk.holepunch(Round { message: msg, from, peer: peer_address, reply: reply_tx });
                    }
                    Some(_) => {}
                    None => break,
                },
                _ = ping.tick() => {
                    desk.tidy();
                    desk.ping();
                }
                () = acceptor.announced.notified() => desk.ping(),
            }
        }
    }
}

/// Handshakes under way.
struct Desk {
    acceptor: Arc<Acceptor>,
    seen: Seen,
    /// By the dialler's noise message.
    known: HashMap<Vec<u8>, Known>,
    next: u64,
}

struct Known {
    /// Our noise message; none: not answered.
    answer: Option<Vec<u8>>,
    holepunch_id: u64,
    /// As long as the stream has not come.
    rounds: Option<mpsc::Sender<Round>>,
    since: Instant,
}

/// One round of hole punching that the dialler asks for.
struct Round {
    message: HolepunchMessage,
    from: Ipv4Peer,
    peer: Ipv4Peer,
    reply: oneshot::Sender<Option<Vec<u8>>>,
}

impl Desk {
    async fn handshake(
        &mut self,
        message: HandshakeMessage,
        from: Ipv4Peer,
        peer: Option<Ipv4Peer>,
    ) -> Option<Vec<u8>> {
        self.tidy();
        let relayed = matches!(message.mode, MODE_FROM_RELAY | MODE_FROM_SECOND_RELAY);
        if !self.known.contains_key(&message.noise) {
            let under_way = self.known.values().filter(|known| known.rounds.is_some()).count();
            if under_way >= MAX_PENDING || self.known.len() >= MAX_KNOWN {
                return None;
            }
            let client = peer.clone().unwrap_or(from);
            let (rounds, asked) = mpsc::channel(8);
            let holepunch_id = self.next;
            self.next += 1;
            let answer = self.answer(&message.noise, client, relayed, holepunch_id, asked).await;
            let known = Known { answer, holepunch_id, rounds: Some(rounds), since: Instant::now() };
            self.known.insert(message.noise.clone(), known);
        }
        let noise = self.known.get(&message.noise)?.answer.clone()?;
        let mode = if relayed { MODE_FROM_SERVER } else { MODE_REPLY };
        let reply = HandshakeMessage { mode, noise, peer_address: peer, relay_address: None };
        encode_handshake_to_bytes(&reply).ok()
    }

    /// Our side of the handshake; starts waiting for the stream.
    async fn answer(
        &self,
        noise: &[u8],
        client: Ipv4Peer,
        relayed: bool,
        holepunch_id: u64,
        rounds: mpsc::Receiver<Round>,
    ) -> Option<Vec<u8>> {
        let acceptor = &self.acceptor;
        let mut wrap = NoiseWrap::new_responder(acceptor.dialler.keys.to_noise());
        let theirs = wrap.recv(noise).ok()?;
        let remote_id = theirs.udx.as_ref().and_then(|udx| u32::try_from(udx.id).ok())?;
        if theirs.error != 0 {
            return None;
        }
        let node = &acceptor.dialler.node;
        let relay = match &acceptor.relay {
            Some(offer) => offer.token_for(node, &client.host).await,
            None => None,
        };
        let id = super::stream_id();
        let port = node.port().await.ok()?;
        let ours = NoisePayload {
            version: 1,
            error: 0,
            firewall: FIREWALL_UNKNOWN,
            holepunch: Some(HolepunchInfo { id: holepunch_id, relays: self.relays() }),
            addresses4: node.handle().noise_addresses4(port).await,
            addresses6: Vec::new(),
            udx: Some(UdxInfo { version: 1, reusable_socket: true, id: u64::from(id), seq: 0 }),
            secret_stream: Some(SecretStreamInfo { version: 1 }),
            relay_through: relay.as_ref().map(|relay| RelayThroughInfo {
                version: 1,
                public_key: relay.key.0,
                token: relay.token,
            }),
            relay_addresses: Some(node.handle().current_relay_addresses()),
        };
        let answer = wrap.send(&ours).ok()?;
        let noise = wrap.finalize().ok()?;
        if !(acceptor.gate)(&PublicKey(noise.remote_public_key)) {
            return None;
        }
        let waiting = Waiting {
            acceptor: acceptor.clone(),
            id,
            remote_id,
            client,
            relayed,
            firewall: theirs.firewall,
            noise,
        };
        // Open before the dialler can know of them.
        let doors = waiting.open_doors().await.ok()?;
        let through = match (relay, theirs.relay_through) {
            (Some(ours), _) => Some((ours, true)),
            (None, Some(theirs)) => Some((relayed::Through::of(&theirs), false)),
            (None, None) => None,
        };
        acceptor.dialler.tasks.spawn(async move {
            let over = waiting.acceptor.over.clone();
            let arrival = async {
                match through {
                    Some((through, first)) => waiting.relayed(through, first).await,
                    None => waiting.arrives(doors, rounds).await,
                }
            };
            if let Some(Err(error)) = over.run_until_cancelled(arrival).await {
                tracing::debug!(%error, "a handshake led to no connection");
            }
        });
        Some(answer)
    }

    fn holepunch(&self, round: Round) {
        let known = self.known.values().find(|known| known.holepunch_id == round.message.id);
        // Nobody waits for it any more, or too many came at once: it is not answered.
        if let Some(rounds) = known.and_then(|known| known.rounds.as_ref())
            && let Err(refused) = rounds.try_send(round)
        {
            let _ = refused.into_inner().reply.send(None);
        }
    }

    /// Forgets handshakes whose copies have all come, and of others what is no longer needed.
    fn tidy(&mut self) {
        let full = self.known.len() >= MAX_KNOWN;
        self.known.retain(|_, known| {
            let waits = known.rounds.as_ref().is_some_and(|rounds| !rounds.is_closed());
            if !waits {
                known.rounds = None;
            }
            let age = known.since.elapsed();
            age < PATIENCE && (!full || age < COPIES || waits)
        });
    }

    fn relays(&self) -> Vec<RelayInfo> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.acceptor.dialler.node.handle().current_relay_addresses();
        current
            .into_iter()
            .filter_map(|relay| {
                let ours = seen.get(&(relay.host.clone(), relay.port))?;
                Some(RelayInfo { relay_address: relay, peer_address: ours.clone() })
            })
            .collect()
    }

    fn ping(&self) {
        if !*self.acceptor.awake.borrow() {
            return;
        }
        let current = self.acceptor.dialler.node.handle().current_relay_addresses();
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|(host, port), _| {
            current.iter().any(|relay| relay.host == *host && relay.port == *port)
        });
        for relay in current {
            let (acceptor, seen) = (self.acceptor.clone(), self.seen.clone());
            self.acceptor.dialler.tasks.spawn(async move {
                let dht = acceptor.dialler.node.handle().dht();
                match dht.ping(&relay.host, relay.port).await {
                    Ok(pong) => {
                        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        seen.extend(pong.to.map(|ours| ((relay.host, relay.port), ours)));
                    }
                    Err(_) => acceptor.lost.notify_one(),
                }
            });
        }
    }
}

/// One answered handshake, whose stream has not come yet.
struct Waiting {
    acceptor: Arc<Acceptor>,
    id: u32,
    remote_id: u32,
    client: Ipv4Peer,
    relayed: bool,
    firewall: u64,
    noise: NoiseWrapResult,
}

impl Waiting {
    /// Waits for the dialler's first packet and hands the connection over.
    async fn arrives(
        self,
        doors: Doors,
        rounds: mpsc::Receiver<Round>,
    ) -> Result<(), ConnectError> {
        let first = timeout(PATIENCE, self.first_packet(doors, rounds)).await;
        let (stream, socket) = first.map_err(|_| ConnectError::Timeout)??;
        self.hand_over(stream, socket).await?;
        if let Some(offer) = &self.acceptor.relay {
            offer.succeeded(&self.client.host);
        }
        Ok(())
    }

    async fn hand_over(&self, stream: UdxStream, socket: UdxSocket) -> Result<(), ConnectError> {
        let session = Session::new(&self.noise);
        let acceptor = &self.acceptor;
        let connection = Connection::establish(
            &session,
            stream.into_async_stream(),
            Some(socket),
            &acceptor.dialler.tasks,
            acceptor.dialler.unread_limit,
        )
        .await?;
        if let Err(unwanted) = acceptor.accepted.send(connection) {
            unwanted.0.close();
        }
        Ok(())
    }

    /// The sockets on which the stream is expected in any case.
    async fn open_doors(&self) -> Result<Doors, ConnectError> {
        let node = &self.acceptor.dialler.node;
        let (sender, first) = mpsc::unbounded_channel();
        let mut doors = Doors { open: Vec::new(), sender, first };
        doors.open(self, node.socket().await?).await?;
        let listen = node.handle().listen_socket().await.map_err(|_| ConnectError::Offline)?;
        if let Some(listen) = listen {
            doors.open(self, listen).await?;
        }
        Ok(doors)
    }

    async fn first_packet(
        &self,
        mut doors: Doors,
        mut rounds: mpsc::Receiver<Round>,
    ) -> Result<(UdxStream, UdxSocket), ConnectError> {
        let node = &self.acceptor.dialler.node;
        if self.firewall == FIREWALL_OPEN
            && self.relayed
            && let Ok(remote) = format!("{}:{}", self.client.host, self.client.port).parse()
        {
            drop(doors);
            let (stream, socket) = (self.stream().await?, node.socket().await?);
            let connected = stream.connect(&socket, self.remote_id, remote).await;
            connected.map_err(|_| ConnectError::NoPath)?;
            return Ok((stream, socket));
        }
        let mut passive: Option<Passive> = None;
        let mut punching = false;
        let door = loop {
            let punch = async {
                match &mut passive {
                    Some(passive) if punching => passive.puncher.punch(node).await,
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(door) = doors.first.recv() => break door,
                Some(round) = rounds.recv() => {
                    let ours = match &mut passive {
                        Some(passive) => passive,
                        None => {
                            let secret = self.noise.holepunch_secret;
                            let ours = Passive::new(node, secret, self.firewall).await?;
                            doors.open(self, ours.puncher.socket()?).await?;
                            passive.insert(ours)
                        }
                    };
                    let relayed = round.message.mode != 0 || round.from.host != round.peer.host;
                    let answer = ours.answer(&round.message, &round.peer, relayed);
                    punching = answer.as_ref().is_some_and(|(_, punching)| *punching);
                    // The node that asked may be gone: then it asks again.
                    let _ = round.reply.send(answer.map(|(answer, _)| answer));
                }
                () = punch => punching = false,
            }
        };
        let mut open = doors.open;
        if door >= open.len() {
            return Err(ConnectError::NoPath);
        }
        Ok(open.swap_remove(door))
    }

    async fn stream(&self) -> Result<UdxStream, ConnectError> {
        let stream = self.acceptor.dialler.node.runtime().create_stream(self.id).await;
        stream.map_err(|_| ConnectError::NoPath)
    }

    /// Meets the dialler at a relay.
    async fn relayed(self, through: relayed::Through, is_first: bool) -> Result<(), ConnectError> {
        let acceptor = &self.acceptor;
        let meeting = relayed::meet(&acceptor.dialler, &through, &[], is_first);
        let met = timeout(PATIENCE, meeting).await.map_err(|_| ConnectError::Relay)??;
        let session = Session::new(&self.noise);
        let connection =
            met.establish(&session, &acceptor.dialler.tasks, acceptor.dialler.unread_limit).await?;
        if let Err(unwanted) = acceptor.accepted.send(connection) {
            unwanted.0.close();
        }
        Ok(())
    }
}

/// Where the dialler's first packet may arrive; the first one counts.
struct Doors {
    open: Vec<(UdxStream, UdxSocket)>,
    sender: mpsc::UnboundedSender<usize>,
    first: mpsc::UnboundedReceiver<usize>,
}

impl Doors {
    async fn open(&mut self, waiting: &Waiting, socket: UdxSocket) -> Result<(), ConnectError> {
        let stream = waiting.stream().await?;
        let (sender, number) = (self.sender.clone(), self.open.len());
        let hook = move |_: &UdxSocket, _, _| sender.send(number).is_ok();
        let set = stream.set_firewall_hook(&socket, waiting.remote_id, hook);
        set.map_err(|_| ConnectError::NoPath)?;
        self.open.push((stream, socket));
        Ok(())
    }
}
