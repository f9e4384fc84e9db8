//! The DHT, connections, and what is wrong with both.

use std::collections::{BTreeMap, BTreeSet};

use handfast_keys::MailboxPublic;
use handfast_pairing::invite::Topic;
use handfast_pairing::invite::derive::{ChunkHash, chunk_hash};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// When the tests begin.
pub const BEGINNING: u64 = 1_800_000_000_000;

/// What goes over a connection.
#[derive(Debug, Clone)]
pub enum Packet {
    Request(Vec<u8>),
    Response(Vec<u8>),
    Frame(Vec<u8>),
}

/// How bad the network is, until it heals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Percent of packets, puts and gets that are lost.
    pub lost: u8,
    /// Percent of packets that come twice.
    pub doubled: u8,
    /// Packets come up to so many milliseconds later than they were sent, in any order.
    pub delay: u64,
    /// Percent of gets that find what was there before.
    pub stale: u8,
    /// When it heals, in milliseconds.
    pub until: u64,
}

pub struct Network {
    pub now: u64,
    pub faults: Faults,
    rng: StdRng,
    /// Number of puts, for the order in which values came.
    pub mutable: BTreeMap<MailboxPublic, Vec<(u64, Vec<u8>)>>,
    pub immutable: BTreeMap<ChunkHash, Vec<u8>>,
    pub announced: BTreeMap<Topic, BTreeSet<MailboxPublic>>,
    /// When, to whom, from whom, what.
    packets: Vec<(u64, usize, usize, Packet)>,
    /// Whether there can be connections at all.
    pub live: bool,
    /// Whether the DHT answers.
    pub dht: bool,
}

impl Network {
    pub fn new(seed: u64) -> Network {
        Network {
            now: BEGINNING,
            faults: Faults::default(),
            rng: StdRng::seed_from_u64(seed),
            mutable: BTreeMap::new(),
            immutable: BTreeMap::new(),
            announced: BTreeMap::new(),
            packets: Vec::new(),
            live: true,
            dht: true,
        }
    }

    fn happens(&mut self, percent: u8) -> bool {
        self.now < BEGINNING + self.faults.until && self.rng.random_range(0..100) < percent
    }

    pub fn send(&mut self, from: usize, to: usize, packet: Packet) {
        if !self.live || self.happens(self.faults.lost) {
            return;
        }
        let copies = if self.happens(self.faults.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let healed = self.now >= BEGINNING + self.faults.until;
            let delay = if healed { 0 } else { self.rng.random_range(0..=self.faults.delay) };
            self.packets.push((self.now + delay, to, from, packet.clone()));
        }
    }

    /// What has come for somebody.
    pub fn receive(&mut self, to: usize) -> Vec<(usize, Packet)> {
        let now = self.now;
        let (due, rest) = std::mem::take(&mut self.packets)
            .into_iter()
            .partition(|(at, whom, ..)| *at <= now && *whom == to);
        self.packets = rest;
        let due: Vec<(u64, usize, usize, Packet)> = due;
        due.into_iter().map(|(_, _, from, packet)| (from, packet)).collect()
    }

    /// Whether the put was done.
    pub fn put(&mut self, key: MailboxPublic, sequence: u64, value: Vec<u8>) -> bool {
        assert!(value.len() <= 1_000, "a DHT node keeps no more");
        if !self.dht || self.happens(self.faults.lost) {
            return false;
        }
        let values = self.mutable.entry(key).or_default();
        if values
            .last()
            .is_none_or(|(held, it)| *held < sequence || (*held == sequence && *it != value))
        {
            values.push((sequence, value));
        }
        true
    }

    pub fn get(&mut self, key: &MailboxPublic) -> Option<(u64, Vec<u8>)> {
        if !self.dht || self.happens(self.faults.lost) {
            return None;
        }
        let stale = self.happens(self.faults.stale);
        let values = self.mutable.get(key)?;
        if stale { values.first().cloned() } else { values.last().cloned() }
    }

    pub fn put_chunk(&mut self, chunk: Vec<u8>) -> bool {
        assert!(chunk.len() <= 1_000, "a DHT node keeps no more");
        if !self.dht || self.happens(self.faults.lost) {
            return false;
        }
        self.immutable.insert(chunk_hash(&chunk), chunk);
        true
    }

    pub fn get_chunk(&mut self, hash: &ChunkHash) -> Option<Vec<u8>> {
        if !self.dht || self.happens(self.faults.lost) {
            return None;
        }
        self.immutable.get(hash).cloned()
    }
}
