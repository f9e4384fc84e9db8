//! Compression and seals: from an object to blocks and back.
//!
//! ```text
//! object ── compress ──► body ── seal under its own random key ──► blocks of at most 256 KiB
//! ```
//!
//! Sealing is deterministic, so whoever keeps a body and its key can make the blocks again at any
//! time; compression need not be.

use alloc::vec::Vec;

use handfast_keys::ContentKey;
use handfast_keys::sealing::{MAX_PLAIN_BLOCK, OpenError};
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use rand_core::CryptoRng;

/// The largest object before compression, in bytes.
pub const MAX_PLAINTEXT: usize = 16 * 1024 * 1024;

/// The largest body, in bytes: DEFLATE adds a little to what it cannot compress.
pub const MAX_BODY: usize = MAX_PLAINTEXT + MAX_PLAINTEXT / 256;

/// The most blocks that a body is cut into.
pub const MAX_BLOCKS: usize = MAX_BODY.div_ceil(MAX_PLAIN_BLOCK);

/// The first byte of a body: how the rest is compressed.
const DEFLATE: u8 = 1;

/// The level. For records, level 1 takes two thirds of the time for a fifth more bytes; level 3
/// and those above it, half as much time again and more for six per cent fewer.
const LEVEL: u8 = 2;

/// Bytes that are no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// A compression that this version does not know.
    #[error("compressed in a way that this version does not know")]
    UnknownCompression,
    /// Damaged, or more than [`MAX_PLAINTEXT`] bytes when expanded.
    #[error("damaged, or too large when expanded")]
    Damaged,
    /// More than [`MAX_BODY`] bytes.
    #[error("a body of {0} bytes is too large")]
    TooLarge(usize),
    /// The seal does not open: another key, or other bytes.
    #[error(transparent)]
    Seal(#[from] OpenError),
}

/// A body and the key that it is sealed under: what a store keeps, and enough to make the same
/// blocks again.
///
/// A key belongs to one body. That is why they are made together.
#[derive(Clone)]
pub struct Sealed {
    key: ContentKey,
    body: Vec<u8>,
}

impl Sealed {
    /// Draws a key for a body.
    pub fn new<R: CryptoRng + ?Sized>(body: Vec<u8>, rng: &mut R) -> Self {
        Self { key: ContentKey::generate(rng), body }
    }

    /// Puts a stored body and its own key together again.
    pub fn restore(key: ContentKey, body: Vec<u8>) -> Self {
        Self { key, body }
    }

    /// Opens blocks.
    pub fn open(key: ContentKey, blocks: &[impl AsRef<[u8]>]) -> Result<Self, PackError> {
        let size: usize = blocks.iter().map(|block| block.as_ref().len()).sum();
        if blocks.len() > MAX_BLOCKS || size > MAX_BODY + MAX_BLOCKS * 16 {
            return Err(PackError::TooLarge(size));
        }
        let body = key.open_blocks(blocks)?;
        Ok(Self { key, body })
    }

    /// The blocks, always the same.
    pub fn blocks(&self) -> Vec<Vec<u8>> {
        self.key.seal_blocks(&self.body)
    }

    /// The key; secret.
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// The compressed body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Compresses an object.
pub(crate) fn compress(plaintext: &[u8]) -> Vec<u8> {
    let mut body = compress_to_vec(plaintext, LEVEL);
    body.insert(0, DEFLATE);
    body
}

/// Expands a body to at most [`MAX_PLAINTEXT`] bytes.
pub(crate) fn expand(body: &[u8]) -> Result<Vec<u8>, PackError> {
    if body.len() > MAX_BODY {
        return Err(PackError::TooLarge(body.len()));
    }
    match body.split_first() {
        Some((&DEFLATE, rest)) => {
            decompress_to_vec_with_limit(rest, MAX_PLAINTEXT).map_err(|_| PackError::Damaged)
        }
        _ => Err(PackError::UnknownCompression),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_back_and_bombs_do_not() {
        let text = b"a record, and a record, and a record".repeat(100);
        let body = compress(&text);
        assert!(body.len() < text.len() / 10);
        assert_eq!(expand(&body), Ok(text));
        assert_eq!(expand(&[]), Err(PackError::UnknownCompression));
        assert_eq!(expand(&[9, 1, 2]), Err(PackError::UnknownCompression));
        assert_eq!(expand(&body[..body.len() - 3]), Err(PackError::Damaged));
        let bomb = compress(&std::vec![0; MAX_PLAINTEXT + 1]);
        assert!(bomb.len() < 200_000);
        assert_eq!(expand(&bomb), Err(PackError::Damaged));
        assert_eq!(expand(&std::vec![1; MAX_BODY + 1]), Err(PackError::TooLarge(MAX_BODY + 1)));
    }

    #[test]
    fn what_does_not_compress_still_fits() {
        use rand::Rng;
        let mut noise = std::vec![0; MAX_PLAINTEXT / 8];
        rand::rng().fill_bytes(&mut noise);
        let body = compress(&noise);
        assert!(body.len() <= MAX_BODY / 8, "{}", body.len());
        assert_eq!(expand(&body), Ok(noise));
    }

    #[test]
    fn the_same_blocks_again() {
        let sealed = Sealed::new(std::vec![7; 600_000], &mut rand::rng());
        let blocks = sealed.blocks();
        assert_eq!(blocks.len(), 3);
        let again = Sealed::restore(sealed.key().clone(), sealed.body().to_vec());
        assert_eq!(again.blocks(), blocks);
        let opened = Sealed::open(sealed.key().clone(), &blocks).unwrap();
        assert_eq!(opened.body(), sealed.body());
        assert!(Sealed::open(sealed.key().clone(), &blocks[..2]).is_err());
        assert!(Sealed::open(ContentKey::generate(&mut rand::rng()), &blocks).is_err());
    }

    proptest::proptest! {
        #[test]
        fn rubbish_is_refused_quietly(mut bytes: Vec<u8>) {
            let _ = expand(&bytes);
            bytes.insert(0, DEFLATE);
            let _ = expand(&bytes);
        }
    }
}
