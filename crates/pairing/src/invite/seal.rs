//! The seal of requests and responses: XChaCha20-Poly1305 with the nonce as associated data.
//!
//! Whoever has the invite opens both: it is a seal against the DHT's nodes, not against another
//! holder of the invite.

use alloc::vec::Vec;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

/// How many bytes a sealed message is longer than what was sealed.
pub(super) const OVERHEAD: usize = 16;

/// Seals a message. Sealing a few kilobytes does not fail; what could fail would give an empty
/// message, which nobody opens.
pub(super) fn seal(key: &[u8; 32], nonce: &[u8; 24], plaintext: &[u8]) -> Vec<u8> {
    let payload = Payload { msg: plaintext, aad: nonce };
    cipher(key).encrypt(&XNonce::from(*nonce), payload).unwrap_or_default()
}

/// Opens what [`seal`] made.
pub(super) fn open(key: &[u8; 32], nonce: &[u8; 24], sealed: &[u8]) -> Option<Vec<u8>> {
    let payload = Payload { msg: sealed, aad: nonce };
    cipher(key).decrypt(&XNonce::from(*nonce), payload).ok()
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key))
}
