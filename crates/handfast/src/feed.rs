//! The index and the archive of a feed: what a device publishes of logs, its own and those it passes
//! on. And the database: where its snapshots are.
//!
//! The index is published anew at every edit, so it must not grow with what was written long ago.
//! Segments that are never merged any more are listed in the archive, which changes only when one
//! more becomes full.

use std::collections::BTreeMap;

use handfast_ipfs::Cid;
use handfast_keys::ContentKey;
use handfast_keys::canonical::{self, DecodeError};
use handfast_ledger::{Fork, LogId, Namespace, Tip};
use handfast_providers::Reach;
use handfast_ring::{DeviceId, WriterCertificate};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The largest index, archive or database, in bytes of its encoding.
pub(crate) const MAX_INDEX: usize = 16 << 20;

/// Tails below this travel inside the index.
pub(crate) const INLINE: usize = 16 << 10;

/// What a device publishes of logs. Sealed with its Personal Key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Index {
    /// Whose the logs are.
    pub certificates: Vec<WriterCertificate>,
    /// The logs.
    pub logs: Vec<Listing>,
    /// The evidence of logs that contradict themselves.
    pub forks: Vec<Fork>,
    /// Where the feeds of this device, and of others that it knows, can be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach: Vec<(DeviceId, Reach)>,
}

/// One log, up to its tip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// The log, and where it ends.
    pub tip: Tip,
    /// The id of the last mutation whose segment the archive lists; 0 if there is none.
    pub archived: u64,
    /// Its segments, in order, without gaps; on their way, those behind `archived`.
    pub segments: Vec<SegmentRef>,
}

/// What a device publishes of logs that never changes. Sealed with its Personal Key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Archive {
    /// The logs.
    pub logs: Vec<Archived>,
}

/// The beginning of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Archived {
    /// The log.
    pub log: LogId,
    /// Its first segments, in order, without gaps.
    pub segments: Vec<SegmentRef>,
}

/// Where a segment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentRef {
    /// The id of its first mutation.
    pub first: u64,
    /// The id of its last mutation.
    pub last: u64,
    /// Its body.
    pub body: Body,
}

/// A segment's body: right here, or in blocks elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// The compressed body itself.
    #[serde(rename = "inline")]
    Inline(ByteBuf),
    /// The blocks of the body, sealed under this key.
    #[serde(rename = "blocks")]
    Blocks(ContentKey, Vec<Cid>),
}

/// Where a device's snapshots are, one of a collection. Sealed with its Personal Key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Database {
    /// The snapshots.
    pub snapshots: Vec<SnapshotRef>,
}

/// Where a snapshot of a collection is: its own bytes, and the key and blocks of each chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SnapshotRef {
    /// The encoded [`handfast_ledger::Snapshot`].
    pub head: ByteBuf,
    /// The chunks.
    pub chunks: Vec<(ContentKey, Vec<Cid>)>,
}

impl Index {
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Index, DecodeError> {
        canonical::decode(bytes, MAX_INDEX)
    }

    /// Takes out what belongs into the archive.
    pub fn part(mut self) -> (Index, Archive) {
        let mut archive = Archive::default();
        for listing in self.logs.iter_mut().filter(|listing| listing.archived > 0) {
            let count = listing.segments.partition_point(|it| it.last <= listing.archived);
            let rest = listing.segments.split_off(count);
            let segments = std::mem::replace(&mut listing.segments, rest);
            archive.logs.push(Archived { log: listing.log().clone(), segments });
        }
        (self, archive)
    }

    /// Puts it back: the index with every segment of its logs. `None` if the archive is not the one
    /// that was published with it.
    pub fn join(mut self, archive: Archive) -> Option<Index> {
        let count = archive.logs.len();
        let logs = archive.logs.into_iter().map(|archived| (archived.log, archived.segments));
        let mut logs: BTreeMap<LogId, Vec<SegmentRef>> = logs.collect();
        if logs.len() != count {
            return None;
        }
        for listing in &mut self.logs {
            let mut segments = logs.remove(listing.log()).unwrap_or_default();
            if segments.last().map_or(0, |last| last.last) != listing.archived {
                return None;
            }
            segments.append(&mut listing.segments);
            listing.segments = segments;
        }
        logs.is_empty().then_some(self)
    }

    /// Every block that the index names.
    pub fn blocks(&self) -> impl Iterator<Item = &Cid> {
        let segments = self.logs.iter().flat_map(|listing| &listing.segments);
        let bodies = segments.filter_map(|segment| match &segment.body {
            Body::Inline(_) => None,
            Body::Blocks(_, cids) => Some(cids),
        });
        bodies.flatten()
    }
}

impl Archive {
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Archive, DecodeError> {
        canonical::decode(bytes, MAX_INDEX)
    }
}

impl Database {
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Database, DecodeError> {
        canonical::decode(bytes, MAX_INDEX)
    }

    /// Every block of the snapshots.
    pub fn blocks(&self) -> impl Iterator<Item = &Cid> {
        self.snapshots.iter().flat_map(|snapshot| &snapshot.chunks).flat_map(|(_, cids)| cids)
    }
}

impl Listing {
    pub fn log(&self) -> &LogId {
        &self.tip.log
    }

    pub fn namespace(&self) -> &Namespace {
        &self.tip.log.namespace
    }
}
