//! Making snapshots.

use alloc::vec::Vec;
use core::mem;

use handfast_keys::{AuthSecret, Digest, canonical};
use serde_bytes::ByteBuf;

use super::{Contents, Included, Snapshot, SnapshotError, StateHasher};
use crate::namespace::Namespace;
use crate::packing;
use crate::record::RecordId;
use crate::state::RecordState;

/// At how many bytes of rows a chunk is full.
const FULL: usize = 3 * 1024 * 1024;

/// Makes a snapshot with flat memory: records go in one by one in the order of their ids, and now
/// and then the body of a chunk comes out.
pub struct SnapshotWriter {
    namespace: Namespace,
    logs: Vec<Included>,
    hasher: StateHasher,
    chunks: Vec<Digest>,
    rows: Vec<(RecordId, ByteBuf)>,
    size: usize,
}

impl SnapshotWriter {
    /// Begins the snapshot of a collection as it is when exactly these logs are applied, each up to
    /// the id given.
    pub fn new(namespace: &Namespace, mut logs: Vec<Included>) -> Self {
        logs.sort_by_key(|log| log.tip.log.writer);
        Self {
            namespace: namespace.clone(),
            logs,
            hasher: StateHasher::new(namespace),
            chunks: Vec::new(),
            rows: Vec::new(),
            size: 0,
        }
    }

    /// Takes in the next record; now and then returns the body of a chunk, to be
    /// [sealed](crate::packing::Sealed) under its own key.
    pub fn push(
        &mut self,
        record: RecordId,
        state: &RecordState,
    ) -> Result<Option<Vec<u8>>, SnapshotError> {
        let row = state.encode();
        if row.len() > RecordState::MAX {
            return Err(SnapshotError::TooLarge(record));
        }
        self.hasher.push_row(record, state, &row)?;
        self.size += row.len() + 32;
        self.rows.push((record, ByteBuf::from(row)));
        Ok(if self.size >= FULL { self.chunk() } else { None })
    }

    /// Ends the snapshot: the body of the last chunk, if there is one, and the signed snapshot.
    pub fn finish(mut self, publisher: &AuthSecret) -> (Option<Vec<u8>>, Snapshot) {
        let last = self.chunk();
        let contents = Contents {
            namespace: self.namespace,
            logs: self.logs,
            count: self.hasher.count(),
            state: self.hasher.finish(),
            chunks: self.chunks,
        };
        (last, contents.sign(publisher))
    }

    fn chunk(&mut self) -> Option<Vec<u8>> {
        if self.rows.is_empty() {
            return None;
        }
        let body = packing::compress(&canonical::encode(&mem::take(&mut self.rows)));
        self.chunks.push(Digest::sha256(&body));
        self.size = 0;
        Some(body)
    }
}
