//! Segments: stretches of a log, as they travel.
//!
//! ```text
//! segment  [hash before the first, [bytes of a mutation…], tip after the last]
//! body     0x01, DEFLATE (RFC 1951) of the segment's canonical DAG-CBOR
//! ```
//!
//! How a log is cut is nobody's secret and not signed: whoever holds the mutations and a tip may
//! cut anew. A body travels inside of a sealed index, or sealed under its own key
//! ([`Sealed`](crate::packing::Sealed)).

#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use handfast_keys::BadSignature;
use handfast_keys::canonical::{self, DecodeError};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;

use crate::log::{ChainHash, LogEntry, LogId, Tip};
use crate::mutation::{Mutation, MutationError};
use crate::packing::{self, PackError};

/// A stretch of a log: a claim until [`verify`](Self::verify) has said yes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Segment {
    before: ChainHash,
    mutations: Vec<ByteBuf>,
    tip: Tip,
}

type Wire = (ChainHash, Mutations, Tip);

/// Not more mutations than a segment may have: the bound holds before the memory is taken.
#[derive(Serialize)]
#[serde(transparent)]
struct Mutations(Vec<ByteBuf>);

/// A segment whose chain, mutations and signature were checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    before: ChainHash,
    entries: Vec<LogEntry>,
    tip: Tip,
}

/// Something that is not the segment of a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// Bytes that are no compressed object.
    #[error(transparent)]
    Packing(#[from] PackError),
    /// Bytes that encode no segment.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    /// No mutations, more than [`Segment::MAX_MUTATIONS`] or [`packing::MAX_PLAINTEXT`] bytes of
    /// them, or more than the tip's id allows.
    #[error("a segment of {count} mutations up to id {last} cannot be")]
    Size {
        /// How many mutations it has.
        count: usize,
        /// The tip's id.
        last: u64,
    },
    /// A mutation is none, or not the one that comes next.
    #[error("mutation {id} is not valid")]
    Mutation {
        /// The id that it should have.
        id: u64,
        /// What is wrong with it, unless it has another id.
        source: Option<MutationError>,
    },
    /// The mutations do not lead from the one hash to the other.
    #[error("the chain of hashes is broken")]
    Chain,
    /// The writer did not sign it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// Two segments that do not follow each other.
    #[error("the segments do not follow each other")]
    NotAdjacent,
}

impl Segment {
    /// How many mutations a segment may have. Sealing and [`recut`](crate::recut) stay below.
    pub const MAX_MUTATIONS: usize = 25_000;

    /// Cuts a segment: the hash before its first mutation, the canonical bytes of each, and the
    /// tip after the last.
    pub fn new(before: ChainHash, mutations: Vec<Vec<u8>>, tip: Tip) -> Result<Self, SegmentError> {
        Self::try_from((before, Mutations(mutations.into_iter().map(ByteBuf::from).collect()), tip))
    }

    /// Which log.
    pub fn log(&self) -> &LogId {
        &self.tip.log
    }

    /// The id of its first mutation.
    pub fn first(&self) -> u64 {
        self.tip.position.id - self.mutations.len() as u64 + 1
    }

    /// The id of its last mutation.
    pub fn last(&self) -> u64 {
        self.tip.position.id
    }

    /// The hash before its first mutation.
    pub fn before(&self) -> ChainHash {
        self.before
    }

    /// The tip after its last mutation.
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The canonical bytes of its mutations.
    pub fn mutations(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.mutations.iter().map(|mutation| mutation.as_slice())
    }

