//! Name routers, and the network in front of them.

use std::collections::BTreeMap;

use handfast_ipfs::{Draft, EMPTY_PATH, Name, Record};
use handfast_keys::{IpnsSecret, Timestamp, canonical};
use handfast_pairing::qr::message::Message;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// When the tests begin: some day in 2026. What a device's clock says is another matter.
pub const BEGINNING: u64 = 1_790_000_000_000;

/// Who asks a router.
pub type Reader = usize;

/// What a router shows a reader instead of what it holds.
pub type View = Box<dyn Fn(Reader, &Name, Option<Record>) -> Option<Record>>;

/// Which of two records a router keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The one that the specification selects.
    Highest,
    /// The one that came last.
    Last,
}

/// A name router.
pub struct Router {
    keep: Keep,
    history: BTreeMap<Name, Vec<Record>>,
    /// How it lies, if it does.
    pub view: Option<View>,
    /// Whether it can be reached.
    pub reachable: bool,
    /// How many records it refused because they had expired.
    pub refused: usize,
}

impl Router {
    pub fn new(keep: Keep) -> Router {
        Router { keep, history: BTreeMap::new(), view: None, reachable: true, refused: 0 }
    }

    /// Takes a record in, as a real one does: not one that has expired.
    pub fn take(&mut self, record: Record, now: u64) {
        if record.is_expired(Timestamp(now)) {
            self.refused += 1;
            return;
        }
        let history = self.history.entry(*record.name()).or_default();
        let newer = history.last().is_none_or(|held| record.newer_than(held));
        if newer || self.keep == Keep::Last {
            history.push(record);
        }
    }

    /// What it holds.
    pub fn held(&self, name: &Name) -> Option<Record> {
        self.history.get(name)?.last().cloned()
    }
}

/// What goes wrong between devices and routers, until the network heals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// How many of a hundred publications get lost.
    pub lost: u8,
    /// How many of a hundred arrive twice.
    pub doubled: u8,
    /// How many milliseconds one may take; so they overtake each other.
    pub delay: u64,
    /// How many of a hundred questions stay without an answer.
    pub silent: u8,
    /// How many of a hundred answers are out of date.
    pub stale: u8,
    /// When the network heals, in milliseconds from the beginning.
    pub until: u64,
}

pub struct Network {
    pub now: u64,
    pub routers: Vec<Router>,
    pub faults: Faults,
    /// Every record that anybody has published, in order.
    pub published: Vec<Record>,
    flying: Vec<(u64, usize, Record)>,
    rng: StdRng,
}

impl Network {
    pub fn new(routers: usize) -> Network {
        Network {
            now: BEGINNING,
            routers: (0..routers).map(|_| Router::new(Keep::Highest)).collect(),
            faults: Faults::default(),
            published: Vec::new(),
            flying: Vec::new(),
            rng: StdRng::seed_from_u64(1),
        }
    }

    pub fn seed(&mut self, seed: u64) {
        self.rng = StdRng::seed_from_u64(seed);
    }

    /// Publishes a record at every router.
    pub fn publish(&mut self, record: &Record) {
        self.published.push(record.clone());
        for router in 0..self.routers.len() {
            if self.happens(self.faults.lost) || !self.routers[router].reachable {
                continue;
            }
            let copies = if self.happens(self.faults.doubled) { 2 } else { 1 };
            for _ in 0..copies {
                let delay = if self.healed() { 0 } else { self.faults.delay };
                let due = self.now + self.rng.random_range(0..=delay);
                self.flying.push((due, router, record.clone()));
            }
        }
        self.arrive();
    }

    /// Lets time pass.
    pub fn advance(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.arrive();
    }

    /// What a router answers; `None` if it does not.
    pub fn ask(&mut self, reader: Reader, router: usize, name: &Name) -> Option<Option<Record>> {
        if self.happens(self.faults.silent) || !self.routers[router].reachable {
            return None;
        }
        let stale = self.happens(self.faults.stale);
        let mut held = self.routers[router].held(name);
        if stale && let Some(history) = self.routers[router].history.get(name) {
            let index = self.rng.random_range(0..=history.len());
            held = history.get(index).cloned();
        }
        Some(match &self.routers[router].view {
            Some(view) => view(reader, name, held),
            None => held,
        })
    }

    fn arrive(&mut self) {
        let now = self.now;
        let (due, flying): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.flying).into_iter().partition(|(at, ..)| *at <= now);
        self.flying = flying;
        for (_, router, record) in due {
            self.routers[router].take(record, now);
        }
    }

    fn healed(&self) -> bool {
        self.now >= BEGINNING + self.faults.until
    }

    fn happens(&mut self, percent: u8) -> bool {
        !self.healed() && self.rng.random_range(0..100) < percent
    }
}

/// The bytes that pairing puts into a record.
pub fn carried(record: &Record) -> &[u8] {
    record.extra("_handfast").expect("every record of a pairing carries something")
}

/// A record that carries these bytes, made without the crate under test.
pub fn carrying(key: &IpnsSecret, bytes: &[u8], sequence: u64) -> Record {
    let eol = Timestamp(BEGINNING + 1_000_000_000);
    let mut draft = Draft::new(EMPTY_PATH, sequence, eol);
    draft.extra.insert("_handfast".into(), bytes.to_vec());
    draft.sign(key).unwrap()
}

/// What stands on a line.
pub fn messages(record: &Record) -> Vec<Message> {
    canonical::decode(carried(record), 10_240).expect("a line is a list of messages")
}
