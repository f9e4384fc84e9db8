//! Several devices, what happens to them, and a record of what was acknowledged to whom.

use std::collections::{BTreeMap, BTreeSet};

use handfast_keys::{Timestamp, WriterSecret};
use handfast_ledger::{
    FieldName, Fields, Namespace, Op, Pick, Policy, RecordId, RecordState, Segment, Value, create,
};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::Device;

/// Something that happens. Numbers are taken modulo what there is.
#[derive(Clone, Debug)]
pub enum Step {
    Create {
        device: usize,
        record: u8,
        a: u8,
        b: u8,
    },
    Set {
        device: usize,
        record: u8,
        field: u8,
        value: u8,
    },
    Delete {
        device: usize,
        record: u8,
    },
    Restore {
        device: usize,
        record: u8,
    },
    Resolve {
        device: usize,
        record: u8,
        field: u8,
    },
    /// Some of what one device has reaches another, cut, ordered and repeated at random.
    Sync {
        from: usize,
        to: usize,
        seed: u64,
    },
    /// The device's home is backed up.
    BackUp {
        device: usize,
    },
    /// The device's disk is replaced by its backup; `noticed`: it sees that and takes new keys.
    RestoreDisk {
        device: usize,
        noticed: bool,
    },
    /// Somebody starts a copy of the device's home; nobody notices.
    CopyHome {
        device: usize,
    },
}

/// What was written and acknowledged, named by its time, which is unique in this world.
struct Write {
    record: RecordId,
    /// For each field the writes that it replaced.
    replaced: BTreeMap<FieldName, BTreeSet<u64>>,
    /// What a deletion replaces besides: all that was in the record.
    seen: Option<BTreeSet<u64>>,
    deleted: Option<bool>,
}

pub struct World {
    pub devices: Vec<Device>,
    backups: BTreeMap<usize, Device>,
    writes: BTreeMap<u64, Write>,
    clock: u64,
    keys: u8,
    /// Whether anything was done that can make a log fork.
    pub careless: bool,
}

const FIELDS: [&str; 3] = ["a", "b", "c"];
const MOST_DEVICES: usize = 6;

fn name(field: u8) -> FieldName {
    FieldName::new(FIELDS[field as usize % FIELDS.len()]).unwrap()
}

fn value(value: u8) -> Value {
    Value::parse(&value.to_string()).unwrap()
}

impl World {
    pub fn new(devices: usize) -> Self {
        let mut world = Self {
            devices: Vec::new(),
            backups: BTreeMap::new(),
            writes: BTreeMap::new(),
            clock: 0,
            keys: 0,
            careless: false,
        };
        let namespace = Namespace::new("notes").unwrap();
        for _ in 0..devices {
            let key = new_key(&mut world.keys);
            world.devices.push(Device::new(&namespace, key));
        }
        world
    }

