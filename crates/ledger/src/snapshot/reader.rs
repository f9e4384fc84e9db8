//! Reading snapshots.

use alloc::vec::Vec;

use handfast_keys::{AuthPublic, Digest, canonical};
use serde_bytes::ByteBuf;

use super::{Snapshot, SnapshotError, StateHasher};
use crate::packing;
use crate::record::RecordId;
use crate::state::RecordState;

/// Reads a snapshot chunk by chunk, with flat memory, and checks that the records are those that
/// the publisher signed.
pub struct SnapshotReader {
    snapshot: Snapshot,
    hasher: StateHasher,
    next: usize,
}

/// A record of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotRow {
    /// Its id.
    pub record: RecordId,
    /// Its state.
    pub state: RecordState,
    /// The state, encoded.
    pub row: Vec<u8>,
}

impl SnapshotReader {
    /// Checks the signatures; the publisher is who published it.
    pub fn new(snapshot: Snapshot, publisher: &AuthPublic) -> Result<Self, SnapshotError> {
        snapshot.verify(publisher)?;
        let hasher = StateHasher::new(snapshot.namespace());
        Ok(Self { snapshot, hasher, next: 0 })
    }

    /// Reads the body of the next chunk.
    pub fn read(&mut self, body: &[u8]) -> Result<Vec<SnapshotRow>, SnapshotError> {
        if self.snapshot.chunks().get(self.next) != Some(&Digest::sha256(body)) {
            return Err(SnapshotError::Chunk);
        }
        self.next += 1;
        let rows: Vec<(RecordId, ByteBuf)> =
            canonical::decode(&packing::expand(body)?, packing::MAX_PLAINTEXT)?;
        let mut records = Vec::with_capacity(rows.len());
        for (record, row) in rows {
            let state = RecordState::decode(&row)?;
            self.hasher.push_row(record, &state, &row)?;
            records.push(SnapshotRow { record, state, row: row.into_vec() });
        }
        Ok(records)
    }

    /// The snapshot that is being read.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Checks that all chunks were read and that the records are the signed ones. Until then, no
    /// record that was read may be shown.
    pub fn finish(self) -> Result<Snapshot, SnapshotError> {
        if self.next != self.snapshot.chunks().len() {
            return Err(SnapshotError::Missing);
        }
        let right = self.hasher.count() == self.snapshot.count()
            && self.hasher.finish() == self.snapshot.state();
        if right { Ok(self.snapshot) } else { Err(SnapshotError::State) }
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::{AuthSecret, BadSignature, Timestamp, WriterSecret};

    use super::super::{Included, SnapshotWriter};
    use super::*;
    use crate::field::Fields;
    use crate::log::Author;
    use crate::mutation::{Dot, Op};
    use crate::namespace::Namespace;

    const COUNT: u32 = 1_500;

    fn record(index: u32) -> RecordId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&index.to_be_bytes());
        RecordId::from_bytes(bytes)
    }

    fn state(index: u32) -> RecordState {
        let writer = WriterSecret::from_seed([1; 32]).public();
        let fields = Fields::parse(&format!(r#"{{"a":{index},"b":"{}"}}"#, "more ".repeat(500)));
        RecordState::created(Dot { writer, id: 1 }, Timestamp(1), fields.unwrap())
    }

    fn included(namespace: &str, id: u64) -> Included {
        let secret = WriterSecret::from_seed([1; 32]);
        let mut author = Author::new(&Namespace::new(namespace).unwrap(), &secret, None);
        author.append(record(0), Timestamp(1), Op::Create { fields: Fields::new() }).unwrap();
        Included { tip: author.tip(), id }
    }

    fn write(publisher: &AuthSecret, count: u32) -> (Vec<Vec<u8>>, Snapshot) {
        let namespace = Namespace::new("notes").unwrap();
        let mut writer = SnapshotWriter::new(&namespace, std::vec![included("notes", 1)]);
        let mut chunks = Vec::new();
        for index in 0..count {
            chunks.extend(writer.push(record(index), &state(index)).unwrap());
        }
        let (last, snapshot) = writer.finish(publisher);
        chunks.extend(last);
        (chunks, snapshot)
    }

    #[test]
    fn a_snapshot_comes_back_in_chunks() {
        let publisher = AuthSecret::generate(&mut rand::rng());
        let (chunks, snapshot) = write(&publisher, COUNT);
        assert_eq!(chunks.len(), 2);
        let decoded = Snapshot::decode(&snapshot.encode()).unwrap();
        assert_eq!(decoded, snapshot);
        let mut reader = SnapshotReader::new(decoded, &publisher.public()).unwrap();
        let mut next = 0;
        for chunk in &chunks {
            for row in reader.read(chunk).unwrap() {
                assert_eq!((row.record, row.state), (record(next), state(next)));
                assert_eq!(row.row, state(next).encode());
                next += 1;
            }
        }
        assert_eq!(next, COUNT);
        assert_eq!(reader.finish().unwrap().count(), u64::from(COUNT));
    }

    #[test]
    fn what_the_publisher_did_not_sign_is_refused() {
        let publisher = AuthSecret::generate(&mut rand::rng());
        let (chunks, snapshot) = write(&publisher, COUNT);
        let stranger = AuthSecret::generate(&mut rand::rng()).public();
        let refused = SnapshotReader::new(snapshot.clone(), &stranger).map(|_| ());
        assert_eq!(refused, Err(BadSignature.into()));

        let mut reader = SnapshotReader::new(snapshot.clone(), &publisher.public()).unwrap();
        assert_eq!(reader.read(&chunks[1]).map(|_| ()), Err(SnapshotError::Chunk));
        reader.read(&chunks[0]).unwrap();
        assert_eq!(reader.finish(), Err(SnapshotError::Missing));

        let namespace = Namespace::new("notes").unwrap();
        for logs in [
            std::vec![included("other", 1)],
            std::vec![included("notes", 1), included("notes", 1)],
            std::vec![included("notes", 0)],
            std::vec![included("notes", 2)],
        ] {
            let (_, wrong) = SnapshotWriter::new(&namespace, logs).finish(&publisher);
            assert_eq!(wrong.verify(&publisher.public()), Err(SnapshotError::Logs));
        }
    }

    #[test]
    fn records_come_in_order() {
        let namespace = Namespace::new("notes").unwrap();
        let mut writer = SnapshotWriter::new(&namespace, Vec::new());
        writer.push(record(5), &state(5)).unwrap();
        for index in [5, 4] {
            let refused = writer.push(record(index), &state(index));
            assert_eq!(refused, Err(SnapshotError::NotSorted));
        }
    }

    #[test]
    fn an_empty_collection_has_a_snapshot_too() {
        let publisher = AuthSecret::generate(&mut rand::rng());
        let (chunks, snapshot) = write(&publisher, 0);
        assert!(chunks.is_empty());
        let reader = SnapshotReader::new(snapshot, &publisher.public()).unwrap();
        assert_eq!(reader.finish().unwrap().count(), 0);
    }
}