    /// Checks everything: each mutation, the chain through them, its beginning if the log begins
    /// here, and the writer's signature at its end. Where the chain comes from is for
    /// [`Graft`](crate::fork::Graft) to say.
    pub fn verify(self) -> Result<Verified, SegmentError> {
        let first = self.first();
        if first == 1 && self.before != self.log().start().hash {
            return Err(SegmentError::Chain);
        }
        let mut hash = self.before;
        let mut entries = Vec::with_capacity(self.mutations.len());
        for (id, bytes) in (first..).zip(self.mutations) {
            let bad = |source| SegmentError::Mutation { id, source };
            let bytes = bytes.into_vec();
            let mutation = Mutation::decode(&bytes).map_err(|error| bad(Some(error)))?;
            if mutation.id() != id {
                return Err(bad(None));
            }
            mutation.check_author(&self.tip.log.writer).map_err(|error| bad(Some(error)))?;
            hash = hash.next(&bytes);
            entries.push(LogEntry { hash, mutation, bytes });
        }
        if hash != self.tip.position.hash {
            return Err(SegmentError::Chain);
        }
        self.tip.verify()?;
        Ok(Verified { before: self.before, entries, tip: self.tip })
    }

    /// Joins the segment that follows this one. Nothing is verified, nothing is signed anew.
    pub fn join(mut self, next: Segment) -> Result<Segment, SegmentError> {
        let adjacent = self.log() == next.log()
            && self.last().checked_add(1) == Some(next.first())
            && self.tip.position.hash == next.before;
        if !adjacent {
            return Err(SegmentError::NotAdjacent);
        }
        self.mutations.extend(next.mutations);
        Self::try_from((self.before, Mutations(self.mutations), next.tip))
    }

    /// How many bytes its mutations have, uncompressed.
    pub fn size(&self) -> usize {
        self.mutations.iter().map(|mutation| mutation.len()).sum()
    }

    /// Its compressed body.
    pub fn to_body(&self) -> Vec<u8> {
        packing::compress(&canonical::encode(&Borrowed(self)))
    }

    /// Reads a compressed body. The segment is a claim until it is verified.
    pub fn from_body(body: &[u8]) -> Result<Self, SegmentError> {
        Ok(canonical::decode(&packing::expand(body)?, packing::MAX_PLAINTEXT)?)
    }
}

/// A segment to be encoded without copying it.
struct Borrowed<'a>(&'a Segment);

impl Serialize for Borrowed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.0.before, &self.0.mutations, &self.0.tip).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Mutations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtMost;

        impl<'de> Visitor<'de> for AtMost {
            type Value = Mutations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {} mutations", Segment::MAX_MUTATIONS)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Mutations, A::Error> {
                let mut mutations = Vec::new();
                while let Some(mutation) = seq.next_element()? {
                    if mutations.len() == Segment::MAX_MUTATIONS {
                        return Err(de::Error::invalid_length(mutations.len() + 1, &self));
                    }
                    mutations.push(mutation);
                }
                Ok(Mutations(mutations))
            }
        }

        deserializer.deserialize_seq(AtMost)
    }
}

impl TryFrom<Wire> for Segment {
    type Error = SegmentError;

    fn try_from((before, Mutations(mutations), tip): Wire) -> Result<Self, SegmentError> {
        let (count, last) = (mutations.len(), tip.position.id);
        let room = packing::MAX_PLAINTEXT - 1024;
        let size: usize = mutations.iter().map(|mutation| mutation.len() + 8).sum();
        let fits = (1..=Self::MAX_MUTATIONS).contains(&count) && size <= room;
        if !fits || last < count as u64 || last > Mutation::MAX_NUMBER {
            return Err(SegmentError::Size { count, last });
        }
        Ok(Self { before, mutations, tip })
    }
}

impl From<Segment> for Wire {
    fn from(Segment { before, mutations, tip }: Segment) -> Self {
        (before, Mutations(mutations), tip)
    }
}

impl Verified {
    /// Which log.
    pub fn log(&self) -> &LogId {
        &self.tip.log
    }

    /// The id of its first mutation.
    pub fn first(&self) -> u64 {
        self.tip.position.id - self.entries.len() as u64 + 1
    }

    /// The hash before its first mutation.
    pub fn before(&self) -> ChainHash {
        self.before
    }

    /// Its mutations in order; at least one.
    pub fn entries(&self) -> &[LogEntry] {
        &self.entries
    }

    /// Gives up the mutations in order.
    pub fn into_entries(self) -> Vec<LogEntry> {
        self.entries
    }

    /// The tip after its last mutation.
    pub fn tip(&self) -> &Tip {
        &self.tip
    }
}
