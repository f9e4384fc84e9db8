//! Several protocols over one connection: protomux, wire-compatible with npm `protomux` 3.
//!
//! Each side numbers its own channels from 1. Both sides open a channel of the same protocol and id
//! and thereby pair; one that nobody on the other side wants is rejected.
//!
//! ```text
//! A: open 1 "chat" id ──────────►  B: somebody listens for "chat": an offer; nobody: reject 1
//!    messages on 1    ──────────►     wait with the offer
//!                     ◄──────────  B: accepts: open 1 "chat" id
//!    close 1          ──────────►     the channel ends on both sides
//! ```
//!
//! `machine` is the protocol without I/O, `frame` its bytes; [`Mux`], [`Channel`],
//! [`Listener`] and [`Meeting`] are what an application holds.

mod channel;
mod codec;
mod event;
mod frame;
#[cfg(test)]
mod golden;
mod handle;
mod machine;
mod meeting;
#[cfg(test)]
mod tests;

pub use channel::{Channel, ChannelSender, Message};
pub use handle::{Listener, Mux, Offer};
pub use meeting::Meeting;

pub(crate) use codec::{Reader, put_uint};

use thiserror::Error;

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
    #[error("the peer opened more than {} channels", machine::MAX_CHANNELS)]
    TooManyChannels,
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
    /// The protocol's name or the id is longer than a peer would accept.
    #[error("the name of the protocol or the id is too long")]
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

/// Longest message, in bytes; what a frame of the encrypted stream holds is a little more.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;
