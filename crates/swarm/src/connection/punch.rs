//! Hole punching: both sides send at the same time, so that each one's NAT takes the other's packets
//! for answers.
//!
//! ```text
//! initiator: round 0 {addresses, token} ── relay ──► acceptor      samples its mapping, fires once
//!            ◄── {addresses, firewall, its token, our token}       our token: it is the acceptor
//!            round 1 {punching, its token} ── relay ──► acceptor   punches
//!            both send probes; the first that arrives here is the path
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use libudx::UdxSocket;
use peeroxide_dht::Router;
use peeroxide_dht::holepuncher::{HolepunchEvent, Holepuncher};
use peeroxide_dht::hyperdht_messages::{
    ERROR_NONE, ERROR_TRY_LATER, FIREWALL_RANDOM, FIREWALL_UNKNOWN, HolepunchMessage,
    HolepunchPayload, MODE_FROM_SERVER, NoisePayload, PEER_HOLEPUNCH,
    encode_holepunch_msg_to_bytes,
};
use peeroxide_dht::messages::Ipv4Peer;
use peeroxide_dht::noise_wrap::NoiseWrapResult;
use peeroxide_dht::rpc::UserRequestParams;
use peeroxide_dht::secure_payload::SecurePayload;
use peeroxide_dht::socket_pool::SocketPool;
use tokio::sync::mpsc;

use super::ConnectError;
use crate::dht::Node;

/// Rounds of learning about each other before the initiator punches.
const ROUNDS: u64 = 4;
/// What an acceptor gets as time to learn about its own NAT, when it does not know yet.
const GRACE: Duration = Duration::from_millis(500);

/// A puncher that lets go of its sockets and tasks however it is left.
pub(super) struct Puncher {
    inner: Holepuncher,
    pool: SocketPool,
    events: mpsc::UnboundedReceiver<HolepunchEvent>,
    addresses: Vec<Ipv4Peer>,
}

impl Puncher {
    /// Binds a socket and learns how the NAT maps it.
    pub(super) async fn new(
        node: &Node,
        is_initiator: bool,
        remote_firewall: u64,
    ) -> Result<Self, ConnectError> {
        let pool = SocketPool::new("0.0.0.0".to_owned());
        let (sender, events) = mpsc::unbounded_channel();
        let inner =
            Holepuncher::new(&pool, node.runtime(), true, is_initiator, remote_firewall, sender)
                .await
                .map_err(|_| ConnectError::NoPath)?;
        let mut puncher = Self { inner, pool, events, addresses: Vec::new() };
        puncher.inner.auto_sample(node.handle().dht()).await;
        if let Ok(local) = puncher.socket()?.local_addr().await {
            puncher.addresses = puncher.inner.punch_addresses(local.port());
        }
        Ok(puncher)
    }

    /// The socket that the path will lead to.
    pub(super) fn socket(&self) -> Result<UdxSocket, ConnectError> {
        let socket = self.inner.primary_socket().ok_or(ConnectError::NoPath)?;
        Ok(socket.socket.clone())
    }

    /// Opens the way out towards every address of the peer's.
    pub(super) fn fire(&self, targets: &[Ipv4Peer]) {
        let Some(socket) = self.inner.primary_socket() else { return };
        for target in targets.iter().take(8) {
            // A probe that does not leave is as one that does not arrive.
            let _ = socket.send_holepunch_to(&target.host, target.port, false);
        }
    }

    /// Takes in what the peer says about itself. `verified`: its host as a relay sees it.
    fn update(&mut self, payload: &HolepunchPayload, verified: Option<&str>) {
        if let Some(addresses) = &payload.addresses {
            let most = addresses.get(..8).unwrap_or(addresses);
            self.inner.update_remote(payload.punching, payload.firewall, most, verified);
        }
    }

