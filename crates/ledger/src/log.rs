//! Logs: one writer's mutations of one collection, chained and signed at the tip.
//!
//! ```text
//! h_0 = H("log", namespace, writer)      h_i = H("mutation", h_{i-1}, bytes of mutation i)
//! tip = [namespace, writer, id, h_id, signature of H("tip", namespace, writer, id, h_id)]
//! ```
//!
//! `id` is eight bytes big-endian where it is hashed. Because each hash covers everything before
//! it, a tip is all that ever needs a signature.

use alloc::vec::Vec;

use handfast_keys::{
    BadSignature, Digest, Label, Signature, Timestamp, WriterPublic, WriterSecret,
};
use serde::{Deserialize, Serialize};

use crate::mutation::{Mutation, MutationError, Op};
use crate::namespace::Namespace;
use crate::record::RecordId;

handfast_keys::fixed_bytes! {
    /// The hash of a log up to one of its mutations.
    pub struct ChainHash([u8; 32]);
}

/// Which log: whose, and of which collection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "(Namespace, WriterPublic)", into = "(Namespace, WriterPublic)")]
pub struct LogId {
    /// The collection.
    pub namespace: Namespace,
    /// The writer.
    pub writer: WriterPublic,
}

/// A place in a log that is known from elsewhere: after mutation `id`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// The id of the last mutation; 0 before the first.
    pub id: u64,
    /// The hash of the log up to it.
    pub hash: ChainHash,
}

/// A writer's signed word that its log is this up to here.
///
/// A tip that was decoded is a claim until [`verify`](Self::verify) has said yes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "TipWire", into = "TipWire")]
pub struct Tip {
    /// Which log.
    pub log: LogId,
    /// Up to where; its id is at least 1.
    pub position: Position,
    /// The writer's signature.
    pub signature: Signature,
}

type TipWire = (Namespace, WriterPublic, u64, ChainHash, Signature);

/// A mutation in its place: its hash in the chain, itself, and its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// The hash of the log up to and including this mutation.
    pub hash: ChainHash,
    /// The mutation.
    pub mutation: Mutation,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
}

/// Writes one log: gives mutations their ids and links them to the chain.
///
/// One author exists for a log at any time, and what it returns is stored before anybody sees a
/// tip beyond it; otherwise the log forks.
pub struct Author<'k> {
    secret: &'k WriterSecret,
    log: LogId,
    position: Position,
}

impl LogId {
    /// The place before the first mutation.
    pub fn start(&self) -> Position {
        let hash = Label::LOG.hash([self.namespace.as_bytes(), self.writer.as_ref()]);
        Position { id: 0, hash: ChainHash::from(hash) }
    }
}

impl From<LogId> for (Namespace, WriterPublic) {
    fn from(log: LogId) -> Self {
        (log.namespace, log.writer)
    }
}

impl From<(Namespace, WriterPublic)> for LogId {
    fn from((namespace, writer): (Namespace, WriterPublic)) -> Self {
        Self { namespace, writer }
    }
}

impl From<Digest> for ChainHash {
    fn from(digest: Digest) -> Self {
        Self::from_bytes(*digest.as_bytes())
    }
}

impl Position {
    /// The place after one more mutation, given its canonical bytes.
    pub fn next(&self, mutation: &[u8]) -> Self {
        Self { id: self.id.saturating_add(1), hash: self.hash.next(mutation) }
    }
}

impl ChainHash {
    /// The hash after one more mutation, given its canonical bytes.
    pub fn next(&self, mutation: &[u8]) -> Self {
        Self::from(Label::MUTATION.hash([self.as_ref(), mutation]))
    }
}

impl Tip {
    /// Signs the state of a log. `secret` is its writer's.
    pub fn sign(namespace: &Namespace, position: Position, secret: &WriterSecret) -> Self {
        let log = LogId { namespace: namespace.clone(), writer: secret.public() };
        let signature = secret.sign(signed(&log, &position).as_ref());
        Self { log, position, signature }
    }

    /// Checks the writer's signature.
    pub fn verify(&self) -> Result<(), BadSignature> {
        if self.position.id == 0 {
            return Err(BadSignature);
        }
        self.log.writer.verify(signed(&self.log, &self.position).as_ref(), &self.signature)
    }

    /// Tells whether two tips alone prove that their writer signed two logs: the same id with
    /// different hashes.
    pub fn contradicts(&self, other: &Tip) -> bool {
        self.log == other.log
            && self.position.id == other.position.id
            && self.position.hash != other.position.hash
    }
}

/// What the writer signs.
fn signed(log: &LogId, position: &Position) -> Digest {
    Label::TIP.hash([
        log.namespace.as_bytes(),
        log.writer.as_ref(),
        &position.id.to_be_bytes(),
        position.hash.as_ref(),
    ])
}

