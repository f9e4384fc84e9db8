//! Pairing by invite code: the blind-pairing protocol (npm `blind-pairing` 2.x), and the exchange
//! that follows it.
//!
//! ```text
//! Member                     connection, or the DHT                    Candidate
//!    │ draws the invite, stores it                                          │
//!    │ ─────────────────── invite, sent by any means ────────────────────►  │
//!    │ ◄───────────────────────  request  ───────────────────────────────── │ envelope
//!    │ locks the candidate                                                  │
//!    │ ────────────────────────  response  ───────────────────────────────► │ (raw profile: done)
//!    │                          both lines                                  │
//!    │ ─────────────────────────  Reveal  ────────────────────────────────► │ opens the commitment
//!    │                                                                      │
//!    ╞═══════ with `verify`: both compare H("check-code", …), Confirmed ═════╡
//!    │                                                                      │
//!    │ ──────────────────────────  Map  ──────────────────────────────────► │ makes its writers
//!    │ ◄───────────────────────  Writers  ───────────────────────────────── │
//!    │ adds them                                                            │
//!    │ ──────────────────────────  Done  ─────────────────────────────────► │
//! ```
//!
//! The invite commits the member to a key and a nonce. Whoever has the invite can read and write
//! requests and responses; the exchange is sealed between the two exchange keys, so that of two who
//! have the invite one gets in and the other learns nothing of value, not even afterwards. Who of
//! the two gets in, only a comparison of the check code can tell: without `verify` an invite is
//! worth what it opens to whoever has it, until it is used.
//!
//! Both roads carry the same bytes. What comes first counts, and nothing counts twice.

mod candidate;
mod channel;
pub mod code;
pub mod codec;
pub mod derive;
mod exchange;
pub mod line;
mod machine;
mod member;
pub mod message;
pub mod request;
pub mod response;
mod seal;
pub mod session;

pub use candidate::{Candidate, CandidateSetup};
pub use code::{Invite, InviteError, Profile};
pub use derive::{ChunkHash, DiscoveryKey, InviteId, StructureKey, Topic};
pub use line::{Conversation, Letter, OwnLine};
pub use machine::Machine;
pub use member::{InviteOptions, Member, Terms};
pub use message::{Map, Structure, Writers};
pub use request::{Mailboxes, Receipt, Request};
pub use response::{Additional, Denial, Grant, Response, Verdict};
pub use session::{
    Asking, Effect, Failure, Input, Joined, Joining, Offer, Peer, Question, Unreadable, Via,
};
