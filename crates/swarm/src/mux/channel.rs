//! A channel: messages of one protocol, in order.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::event::ChannelId;
use super::handle::Shared;
use super::{MAX_MESSAGE, SendError};

/// A message of a channel: its kind is what protomux calls a message type, the index of the message
/// in the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which of the protocol's messages this is.
    pub kind: u64,
    /// Its bytes, as the peer encoded them.
    pub bytes: Bytes,
}

/// What became of the remote's side of a channel.
#[derive(Clone)]
pub(super) enum Opening {
    Waiting,
    Opened(Bytes),
    Closed,
}

/// One channel of a connection; dropping it closes it.
///
/// Messages may be sent before the peer has opened its side: they wait there. Whoever holds a channel
/// should keep reading it: what waits unread counts towards the connection's limit, beyond which the
/// connection is ended.
pub struct Channel {
    sender: ChannelSender,
    messages: mpsc::UnboundedReceiver<Message>,
    opening: watch::Receiver<Opening>,
}

impl Channel {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: ChannelId,
        messages: mpsc::UnboundedReceiver<Message>,
        opening: watch::Receiver<Opening>,
    ) -> Self {
        Self { sender: ChannelSender { shared, id }, messages, opening }
    }

    /// Waits until the peer has opened its side and returns what it said in its open (its
    /// handshake, raw).
    ///
    /// # Errors
    /// [`SendError::Closed`] if the peer rejected the channel, or it was closed.
    pub async fn opened(&mut self) -> Result<Bytes, SendError> {
        let opening = self.opening.wait_for(|opening| !matches!(opening, Opening::Waiting)).await;
        match opening.as_deref() {
            Ok(Opening::Opened(handshake)) => Ok(handshake.clone()),
            _ => Err(SendError::Closed),
        }
    }

    /// The next message; `None` when the channel is closed by either side and everything was read.
    pub async fn recv(&mut self) -> Option<Message> {
        let message = self.messages.recv().await?;
        self.sender.shared.taken(message.bytes.len());
        Some(message)
    }

    /// Sends a message; waits while much is queued on the connection.
    ///
    /// # Errors
    /// [`SendError`] if the channel is closed or the message too long.
    pub async fn send(&self, kind: u64, bytes: &[u8]) -> Result<(), SendError> {
        self.sender.send(kind, bytes).await
    }

    /// Sends messages as one batch, one frame on the wire; waits as [`Self::send`] does.
    ///
    /// # Errors
    /// [`SendError`]; then none was sent.
    pub async fn send_all(&self, messages: &[(u64, &[u8])]) -> Result<(), SendError> {
        self.sender.send_all(messages).await
    }

    /// A sending half that can be cloned; it does not keep the channel open.
    pub fn sender(&self) -> ChannelSender {
        self.sender.clone()
    }

    /// Closes the channel on both sides; what was sent before still arrives. Nothing if it is closed.
    pub fn close(&self) {
        self.sender.close();
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
        self.messages.close();
        while let Ok(message) = self.messages.try_recv() {
            self.sender.shared.taken(message.bytes.len());
        }
    }
}

/// The sending half of a [`Channel`].
#[derive(Clone)]
pub struct ChannelSender {
    shared: Arc<Shared>,
    id: ChannelId,
}

impl ChannelSender {
    /// As [`Channel::send`].
    ///
    /// # Errors
    /// [`SendError`] if the channel is closed or the message too long.
    pub async fn send(&self, kind: u64, bytes: &[u8]) -> Result<(), SendError> {
        self.send_all(&[(kind, bytes)]).await
    }

    /// As [`Channel::send_all`].
    ///
    /// # Errors
    /// [`SendError`]; then none was sent.
    pub async fn send_all(&self, messages: &[(u64, &[u8])]) -> Result<(), SendError> {
        if messages.iter().any(|(_, bytes)| bytes.len() > MAX_MESSAGE) {
            return Err(SendError::TooLong);
        }
        self.shared.send(self.id, messages).await
    }

    /// As [`Channel::close`].
    pub fn close(&self) {
        self.shared.close_channel(self.id);
    }
}
