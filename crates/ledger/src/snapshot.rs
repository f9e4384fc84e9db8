//! Snapshots: the state of a collection at certain tips, signed by its publisher.
//!
//! ```text
//! snapshot  [namespace, [[tip, id]…], count of records, state hash, [digest of a chunk…], signature]
//! chunk     [[record, row]…]      compressed to a body as segments are
//! state     s_0 = H("state", namespace), s_i = H("state", s_{i-1}, record, row), H("state", s_n, n)
//! ```
//!
//! Tips are sorted by writer, each with the id up to which its log is in the snapshot (less than the
//! tip's where a log has forked or was cut). Records are sorted by id. A row is that of
//! [`RecordState`], in the state hash without the replaced dots that are remembered. A chunk's
//! digest is the SHA-256 of its body; `n` is eight bytes big-endian. The publisher's auth key signs
//! `H("snapshot", everything before the signature)`.
//!
//! A newcomer shows a snapshot at once, as *provisional*. It then replays the segments behind it
//! up to the same ids and compares the [`StateHash`]; the replayed rows are the ones that stay.

mod reader;
mod writer;

use alloc::vec::Vec;

use handfast_keys::canonical::{self, DecodeError};
use handfast_keys::{AuthPublic, AuthSecret, BadSignature, Digest, Label, Signature};
use serde::{Deserialize, Serialize};

pub use reader::{SnapshotReader, SnapshotRow};
pub use writer::SnapshotWriter;

use crate::log::Tip;
use crate::namespace::Namespace;
use crate::packing::PackError;
use crate::record::RecordId;
use crate::state::RecordState;

handfast_keys::fixed_bytes! {
    /// The hash of all records of a collection: equal for equal collections.
    pub struct StateHash([u8; 32]);
}

/// What a snapshot says of itself; its chunks travel beside it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Snapshot {
    contents: Contents,
    signature: Signature,
}

/// A log in a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "(Tip, u64)", into = "(Tip, u64)")]
pub struct Included {
    /// A tip of the log.
    pub tip: Tip,
    /// The last mutation that is in the snapshot: at least 1, at most the tip's.
    pub id: u64,
}

impl From<(Tip, u64)> for Included {
    fn from((tip, id): (Tip, u64)) -> Self {
        Self { tip, id }
    }
}

impl From<Included> for (Tip, u64) {
    fn from(Included { tip, id }: Included) -> Self {
        (tip, id)
    }
}

/// What is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Contents {
    namespace: Namespace,
    logs: Vec<Included>,
    count: u64,
    state: StateHash,
    chunks: Vec<Digest>,
}

type ContentsWire = (Namespace, Vec<Included>, u64, StateHash, Vec<Digest>);
type Wire = (Namespace, Vec<Included>, u64, StateHash, Vec<Digest>, Signature);

