//! What follows an answered handshake: the dialler's stream arrives, directly or at a relay.
//!
//! Two more rules, each found by a failure:
//!
//! - The stream is expected on every socket that the dialler may choose: the one that direct packets
//!   go to, the one that the LAN address leads to, and, once it punches, the puncher's. The first
//!   packet decides, and nothing is sent before.
//! - A dialler without NAT waits to be sent to.

use std::sync::Arc;
use std::time::Duration;

use libudx::{UdxSocket, UdxStream};
use peeroxide_dht::hyperdht_messages::{FIREWALL_OPEN, HolepunchMessage};
use peeroxide_dht::messages::Ipv4Peer;
use peeroxide_dht::noise_wrap::NoiseWrapResult;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::accept::Acceptor;
use super::punch::Passive;
use super::relayed;
use super::secret::Session;
use super::{ConnectError, Connection};

/// How long a dialler may take from its handshake to the first packet of its stream.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// One answered handshake, whose stream has not come yet.
pub(super) struct Arrival {
    pub(super) acceptor: Arc<Acceptor>,
    pub(super) id: u32,
    pub(super) remote_id: u32,
    pub(super) client: Ipv4Peer,
    pub(super) relayed: bool,
    pub(super) firewall: u64,
    pub(super) noise: NoiseWrapResult,
}

impl Arrival {
    /// Waits for the dialler's first packet and hands the connection over.
    pub(super) async fn direct(
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
    pub(super) async fn open_doors(&self) -> Result<Doors, ConnectError> {
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
    pub(super) async fn relayed(
        self,
        through: relayed::Through,
        is_first: bool,
    ) -> Result<(), ConnectError> {
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
pub(super) struct Doors {
    open: Vec<(UdxStream, UdxSocket)>,
    sender: mpsc::UnboundedSender<usize>,
    first: mpsc::UnboundedReceiver<usize>,
}

impl Doors {
    async fn open(&mut self, arrival: &Arrival, socket: UdxSocket) -> Result<(), ConnectError> {
        let stream = arrival.stream().await?;
        let (sender, number) = (self.sender.clone(), self.open.len());
        let hook = move |_: &UdxSocket, _, _| sender.send(number).is_ok();
        let set = stream.set_firewall_hook(&socket, arrival.remote_id, hook);
        set.map_err(|_| ConnectError::NoPath)?;
        self.open.push((stream, socket));
        Ok(())
    }
}

/// One round of hole punching that the dialler asks for.
pub(super) struct Round {
    pub(super) message: HolepunchMessage,
    pub(super) from: Ipv4Peer,
    pub(super) peer: Ipv4Peer,
    pub(super) reply: oneshot::Sender<Option<Vec<u8>>>,
}
