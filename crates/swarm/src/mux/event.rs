//! What a machine tells, and the names it uses.

use bytes::Bytes;

/// Names one channel of one side for as long as the connection lives; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelId(pub(super) u64);

/// Names one remote open that waits to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OfferId {
    pub(super) remote: u32,
    pub(super) serial: u64,
}

/// What channels are paired by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) protocol: String,
    pub(crate) id: Bytes,
}

impl Key {
    pub(crate) fn new(protocol: &str, id: &[u8]) -> Self {
        Self { protocol: protocol.to_owned(), id: Bytes::copy_from_slice(id) }
    }
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Both sides have opened the channel.
    Opened { channel: ChannelId, handshake: Bytes },
    /// The remote said something.
    Message { channel: ChannelId, kind: u64, payload: Bytes },
    /// The remote closed or rejected the channel.
    Closed { channel: ChannelId },
    /// The remote opened a channel that this side listens for; accept or decline it.
    Offered { offer: OfferId, key: Key, handshake: Bytes },
    /// An offer is void: do not accept it.
    Withdrawn { offer: OfferId },
}