    /// Punches until a probe of the peer's arrives; says from where.
    async fn connected(&mut self, node: &Node) -> Option<SocketAddr> {
        let punch = async {
            self.inner.punch(&self.pool, node.runtime()).await;
            // It has fired what it had; an answer may still be on its way.
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Some(HolepunchEvent::Connected { addr }) => Some(addr),
                _ => None,
            },
            () = punch => None,
        }
    }

    /// Punches for as long as there is a point; the peer's packets go to [`Self::socket`].
    pub(super) async fn punch(&mut self, node: &Node) {
        self.inner.punch(&self.pool, node.runtime()).await;
    }
}

impl Drop for Puncher {
    fn drop(&mut self) {
        self.inner.destroy();
    }
}

/// What the initiator found: where its stream leads and on which socket.
pub(super) struct Path {
    pub(super) socket: UdxSocket,
    pub(super) remote: SocketAddr,
    /// Whether the acceptor's NAT gives every destination another port: then it may lead nowhere.
    pub(super) is_symmetric: bool,
}

/// The initiator's side. `relay` is the node that passed the handshake on.
pub(super) async fn initiate(
    node: &Node,
    noise: &NoiseWrapResult,
    acceptor: &NoisePayload,
    relay: &Ipv4Peer,
    server: &Ipv4Peer,
    target: [u8; 32],
) -> Result<Path, ConnectError> {
    let secret = SecurePayload::new(noise.holepunch_secret);
    let id = acceptor.holepunch.as_ref().map_or(0, |info| info.id);
    let own_firewall = node.handle().firewalled().await.unwrap_or(FIREWALL_UNKNOWN);
    if own_firewall >= FIREWALL_RANDOM {
        // The sockets that would be needed are out of our reach.
        return Err(ConnectError::SymmetricNat);
    }
    let mut puncher = Puncher::new(node, true, acceptor.firewall).await?;
    let mut talk = Talk { node, secret: &secret, id, relay, target, round: 0, their_token: None };
    let mut verified = None;
    // The acceptor's answer may come before its NAT lets our probe in; ours has to be open by then.
    puncher.fire(std::slice::from_ref(server));

    for _ in 0..ROUNDS {
        let (answer, peer, is_theirs) = talk.say(&puncher, own_firewall, None).await?;
        match answer.error {
            ERROR_NONE => {}
            ERROR_TRY_LATER => continue,
            _ => return Err(failed(answer.firewall)),
        }
        puncher.update(&answer, is_theirs.then_some(peer.host.as_str()));
        if is_theirs {
            verified = Some(peer);
            if answer.firewall != FIREWALL_UNKNOWN {
                break;
            }
        }
        if answer.firewall == FIREWALL_UNKNOWN {
            tokio::time::sleep(GRACE).await;
        }
    }
    let verified = verified.ok_or(ConnectError::NoPath)?;
    let remote_firewall = puncher.inner.remote_firewall;
    let is_symmetric = remote_firewall >= FIREWALL_RANDOM;
    let socket = puncher.socket()?;
    // The acceptor's probe may be here before its answer.
    let (answer, peer, is_theirs) = talk.say(&puncher, own_firewall, Some(verified)).await?;
    puncher.update(&answer, is_theirs.then_some(peer.host.as_str()));
    match puncher.connected(node).await {
        Some(remote) => Ok(Path { socket, remote, is_symmetric }),
        None => Err(failed(remote_firewall)),
    }
}

fn failed(remote_firewall: u64) -> ConnectError {
    if remote_firewall >= FIREWALL_RANDOM {
        ConnectError::SymmetricNat
    } else {
        ConnectError::NoPath
    }
}

/// The initiator's rounds.
struct Talk<'a> {
    node: &'a Node,
    secret: &'a SecurePayload,
    id: u64,
    relay: &'a Ipv4Peer,
    target: [u8; 32],
    round: u64,
    their_token: Option<[u8; 32]>,
}

