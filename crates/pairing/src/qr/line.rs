//! The record at the temp name, and the lines on which both sides speak after it.
//!
//! A line is a name that only its owner can publish at. Its record carries all messages so far and
//! its sequence is their number. A reader accepts only extensions of what it has seen: a line that
//! says two different things has lost its credit for good.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use handfast_ipfs::{Name, Record, record};
use handfast_keys::{IpnsSecret, Timestamp, canonical};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::message::Message;

/// The signed extra field of an IPNS record that carries our bytes.
const FIELD: &str = "_handfast";

/// Pairing must work with wrong clocks: we check no end of life, but routers do. So the records
/// outlive every clock but one that is ten years ahead of ours...
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// ...and ours is taken to be at least at the beginning of 2026 (it may stand at 1970 for want of a
/// battery)...
const NOT_BEFORE: Timestamp = Timestamp(1_767_225_600_000);

/// ...and before the end of what an end of life can express, the year 9999.
const NOT_AFTER: Timestamp = Timestamp(253_402_300_799_000);

/// How long a router may keep an answer: pairing polls.
const TTL_NS: u64 = 1_000_000_000;

const MAX_LINE: usize = record::MAX_RECORD;

/// Makes the record that carries `bytes` under the name of `key`. `None` when it would not fit.
pub fn carry(key: &IpnsSecret, bytes: Vec<u8>, sequence: u64, now: Timestamp) -> Option<Record> {
    let eol = (now.max(NOT_BEFORE) + LIFETIME).min(NOT_AFTER);
    record::Draft {
        ttl_ns: TTL_NS,
        extra: BTreeMap::from([(String::from(FIELD), bytes)]),
        ..record::Draft::new(record::EMPTY_PATH, sequence, eol)
    }
    .sign(key)
    .ok()
}

/// The bytes that a record carries.
pub fn carried(record: &Record) -> Option<&[u8]> {
    record.extra(FIELD)
}

/// Our line.
#[derive(Serialize, Deserialize)]
pub struct OwnLine {
    key: IpnsSecret,
    messages: Vec<Message>,
    /// The record with all messages, byte for byte as it was first published.
    record: ByteBuf,
}

impl OwnLine {
    /// A line on which nothing was said yet.
    pub fn new(key: IpnsSecret) -> OwnLine {
        OwnLine { key, messages: Vec::new(), record: ByteBuf::new() }
    }

    /// Says one thing more. The line is to be stored before [`record`](Self::record) is published.
    /// All that a side ever says fits into one record, by the bounds of its messages.
    pub fn say(&mut self, message: Message, now: Timestamp) {
        self.messages.push(message);
        let sequence = self.messages.len() as u64;
        if let Some(record) = carry(&self.key, canonical::encode(&self.messages), sequence, now) {
            self.record = ByteBuf::from(record.as_bytes());
        }
    }

    /// The record to publish, if anything was said.
    pub fn record(&self) -> Option<Record> {
        Record::parse(&Name::of(self.key.public()), &self.record, None).ok()
    }
}

/// The peer's line.
#[derive(Clone, Serialize, Deserialize)]
pub struct PeerLine {
    name: Name,
    messages: Vec<Message>,
}

/// The peer's line said something else before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten;

impl PeerLine {
    /// A line of which nothing was seen yet.
    pub fn new(name: Name) -> PeerLine {
        PeerLine { name, messages: Vec::new() }
    }

    /// The name at which it stands.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Takes in a record of the line; returns the messages that are new. An older record of the
    /// same line brings nothing new.
    pub fn read(&mut self, record: &Record) -> Result<Vec<Message>, Rewritten> {
        let bytes = carried(record).ok_or(Rewritten)?;
        let messages: Vec<Message> = canonical::decode(bytes, MAX_LINE).map_err(|_| Rewritten)?;
        if record.sequence() != messages.len() as u64 {
            return Err(Rewritten);
        }
        let known = self.messages.len().min(messages.len());
        if messages.get(..known) != self.messages.get(..known) {
            return Err(Rewritten);
        }
        let news = messages.get(self.messages.len()..).unwrap_or_default().to_vec();
        if !news.is_empty() {
            self.messages = messages;
        }
        Ok(news)
    }
}
