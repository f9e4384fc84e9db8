//! Secrets and what is done with them.
//!
//! Everything a Handfast protocol computes with a key happens here, under a [`Label`] from the one
//! table in [`labels`], so that no two purposes can ever share a hash, a signature or a key.
//!
//! The crate is pure: bytes, time and randomness are arguments. It is `no_std`, so it cannot reach
//! a clock, a file or a socket even by accident.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod bytes;
pub mod canonical;
pub mod check_code;
pub mod emoji;
pub mod hpke;
pub mod labels;
pub mod sealing;
pub mod secret;
pub mod signing;
mod time;

pub use check_code::{CheckCode, Fingerprint};
pub use hpke::{ExchangePublic, ExchangeSecret};
pub use labels::{Digest, Label};
pub use sealing::ContentKey;
pub use secret::Secret;
pub use signing::{
    AuthPublic, AuthSecret, BadSignature, InvalidKey, InvitePublic, InviteSecret, IpnsPublic,
    IpnsSecret, MailboxPublic, MailboxSecret, Signature, Signer, SwarmPublic, SwarmSecret,
    WriterPublic, WriterSecret,
};
pub use time::Timestamp;

/// What [`fixed_bytes!`](crate::fixed_bytes) needs at the place where it is used.
#[doc(hidden)]
pub mod __private {
    pub use crate::bytes::{deserialize, write_hex};
    pub use serde;
}
