//! A device in memory: what a store does with the ledger, without a store.

pub mod world;

use std::collections::BTreeMap;

use handfast_keys::{AuthSecret, Timestamp, WriterPublic, WriterSecret};
use handfast_ledger::{
    Author, ChainHash, Dot, Fork, Graft, Included, LogEntry, LogId, Mutation, Namespace, Op,
    Position, RecordId, RecordState, Segment, Snapshot, SnapshotWriter, StateHash, StateHasher,
    Tip, Verified, reauthor,
};

/// One version of a log, from its beginning.
#[derive(Clone, Default)]
struct Version {
    entries: Vec<LogEntry>,
    /// Signed tips by id.
    tips: BTreeMap<u64, Tip>,
}

/// A log as a device knows it: one version, or several if it has forked.
#[derive(Clone)]
struct Log {
    start: ChainHash,
    versions: Vec<Version>,
    /// The common prefix if it has forked.
    fork: Option<Fork>,
}

#[derive(Clone)]
pub struct Device {
    pub namespace: Namespace,
    /// Its writer keys, one for each incarnation; the last is in use.
    keys: Vec<(WriterPublic, WriterSecret)>,
    logs: BTreeMap<WriterPublic, Log>,
    pub records: BTreeMap<RecordId, RecordState>,
}

impl Version {
    fn end(&self) -> u64 {
        self.entries.len() as u64
    }

    fn position(&self, start: ChainHash, id: u64) -> Option<Position> {
        let hash = match id {
            0 => Some(start),
            _ => self.entries.get(id as usize - 1).map(|entry| entry.hash),
        };
        hash.map(|hash| Position { id, hash })
    }

    /// How far it was signed.
    fn signed(&self) -> u64 {
        self.tips.last_key_value().map_or(0, |(id, _)| *id)
    }
}

impl Log {
    fn new(id: &LogId) -> Self {
        Self { start: id.start().hash, versions: vec![Version::default()], fork: None }
    }

    /// How far it counts.
    fn applied(&self) -> u64 {
        self.fork.as_ref().map_or(self.versions[0].end(), |fork| fork.common)
    }

    fn applied_entries(&self) -> &[LogEntry] {
        &self.versions[0].entries[..self.applied() as usize]
    }

    fn graft(&self, version: &Version, segment: &Verified) -> Graft {
        let hash_at = |id| version.position(self.start, id).map(|position| position.hash);
        Graft::of(segment, version.end(), hash_at)
    }
}

impl Device {
    pub fn new(namespace: &Namespace, key: WriterSecret) -> Self {
        let mut device = Self {
            namespace: namespace.clone(),
            keys: Vec::new(),
            logs: BTreeMap::new(),
            records: BTreeMap::new(),
        };
        device.renew(key);
        device
    }

    /// Begins a new incarnation.
    pub fn renew(&mut self, key: WriterSecret) {
        let writer = key.public();
        self.log(writer);
        self.keys.push((writer, key));
    }

    pub fn writers(&self) -> Vec<WriterPublic> {
        self.keys.iter().map(|(writer, _)| *writer).collect()
    }

    /// Writes a mutation to the device's own log.
    pub fn write(&mut self, record: RecordId, now: Timestamp, op: Op) {
        let state = self.records.entry(record).or_default();
        let timestamp = state.next_timestamp(now);
        assert_eq!(timestamp, now, "the clock of the model runs ahead of every mutation");
        self.append(|author| vec![author.append(record, timestamp, op).unwrap()]);
    }

