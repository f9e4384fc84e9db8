//! Pairing by invite code: blind-pairing 2.x, and the exchange that follows it.
pub mod code;
pub mod codec;
pub mod derive;
pub mod request;
pub mod response;
mod seal;

pub use code::{Invite, InviteError, Profile};
pub use derive::{DiscoveryKey, InviteId, StructureKey, Topic};
pub use request::{Mailboxes, Receipt, Request};
pub use response::{Additional, Denial, Grant, Response, Verdict};
