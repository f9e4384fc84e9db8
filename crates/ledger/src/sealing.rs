//! Sealing solo records: from records without history to a log.
//!
//! Before its first pairing a device keeps records only. Then each becomes one `create`, in one
//! pass with flat memory: records go in one by one, and every now and then a segment comes out
//! with the rows that the store keeps from now on.

use alloc::vec::Vec;
use core::mem;

use handfast_keys::{Timestamp, WriterSecret};

use crate::field::Fields;
use crate::log::{Author, LogEntry, Position};
use crate::mutation::{Dot, MutationError, Op};
use crate::namespace::Namespace;
use crate::record::RecordId;
use crate::recut::{FULL, FULL_COUNT};
use crate::segment::{Segment, SegmentError};
use crate::state::RecordState;

/// A record of a device that is not paired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SoloRecord {
    /// Its id.
    pub record: RecordId,
    /// When it was last changed.
    pub timestamp: Timestamp,
    /// What it holds.
    pub fields: Fields,
}

/// A stretch of the new log and the rows of the records in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedBatch {
    /// The segment, its tip signed.
    pub segment: Segment,
    /// Its records, in the order of its mutations.
    pub rows: Vec<SealedRow>,
}

/// A record that was sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedRow {
    /// Its id.
    pub record: RecordId,
    /// The id of its mutation.
    pub id: u64,
    /// Its encoded [`RecordState`].
    pub state: Vec<u8>,
}

/// Seals records into segments of at most 10 000 mutations and about three megabytes.
///
/// The caller pushes every record once, stores each batch as it comes (all in one transaction),
/// and stores the position in the end.
pub struct Sealer<'k> {
    author: Author<'k>,
    before: Position,
    mutations: Vec<Vec<u8>>,
    rows: Vec<SealedRow>,
    size: usize,
}

impl<'k> Sealer<'k> {
    /// Continues the log that `secret` writes in a collection from where it is, or begins it.
    pub fn new(
        namespace: &Namespace,
        secret: &'k WriterSecret,
        position: Option<Position>,
    ) -> Self {
        let author = Author::new(namespace, secret, position);
        let before = author.position();
        Self { author, before, mutations: Vec::new(), rows: Vec::new(), size: 0 }
    }

    /// Seals a record; now and then returns a batch.
    pub fn push(&mut self, solo: SoloRecord) -> Result<Option<SealedBatch>, SealError> {
        let SoloRecord { record, timestamp, fields } = solo;
        let op = Op::Create { fields };
        let LogEntry { mutation, bytes, .. } = self
            .author
            .append(record, timestamp, op)
            .map_err(|source| SealError::Record { record, source })?;
        let id = mutation.id();
        if let Op::Create { fields } = mutation.op() {
            let dot = Dot { writer: self.author.log().writer, id };
            let state = RecordState::created_row(dot, timestamp, fields);
            self.rows.push(SealedRow { record, id, state });
        }
        self.size += bytes.len();
        self.mutations.push(bytes);
        if self.size >= FULL || self.mutations.len() >= FULL_COUNT {
            self.finish()
        } else {
            Ok(None)
        }
    }

    /// Returns what is left, if anything.
    pub fn finish(&mut self) -> Result<Option<SealedBatch>, SealError> {
        if self.mutations.is_empty() {
            return Ok(None);
        }
        let before = mem::replace(&mut self.before, self.author.position());
        let mutations = mem::take(&mut self.mutations);
        let segment = Segment::new(before.hash, mutations, self.author.tip())?;
        self.size = 0;
        Ok(Some(SealedBatch { segment, rows: mem::take(&mut self.rows) }))
    }

    /// Where the log is: what to store when everything is sealed.
    pub fn position(&self) -> Position {
        self.author.position()
    }
}

/// Records that cannot be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// One of them cannot be a mutation: it is too large, or its time is out of range.
    #[error("the record {record} cannot be sealed")]
    Record {
        /// Which.
        record: RecordId,
        /// Why.
        source: MutationError,
    },
    /// The log is as long as a log can be.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solo(index: u32, text: &str) -> SoloRecord {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&index.to_be_bytes());
        SoloRecord {
            record: RecordId::from_bytes(bytes),
            timestamp: Timestamp(u64::from(index)),
            fields: Fields::parse(text).unwrap(),
        }
    }

    #[test]
    fn records_become_a_log_in_segments() {
        let namespace = Namespace::new("notes").unwrap();
        let secret = WriterSecret::from_seed([1; 32]);
        let mut sealer = Sealer::new(&namespace, &secret, None);
        let mut batches = Vec::new();
        for index in 0..10_500 {
            batches.extend(sealer.push(solo(index, r#"{"a":1}"#)).unwrap());
        }
        batches.extend(sealer.finish().unwrap());
        assert_eq!(sealer.finish(), Ok(None));
        let counts: Vec<usize> = batches.iter().map(|batch| batch.rows.len()).collect();
        assert_eq!(counts, [10_000, 500]);
        let mut next = 1;
        let mut hash = None;
        for SealedBatch { segment, rows } in batches {
            assert_eq!(segment.first(), next);
            assert!(hash.is_none_or(|hash| hash == segment.before()));
            let last = segment.last();
            let verified = segment.verify().unwrap();
            hash = Some(verified.tip().position.hash);
            for (entry, row) in verified.entries().iter().zip(&rows) {
                assert_eq!((row.record, row.id), (entry.mutation.record(), entry.mutation.id()));
                let state = RecordState::replay([(&secret.public(), &entry.mutation)]);
                assert_eq!(row.state, state.encode());
            }
            next = last + 1;
        }
        assert_eq!(hash, Some(sealer.position().hash));
    }

    #[test]
    fn large_records_make_shorter_segments() {
        let namespace = Namespace::new("notes").unwrap();
        let secret = WriterSecret::from_seed([1; 32]);
        let mut sealer = Sealer::new(&namespace, &secret, None);
        let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(60_000));
        let batch = (0..).find_map(|index| sealer.push(solo(index, &text)).unwrap()).unwrap();
        assert_eq!(batch.rows.len(), FULL / 60_000 + 1);
        let huge = format!(r#"{{"a":"{0}","b":"{0}"}}"#, "x".repeat(150_000));
        let source = MutationError::TooLarge;
        let record = solo(7, "{}").record;
        assert_eq!(sealer.push(solo(7, &huge)), Err(SealError::Record { record, source }));
        assert!(sealer.push(solo(8, "{}")).is_ok());
    }
}
