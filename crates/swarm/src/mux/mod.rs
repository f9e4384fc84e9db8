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

#[cfg(test)]
mod bounds;
mod channel;
mod codec;
mod error;
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
pub use error::{OpenError, ProtocolError, SendError};
pub use frame::MAX_MESSAGE;
pub use handle::{Listener, Mux, Offer};
pub use meeting::Meeting;

pub(crate) use codec::{Reader, put_uint};