impl From<TipWire> for Tip {
    fn from((namespace, writer, id, hash, signature): TipWire) -> Self {
        let log = LogId { namespace, writer };
        Self { log, position: Position { id, hash }, signature }
    }
}

impl From<Tip> for TipWire {
    fn from(Tip { log, position, signature }: Tip) -> Self {
        (log.namespace, log.writer, position.id, position.hash, signature)
    }
}

impl<'k> Author<'k> {
    /// Continues the log that `secret` writes in a collection from where it is, or begins it.
    pub fn new(
        namespace: &Namespace,
        secret: &'k WriterSecret,
        position: Option<Position>,
    ) -> Self {
        let log = LogId { namespace: namespace.clone(), writer: secret.public() };
        let position = position.unwrap_or_else(|| log.start());
        Self { secret, log, position }
    }

    /// Writes the next mutation. If it cannot be one, the log stays as it was.
    pub fn append(
        &mut self,
        record: RecordId,
        timestamp: Timestamp,
        op: Op,
    ) -> Result<LogEntry, MutationError> {
        let mutation = Mutation::new(self.position.id.saturating_add(1), record, timestamp, op)?;
        mutation.check_author(&self.log.writer)?;
        let bytes = mutation.encode();
        self.position = self.position.next(&bytes);
        Ok(LogEntry { hash: self.position.hash, mutation, bytes })
    }

    /// Which log.
    pub fn log(&self) -> &LogId {
        &self.log
    }

    /// Where the log is.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Signs the log as it is.
    pub fn tip(&self) -> Tip {
        let signature = self.secret.sign(signed(&self.log, &self.position).as_ref());
        Tip { log: self.log.clone(), position: self.position, signature }
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::canonical;

    use super::*;
    use crate::field::Fields;

    fn author(secret: &WriterSecret) -> Author<'_> {
        Author::new(&Namespace::new("notes").unwrap(), secret, None)
    }

    fn create() -> Op {
        Op::Create { fields: Fields::parse(r#"{"a":1}"#).unwrap() }
    }

    #[test]
    fn the_chain_is_the_one_on_the_page() {
        let secret = WriterSecret::from_seed([1; 32]);
        let mut author = author(&secret);
        let record = RecordId::from_bytes([2; 16]);
        let first = author.append(record, Timestamp(5), create()).unwrap();
        let second = author.append(record, Timestamp(6), create()).unwrap();
        let start = Label::LOG.hash([b"notes", secret.public().as_ref()]);
        let one = Label::MUTATION.hash([start.as_ref(), &first.bytes]);
        let two = Label::MUTATION.hash([one.as_ref(), &second.bytes]);
        assert_eq!(author.position(), Position { id: 2, hash: ChainHash::from(two) });
        assert_eq!((first.mutation.id(), second.mutation.id()), (1, 2));
        assert_eq!(first.hash, ChainHash::from(one));
    }

    #[test]
    fn a_tip_proves_itself_and_nothing_else() {
        let secret = WriterSecret::from_seed([1; 32]);
        let mut author = author(&secret);
        author.append(RecordId::from_bytes([2; 16]), Timestamp(5), create()).unwrap();
        let tip = author.tip();
        assert_eq!(tip, Tip::sign(&tip.log.namespace, tip.position, &secret));
        assert_eq!(tip.verify(), Ok(()));
        assert_eq!(canonical::decode::<Tip>(&canonical::encode(&tip), 512), Ok(tip.clone()));
        let mut other = tip.clone();
        other.position.id = 2;
        assert_eq!(other.verify(), Err(BadSignature));
        other = tip.clone();
        other.log.namespace = Namespace::new("other").unwrap();
        assert_eq!(other.verify(), Err(BadSignature));
        other = tip.clone();
        other.position.hash = tip.log.start().hash;
        assert_eq!(other.verify(), Err(BadSignature));
        assert!(tip.contradicts(&other));
        assert!(!tip.contradicts(&tip));
    }

    #[test]
    fn nothing_is_signed_about_an_empty_log() {
        let secret = WriterSecret::from_seed([1; 32]);
        assert_eq!(author(&secret).tip().verify(), Err(BadSignature));
    }

    #[test]
    fn a_refused_mutation_leaves_the_log_alone() {
        let secret = WriterSecret::from_seed([1; 32]);
        let mut author = author(&secret);
        let before = author.position();
        let nothing = Op::Update { changes: Vec::new(), seen: None };
        let refused = author.append(RecordId::from_bytes([2; 16]), Timestamp(5), nothing);
        assert_eq!(refused, Err(MutationError::Nothing));
        assert_eq!(author.position(), before);
    }
}