    fn append(&mut self, write: impl FnOnce(&mut Author<'_>) -> Vec<LogEntry>) {
        let (writer, key) = self.keys.last().unwrap().clone();
        let log = self.log(writer);
        assert!(log.fork.is_none(), "nobody writes to a log that has forked");
        let position = log.versions[0].position(log.start, log.versions[0].end());
        let entries = write(&mut Author::new(&self.namespace, &key, position));
        self.log(writer).versions[0].entries.extend(entries.iter().cloned());
        self.apply(&writer, &entries);
    }

    /// Signs what it has written, and cuts everything that it knows into segments: each version of
    /// each log at those of its tips that `keep` chooses, up to its last tip.
    pub fn publish(&mut self, mut keep: impl FnMut() -> bool) -> Vec<Segment> {
        for (writer, key) in &self.keys {
            let log = self.logs.get_mut(writer).unwrap();
            let version = &mut log.versions[0];
            let end = version.end();
            if log.fork.is_none() && end > version.signed() {
                let position = version.position(log.start, end).unwrap();
                version.tips.insert(end, Tip::sign(&self.namespace, position, key));
            }
        }
        let mut segments = Vec::new();
        for log in self.logs.values() {
            for version in &log.versions {
                let mut first = 1;
                for (last, tip) in &version.tips {
                    if *last < version.signed() && !keep() {
                        continue;
                    }
                    let before = version.position(log.start, first - 1).unwrap().hash;
                    let entries = &version.entries[first as usize - 1..*last as usize];
                    let bytes = entries.iter().map(|entry| entry.bytes.clone()).collect();
                    segments.push(Segment::new(before, bytes, tip.clone()).unwrap());
                    first = last + 1;
                }
            }
        }
        segments
    }

    /// Tells whether the segment's tip is known, and so everything before it.
    pub fn has(&self, segment: &Segment) -> bool {
        let versions = self.logs.get(&segment.log().writer).into_iter().flat_map(|l| &l.versions);
        let tips = |version: &Version| version.tips.get(&segment.last()) == Some(segment.tip());
        versions.into_iter().any(tips)
    }

    /// Takes in a segment; tells whether it could be placed. `new_key` is called for if it shows
    /// that somebody else writes with this device's key.
    pub fn receive(&mut self, segment: Segment, new_key: &mut dyn FnMut() -> WriterSecret) -> bool {
        let segment = segment.verify().unwrap();
        let writer = segment.log().writer;
        let log = self.log(writer);
        let grafts: Vec<Graft> =
            log.versions.iter().map(|version| log.graft(version, &segment)).collect();
        let last = segment.tip().position.id;
        let sort = |wanted: fn(&Graft) -> bool| grafts.iter().position(wanted);
        if let Some(at) = sort(|graft| matches!(graft, Graft::Known)) {
            self.log(writer).versions[at].tips.insert(last, segment.tip().clone());
            return true;
        }
        if let Some(at) = sort(|graft| matches!(graft, Graft::Extends { .. })) {
            let Graft::Extends { skip } = grafts[at] else {
                return false;
            };
            let new = segment.entries()[skip..].to_vec();
            let version = &mut self.log(writer).versions[at];
            version.entries.extend(new.iter().cloned());
            version.tips.insert(last, segment.tip().clone());
            if self.log(writer).fork.is_none() {
                self.apply(&writer, &new);
                if self.keys.last().unwrap().0 == writer {
                    self.renew(new_key());
                }
            }
            return true;
        }
        let common = |graft: &Graft| match graft {
            Graft::Forks { common } => Some(*common),
            _ => None,
        };
        let nearest = (0..grafts.len()).max_by_key(|at| common(&grafts[*at])).unwrap();
        let Some(common) = common(&grafts[nearest]) else {
            return false;
        };
        self.fork(segment, nearest, common, new_key);
        true
    }

    /// Takes in another version of a log.
    fn fork(
        &mut self,
        segment: Verified,
        nearest: usize,
        common: u64,
        new_key: &mut dyn FnMut() -> WriterSecret,
    ) {
        let writer = segment.log().writer;
        let tip = segment.tip().clone();
        let log = self.log(writer);
        let like = &log.versions[nearest];
        let mut version = Version {
            entries: like.entries[..common as usize].to_vec(),
            tips: like.tips.range(..=common).map(|(id, tip)| (*id, tip.clone())).collect(),
        };
        let skip = (common + 1 - segment.first()) as usize;
        version.entries.extend(segment.entries()[skip..].iter().cloned());
        version.tips.insert(tip.position.id, tip.clone());
        let mine = log.versions[0].entries.clone();
        let mut beyond = common;
        // What was never signed nobody else can have: it is no version of the log.
        if log.fork.is_none() && like.signed() <= common {
            log.versions = vec![version];
        } else {
            let other = like.tips.last_key_value().unwrap().1.clone();
            let fork = Fork::new(common, tip, other);
            let fork = match log.fork.take() {
                Some(known) => known.earlier(fork),
                None => fork,
            };
            beyond = fork.common;
            log.fork = Some(fork);
            let signed = log.versions[0].signed();
            log.versions[0].entries.truncate(signed as usize);
            log.versions.push(version);
        }
        let mut lost = vec![mine];
        if log.fork.is_some() {
            lost.extend(log.versions.iter().map(|version| version.entries.clone()));
        }
        self.replay();
        if self.writers().contains(&writer) {
            if self.keys.last().unwrap().0 == writer {
                self.renew(new_key());
            }
            for entries in lost {
                self.write_again(writer, &entries[beyond as usize..]);
            }
        }
    }

    fn write_again(&mut self, old: WriterPublic, branch: &[LogEntry]) {
        let logs = self.logs.clone();
        let find = |mutation: &Mutation| {
            logs.iter().find_map(|(writer, log)| {
                let mut entries = log.applied_entries().iter();
                let same = entries.find(|entry| entry.mutation.says_the_same(mutation))?;
                Some(Dot { writer: *writer, id: same.mutation.id() })
            })
        };
        let mutations = branch.iter().map(|entry| &entry.mutation);
        self.append(|author| reauthor(author, &old, mutations, find).unwrap());
    }

    fn log(&mut self, writer: WriterPublic) -> &mut Log {
        let id = LogId { namespace: self.namespace.clone(), writer };
        self.logs.entry(writer).or_insert_with(|| Log::new(&id))
    }

    /// Applies the next mutations of a log, which are in it already, and only then prunes.
    fn apply(&mut self, writer: &WriterPublic, entries: &[LogEntry]) {
        for entry in entries {
            let state = self.records.entry(entry.mutation.record()).or_default();
            state.apply(writer, &entry.mutation);
        }
        for entry in entries {
            let state = self.records.entry(entry.mutation.record()).or_default();
            state.prune(|dot| is_applied(&self.logs, dot));
        }
    }

    /// Makes the records anew from the logs.
    pub fn replay(&mut self) {
        let mut records: BTreeMap<RecordId, RecordState> = BTreeMap::new();
        for (writer, log) in &self.logs {
            for entry in log.applied_entries() {
                let state = records.entry(entry.mutation.record()).or_default();
                state.apply(writer, &entry.mutation);
            }
        }
        for state in records.values_mut() {
            state.prune(|dot| is_applied(&self.logs, dot));
        }
        self.records = records;
    }

    /// How far each log counts, and up to which hash.
    pub fn applied(&self) -> BTreeMap<WriterPublic, Position> {
        let positions = self.logs.iter().map(|(writer, log)| {
            (*writer, log.versions[0].position(log.start, log.applied()).unwrap())
        });
        positions.filter(|(_, position)| position.id > 0).collect()
    }

    /// Every mutation that it has, whether it counts or not.
    pub fn mutations(&self) -> impl Iterator<Item = &Mutation> {
        let versions = self.logs.values().flat_map(|log| &log.versions);
        versions.flat_map(|version| &version.entries).map(|entry| &entry.mutation)
    }

    /// The common prefixes of the logs that have forked, and how long their versions are.
    pub fn forks(&self) -> BTreeMap<WriterPublic, (u64, usize)> {
        let forks = self.logs.iter().filter_map(|(writer, log)| {
            Some((*writer, (log.fork.as_ref()?.common, log.versions.len())))
        });
        forks.collect()
    }

    /// A snapshot of everything that counts, and its chunks.
    pub fn snapshot(&self, publisher: &AuthSecret) -> (Snapshot, Vec<Vec<u8>>) {
        let logs = self.logs.values().filter(|log| log.applied() > 0).map(|log| {
            let mut tips = log.versions[0].tips.range(log.applied()..);
            Included { tip: tips.next().unwrap().1.clone(), id: log.applied() }
        });
        let mut writer = SnapshotWriter::new(&self.namespace, logs.collect());
        let mut chunks = Vec::new();
        for (record, state) in &self.records {
            chunks.extend(writer.push(*record, state).unwrap());
        }
        let (last, snapshot) = writer.finish(publisher);
        chunks.extend(last);
        (snapshot, chunks)
    }

    pub fn state_hash(&self) -> StateHash {
        let mut hasher = StateHasher::new(&self.namespace);
        for (record, state) in &self.records {
            hasher.push(*record, state).unwrap();
        }
        hasher.finish()
    }
}

fn is_applied(logs: &BTreeMap<WriterPublic, Log>, dot: &Dot) -> bool {
    logs.get(&dot.writer).is_some_and(|log| dot.id <= log.applied())
}