    pub fn take(&mut self, step: &Step) {
        let count = self.devices.len();
        match *step {
            Step::Create { device, record, a, b } => {
                let text = format!(r#"{{"a":{a},"b":{b}}}"#);
                let fields = Fields::parse(&text).unwrap();
                self.edit(device, record, |_, state| create(state, fields).unwrap());
            }
            Step::Set { device, record, field, value: new } => {
                self.edit(device, record, |_, state| state?.set(name(field), value(new)).unwrap());
            }
            Step::Delete { device, record } => {
                self.edit(device, record, |_, state| state?.delete().unwrap());
            }
            Step::Restore { device, record } => {
                self.edit(device, record, |_, state| state?.restore().unwrap());
            }
            Step::Resolve { device, record, field } => {
                self.edit(device, record, |device, state| {
                    let mine = device.writers();
                    state?.resolve(FIELDS[field as usize % 3], Pick::Mine(&mine)).ok()
                });
            }
            Step::Sync { from, to, seed } => self.sync(from % count, to % count, seed),
            Step::BackUp { device } => {
                self.backups.insert(device % count, self.devices[device % count].clone());
            }
            Step::RestoreDisk { device, noticed } => {
                let device = device % count;
                let Some(backup) = self.backups.get(&device) else {
                    return;
                };
                self.devices[device] = backup.clone();
                if noticed {
                    let key = new_key(&mut self.keys);
                    self.devices[device].renew(key);
                } else {
                    self.careless = true;
                }
            }
            Step::CopyHome { device } => {
                if count < MOST_DEVICES {
                    self.devices.push(self.devices[device % count].clone());
                    self.careless = true;
                }
            }
        }
    }

    fn edit(
        &mut self,
        device: usize,
        record: u8,
        op: impl FnOnce(&Device, Option<&RecordState>) -> Option<Op>,
    ) {
        let device = device % self.devices.len();
        let device = &mut self.devices[device];
        let record = RecordId::from_bytes([record % 4; 16]);
        let state = device.records.get(&record);
        let Some(op) = op(device, state) else { return };
        self.clock += 1;
        let shown = state.cloned().unwrap_or_default();
        self.writes.insert(self.clock, acknowledged(record, &shown, &op));
        device.write(record, Timestamp(self.clock), op);
    }

    fn sync(&mut self, from: usize, to: usize, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut segments = self.devices[from].publish(|| rng.random_bool(0.5));
        segments.retain(|_| rng.random_bool(0.8));
        let again: Vec<Segment> =
            segments.iter().filter(|_| rng.random_bool(0.2)).cloned().collect();
        segments.extend(again);
        segments.shuffle(&mut rng);
        self.deliver(to, segments);
    }

    fn deliver(&mut self, to: usize, segments: Vec<Segment>) {
        let keys = &mut self.keys;
        for segment in segments {
            self.devices[to].receive(segment, &mut || new_key(keys));
        }
    }

    /// Lets everybody tell everybody everything until nothing changes any more.
    pub fn settle(&mut self) {
        for _ in 0..20 {
            let before: Vec<_> = self.devices.iter().map(|d| (d.applied(), d.forks())).collect();
            for from in 0..self.devices.len() {
                for to in 0..self.devices.len() {
                    if from != to {
                        let mut segments = self.devices[from].publish(|| false);
                        segments.retain(|segment| !self.devices[to].has(segment));
                        self.deliver(to, segments);
                    }
                }
            }
            let after: Vec<_> = self.devices.iter().map(|d| (d.applied(), d.forks())).collect();
            if before == after && after.windows(2).all(|pair| pair[0].0 == pair[1].0) {
                return;
            }
        }
        panic!("the devices never agree");
    }

    /// Everything once more, in any order.
    pub fn repeat_everything(&mut self, seed: u64) {
        let mut rng = StdRng::seed_from_u64(seed);
        for to in 0..self.devices.len() {
            let from = rng.random_range(0..self.devices.len());
            let mut segments = self.devices[from].publish(|| rng.random_bool(0.5));
            segments.extend(segments.clone());
            segments.shuffle(&mut rng);
            self.deliver(to, segments);
        }
    }

    /// Somebody resolves all that is in conflict.
    pub fn resolve_everything(&mut self) {
        for record in 0..4 {
            let shown = |device: &Device| -> Option<RecordState> {
                device.records.get(&RecordId::from_bytes([record; 16])).cloned()
            };
            self.edit(0, record, |device, _| match shown(device)?.conflicts(Policy::Ask)[..] {
                [handfast_ledger::Conflict::Deletion { .. }, ..] => {
                    shown(device)?.restore().unwrap()
                }
                _ => None,
            });
            for field in FIELDS {
                self.edit(0, record, |_, state| state?.resolve(field, Pick::Favourite).ok());
            }
        }
    }

    /// For each record: whether it must be shown, and for each field the writes that nobody
    /// replaced, of all writes that still are on some disk.
    pub fn expected(&self) -> BTreeMap<RecordId, (bool, BTreeMap<FieldName, BTreeSet<u64>>)> {
        let mutations = self.devices.iter().flat_map(Device::mutations);
        let surviving: BTreeSet<u64> = mutations.map(|mutation| mutation.timestamp().0).collect();
        let writes: Vec<(u64, &Write)> = self
            .writes
            .iter()
            .filter(|(t, _)| surviving.contains(t))
            .map(|(t, w)| (*t, w))
            .collect();
        let mut expected: BTreeMap<_, (bool, BTreeMap<FieldName, BTreeSet<u64>>)> = BTreeMap::new();
        for (time, write) in &writes {
            let (_, fields) = expected.entry(write.record).or_default();
            for field in write.replaced.keys() {
                let held: &mut BTreeSet<u64> = fields.entry(field.clone()).or_default();
                let replaced = |(_, other): &(u64, &Write)| {
                    other.replaced.get(field).is_some_and(|times| times.contains(time))
                };
                if !writes.iter().any(replaced) {
                    held.insert(*time);
                }
            }
        }
        for (visible, fields) in expected.values_mut() {
            let says = fields.get(&FieldName::deletion()).cloned().unwrap_or_default();
            let deletes: Vec<&Write> = says.iter().map(|time| &self.writes[time]).collect();
            let seen = |time: &u64| {
                deletes.iter().any(|d| d.seen.as_ref().is_some_and(|s| s.contains(time)))
            };
            let data = fields.iter().filter(|(field, _)| !field.is_deletion());
            let all_seen = data.flat_map(|(_, times)| times).all(seen);
            let unanimous = !deletes.is_empty() && deletes.iter().all(|d| d.deleted == Some(true));
            *visible = !(unanimous && all_seen);
        }
        expected
    }
}

/// What a device was told when it wrote.
fn acknowledged(record: RecordId, shown: &RecordState, op: &Op) -> Write {
    let times = |field: &FieldName| -> BTreeSet<u64> {
        let entries = shown.field(field.as_str()).into_iter().flat_map(|r| r.entries());
        entries.map(|entry| entry.timestamp.0).collect()
    };
    match op {
        Op::Create { fields } => Write {
            record,
            replaced: fields.iter().map(|(field, _)| (field.clone(), BTreeSet::new())).collect(),
            seen: None,
            deleted: None,
        },
        Op::Update { changes, .. } => {
            let deletion = changes.iter().find(|change| change.field.is_deletion());
            let deleted = deletion.and_then(|change| change.value.as_bool());
            let data = shown.registers().filter(|(field, _)| !field.is_deletion());
            let all = data.flat_map(|(_, register)| register.entries());
            let all = all.map(|entry| entry.timestamp.0).collect();
            let replaced = changes.iter().map(|c| (c.field.clone(), times(&c.field)));
            let seen = (deleted == Some(true)).then_some(all);
            Write { record, replaced: replaced.collect(), seen, deleted }
        }
    }
}

fn new_key(keys: &mut u8) -> WriterSecret {
    *keys += 1;
    WriterSecret::from_seed([*keys; 32])
}
