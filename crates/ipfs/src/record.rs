//! IPNS records: what the holder of a name says about it.
//!
//! ```text
//! record  protobuf IpnsEntry: signatureV2, data, and copies of data's fields for old readers
//! data    DAG-CBOR map { TTL, Value, Sequence, Validity, ValidityType, and extra "_…" fields }
//! signatureV2 = Ed25519("ipns-signature:" ‖ data)
//! ```
//!
//! What counts is `data`; the copies beside it are refused when they differ and never read
//! otherwise, nor is the old signature over them. [`Record::parse`] is the only way in for foreign
//! bytes and checks everything; [`Draft::sign`] makes one's own.
//!
//! Source: <https://specs.ipfs.tech/ipns/ipns-record/>.

mod data;
mod draft;
mod entry;
mod error;
#[cfg(test)]
mod tests;
mod verify;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use handfast_keys::Timestamp;

pub use self::draft::Draft;
pub use self::error::{Field, RecordError};
use crate::cid::{Cid, CidError};
use crate::name::Name;
pub use crate::protobuf::ProtobufError;
use crate::validity::Eol;

/// The size of the largest record, in bytes; the spec's limit.
pub const MAX_RECORD: usize = 10_240;

/// The highest sequence that a record is made with: Go implementations read it as an `int64`.
pub const MAX_SEQUENCE: u64 = i64::MAX as u64;

/// The TTL that the spec suggests, five minutes, in nanoseconds.
pub const DEFAULT_TTL_NS: u64 = 300_000_000_000;

/// The path of the empty identity CID: the value of a record that points at nothing, because what
/// it has to say stands in its extra fields.
pub const EMPTY_PATH: &str = "/ipfs/bafkqaaa";

/// A record that was verified for its name.
///
/// It was valid when it was parsed; [`is_expired`](Self::is_expired) tells whether it still is. That
/// a record is valid does not make it the newest: routers hand out old ones, so a caller remembers
/// the newest record that it has accepted for each name and refuses what is not
/// [newer](Self::newer_than).
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    name: Name,
    value: String,
    sequence: u64,
    validity: Eol,
    ttl_ns: u64,
    extra: BTreeMap<String, Vec<u8>>,
    bytes: Vec<u8>,
}

impl Record {
    /// Verifies a record for `name`, in the order that the spec demands.
    ///
    /// Without `now`, the end of life is read but not compared: a conversation that has its own
    /// deadlines does not depend on the other side's clock.
    ///
    /// Stricter than the spec in three points: `data` must be canonical DAG-CBOR, no known protobuf
    /// field may stand twice, and the value must be text. No implementation writes other records.
    pub fn parse(name: &Name, bytes: &[u8], now: Option<Timestamp>) -> Result<Self, RecordError> {
        verify::verify(name, bytes, now)
    }

    /// Whose record it is.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What the name points at: a content path such as `/ipfs/bafkrei…`.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The raw block that the name points at, if its value is the path of one.
    pub fn cid(&self) -> Result<Cid, CidError> {
        Cid::from_path(&self.value)
    }

    /// Counts up with every new value. From foreign records anything up to `u64::MAX`.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When the record stops being valid.
    pub fn validity(&self) -> &Eol {
        &self.validity
    }

    /// Tells whether the record's end of life has come.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.validity.is_over(now)
    }

    /// How long caches may keep the record before they ask again.
    pub fn ttl(&self) -> Duration {
        Duration::from_nanos(self.ttl_ns)
    }

    /// The [TTL](Self::ttl) in nanoseconds, as it stands in the record.
    pub fn ttl_ns(&self) -> u64 {
        self.ttl_ns
    }

    /// The bytes of an extra signed field. Keys of extra fields begin with `_`; a field that is not
    /// a byte string is as good as absent.
    pub fn extra(&self, key: &str) -> Option<&[u8]> {
        self.extra.get(key).map(Vec::as_slice)
    }

    /// The record as it travels: the protobuf bytes, exactly as they were parsed or made.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the bytes away.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Tells whether this record supersedes `other`, a record of the same name: by sequence, then by
    /// end of life, then by bytes.
    ///
    /// The last step only makes everybody choose alike. Anybody can produce other bytes of the same
    /// signed content, so callers that act on news compare [`sequence`](Self::sequence) and
    /// [`value`](Self::value).
    pub fn newer_than(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    /// The one of two records of a name that counts.
    pub fn select(a: Self, b: Self) -> Self {
        if b.newer_than(&a) { b } else { a }
    }

    fn rank(&self) -> (u64, Eol, &[u8]) {
        (self.sequence, self.validity, &self.bytes)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("name", &self.name)
            .field("value", &self.value)
            .field("sequence", &self.sequence)
            .field("validity", &self.validity)
            .field("ttl", &self.ttl())
            .field("extra", &self.extra.keys())
            .field("size", &self.bytes.len())
            .finish()
    }
}
