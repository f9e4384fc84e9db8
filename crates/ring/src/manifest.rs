//! The root of what a device publishes: its IPNS record leads here.

use alloc::string::String;
use alloc::vec::Vec;

use handfast_ipfs::Cid;
use handfast_keys::canonical::{self, DecodeError};
use handfast_keys::{
    AuthPublic, AuthSecret, BadSignature, ExchangePublic, IpnsPublic, Label, Signature,
};
use serde::{Deserialize, Serialize};

/// The largest manifest: it is one block.
pub const MAX_MANIFEST: usize = handfast_ipfs::MAX_BLOCK;

/// The version of the feed that this crate writes and reads.
pub const FEED_VERSION: u64 = 2;

/// What a device publishes, by the CIDs of its parts. Signed by its auth key, and repeating name
/// and sequence of the record that leads to it, so that no router can pass an old one off as new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceManifest {
    /// [`FEED_VERSION`].
    pub version: u64,
    /// The device's IPNS key.
    pub ipns: IpnsPublic,
    /// The sequence of the record that leads here.
    pub sequence: u64,
    /// The key to which others seal entries for the device.
    pub exchange: ExchangePublic,
    /// The blocks of the [`PeerDirectory`](crate::PeerDirectory), in the clear.
    pub directory: Vec<Cid>,
    /// The blocks of the [`DeviceRing`](crate::DeviceRing), sealed with the Broadcast Key.
    pub ring: Vec<Cid>,
    /// The blocks of the database snapshot, sealed with the Personal Key; none if there is none.
    pub database: Vec<Cid>,
    /// The blocks of the archive of logs, sealed with the Personal Key; none if there is none.
    pub archive: Vec<Cid>,
    /// The blocks of the index of logs, sealed with the Personal Key.
    pub index: Vec<Cid>,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    manifest: DeviceManifest,
    signature: Signature,
}

/// As much of a manifest as every version has, with whatever else beside it.
#[derive(Deserialize)]
struct AnyVersion {
    manifest: Versioned,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Why bytes are no manifest of the expected device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes are no manifest.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// It was signed by somebody else, or changed since.
    #[error("the manifest is not signed by the device it belongs to")]
    Signature,
    /// It belongs to another record than the one that led to it.
    #[error("the manifest says sequence {manifest}, but the record that leads to it {record}")]
    Sequence {
        /// What the manifest says.
        manifest: u64,
        /// What the record says.
        record: u64,
    },
    /// It belongs to another name than the one that led to it.
    #[error("the manifest belongs to another name")]
    Name,
    /// It was published by a newer version of the program.
    #[error("the device publishes version {0} of the feed, which this program does not know yet")]
    Version(u64),
}

impl DeviceManifest {
    /// Its bytes, signed: one block.
    pub fn sign(&self, auth: &AuthSecret) -> Vec<u8> {
        let signature = auth.sign(self.digest().as_ref());
        canonical::encode(&Signed { manifest: self.clone(), signature })
    }

    /// Reads the manifest of the device with `auth`, to which the record of `name` with `sequence`
    /// led.
    ///
    /// The version is looked at before anything else: a later one may have other fields, and may
    /// sign them in another way.
    pub fn verify(
        bytes: &[u8],
        auth: &AuthPublic,
        name: &IpnsPublic,
        sequence: u64,
    ) -> Result<DeviceManifest, ManifestError> {
        if bytes.len() <= MAX_MANIFEST
            && let Ok(AnyVersion { manifest }) = serde_ipld_dagcbor::from_slice(bytes)
            && manifest.version != FEED_VERSION
        {
            return Err(ManifestError::Version(manifest.version));
        }
        let Signed { manifest, signature } = canonical::decode(bytes, MAX_MANIFEST)?;
        auth.verify(manifest.digest().as_ref(), &signature)
            .map_err(|BadSignature| ManifestError::Signature)?;
        if manifest.ipns != *name {
            return Err(ManifestError::Name);
        }
        if manifest.sequence != sequence {
            return Err(ManifestError::Sequence { manifest: manifest.sequence, record: sequence });
        }
        Ok(manifest)
    }

    /// Every block that the manifest names, its own aside.
    pub fn blocks(&self) -> impl Iterator<Item = &Cid> {
        [&self.directory, &self.ring, &self.database, &self.archive, &self.index]
            .into_iter()
            .flatten()
    }

    fn digest(&self) -> handfast_keys::Digest {
        Label::MANIFEST.hash([&canonical::encode(self)])
    }
}

/// Where a record's value leads: `/ipfs/` and the CID of a manifest.
pub fn path_to(manifest: &Cid) -> String {
    alloc::format!("/ipfs/{manifest}")
}
