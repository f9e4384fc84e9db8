//! The dialler: finds nodes that know the peer, shakes hands through one of them, opens a path.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use libudx::UdxSocket;
use peeroxide_dht::Router;
use peeroxide_dht::hyperdht::should_direct_connect;
use peeroxide_dht::hyperdht_messages::{
    FIREWALL_UNKNOWN, NoisePayload, PEER_HANDSHAKE, SecretStreamInfo, UdxInfo,
};
use peeroxide_dht::messages::Ipv4Peer;
use peeroxide_dht::noise_wrap::{NoiseWrap, NoiseWrapResult};
use peeroxide_dht::rpc::UserRequestParams;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::secret::Session;
use super::{ConnectError, Connection, Opening, punch, relayed};
use crate::dht::{Node, NodeAddress, from_peer, to_peer};
use crate::key::{KeyPair, PublicKey};

/// How long a dial may take as a whole.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one node may take to pass the handshake on and the answer back.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// After which the next node is asked too.
const HEDGE: Duration = Duration::from_millis(300);
/// How long an address in the same network may take to answer.
const LAN: Duration = Duration::from_millis(400);
/// So many nodes cannot tell which address one has.
const FEW: usize = 2;
/// Most nodes that are asked to pass a handshake on.
const MAX_NODES: usize = 8;

/// Told of a connection with the peer that is dialled as soon as anything can be said on it.
pub(crate) type TellOpening = dyn Fn(&Connection) + Send + Sync;

/// What a dialler needs.
#[derive(Clone)]
pub(crate) struct Dialler {
    pub(crate) node: Arc<Node>,
    pub(crate) keys: KeyPair,
    pub(crate) tasks: TaskTracker,
    pub(crate) unread_limit: usize,
    pub(crate) opening: Option<Arc<TellOpening>>,
}

/// A peer that was dialled.
pub(crate) struct Reached {
    pub(crate) connection: Connection,
    pub(super) socket: UdxSocket,
    pub(super) remote: SocketAddr,
    /// Nodes that know the way to it, as it says.
    pub(crate) relays: Vec<NodeAddress>,
}

/// A handshake that was answered.
struct Answered {
    noise: NoiseWrapResult,
    payload: NoisePayload,
    /// The node that passed it on, or the peer itself.
    via: Ipv4Peer,
    /// The peer as that node sees it.
    server: Ipv4Peer,
    is_relayed: bool,
    stream_id: u32,
}

