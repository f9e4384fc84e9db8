//! Raw blocks: the one kind of object that is stored.
//!
//! A block is at most 256 KiB because that is the largest object that every provider stores as one
//! raw leaf. Above it, the provider's chunker decides what the CID becomes, and it could no longer
//! be computed before the upload. Larger things are several blocks and a list of their CIDs.

use alloc::vec::Vec;

use crate::cid::{Cid, WrongBytes};

/// The size of the largest block, in bytes.
pub const MAX_BLOCK: usize = 262_144;

/// Bytes together with their CID; a block that exists is no larger than [`MAX_BLOCK`] and hashes
/// to its CID.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    bytes: Vec<u8>,
}

/// More bytes than one block holds: cut them into several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{len} bytes are more than the {MAX_BLOCK} that one block holds")]
pub struct BlockTooLarge {
    /// How many bytes there were.
    pub len: usize,
}

/// Delivered bytes that are not the block that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// More bytes than any block has.
    #[error(transparent)]
    TooLarge(#[from] BlockTooLarge),
    /// Not the bytes of that CID.
    #[error(transparent)]
    WrongBytes(#[from] WrongBytes),
}

impl Block {
    /// Makes a block of one's own bytes and computes its CID.
    pub fn new(bytes: Vec<u8>) -> Result<Self, BlockTooLarge> {
        let cid = Cid::of(within_limit(&bytes)?);
        Ok(Self { cid, bytes })
    }

    /// Makes a block of bytes that somebody delivered as the block `cid`.
    pub fn verified(cid: Cid, bytes: Vec<u8>) -> Result<Self, BlockError> {
        cid.verify(within_limit(&bytes)?)?;
        Ok(Self { cid, bytes })
    }

    /// Its CID.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn within_limit(bytes: &[u8]) -> Result<&[u8], BlockTooLarge> {
    if bytes.len() > MAX_BLOCK { Err(BlockTooLarge { len: bytes.len() }) } else { Ok(bytes) }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl core::fmt::Debug for Block {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Block({}, {} bytes)", self.cid, self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_256_kib() {
        let largest = Block::new(vec![7; MAX_BLOCK]).unwrap();
        assert_eq!(largest.cid(), &Cid::of(&vec![7; MAX_BLOCK]));
        assert_eq!(Block::new(vec![7; MAX_BLOCK + 1]), Err(BlockTooLarge { len: MAX_BLOCK + 1 }));
        let too_large = vec![7; MAX_BLOCK + 1];
        assert_eq!(
            Block::verified(Cid::of(&too_large), too_large),
            Err(BlockError::TooLarge(BlockTooLarge { len: MAX_BLOCK + 1 }))
        );
    }

    /// What `handfast_keys` seals must fit what is stored here.
    #[test]
    fn sealed_blocks_fit() {
        const { assert!(handfast_keys::sealing::MAX_SEALED_BLOCK <= MAX_BLOCK) };
    }

    #[test]
    fn only_the_right_bytes_become_the_block() {
        let cid = Cid::of(b"asked for");
        assert_eq!(Block::verified(cid, b"asked for".to_vec()).unwrap().bytes(), b"asked for");
        assert_eq!(
            Block::verified(cid, b"delivered".to_vec()),
            Err(BlockError::WrongBytes(WrongBytes { expected: cid }))
        );
    }
}
