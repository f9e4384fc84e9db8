//! Objects sealed under a key that peers hold.
//!
//! An object (index, archive, ring, database) is sealed under a random content key of its own, which stands
//! before the first block, wrapped under the device's Personal or Broadcast Key.

use alloc::vec::Vec;

use handfast_keys::sealing::{OpenError, WrappedKey};
use handfast_keys::{ContentKey, Digest, Label};
use rand_core::CryptoRng;

use crate::identity::DeviceId;

/// What a sealed object is; a wrapped key opens only what it was wrapped for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The index of a device's logs, under its Personal Key.
    Index,
    /// What the index lists that never changes, under its Personal Key.
    Archive,
    /// A [`DeviceRing`](crate::DeviceRing), under its Broadcast Key.
    Ring,
    /// A database snapshot, under its Personal Key.
    Database,
}

impl Kind {
    fn context(self, device: &DeviceId) -> Digest {
        let kind: &[u8] = match self {
            Kind::Index => b"index",
            Kind::Archive => b"archive",
            Kind::Ring => b"ring",
            Kind::Database => b"database",
        };
        Label::WRAP.hash([kind, device.as_ref()])
    }
}

/// Seals an object of `device` under `key`. Returns its blocks, each at most 256 KiB.
pub fn seal<R: CryptoRng + ?Sized>(
    kind: Kind,
    device: &DeviceId,
    key: &ContentKey,
    plaintext: &[u8],
    rng: &mut R,
) -> Vec<Vec<u8>> {
    let content = ContentKey::generate(rng);
    let wrapped = key.wrap(&kind.context(device), &content, rng);
    let mut blocks = content.seal_blocks(plaintext);
    if let Some(first) = blocks.first_mut() {
        first.splice(0..0, *wrapped.as_bytes());
    }
    blocks
}

/// Opens an object of `device` from all its blocks.
pub fn open<B: AsRef<[u8]>>(
    kind: Kind,
    device: &DeviceId,
    key: &ContentKey,
    blocks: &[B],
) -> Result<Vec<u8>, OpenError> {
    let (first, rest) = blocks.split_first().ok_or(OpenError)?;
    let (wrapped, sealed) =
        first.as_ref().split_first_chunk::<{ WrappedKey::LEN }>().ok_or(OpenError)?;
    let content = key.unwrap(&kind.context(device), &WrappedKey::from_bytes(*wrapped))?;
    let mut blocks = Vec::from([sealed]);
    blocks.extend(rest.iter().map(AsRef::as_ref));
    content.open_blocks(&blocks)
}