impl Dialler {
    /// Dials `peer`; `hints` are nodes that may know the way.
    pub(crate) async fn dial(
        &self,
        peer: PublicKey,
        hints: &[NodeAddress],
    ) -> Result<Reached, ConnectError> {
        match timeout(PATIENCE, self.reach(peer, hints, false)).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::Timeout),
        }
    }

    /// One attempt without a limit of time. A relay must not ask to be met at a further one, and nobody
    /// but us is told of it.
    pub(super) async fn reach(
        &self,
        peer: PublicKey,
        hints: &[NodeAddress],
        is_relay: bool,
    ) -> Result<Reached, ConnectError> {
        let answered = self.shake_hands(peer, hints).await?;
        let session = Session::new(&answered.noise);
        let payload = &answered.payload;
        let relays: Vec<_> = payload
            .relay_addresses
            .iter()
            .flatten()
            .filter_map(from_peer)
            .take(MAX_NODES)
            .collect();
        if let Some(through) = &payload.relay_through {
            if is_relay {
                return Err(ConnectError::Relay);
            }
            let met = relayed::meet(self, &relayed::Through::of(through), &relays, false).await?;
            let (socket, remote) = met.remote();
            let connection = met.establish(&session, &self.tasks, self.unread_limit).await?;
            return Ok(Reached { connection, socket, remote, relays });
        }
        let (socket, remote, is_symmetric) = self.path(&answered, peer).await?;
        let remote_id = payload.udx.as_ref().and_then(|udx| u32::try_from(udx.id).ok());
        let remote_id = remote_id.ok_or(ConnectError::Handshake)?;
        let stream = self.node.runtime().create_stream(answered.stream_id).await;
        let stream = stream.map_err(|_| ConnectError::NoPath)?;
        stream.connect(&socket, remote_id, remote).await.map_err(|_| ConnectError::NoPath)?;
        let opening = Opening::start(
            &session,
            stream.into_async_stream(),
            Some(socket.clone()),
            &self.tasks,
            self.unread_limit,
        );
        if let Some(tell) = self.opening.as_ref().filter(|_| !is_relay) {
            tell(opening.connection());
        }
        let connection = opening.proven().await.map_err(|error| match error {
            ConnectError::Timeout if is_symmetric => ConnectError::SymmetricNat,
            other => other,
        })?;
        Ok(Reached { connection, socket, remote, relays })
    }

    /// Sends one handshake through several nodes, one after the other until an answer comes.
    async fn shake_hands(
        &self,
        peer: PublicKey,
        hints: &[NodeAddress],
    ) -> Result<Answered, ConnectError> {
        let stream_id = super::stream_id();
        let port = self.node.port().await?;
        let ours = NoisePayload {
            version: 1,
            error: 0,
            firewall: FIREWALL_UNKNOWN,
            holepunch: None,
            addresses4: self.node.handle().noise_addresses4(port).await,
            addresses6: Vec::new(),
            udx: Some(UdxInfo {
                version: 1,
                reusable_socket: true,
                id: u64::from(stream_id),
                seq: 0,
            }),
            secret_stream: Some(SecretStreamInfo { version: 1 }),
            relay_through: None,
            relay_addresses: None,
        };
        let mut wrap = NoiseWrap::new_initiator(self.keys.to_noise(), peer.0);
        let noise = wrap.send(&ours).map_err(|_| ConnectError::Handshake)?;
        let value = Router::encode_client_handshake(noise, None, None)
            .map_err(|_| ConnectError::Handshake)?;

        let mut asked = Asked { node: &self.node, target: peer.target(), value, nodes: Vec::new() };
        let hints: Vec<_> = hints.iter().map(to_peer).collect();
        let mut answer = asked.ask(hints).await;
        if answer.is_none() {
            let found = self.node.handle().query_find_peer(peer.target()).await;
            let nodes = found.map_err(crate::dht::DhtError::from)?;
            let nodes = nodes.into_iter().filter(|node| node.value.is_some()).map(|node| node.from);
            answer = asked.ask(nodes.collect()).await;
        }
        let nobody =
            if asked.nodes.is_empty() { ConnectError::NotFound } else { ConnectError::Refused };
        let (via, from, value) = answer.ok_or(nobody)?;
        let checked = {
            let router = self.node.handle().router();
            let router = router.lock().unwrap_or_else(PoisonError::into_inner);
            router.validate_handshake_reply(&value, &via, &from)
        };
        let checked = checked.map_err(|_| ConnectError::Handshake)?;
        let payload = wrap.recv(&checked.noise).map_err(|_| ConnectError::Handshake)?;
        let noise = wrap.finalize().map_err(|_| ConnectError::Handshake)?;
        if payload.error != 0 {
            return Err(ConnectError::Refused);
        }
        Ok(Answered {
            noise,
            payload,
            via,
            server: checked.server_address,
            is_relayed: checked.relayed,
            stream_id,
        })
    }

    /// On which socket the stream leaves and where to, and whether a symmetric NAT may stop it.
    async fn path(
        &self,
        answered: &Answered,
        peer: PublicKey,
    ) -> Result<(UdxSocket, SocketAddr, bool), ConnectError> {
        let handle = self.node.handle();
        let payload = &answered.payload;
        let socket = self.node.socket().await?;
        let mut near: Vec<_> = payload.addresses4.iter().take(MAX_NODES).cloned().collect();
        let may_be_near = match handle.remote_address().await.ok().flatten() {
            Some(own) => own.host == answered.server.host,
            // One or two nodes cannot tell which address is one's own; in such a network the peer is
            // probably where they see it.
            None => {
                near.push(answered.server.clone());
                handle.table_size().await.is_ok_and(|nodes| nodes <= FEW)
            }
        };
        if may_be_near && let Some(near) = self.near(near).await {
            return Ok((socket, near, false));
        }
        let can_punch = payload.holepunch.as_ref().is_some_and(|info| !info.relays.is_empty());
        if should_direct_connect(answered.is_relayed, payload.firewall, can_punch, false) {
            let mut addresses = payload.addresses4.iter().filter_map(from_peer);
            let public = addresses.find(|address| {
                let ip = address.ip();
                !ip.is_private() && !ip.is_loopback() && !ip.is_link_local()
            });
            let remote = match public.filter(|_| answered.is_relayed) {
                Some(public) => public,
                None => from_peer(&answered.server).ok_or(ConnectError::Handshake)?,
            };
            return Ok((socket, remote.into(), false));
        }
        let path = punch::initiate(
            &self.node,
            &answered.noise,
            payload,
            &answered.via,
            &answered.server,
            peer.target(),
        )
        .await?;
        Ok((path.socket, path.remote, path.is_symmetric))
    }

    /// Behind one NAT, or on one machine: the peer's address in the network that we share, of these.
    async fn near(&self, addresses: Vec<Ipv4Peer>) -> Option<SocketAddr> {
        let mut asked = JoinSet::new();
        for address in addresses {
            let node = self.node.clone();
            asked.spawn(async move {
                let pong = node.handle().dht().ping(&address.host, address.port).await;
                pong.ok().and_then(|_| from_peer(&address))
            });
        }
        let first = async {
            while let Some(answer) = asked.join_next().await {
                if let Ok(Some(address)) = answer {
                    return Some(SocketAddr::from(address));
                }
            }
            None
        };
        timeout(LAN, first).await.ok().flatten()
    }
}

