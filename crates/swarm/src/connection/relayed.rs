//! A connection through a blind relay: both sides connect to it, name the same token, and it passes
//! packets on that it cannot open (npm `blind-relay`).
//!
//! ```text
//! either side → relay: connection, channel "blind-relay" with its own key as id
//!             → pair {is first, token, number of its stream}
//!             ◄ pair {…, number of the relay's stream}     once both have come
//! then        the stream itself, to the relay's address
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libudx::{UdxSocket, UdxStream};
use peeroxide_dht::hyperdht_messages::{FIREWALL_RANDOM, RelayThroughInfo};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::dial::Dialler;
use super::secret::Session;
use super::{ConnectError, Connection};
use crate::dht::{Node, NodeAddress};
use crate::key::PublicKey;
use crate::mux::put_uint;

const PROTOCOL: &str = "blind-relay";
const PAIR: u64 = 0;
/// An attempt that is this old and led nowhere has failed.
const FAILED: Duration = Duration::from_secs(3);
/// For how long a failure is remembered.
const MEMORY: Duration = Duration::from_secs(600);
/// Hosts remembered at most.
const MAX_HOSTS: usize = 1024;

/// Where and under which token two sides meet.
pub(super) struct Through {
    pub(super) key: PublicKey,
    pub(super) token: [u8; 32],
}

impl Through {
    pub(super) fn of(info: &RelayThroughInfo) -> Self {
        Self { key: PublicKey(info.public_key), token: info.token }
    }
}

/// The relay that an acceptor offers, and to whom: offered to everybody it would cost the direct
/// paths, because a dialler that is offered a relay does not try them.
pub(crate) struct RelayOffer {
    key: PublicKey,
    /// By the dialler's host: since when its attempts lead nowhere.
    attempts: Mutex<HashMap<String, Instant>>,
}

impl RelayOffer {
    pub(crate) fn new(key: PublicKey) -> Self {
        Self { key, attempts: Mutex::default() }
    }

    /// The relay for a dialler at `host`, if a direct path is out of the question or has failed.
    pub(super) async fn token_for(&self, node: &Node, host: &str) -> Option<Through> {
        let is_symmetric = node.handle().firewalled().await.is_ok_and(|own| own >= FIREWALL_RANDOM);
        let now = Instant::now();
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.retain(|_, since| now.duration_since(*since) < MEMORY);
        let failed = attempts.get(host).is_some_and(|since| now.duration_since(*since) >= FAILED);
        if attempts.len() < MAX_HOSTS {
            attempts.entry(host.to_owned()).or_insert(now);
        }
        drop(attempts);
        (is_symmetric || failed).then(|| Through { key: self.key, token: rand::random() })
    }

    /// A direct path to `host` has opened.
    pub(super) fn succeeded(&self, host: &str) {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(host);
    }
}

/// A stream that goes through a relay.
pub(super) struct Met {
    stream: UdxStream,
    socket: UdxSocket,
    remote: SocketAddr,
    control: Connection,
}

impl Met {
    pub(super) fn remote(&self) -> (UdxSocket, SocketAddr) {
        (self.socket.clone(), self.remote)
    }

    /// Proves the peer's keys end to end; the relay's connection lives as long as this one.
    pub(super) async fn establish(
        self,
        session: &Session,
        tasks: &TaskTracker,
        unread_limit: usize,
    ) -> Result<Connection, ConnectError> {
        let stream = self.stream.into_async_stream();
        let made =
            Connection::establish(session, stream, Some(self.socket), tasks, unread_limit).await;
        let control = self.control;
        match made {
            Ok(connection) => {
                let ending = connection.clone();
                tasks.spawn(async move {
                    tokio::select! {
                        _ = ending.closed() => control.close(),
                        _ = control.closed() => ending.close(),
                    }
                });
                Ok(connection)
            }
            Err(error) => {
                control.close();
                Err(error)
            }
        }
    }
}

/// Meets the peer at the relay. The side that named the relay is the first.
pub(super) async fn meet(
    dialler: &Dialler,
    through: &Through,
    hints: &[NodeAddress],
    is_first: bool,
) -> Result<Met, ConnectError> {
    let reached = Box::pin(dialler.reach(through.key, hints, true)).await;
    let reached = reached.map_err(|_| ConnectError::Relay)?;
    let paired = pair(dialler, &reached.connection, through, is_first).await;
    let (id, remote_id) = match paired {
        Some(ids) => ids,
        None => {
            reached.connection.close();
            return Err(ConnectError::Relay);
        }
    };
    let stream = dialler.node.runtime().create_stream(id).await;
    let stream = stream.map_err(|_| ConnectError::Relay)?;
    let connected = stream.connect(&reached.socket, remote_id, reached.remote).await;
    connected.map_err(|_| ConnectError::Relay)?;
    Ok(Met { stream, socket: reached.socket, remote: reached.remote, control: reached.connection })
}

/// The number of our stream and that of the relay's.
async fn pair(
    dialler: &Dialler,
    relay: &Connection,
    through: &Through,
    is_first: bool,
) -> Option<(u32, u32)> {
    let own = dialler.keys.public_key();
    let mut channel = relay.mux().open(PROTOCOL, Some(&own.0), b"").ok()?;
    let id = super::stream_id();
    let mut asked = vec![u8::from(is_first)];
    asked.extend_from_slice(&through.token);
    put_uint(&mut asked, u64::from(id));
    put_uint(&mut asked, 0);
    channel.opened().await.ok()?;
    channel.send(PAIR, &asked).await.ok()?;
    let remote_id = loop {
        let message = channel.recv().await?;
        if message.kind == PAIR
            && let Some(remote_id) = answer(&message.bytes, through, is_first)
        {
            break remote_id;
        }
    };
    // The pairing ends with the channel, and the channel with the relay's connection.
    let hold = relay.clone();
    dialler.tasks.spawn(async move {
        hold.closed().await;
        drop(channel);
    });
    Some((id, remote_id))
}

fn answer(bytes: &bytes::Bytes, through: &Through, is_first: bool) -> Option<u32> {
    let mut reader = crate::mux::Reader::new(bytes.clone());
    let flags = reader.take(1).ok()?;
    let token = reader.take(32).ok()?;
    let matches = flags.first().is_some_and(|flags| (flags & 1 != 0) == is_first)
        && token.as_ref() == through.token;
    reader.channel().ok().filter(|_| matches)
}
