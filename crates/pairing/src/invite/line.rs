//! The lines on which both sides speak, and the two roads that a line travels.
//!
//! A line is the list of all that one side has said, stored before it is sent, only ever extended.
//! A reader takes a message only at the place that comes next, and only if it opens: so it does not
//! matter by which road it came, how often, in what order, or who else wrote to that place.
//!
//! Live, a message is one frame: its place and its bytes. Through the DHT, the line is a mutable
//! value under the line's key with the number of messages as its sequence. It holds their hashes;
//! each leads to immutable values:
//!
//! ```text
//! mutable value  = hash of message 0 ‖ hash of message 1 ‖ …
//! immutable value = 0x00 ‖ bytes                     (a leaf: up to 900 bytes)
//!                 | 0x01 ‖ hash ‖ hash ‖ …           (a node: up to 28 leaves or nodes)
//! ```

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use handfast_keys::{Digest, MailboxPublic, MailboxSecret};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::codec::{Decoder, Encoder};
use super::derive::{ChunkHash, chunk_hash};
use super::message::MAX_MESSAGE;

/// How many messages a line may have: so many hashes fit into a mutable value.
pub const MAX_MESSAGES: usize = 30;

const LEAF: u8 = 0;
const NODE: u8 = 1;
/// How much of a message is in a leaf.
const LEAF_SIZE: usize = 900;
/// How many hashes are in a node.
const NODE_SIZE: usize = 28;
/// How many immutable values one message may have: what the largest needs, with its nodes.
const MAX_CHUNKS: usize = MAX_MESSAGE / LEAF_SIZE * 2;

/// A frame on the live channel: the place of a message, and its bytes.
pub fn frame(index: usize, message: &[u8]) -> Vec<u8> {
    Encoder::with_capacity(9 + message.len()).uint(index as u64).fixed(message).finish()
}

/// Reads a frame.
pub(super) fn read_frame(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut decoder = Decoder::new(bytes);
    let index = usize::try_from(decoder.uint().ok()?).ok()?;
    Some((index, decoder.rest()))
}

/// The own line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLine {
    key: MailboxSecret,
    messages: Vec<ByteBuf>,
}

/// What a line is on the DHT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its sequence: the number of messages.
    pub sequence: u64,
    /// Its mutable value.
    pub value: Vec<u8>,
    /// The immutable values that it leads to, which must be there first.
    pub chunks: Vec<Vec<u8>>,
}

impl OwnLine {
    pub(super) fn new(key: MailboxSecret) -> OwnLine {
        OwnLine { key, messages: Vec::new() }
    }

    pub(super) fn say(&mut self, message: Vec<u8>) {
        self.messages.push(ByteBuf::from(message));
    }

    /// Whether nothing was said yet.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// How many messages are on it.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// The key under which it stands on the DHT.
    pub fn key(&self) -> &MailboxSecret {
        &self.key
    }

    /// The frames of all that was said from this place on.
    pub fn frames(&self, from: usize) -> impl Iterator<Item = Vec<u8>> {
        let messages = self.messages.iter().enumerate().skip(from);
        messages.map(|(index, message)| frame(index, message))
    }

    /// The line as it stands on the DHT. Messages before `known` are there already.
    pub fn letter(&self, known: usize) -> Letter {
        let mut chunks = Vec::new();
        let mut value = Vec::with_capacity(self.messages.len() * 32);
        for (index, message) in self.messages.iter().enumerate() {
            let first = chunks.len();
            value.extend_from_slice(split(message, &mut chunks).as_ref());
            if index < known {
                chunks.truncate(first);
            }
        }
        Letter { sequence: self.messages.len() as u64, value, chunks }
    }
}

/// Cuts a message into immutable values; returns the hash of the one that leads to all others.
fn split(message: &[u8], chunks: &mut Vec<Vec<u8>>) -> ChunkHash {
    let mut level: Vec<ChunkHash> = Vec::new();
    let mut add = |tag: u8, bytes: &[u8]| {
        let chunk = [&[tag], bytes].concat();
        let hash = chunk_hash(&chunk);
        chunks.push(chunk);
        hash
    };
    // (An empty message would have no leaf; there is none.)
    level.extend(message.chunks(LEAF_SIZE).map(|bytes| add(LEAF, bytes)));
    while level.len() > 1 {
        let nodes = level.chunks(NODE_SIZE).map(|hashes| {
            let hashes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            add(NODE, &hashes)
        });
        level = nodes.collect();
    }
    level.pop().unwrap_or_else(|| add(LEAF, &[]))
}

