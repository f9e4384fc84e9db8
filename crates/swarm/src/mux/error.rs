//! What can go wrong, and whose fault it is.

use thiserror::Error;

use super::frame::MAX_MESSAGE;
use super::machine::MAX_CHANNELS;

/// What is wrong with what the remote sent; the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The remote sent bytes that are no frame.
    #[error("the peer sent a malformed frame: {0}")]
    Malformed(&'static str),
    /// The remote opened a channel under a number that it may not use now.
    #[error("the peer opened a channel under a number that is taken or out of order")]
    BadOpen,
    /// The remote rejected a channel that does not wait for an answer.
    #[error("the peer rejected a channel that it was not asked for")]
    BadReject,
    /// The remote holds more channels open than we allow.
    #[error("the peer opened more than {} channels", MAX_CHANNELS)]
    TooManyChannels,
    /// The remote opens channels faster than it takes in what becomes of them.
    #[error("the peer opens channels faster than it reads the answers")]
    Unheard,
}

/// Why a channel cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// This side has a channel of that protocol and id already.
    #[error("a channel of this protocol and id is open already")]
    AlreadyOpen,
    /// The remote took its offer back, or it was accepted another way.
    #[error("the peer no longer offers this channel")]
    Withdrawn,
    /// The protocol's name, the id or the handshake is longer than a peer would accept.
    #[error("the name of the protocol, the id or the handshake is too long")]
    TooLong,
    /// The connection has ended.
    #[error("the connection has ended")]
    Ended,
}

/// Why a message cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// The channel or its connection is closed, by either side.
    #[error("the channel is closed")]
    Closed,
    /// The message is longer than [`MAX_MESSAGE`].
    #[error("the message is longer than {MAX_MESSAGE} bytes")]
    TooLong,
}
