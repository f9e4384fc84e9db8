//! The acceptor: answers handshakes.
//!
//! What makes it work, each rule found by a failure:
//!
//! - Copies of one handshake arrive through several nodes; all get the same answer.
//! - The answer names nodes that pass messages on to us, each with *our* address as that node sees it.
//! - These nodes are pinged every few seconds, or a NAT forgets the way from them to us.
//! - What is not answered is not remembered: else whoever sends noise shuts out everybody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peeroxide_dht::hyperdht::ServerEvent;
use peeroxide_dht::hyperdht_messages::{
    FIREWALL_UNKNOWN, HandshakeMessage, HolepunchInfo, MODE_FROM_RELAY, MODE_FROM_SECOND_RELAY,
    MODE_FROM_SERVER, MODE_REPLY, NoisePayload, RelayInfo, RelayThroughInfo, SecretStreamInfo,
    UdxInfo, encode_handshake_to_bytes,
};
use peeroxide_dht::messages::Ipv4Peer;
use peeroxide_dht::noise_wrap::NoiseWrap;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Connection;
use super::arrival::{Arrival, PATIENCE, Round};
use super::dial::Dialler;
use super::relayed::{self, RelayOffer};
use crate::dht::Server;
use crate::key::PublicKey;

/// Most handshakes under way at a time; more are not answered.
const MAX_PENDING: usize = 128;
/// Most answered handshakes remembered, for copies that are still on their way.
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

/// Handshakes that were answered.
struct Desk {
    acceptor: Arc<Acceptor>,
    seen: Seen,
    /// By the dialler's noise message.
    known: HashMap<Vec<u8>, Known>,
    next: u64,
}

struct Known {
    /// Our noise message.
    answer: Vec<u8>,
    holepunch_id: u64,
    /// As long as the stream has not come.
    rounds: Option<mpsc::Sender<Round>>,
    since: Instant,
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
            let answer = self.answer(&message.noise, client, relayed, holepunch_id, asked).await?;
            let known = Known { answer, holepunch_id, rounds: Some(rounds), since: Instant::now() };
            self.known.insert(message.noise.clone(), known);
        }
        let noise = self.known.get(&message.noise)?.answer.clone();
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
        let arrival = Arrival {
            acceptor: acceptor.clone(),
            id,
            remote_id,
            client,
            relayed,
            firewall: theirs.firewall,
            noise,
        };
        // Open before the dialler can know of them.
        let doors = arrival.open_doors().await.ok()?;
        let through = match (relay, theirs.relay_through) {
            (Some(ours), _) => Some((ours, true)),
            (None, Some(theirs)) => Some((relayed::Through::of(&theirs), false)),
            (None, None) => None,
        };
        acceptor.dialler.tasks.spawn(async move {
            let over = arrival.acceptor.over.clone();
            let arrives = async {
                match through {
                    Some((through, first)) => arrival.relayed(through, first).await,
                    None => arrival.direct(doors, rounds).await,
                }
            };
            if let Some(Err(error)) = over.run_until_cancelled(arrives).await {
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

#[cfg(test)]
mod tests {
    use peeroxide_dht::hyperdht_messages::MODE_FROM_CLIENT;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::dht::{Bootstrap, DhtOptions, Node};
    use crate::key::KeyPair;

    async fn desk() -> Desk {
        let mut options = DhtOptions::new(Bootstrap::Nodes(Vec::new()));
        options.host = std::net::Ipv4Addr::LOCALHOST;
        let (node, _server) = Node::start(&options).await.unwrap();
        let acceptor = Acceptor {
            dialler: Dialler {
                node: Arc::new(node),
                keys: KeyPair::generate(),
                tasks: TaskTracker::new(),
                unread_limit: 0,
                opening: None,
            },
            gate: Arc::new(|_| true),
            relay: None,
            accepted: mpsc::unbounded_channel().0,
            lost: Arc::default(),
            announced: Arc::default(),
            awake: watch::Sender::new(true).subscribe(),
            over: CancellationToken::new(),
        };
        Desk { acceptor: Arc::new(acceptor), seen: Seen::default(), known: HashMap::new(), next: 1 }
    }

    fn from_client(noise: Vec<u8>) -> HandshakeMessage {
        HandshakeMessage { mode: MODE_FROM_CLIENT, noise, peer_address: None, relay_address: None }
    }

    fn handshake(desk: &Desk) -> HandshakeMessage {
        let payload = NoisePayload {
            version: 1,
            error: 0,
            firewall: FIREWALL_UNKNOWN,
            holepunch: None,
            addresses4: Vec::new(),
            addresses6: Vec::new(),
            udx: Some(UdxInfo { version: 1, reusable_socket: true, id: 7, seq: 0 }),
            secret_stream: Some(SecretStreamInfo { version: 1 }),
            relay_through: None,
            relay_addresses: None,
        };
        let to = desk.acceptor.dialler.keys.public_key().0;
        let mut wrap = NoiseWrap::new_initiator(KeyPair::generate().to_noise(), to);
        from_client(wrap.send(&payload).unwrap())
    }

    fn somebody() -> Ipv4Peer {
        Ipv4Peer { host: "127.0.0.1".to_owned(), port: 9 }
    }

    #[tokio::test]
    async fn noise_shuts_nobody_out() {
        let mut desk = desk().await;
        for number in 0..2 * MAX_KNOWN {
            let noise = number.to_le_bytes().repeat(20);
            assert_eq!(desk.handshake(from_client(noise), somebody(), None).await, None);
        }
        let message = handshake(&desk);
        let answer = desk.handshake(message.clone(), somebody(), None).await;
        assert!(answer.is_some());
        assert_eq!(desk.handshake(message, somebody(), None).await, answer, "a copy");
        assert_eq!(desk.known.len(), 1);
        desk.acceptor.over.cancel();
        desk.acceptor.dialler.node.close().await;
    }

    #[tokio::test]
    async fn only_so_many_are_waited_for_at_a_time() {
        let mut desk = desk().await;
        for number in 0..2 * MAX_PENDING {
            let message = handshake(&desk);
            let answer = desk.handshake(message, somebody(), None).await;
            assert_eq!(answer.is_some(), number < MAX_PENDING);
        }
        desk.acceptor.over.cancel();
        desk.acceptor.dialler.node.close().await;
    }
}
