//! Content and names as the IPFS specifications have them: CIDs, blocks, IPNS names and records.
//!
//! * Content is stored in raw [`Block`]s of at most [`MAX_BLOCK`] bytes. A block's [`Cid`] is the
//!   SHA-256 of its bytes and nothing else, so whoever fetched a block can check it with one hash,
//!   and every provider computes the same CID.
//! * A [`Name`] is an Ed25519 public key. Its holder publishes signed [`Record`]s under it; the
//!   newest valid one says where the content is. A [`Record`] that exists has been verified.
//!
//! The crate is pure: time and bytes are arguments, nothing here reads a clock or a socket.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod block;
pub mod cid;
pub mod name;
mod protobuf;
pub mod record;
pub mod validity;

pub use block::{Block, BlockError, BlockTooLarge, MAX_BLOCK};
pub use cid::{Cid, CidError, WrongBytes};
pub use name::{KeyKind, Name, NameError};
pub use record::{
    DEFAULT_TTL_NS, Draft, EMPTY_PATH, Field, MAX_RECORD, MAX_SEQUENCE, Record, RecordError,
};
pub use validity::{Eol, EolError};
