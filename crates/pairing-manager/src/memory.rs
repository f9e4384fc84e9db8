//! A network in memory, for tests: everybody who joins a topic is connected with everybody else on
//! it, and the DHT never forgets. It is as slow and as unreliable as it is told to be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use handfast_keys::{MailboxPublic, MailboxSecret};
use handfast_pairing::invite::derive::chunk_hash;
use handfast_pairing::invite::{ChunkHash, Topic};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::network::{Channel, Dht, Joining, Live, Offline, Opened};

/// The most that a DHT node keeps under one key.
const MAX_VALUE: usize = 1_000;

/// How many nodes are told of an announcement, one after the other.
const NODES: usize = 4;

/// How many looks that bring nothing new show that nobody has anything more to leave: more than
/// anybody takes in one go.
const LOOKS: u64 = 32;

/// Scatters numbers.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The world that peers share.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    no_connections: bool,
    no_dht: bool,
    /// How long each request to the DHT takes.
    latency: Duration,
    /// Of so many requests to the DHT one is lost.
    lost: Option<u64>,
    unreachable: BTreeSet<MailboxPublic>,
    /// How many requests the DHT was sent.
    requests: u64,
    joined: BTreeMap<Topic, BTreeMap<u64, Join>>,
    open: BTreeMap<(u64, &'static str, [u8; 32]), (Opened, CancellationToken)>,
    paired: BTreeSet<(u64, u64, &'static str, [u8; 32])>,
    mutable: BTreeMap<MailboxPublic, (u64, Vec<u8>)>,
    immutable: BTreeMap<ChunkHash, Vec<u8>>,
    announced: BTreeMap<Topic, BTreeSet<MailboxPublic>>,
    /// How often the DHT was looked at since something new was left there.
    looks: watch::Sender<u64>,
}

#[derive(Clone, Copy)]
struct Join {
    peer: u64,
    announce: bool,
    lookup: bool,
}

/// One peer of a [`World`].
#[derive(Clone)]
pub struct Network {
    world: World,
    peer: u64,
}

impl World {
    /// A peer of its own.
    pub fn peer(&self) -> Network {
        let mut state = self.lock();
        state.next += 1;
        Network { world: self.clone(), peer: state.next }
    }

    /// From now on nobody gets connected.
    pub fn without_connections(self) -> World {
        self.lock().no_connections = true;
        self
    }

    /// From now on each request to the DHT takes so long.
    pub fn with_latency(self, latency: Duration) -> World {
        self.lock().latency = latency;
        self
    }

    /// From now on one in so many requests to the DHT is lost, which is an error.
    pub fn losing_one_in(self, requests: u64) -> World {
        self.lock().lost = Some(requests);
        self
    }

    /// From now on nobody can find out what is left under this key.
    pub fn set_unreachable(&self, key: MailboxPublic) {
        self.lock().unreachable.insert(key);
    }

    /// How many requests the DHT was sent.
    pub fn requests(&self) -> u64 {
        self.lock().requests
    }

    /// Whether the DHT is away.
    pub fn set_offline(&self, offline: bool) {
        self.lock().no_dht = offline;
    }

    /// How many keys are announced, on any topic.
    pub fn announced(&self) -> usize {
        self.lock().announced.values().map(BTreeSet::len).sum()
    }

    /// Waits until whoever looks at the DHT has nothing more to leave there.
    pub async fn settled(&self) {
        let mut looks = {
            let state = self.lock();
            state.looks.send_replace(0);
            state.looks.subscribe()
        };
        // The sender lives as long as the world.
        let _ = looks.wait_for(|looks| *looks >= LOOKS).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Connects all who find each other, and opens what both sides have opened.
    fn connect(&mut self) {
        if self.no_connections {
            return;
        }
        let mut pairs = BTreeSet::new();
        for joins in self.joined.values() {
            for a in joins.values() {
                let others = joins.values().filter(|b| a.peer < b.peer);
                let found = others.filter(|b| a.announce && b.lookup || b.announce && a.lookup);
                pairs.extend(found.map(|b| (a.peer, b.peer)));
            }
        }
        self.open.retain(|_, (_, over)| !over.is_cancelled());
        for (a, b) in pairs {
            let of_a = self.open.range((a, "", [0; 32])..(a + 1, "", [0; 32]));
            for ((_, protocol, id), (opened_a, _)) in of_a {
                let Some((opened_b, _)) = self.open.get(&(b, *protocol, *id)) else { continue };
                if self.paired.insert((a, b, protocol, *id)) {
                    let (for_a, for_b) = Channel::pair();
                    opened_a(for_a);
                    opened_b(for_b);
                }
            }
        }
    }
}

struct Leave {
    world: World,
    topic: Topic,
    number: u64,
}

impl Joining for Leave {
    fn flushed(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(joins) = self.world.lock().joined.get_mut(&self.topic) {
            joins.remove(&self.number);
        }
    }
}

impl Live for Network {
    fn join(&self, topic: Topic, announce: bool, lookup: bool) -> Box<dyn Joining> {
        let mut state = self.world.lock();
        state.next += 1;
        let number = state.next;
        let join = Join { peer: self.peer, announce, lookup };
        state.joined.entry(topic).or_default().insert(number, join);
        state.connect();
        Box::new(Leave { world: self.world.clone(), topic, number })
    }

    fn open(&self, protocol: &'static str, id: [u8; 32], opened: Opened) -> DropGuard {
        let over = CancellationToken::new();
        let mut state = self.world.lock();
        let peer = self.peer;
        state
            .paired
            .retain(|(a, b, p, i)| !((*a == peer || *b == peer) && *p == protocol && *i == id));
        state.open.insert((peer, protocol, id), (opened, over.clone()));
        state.connect();
        over.drop_guard()
    }
}

impl Network {
    /// What the DHT holds, once a request has come there, or not.
    async fn dht(&self) -> Result<MutexGuard<'_, State>, Offline> {
        let (number, latency) = {
            let mut state = self.world.lock();
            state.requests += 1;
            (state.requests, state.latency)
        };
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let state = self.world.lock();
        match state.lost {
            _ if state.no_dht => Err(Offline("switched off".to_owned())),
            // (Every third one would always be of the same kind.)
            Some(lost) if (number.wrapping_mul(GOLDEN) >> 32).is_multiple_of(lost) => {
                Err(Offline("lost".to_owned()))
            }
            _ => Ok(state),
        }
    }

    fn looked(&self) {
        self.world.lock().looks.send_modify(|looks| *looks += 1);
    }
}

#[async_trait]
impl Dht for Network {
    async fn mutable_put(
        &self,
        key: &MailboxSecret,
        sequence: u64,
        value: &[u8],
    ) -> Result<(), Offline> {
        check(value)?;
        let mut state = self.dht().await?;
        let held = state.mutable.entry(key.public()).or_default();
        if held.1.is_empty() || held.0 < sequence {
            *held = (sequence, value.to_vec());
            state.looks.send_replace(0);
        }
        Ok(())
    }

    async fn mutable_get(&self, key: &MailboxPublic) -> Result<Option<(u64, Vec<u8>)>, Offline> {
        self.looked();
        let state = self.dht().await?;
        if state.unreachable.contains(key) {
            return Err(Offline("no node answers".to_owned()));
        }
        Ok(state.mutable.get(key).cloned())
    }

    async fn immutable_put(&self, value: &[u8]) -> Result<(), Offline> {
        check(value)?;
        self.dht().await?.immutable.insert(chunk_hash(value), value.to_vec());
        Ok(())
    }

    async fn immutable_get(&self, hash: &ChunkHash) -> Result<Option<Vec<u8>>, Offline> {
        Ok(self.dht().await?.immutable.get(hash).cloned())
    }

    async fn announce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        for _ in 0..NODES {
            self.dht().await?.announced.entry(topic).or_default().insert(key.public());
        }
        Ok(())
    }

    async fn unannounce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        self.dht().await?.announced.entry(topic).or_default().remove(&key.public());
        Ok(())
    }

    async fn lookup(&self, topic: Topic) -> Result<Vec<MailboxPublic>, Offline> {
        self.looked();
        Ok(self.dht().await?.announced.get(&topic).into_iter().flatten().copied().collect())
    }
}

/// Whether a DHT node would take this value.
fn check(value: &[u8]) -> Result<(), Offline> {
    if value.len() > MAX_VALUE {
        return Err(Offline("the value is too large".to_owned()));
    }
    Ok(())
}
