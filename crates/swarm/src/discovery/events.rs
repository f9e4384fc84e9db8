//! What an application is told.

use tokio::sync::mpsc;

use crate::connection::{ConnectError, Connection};
use crate::key::PublicKey;

/// Something that happened in the swarm.
#[derive(Debug, Clone)]
pub enum SwarmEvent {
    /// A peer that this side dials has answered, and proven who it is; whether a path leads to it is
    /// not known yet. What is said on the channels of this connection goes out with its first packet,
    /// and is lost if it never becomes [`Self::Connected`].
    Opening(Connection),
    /// A peer is connected. If it was before, this connection took the other one's place.
    Connected(Connection),
    /// A peer is connected no more.
    Disconnected {
        /// Who.
        peer: PublicKey,
    },
    /// A peer could not be dialled; it will be tried again if it is still wanted.
    Failed {
        /// Who.
        peer: PublicKey,
        /// Why; [`ConnectError::SymmetricNat`] is for people to know.
        reason: ConnectError,
    },
}

/// The events of a swarm from when it was subscribed; those that wait are kept, so read them.
pub struct Events {
    /// Boxed: there may be thousands of subscribers to whom little happens.
    receiver: mpsc::UnboundedReceiver<Box<SwarmEvent>>,
}

impl Events {
    /// The next event; `None` when the swarm is closed.
    pub async fn next(&mut self) -> Option<SwarmEvent> {
        self.receiver.recv().await.map(|event| *event)
    }
}

/// Everybody who is told.
#[derive(Default)]
pub(super) struct Subscribers {
    senders: Vec<mpsc::UnboundedSender<Box<SwarmEvent>>>,
}

impl Subscribers {
    pub(super) fn add(&mut self) -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.senders.push(sender);
        Events { receiver }
    }

    pub(super) fn tell(&mut self, event: &SwarmEvent) {
        self.senders.retain(|sender| sender.send(Box::new(event.clone())).is_ok());
    }

    pub(super) fn clear(&mut self) {
        self.senders.clear();
    }
}