impl Talk<'_> {
    /// Says one round; the answer, from where it came, and whether it shows our token. With
    /// `verified`, this is the round in which both punch.
    async fn say(
        &mut self,
        puncher: &Puncher,
        firewall: u64,
        verified: Option<Ipv4Peer>,
    ) -> Result<(HolepunchPayload, Ipv4Peer, bool), ConnectError> {
        let token: [u8; 32] = rand::random();
        let said = HolepunchPayload {
            error: ERROR_NONE,
            firewall,
            round: self.round,
            connected: false,
            punching: verified.is_some(),
            addresses: Some(puncher.addresses.clone()),
            remote_address: verified,
            token: Some(token),
            remote_token: self.their_token,
        };
        self.round += 1;
        let sealed = self.secret.encrypt(&said).map_err(|_| ConnectError::Handshake)?;
        let value = Router::encode_client_holepunch(self.id, sealed, None)
            .map_err(|_| ConnectError::Handshake)?;
        let mut request = UserRequestParams::default();
        request.command = PEER_HOLEPUNCH;
        request.target = Some(self.target);
        request.value = Some(value);
        let dht = self.node.handle().dht();
        let answer = dht
            .request(request, &self.relay.host, self.relay.port)
            .await
            .map_err(|_| ConnectError::NoPath)?;
        let value = answer.value.filter(|_| answer.error == 0).ok_or(ConnectError::NoPath)?;
        let checked = {
            let router = self.node.handle().router();
            let router = router.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            router.validate_holepunch_reply(&value, self.relay, &answer.from, self.relay)
        };
        let checked = checked.map_err(|_| ConnectError::Handshake)?;
        let answer = self.secret.decrypt(&checked.payload).map_err(|_| ConnectError::Handshake)?;
        self.their_token = answer.token;
        let is_theirs = answer.remote_token == Some(token);
        Ok((answer, checked.peer_address, is_theirs))
    }
}

/// The acceptor's answers.
pub(super) struct Passive {
    secret: SecurePayload,
    firewall: u64,
    pub(super) puncher: Puncher,
}

impl Passive {
    pub(super) async fn new(
        node: &Node,
        holepunch_secret: [u8; 32],
        remote_firewall: u64,
    ) -> Result<Self, ConnectError> {
        let firewall = node.handle().firewalled().await.unwrap_or(FIREWALL_UNKNOWN);
        let puncher = Puncher::new(node, false, remote_firewall).await?;
        Ok(Self { secret: SecurePayload::new(holepunch_secret), firewall, puncher })
    }

    /// Answers one round; the answer, and whether the initiator punches now.
    pub(super) fn answer(
        &mut self,
        message: &HolepunchMessage,
        initiator: &Ipv4Peer,
        relayed: bool,
    ) -> Option<(Vec<u8>, bool)> {
        let asked = self.secret.decrypt(&message.payload).ok()?;
        if asked.error != ERROR_NONE {
            return None;
        }
        self.puncher.update(&asked, Some(&initiator.host));
        // What the relay sees of the initiator comes first; what it says of itself may be behind
        // another NAT.
        let mut targets = vec![initiator.clone()];
        targets.extend(asked.addresses.clone().unwrap_or_default());
        self.puncher.fire(&targets);
        let said = HolepunchPayload {
            error: ERROR_NONE,
            firewall: self.firewall,
            round: asked.round,
            connected: false,
            punching: asked.punching,
            addresses: Some(self.puncher.addresses.clone()),
            remote_address: Some(initiator.clone()),
            token: Some(self.secret.token(&initiator.host)),
            remote_token: asked.token,
        };
        let reply = HolepunchMessage {
            mode: if relayed {
                MODE_FROM_SERVER
            } else {
                peeroxide_dht::hyperdht_messages::MODE_REPLY
            },
            id: message.id,
            payload: self.secret.encrypt(&said).ok()?,
            peer_address: Some(initiator.clone()),
        };
        Some((encode_holepunch_msg_to_bytes(&reply).ok()?, asked.punching))
    }
}