/// The peer's line, as far as it was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerLine {
    key: MailboxPublic,
    heard: u64,
    #[serde(skip)]
    fetching: Option<Fetching>,
}

/// A message that is being fetched from the DHT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Fetching {
    /// The hashes of the messages that come next.
    next: Vec<ChunkHash>,
    chunks: BTreeMap<ChunkHash, Vec<u8>>,
    wanted: BTreeSet<ChunkHash>,
}

impl PeerLine {
    pub fn new(key: MailboxPublic) -> PeerLine {
        PeerLine { key, heard: 0, fetching: None }
    }

    pub fn key(&self) -> MailboxPublic {
        self.key
    }

    /// The place of the message that comes next.
    pub fn next(&self) -> usize {
        usize::try_from(self.heard).unwrap_or(usize::MAX)
    }

    /// The next message was taken.
    pub fn take(&mut self) {
        self.heard += 1;
        if let Some(fetching) = &mut self.fetching {
            if !fetching.next.is_empty() {
                fetching.next.remove(0);
            }
            fetching.chunks.clear();
            fetching.wanted = fetching.next.first().copied().into_iter().collect();
        }
    }

    /// Takes in what the DHT holds under the line's key; returns what is to be fetched.
    pub fn read(&mut self, sequence: u64, value: &[u8]) -> Vec<ChunkHash> {
        let hashes: Vec<ChunkHash> = match value.as_chunks() {
            (hashes, []) => hashes.iter().copied().map(ChunkHash::from_bytes).collect(),
            _ => return Vec::new(),
        };
        if hashes.len() > MAX_MESSAGES || sequence != hashes.len() as u64 {
            return Vec::new();
        }
        let next: Vec<ChunkHash> = hashes.into_iter().skip(self.next()).collect();
        let Some(first) = next.first().copied() else { return Vec::new() };
        let fetching = self.fetching.get_or_insert_default();
        if fetching.next.first() != Some(&first) {
            fetching.chunks.clear();
            fetching.wanted = BTreeSet::from([first]);
        }
        if next.len() >= fetching.next.len() {
            fetching.next = next;
        }
        // What was asked for before and did not come is asked for again.
        fetching.wanted.iter().copied().collect()
    }

    /// Takes in an immutable value; returns what else is to be fetched, and the message once it is
    /// whole.
    pub fn fetched(&mut self, chunk: Vec<u8>) -> (Vec<ChunkHash>, Option<Vec<u8>>) {
        let Some(fetching) = &mut self.fetching else { return Default::default() };
        let hash = chunk_hash(&chunk);
        if !fetching.wanted.remove(&hash) {
            return Default::default();
        }
        let mut more = Vec::new();
        if let [NODE, hashes @ ..] = chunk.as_slice() {
            let (hashes, _) = hashes.as_chunks();
            for hash in hashes.iter().copied().map(ChunkHash::from_bytes) {
                if !fetching.chunks.contains_key(&hash) && fetching.wanted.insert(hash) {
                    more.push(hash);
                }
            }
        }
        fetching.chunks.insert(hash, chunk);
        if fetching.chunks.len() + fetching.wanted.len() > MAX_CHUNKS {
            self.fetching = None;
            return Default::default();
        }
        if !fetching.wanted.is_empty() {
            return (more, None);
        }
        let message = fetching.next.first().and_then(|root| join(*root, &fetching.chunks));
        (more, message)
    }

    /// What is still to be fetched: the message after the one that was just taken.
    pub fn wanted(&self) -> Vec<ChunkHash> {
        let wanted = self.fetching.iter().flat_map(|fetching| &fetching.wanted);
        wanted.copied().collect()
    }
}

/// Puts a message together whose values are all there.
fn join(root: ChunkHash, chunks: &BTreeMap<ChunkHash, Vec<u8>>) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    let mut stack = alloc::vec![root];
    while let Some(hash) = stack.pop() {
        match chunks.get(&hash)?.as_slice() {
            [LEAF, bytes @ ..] => message.extend_from_slice(bytes),
            [NODE, hashes @ ..] => {
                let (hashes, _) = hashes.as_chunks();
                stack.extend(hashes.iter().rev().copied().map(ChunkHash::from_bytes));
            }
            _ => return None,
        }
        if message.len() > MAX_MESSAGE || stack.len() > MAX_CHUNKS {
            return None;
        }
    }
    Some(message)
}

