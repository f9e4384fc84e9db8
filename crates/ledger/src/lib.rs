//! The ledger: collections of JSON records that several devices change without a server between
//! them.
//!
//! ```text
//! Fields ── edit ──► Op ── Author ──► Mutation ── chain, Tip ──► Segment ──► body ──► blocks
//!                                        │
//!                         RecordState ◄──┘ apply, in any order
//!                              │
//!                              └── view: visible? winners, conflicts
//! ```
//!
//! A **collection** has a [`Namespace`] and records; a **record** a [`RecordId`] and fields; a field
//! one value, or several that nobody has chosen between yet (see [`register`]). Every device that
//! writes has a **log** for each collection (see [`log`]), cut into [`segment`]s to travel. Whoever
//! has the same logs has the same records, whatever the order in which they came.
//!
//! The crate keeps nothing. It is functions from values to values; bytes, time and randomness are
//! arguments. The store keeps the rows, and does this:
//!
//! - **A local edit**: [`create`] or a method of [`RecordState`] gives the [`Op`];
//!   [`Author::append`] makes the mutation of it; the state takes it in ([`RecordState::apply`]).
//!   One transaction holds the mutation, the log's new [`Position`] and the record's row.
//! - **A segment arrives**: [`Segment::from_body`], [`Segment::verify`], then [`Graft::of`] says
//!   what it means for the log that is here. What is new is applied to its records, all of it
//!   before any of them is [pruned](RecordState::prune), in one transaction.
//! - **A log forks**: the [`Fork`] and both versions are kept, the records that the mutations
//!   beyond the common prefix touched are made anew from what counts ([`RecordState::replay`]),
//!   and if the log is one's own its lost mutations are written again ([`reauthor()`]).
//! - **Records without history become a log**: [`Sealer`].
//! - **Segments age**: [`recut::plan`] says which to [join](Segment::join).
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod edit;
pub mod field;
pub mod fork;
mod json;
pub mod log;
pub mod mutation;
pub mod namespace;
pub mod packing;
pub mod reauthor;
pub mod record;
pub mod recut;
pub mod register;
pub mod sealing;
pub mod segment;
pub mod snapshot;
pub mod state;
pub mod value;
pub mod view;

pub use edit::{EditError, Pick, create};
pub use field::{FieldName, Fields, FieldsError};
pub use fork::{Fork, Graft};
pub use log::{Author, ChainHash, LogEntry, LogId, Position, Tip};
pub use mutation::{Change, Dot, Mutation, MutationError, Op};
pub use namespace::{Namespace, NamespaceError};
pub use packing::{PackError, Sealed};
pub use reauthor::reauthor;
pub use record::{InvalidRecordId, KeyError, RecordId};
pub use register::{Candidate, Entry, Register};
pub use sealing::{SealError, SealedBatch, SealedRow, Sealer, SoloRecord};
pub use segment::{Segment, SegmentError, Verified};
pub use snapshot::{
    Included, Snapshot, SnapshotError, SnapshotReader, SnapshotRow, SnapshotWriter, StateHash,
    StateHasher,
};
pub use state::RecordState;
pub use value::{Value, ValueError};
pub use view::{Conflict, Policy};
