//! Signing keys, one type for each purpose.
//!
//! P-256 (`auth`) because that is the curve that the key stores of phones and laptops hold;
//! Ed25519 for IPNS names, the swarm and writers because those formats demand it.

mod auth;
mod ed25519;

pub use auth::{AuthPublic, AuthSecret};
pub use ed25519::{
    InvitePublic, InviteSecret, IpnsPublic, IpnsSecret, MailboxPublic, MailboxSecret, Signer,
    SwarmPublic, SwarmSecret, WriterPublic, WriterSecret,
};

crate::fixed_bytes! {
    /// A signature: r ‖ s of ECDSA with low s, or Ed25519's 64 bytes.
    pub struct Signature([u8; 64]);
}

/// A signature that was not made by the key over these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Bytes that are no key of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are not a valid key")]
pub struct InvalidKey;