/// Something that is not a snapshot, or not the publisher's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Bytes that are no compressed object.
    #[error(transparent)]
    Packing(#[from] PackError),
    /// Bytes that encode no snapshot or chunk.
    #[error(transparent)]
    Encoding(#[from] DecodeError),
    /// The publisher did not sign it, or a writer did not sign a tip.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// Logs of another collection, of one writer twice, not sorted, or longer than their tips say.
    #[error("the snapshot's logs are not in order")]
    Logs,
    /// A chunk that is not the one that comes next.
    #[error("not the snapshot's next chunk")]
    Chunk,
    /// Records that are not sorted by id.
    #[error("the records are not in order")]
    NotSorted,
    /// A record that is larger than [`RecordState::MAX`] bytes: there is no snapshot of this
    /// collection. Its segments say everything anyway.
    #[error("the record {0} is too large for a snapshot")]
    TooLarge(RecordId),
    /// Fewer chunks than the snapshot has.
    #[error("chunks are missing")]
    Missing,
    /// The records are not those that the publisher signed.
    #[error("the records do not have the signed hash")]
    State,
}

impl Snapshot {
    /// The largest encoding, in bytes.
    pub const MAX: usize = 4 * 1024 * 1024;

    /// Checks the publisher's signature and those of the tips.
    pub fn verify(&self, publisher: &AuthPublic) -> Result<(), SnapshotError> {
        publisher.verify(self.contents.digest().as_ref(), &self.signature)?;
        let Contents { namespace, logs, .. } = &self.contents;
        let ours = |Included { tip, id }: &Included| {
            tip.log.namespace == *namespace && (1..=tip.position.id).contains(id)
        };
        let in_order = logs.is_sorted_by(|a, b| a.tip.log.writer < b.tip.log.writer);
        if !in_order || !logs.iter().all(ours) {
            return Err(SnapshotError::Logs);
        }
        logs.iter().try_for_each(|log| log.tip.verify())?;
        Ok(())
    }

    /// The collection.
    pub fn namespace(&self) -> &Namespace {
        &self.contents.namespace
    }

    /// Which logs are in it up to where, sorted by writer.
    pub fn logs(&self) -> &[Included] {
        &self.contents.logs
    }

    /// How many records it has, deleted ones among them.
    pub fn count(&self) -> u64 {
        self.contents.count
    }

    /// The hash of its records: what the replay is compared with.
    pub fn state(&self) -> StateHash {
        self.contents.state
    }

    /// The SHA-256 of each chunk's body, in order.
    pub fn chunks(&self) -> &[Digest] {
        &self.contents.chunks
    }

    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Reads canonical bytes. The snapshot is a claim until it is verified.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        Ok(canonical::decode(bytes, Self::MAX)?)
    }
}

impl Contents {
    fn sign(self, publisher: &AuthSecret) -> Snapshot {
        let signature = publisher.sign(self.digest().as_ref());
        Snapshot { contents: self, signature }
    }

    fn digest(&self) -> Digest {
        let wire: ContentsWire = (
            self.namespace.clone(),
            self.logs.clone(),
            self.count,
            self.state,
            self.chunks.clone(),
        );
        Label::SNAPSHOT.hash([&canonical::encode(&wire)])
    }
}

impl From<Wire> for Snapshot {
    fn from((namespace, logs, count, state, chunks, signature): Wire) -> Self {
        Self { contents: Contents { namespace, logs, count, state, chunks }, signature }
    }
}

impl From<Snapshot> for Wire {
    fn from(Snapshot { contents, signature }: Snapshot) -> Self {
        let Contents { namespace, logs, count, state, chunks } = contents;
        (namespace, logs, count, state, chunks, signature)
    }
}

/// Hashes all records of a collection, in the order of their ids.
#[derive(Clone, Debug)]
pub struct StateHasher {
    hash: Digest,
    count: u64,
    last: Option<RecordId>,
}

impl StateHasher {
    /// No records yet.
    pub fn new(namespace: &Namespace) -> Self {
        Self { hash: Label::STATE.hash([namespace.as_bytes()]), count: 0, last: None }
    }

    /// Takes in the next record. A deleted record counts like any other.
    pub fn push(&mut self, record: RecordId, state: &RecordState) -> Result<(), SnapshotError> {
        self.push_settled(record, &state.encode_settled())
    }

    /// Takes in the next record, whose encoded state is at hand.
    fn push_row(
        &mut self,
        record: RecordId,
        state: &RecordState,
        row: &[u8],
    ) -> Result<(), SnapshotError> {
        if state.is_settled() { self.push_settled(record, row) } else { self.push(record, state) }
    }

    fn push_settled(&mut self, record: RecordId, row: &[u8]) -> Result<(), SnapshotError> {
        if self.last.is_some_and(|last| last >= record) {
            return Err(SnapshotError::NotSorted);
        }
        self.last = Some(record);
        self.count += 1;
        self.hash = Label::STATE.hash([self.hash.as_ref(), record.as_bytes(), row]);
        Ok(())
    }

    /// How many records there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hash of all of them.
    pub fn finish(&self) -> StateHash {
        let hash = Label::STATE.hash([self.hash.as_ref(), &self.count.to_be_bytes()]);
        StateHash::from_bytes(*hash.as_bytes())
    }
}