/// A pairing's conversation, for those who carry it: which channel, which keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversation<'a> {
    /// The id of the channel `handfast/exchange/1` on which it is carried live.
    pub channel: Digest,
    /// The own line.
    pub own: &'a OwnLine,
    /// The key of the peer's line.
    pub peer: MailboxPublic,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(messages: &[Vec<u8>]) -> OwnLine {
        let mut line = OwnLine::new(MailboxSecret::from_seed([1; 32]));
        messages.iter().for_each(|message| line.say(message.clone()));
        line
    }

    /// Reads a letter from a store of immutable values.
    fn read(letter: &Letter) -> Vec<Vec<u8>> {
        let stored: BTreeMap<_, _> =
            letter.chunks.iter().map(|chunk| (chunk_hash(chunk), chunk.clone())).collect();
        let mut peer = PeerLine::new(MailboxSecret::from_seed([1; 32]).public());
        let mut fetches = peer.read(letter.sequence, &letter.value);
        let mut messages = Vec::new();
        while let Some(hash) = fetches.pop() {
            let (more, message) = peer.fetched(stored[&hash].clone());
            fetches.extend(more);
            if let Some(message) = message {
                messages.push(message);
                peer.take();
                fetches.extend(peer.wanted());
            }
        }
        messages
    }

    #[test]
    fn messages_of_any_size_fit_into_values_of_a_thousand_bytes() {
        let sizes = [1, 899, 900, 901, 900 * 28, 900 * 28 + 1, 60_000, MAX_MESSAGE];
        let messages: Vec<Vec<u8>> =
            sizes.iter().map(|size| (0..*size).map(|i| (i / 7 % 251) as u8).collect()).collect();
        let letter = line(&messages).letter(0);
        assert!(letter.chunks.iter().all(|chunk| chunk.len() <= 1_000));
        assert!(letter.value.len() <= 1_000);
        assert_eq!(read(&letter), messages);
        // What is there already is not put again.
        assert!(line(&messages).letter(8).chunks.is_empty());
        assert_eq!(line(&messages).letter(8).value, letter.value);
    }

    #[test]
    fn values_that_lead_to_themselves_or_nowhere_lead_nowhere() {
        let mut peer = PeerLine::new(MailboxSecret::from_seed([1; 32]).public());
        let node = [&[NODE], [7; 32].as_slice()].concat();
        assert_eq!(peer.read(1, chunk_hash(&node).as_ref()), [chunk_hash(&node)]);
        assert_eq!(peer.fetched(vec![9, 9]), (vec![], None));
        assert_eq!(peer.fetched(node.clone()), (vec![ChunkHash::from_bytes([7; 32])], None));
        assert_eq!(peer.fetched(node), (vec![], None));
        assert!(peer.read(2, &[0; 32]).is_empty());
        assert!(peer.read(1, &[0; 31]).is_empty());
        assert!(peer.read(31, &[0; 31 * 32]).is_empty());
    }

    /// A node that names one leaf a thousand times over does not grow into memory.
    #[test]
    fn a_bomb_is_not_unpacked() {
        let leaf = [&[LEAF], [1; LEAF_SIZE].as_slice()].concat();
        let mut chunks = vec![leaf];
        for _ in 0..6 {
            let hash = chunk_hash(chunks.last().unwrap());
            chunks.push([&[NODE], hash.as_ref().repeat(NODE_SIZE).as_slice()].concat());
        }
        let letter = Letter {
            sequence: 1,
            value: chunk_hash(chunks.last().unwrap()).as_ref().to_vec(),
            chunks,
        };
        let stored: BTreeMap<_, _> =
            letter.chunks.iter().map(|chunk| (chunk_hash(chunk), chunk.clone())).collect();
        let mut peer = PeerLine::new(MailboxSecret::from_seed([1; 32]).public());
        let mut fetches = peer.read(letter.sequence, &letter.value);
        let mut steps = 0;
        while let Some(hash) = fetches.pop() {
            let (more, message) = peer.fetched(stored[&hash].clone());
            assert_eq!(message, None);
            fetches.extend(more);
            steps += 1;
        }
        assert!(steps < 10_000);
    }
}
