//! Sealing of stored objects: AES-256-GCM (NIST SP 800-38D) under a random content key.
//!
//! An object is sealed block by block, each block at most 256 KiB with its tag, so that every
//! provider stores it as one raw block. A block's nonce is its index (eleven bytes, big-endian)
//! followed by one byte that says whether it is the last: blocks can be neither reordered, nor
//! dropped, nor added. (The construction of STREAM: Hoang, Reyhanitabar, Rogaway, Vizár 2015.)
//! A content key seals one object only.

use alloc::vec::Vec;
use core::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::{Digest, Label, Secret};

/// The largest sealed block, tag included: 256 KiB less the room for a [`WrappedKey`] before the
/// first one.
pub const MAX_SEALED_BLOCK: usize = 262_144 - WrappedKey::LEN;

const TAG: usize = 16;
const NONCE: usize = 12;

/// The plaintext that fits into one sealed block.
pub const MAX_PLAIN_BLOCK: usize = MAX_SEALED_BLOCK - TAG;

/// A sealed object that does not open: the wrong key, or not what was sealed. Which, nobody learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed object does not open")]
pub struct OpenError;

/// A 256-bit key for one object, or one that wraps such keys. Secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentKey(Secret<32>);

impl ContentKey {
    /// Draws a key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Secret::generate(rng))
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Secret::from_bytes(bytes))
    }

    /// `H(label, key)`: something public that only who holds the key can tell.
    pub fn hash(&self, label: Label) -> Digest {
        label.hash([self.0.expose()])
    }

    /// Seals an object into its blocks. The same key and plaintext give the same blocks, so a
    /// device that keeps both can make the blocks again instead of keeping them; for the same
    /// reason a key must never seal two different objects.
    pub fn seal_blocks(&self, plaintext: &[u8]) -> Vec<Vec<u8>> {
        let last = plaintext.len().div_ceil(MAX_PLAIN_BLOCK).max(1) - 1;
        let cipher = self.cipher();
        (0..=last)
            .map(|index| {
                let start = (index * MAX_PLAIN_BLOCK).min(plaintext.len());
                let end = (start + MAX_PLAIN_BLOCK).min(plaintext.len());
                let block = plaintext.get(start..end).unwrap_or_default();
                // Encryption fails only beyond 2^36 bytes; a block is far below.
                cipher.encrypt(&block_nonce(index, index == last), block).unwrap_or_default()
            })
            .collect()
    }

    /// Opens the blocks that [`seal_blocks`](Self::seal_blocks) made, all of them, in order.
    pub fn open_blocks<B: AsRef<[u8]>>(&self, blocks: &[B]) -> Result<Vec<u8>, OpenError> {
        let last = blocks.len().checked_sub(1).ok_or(OpenError)?;
        let cipher = self.cipher();
        let mut plaintext = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            let block = block.as_ref();
            if block.len() > MAX_SEALED_BLOCK {
                return Err(OpenError);
            }
            let opened =
                cipher.decrypt(&block_nonce(index, index == last), block).map_err(|_| OpenError)?;
            plaintext.extend(opened);
        }
        Ok(plaintext)
    }

    /// Wraps `key` under this key: random nonce ‖ ciphertext. `context` says what the wrapped key
    /// is for and must be given again to unwrap.
    pub fn wrap<R: CryptoRng + ?Sized>(
        &self,
        context: &Digest,
        key: &ContentKey,
        rng: &mut R,
    ) -> WrappedKey {
        let mut nonce = [0; NONCE];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: key.0.expose(), aad: context.as_ref() };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload).unwrap_or_default();
        let mut bytes = [0; WrappedKey::LEN];
        bytes.iter_mut().zip(nonce.iter().chain(&sealed)).for_each(|(to, from)| *to = *from);
        WrappedKey::from_bytes(bytes)
    }

    /// Unwraps what [`wrap`](Self::wrap) made for the same context.
    pub fn unwrap(&self, context: &Digest, wrapped: &WrappedKey) -> Result<ContentKey, OpenError> {
        let (nonce, sealed) = wrapped.as_bytes().split_first_chunk::<NONCE>().ok_or(OpenError)?;
        let payload = Payload { msg: sealed, aad: context.as_ref() };
        let key = zeroize::Zeroizing::new(
            self.cipher().decrypt(&Nonce::from(*nonce), payload).map_err(|_| OpenError)?,
        );
        let key: [u8; 32] = key.as_slice().try_into().map_err(|_| OpenError)?;
        Ok(Self::from_bytes(key))
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&Key::<Aes256Gcm>::from(*self.0.expose()))
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(…)")
    }
}

crate::fixed_bytes! {
    /// A content key under another key: nonce, ciphertext, tag.
    pub struct WrappedKey([u8; 60]);
}

fn block_nonce(index: usize, last: bool) -> Nonce<aes_gcm::aead::consts::U12> {
    let [a, b, c, d, e, f, g, h] = (index as u64).to_be_bytes();
    Nonce::from([0, 0, 0, a, b, c, d, e, f, g, h, u8::from(last)])
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn key(seed: u64) -> ContentKey {
        ContentKey::generate(&mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn blocks_round_trip_at_every_edge() {
        for len in [0, 1, MAX_PLAIN_BLOCK - 1, MAX_PLAIN_BLOCK, MAX_PLAIN_BLOCK + 1, 600_000] {
            let plaintext: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let blocks = key(1).seal_blocks(&plaintext);
            assert!(blocks.iter().all(|block| block.len() <= MAX_SEALED_BLOCK));
            assert_eq!(blocks, key(1).seal_blocks(&plaintext));
            assert_eq!(key(1).open_blocks(&blocks).unwrap(), plaintext);
            assert_eq!(key(2).open_blocks(&blocks), Err(OpenError));
        }
    }

    #[test]
    fn blocks_cannot_be_rearranged() {
        let blocks = key(1).seal_blocks(&[5; 2 * MAX_PLAIN_BLOCK + 9]);
        let [a, b, c] = [&blocks[0], &blocks[1], &blocks[2]];
        for wrong in [vec![b, a, c], vec![a, b], vec![a, c], vec![a, b, c, c], vec![c], vec![]] {
            assert_eq!(key(1).open_blocks(&wrong), Err(OpenError));
        }
        let mut broken = blocks.clone();
        broken[1][7] ^= 1;
        assert_eq!(key(1).open_blocks(&broken), Err(OpenError));
    }

    #[test]
    fn wrapped_keys_are_bound_to_their_context() {
        let (outer, inner) = (key(1), key(2));
        let context = Label::WRAP.hash([b"index"]);
        let wrapped = outer.wrap(&context, &inner, &mut StdRng::seed_from_u64(3));
        assert_eq!(outer.unwrap(&context, &wrapped).unwrap(), inner);
        assert!(outer.unwrap(&Label::WRAP.hash([b"ring"]), &wrapped).is_err());
        assert!(inner.unwrap(&context, &wrapped).is_err());
    }
}
