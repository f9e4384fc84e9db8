//! What an application holds of a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use libudx::{UdxAsyncStream, UdxSocket};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::lanes::Lanes;
use super::secret::Session;
use super::{CloseReason, ConnectError, pump};
use crate::key::PublicKey;
use crate::mux::Mux;

/// How long the application may take to say which protocols it listens for on a new connection.
const GRACE: Duration = Duration::from_secs(1);
/// How long the peer may take to show its keys once there is a path.
const PROOF: Duration = Duration::from_secs(10);

/// An encrypted connection with one peer, whose key is proven. Clones are the same connection.
///
/// It lives until either side closes it, the peer is gone, or the swarm is closed; dropping it does
/// not close it.
#[derive(Clone)]
pub struct Connection {
    link: Arc<Link>,
}

/// What the tasks of a connection and its handles share.
pub(crate) struct Link {
    pub(super) mux: Mux,
    pub(super) unread_limit: usize,
    pub(super) lanes: Lanes,
    remote: PublicKey,
    handshake_hash: [u8; 64],
    is_initiator: bool,
    reason: watch::Sender<Option<CloseReason>>,
}

impl Connection {
    /// Starts a connection and waits until the peer has shown its keys. See [`Opening`].
    pub(crate) async fn establish(
        session: &Session,
        stream: UdxAsyncStream,
        socket: Option<UdxSocket>,
        tasks: &TaskTracker,
        unread_limit: usize,
    ) -> Result<Self, ConnectError> {
        Opening::start(session, stream, socket, tasks, unread_limit).proven().await
    }

    /// The peer's key, proven by the handshake.
    pub fn remote_public_key(&self) -> PublicKey {
        self.link.remote
    }

    /// Names this connection alike on both sides and nowhere else: the hash of its handshake.
    pub fn handshake_hash(&self) -> &[u8; 64] {
        &self.link.handshake_hash
    }

    /// Whether this side dialled.
    pub fn is_initiator(&self) -> bool {
        self.link.is_initiator
    }

    /// The channels of this connection.
    pub fn mux(&self) -> &Mux {
        &self.link.mux
    }

    /// Ends the connection; what was sent before still goes out.
    pub fn close(&self) {
        self.link.end(CloseReason::Local);
    }

    pub(crate) fn close_because(&self, reason: CloseReason) {
        self.link.end(reason);
    }

    /// Waits until the connection has ended, and says why.
    pub async fn closed(&self) -> CloseReason {
        self.link.ended().await
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.link.reason.borrow().is_some()
    }

    /// Whether both are handles of one connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.link, &other.link)
    }

    pub(crate) fn lanes_state(&self) -> &Lanes {
        &self.link.lanes
    }
}

/// A connection whose peer has not shown yet that the path leads to it. Who it is the handshake has
/// proven to whoever dialled, so what is said on its channels goes out at once. Dropping it ends it.
pub(crate) struct Opening {
    connection: Connection,
    proof: oneshot::Receiver<()>,
    tasks: TaskTracker,
    guard: EndOnDrop,
}

impl Opening {
    /// Starts the tasks of a connection. `socket` is kept open for as long as it lives.
    pub(crate) fn start(
        session: &Session,
        stream: UdxAsyncStream,
        socket: Option<UdxSocket>,
        tasks: &TaskTracker,
        unread_limit: usize,
    ) -> Self {
        let link = Arc::new(Link {
            mux: Mux::new(),
            unread_limit,
            lanes: Lanes::default(),
            remote: PublicKey(session.remote_public_key),
            handshake_hash: session.handshake_hash,
            is_initiator: session.is_initiator,
            reason: watch::Sender::new(None),
        });
        let (sealer, opener) = session.split();
        let (read, write) = tokio::io::split(stream);
        let (proven, proof) = oneshot::channel();
        let reader = tasks.spawn(pump::read(link.clone(), opener, read, proven));
        let writer = pump::write(link.clone(), sealer, write);
        tasks.spawn(async move {
            writer.await;
            // Only a panic could fail it, and then there is nothing to read.
            let _ = reader.await;
            drop(socket);
        });
        let guard = EndOnDrop(Some(link.clone()));
        Self { connection: Connection { link }, proof, tasks: tasks.clone(), guard }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Waits until the peer has shown its keys.
    pub(crate) async fn proven(mut self) -> Result<Connection, ConnectError> {
        match timeout(PROOF, &mut self.proof).await {
            Ok(Ok(())) => {
                self.guard.0 = None;
                let waiting = self.connection.link.clone();
                self.tasks.spawn(async move {
                    // Over before: then there is nobody to tell.
                    let _ = timeout(GRACE, waiting.ended()).await;
                    waiting.mux.decide();
                });
                Ok(self.connection)
            }
            Ok(Err(_)) => Err(ConnectError::Refused),
            Err(_) => Err(ConnectError::Timeout),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("remote", &self.link.remote)
            .field("is_initiator", &self.link.is_initiator)
            .finish_non_exhaustive()
    }
}

impl Link {
    /// The first reason counts.
    pub(super) fn end(&self, reason: CloseReason) {
        self.reason.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
        self.mux.end();
        self.lanes.end();
    }

    pub(super) async fn ended(&self) -> CloseReason {
        let mut reason = self.reason.subscribe();
        // The sender is in `self`.
        match reason.wait_for(Option::is_some).await.map(|reason| *reason) {
            Ok(Some(reason)) => reason,
            _ => CloseReason::Lost,
        }
    }

    /// Waits until nothing is to be written any more.
    pub(super) async fn lost(&self) {
        if !self.ended().await.leaves_nothing_to_say() {
            std::future::pending::<()>().await;
        }
    }
}

struct EndOnDrop(Option<Arc<Link>>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.end(CloseReason::Local);
        }
    }
}

#[cfg(test)]
impl Connection {
    /// A connection that `remote` dialled, without a stream below.
    pub(crate) fn without_stream(remote: PublicKey) -> Self {
        let link = Link {
            mux: Mux::new(),
            unread_limit: usize::MAX,
            lanes: Lanes::default(),
            remote,
            handshake_hash: [0; 64],
            is_initiator: false,
            reason: watch::Sender::new(None),
        };
        Self { link: Arc::new(link) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mux::ProtocolError;

    #[tokio::test(start_paused = true)]
    async fn who_breaks_the_rules_is_sent_nothing_more_and_others_what_is_queued() {
        for (reason, nothing_more) in [
            (CloseReason::Local, false),
            (CloseReason::Duplicate, false),
            (CloseReason::Unread, false),
            (CloseReason::Remote, true),
            (CloseReason::Protocol(ProtocolError::Unheard), true),
        ] {
            let connection = Connection::without_stream(PublicKey([2; 32]));
            connection.close_because(reason);
            assert_eq!(timeout(GRACE, connection.link.lost()).await.is_ok(), nothing_more);
        }
    }
}