/// A handshake on its way through several nodes.
struct Asked<'a> {
    node: &'a Arc<Node>,
    target: [u8; 32],
    value: Vec<u8>,
    nodes: Vec<Ipv4Peer>,
}

impl Asked<'_> {
    /// The first answer, with the node that was asked and where the answer came from.
    async fn ask(&mut self, nodes: Vec<Ipv4Peer>) -> Option<(Ipv4Peer, Ipv4Peer, Vec<u8>)> {
        let mut new = nodes.into_iter();
        let mut under_way = JoinSet::new();
        loop {
            let next = new
                .find(|node| !self.nodes.contains(node))
                .filter(|_| self.nodes.len() < MAX_NODES);
            let more = next.is_some();
            if let Some(via) = next {
                self.nodes.push(via.clone());
                under_way.spawn(pass_on(self.node.clone(), self.target, self.value.clone(), via));
            } else if under_way.is_empty() {
                return None;
            }
            let wait = if more { HEDGE } else { HANDSHAKE };
            match timeout(wait, under_way.join_next()).await {
                Ok(Some(Ok(Some(answer)))) => return Some(answer),
                Ok(_) => {}
                Err(_) if more => {}
                Err(_) => return None,
            }
        }
    }
}

async fn pass_on(
    node: Arc<Node>,
    target: [u8; 32],
    value: Vec<u8>,
    via: Ipv4Peer,
) -> Option<(Ipv4Peer, Ipv4Peer, Vec<u8>)> {
    let mut request = UserRequestParams::default();
    request.command = PEER_HANDSHAKE;
    request.target = Some(target);
    request.value = Some(value);
    request.timeout_ms = Some(HANDSHAKE.as_millis() as u64);
    request.retries = Some(0);
    let answer = node.handle().dht().request(request, &via.host, via.port).await.ok()?;
    let value = answer.value.filter(|_| answer.error == 0)?;
    Some((via, answer.from, value))
}
