//! Keys and topics.

use std::fmt;

use data_encoding::HEXLOWER;
use peeroxide_dht::crypto;
use peeroxide_dht::hyperdht;
use zeroize::Zeroizing;

/// An Ed25519 public key: who a peer is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// What peers meet under: 32 bytes that only they know or can compute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(pub [u8; 32]);

/// An Ed25519 key pair: signs announcements and records, and proves to a peer who dials.
#[derive(Clone)]
pub struct KeyPair {
    seed: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl KeyPair {
    /// A new key pair from the system's randomness.
    pub fn generate() -> Self {
        Self::from_seed(rand::random())
    }

    /// The key pair of a 32-byte seed; the same one as `crypto.keyPair(seed)` of npm
    /// `hypercore-crypto`. The seed is the secret.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let public = PublicKey(hyperdht::KeyPair::from_seed(seed).public_key);
        Self { seed: Zeroizing::new(seed), public }
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// The key pair under which this side dials its lanes.
    pub(crate) fn lane(&self) -> Self {
        Self::from_seed(crypto::hash_batch(&[b"handfast/lanes/1", self.seed.as_slice()]))
    }

    pub(crate) fn to_dht(&self) -> hyperdht::KeyPair {
        hyperdht::KeyPair::from_seed(*self.seed)
    }

    pub(crate) fn to_noise(&self) -> peeroxide_dht::noise::Keypair {
        peeroxide_dht::noise::keypair_from_seed(&self.seed)
    }
}

impl PublicKey {
    /// Under which the peer itself is announced: where a handshake with it is sent.
    pub(crate) fn target(&self) -> [u8; 32] {
        crypto::hash(&self.0)
    }
}

/// The discovery key of a public key, as npm `hypercore-crypto` has it: a topic that does not give
/// the key away.
pub fn discovery_key(public_key: &[u8; 32]) -> [u8; 32] {
    crypto::discovery_key(public_key)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({})", HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let keys = KeyPair::from_seed([0xab; 32]);
        let shown = format!("{keys:?}");
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
        assert!(shown.contains(&keys.public_key().to_string()));
    }

    #[test]
    fn lanes_have_a_key_of_their_own() {
        let keys = KeyPair::from_seed([1; 32]);
        assert_ne!(keys.lane().public_key(), keys.public_key());
        assert_eq!(keys.lane().public_key(), keys.lane().public_key());
    }
}
