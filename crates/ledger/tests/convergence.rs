//! What holds whatever happens: random histories of several devices, in which segments arrive
//! late, twice, in any order or not at all, homes are backed up, restored and copied.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test"
)]

mod replica;

use std::collections::{BTreeMap, BTreeSet};

use handfast_keys::{AuthSecret, Secret};
use handfast_ledger::{FieldName, Included, Policy, RecordId, RecordState, SnapshotReader};
use proptest::prelude::*;
use replica::world::{Step, World};

fn edit() -> impl Strategy<Value = Step> {
    let device = 0usize..6;
    prop_oneof![
        2 => (device.clone(), 0u8..4, 0u8..4, 0u8..4)
            .prop_map(|(device, record, a, b)| Step::Create { device, record, a, b }),
        6 => (device.clone(), 0u8..4, 0u8..3, 0u8..4)
            .prop_map(|(device, record, field, value)| Step::Set { device, record, field, value }),
        2 => (device.clone(), 0u8..4).prop_map(|(device, record)| Step::Delete { device, record }),
        1 => (device.clone(), 0u8..4).prop_map(|(device, record)| Step::Restore { device, record }),
        1 => (device, 0u8..4, 0u8..3)
            .prop_map(|(device, record, field)| Step::Resolve { device, record, field }),
    ]
}

fn sync() -> impl Strategy<Value = Step> {
    (0usize..6, 0usize..6, any::<u64>()).prop_map(|(from, to, seed)| Step::Sync { from, to, seed })
}

/// Everybody keeps to the rules: a restored home is noticed.
fn careful() -> impl Strategy<Value = Vec<Step>> {
    let disk = prop_oneof![
        (0usize..6).prop_map(|device| Step::BackUp { device }),
        (0usize..6).prop_map(|device| Step::RestoreDisk { device, noticed: true }),
    ];
    prop::collection::vec(prop_oneof![6 => edit(), 5 => sync(), 1 => disk], 5..50)
}

/// Homes are restored and copied and nobody notices.
fn careless() -> impl Strategy<Value = Vec<Step>> {
    let disk = prop_oneof![
        (0usize..6).prop_map(|device| Step::BackUp { device }),
        (0usize..6, any::<bool>())
            .prop_map(|(device, noticed)| Step::RestoreDisk { device, noticed }),
        (0usize..6).prop_map(|device| Step::CopyHome { device }),
    ];
    prop::collection::vec(prop_oneof![6 => edit(), 5 => sync(), 2 => disk], 5..50)
}

/// The writes whose values a state holds, by field.
fn held(state: &RecordState) -> BTreeMap<FieldName, BTreeSet<u64>> {
    let fields = state.registers().map(|(field, register)| {
        let times = register.entries().iter().map(|entry| entry.timestamp.0);
        (field.clone(), times.collect())
    });
    fields.collect()
}

/// All devices have the same logs and the same records, and those are what the logs say.
fn agree(world: &World) {
    let first = &world.devices[0];
    for device in &world.devices {
        assert_eq!(device.applied(), first.applied());
        assert_eq!(device.forks(), first.forks());
        assert_eq!(device.records, first.records);
        assert_eq!(device.state_hash(), first.state_hash());
        let mut replayed = device.clone();
        replayed.replay();
        assert_eq!(replayed.records, device.records);
        for state in device.records.values() {
            assert_eq!(RecordState::decode(&state.encode()).as_ref(), Ok(state));
        }
    }
}

fn check(mut world: World, steps: &[Step], seed: u64) {
    for step in steps {
        world.take(step);
    }
    world.settle();
    agree(&world);

    // No acknowledged write is lost: what nobody replaced is there, and is shown.
    let nothing = RecordState::default();
    for (record, (visible, fields)) in world.expected() {
        let state = world.devices[0].records.get(&record).unwrap_or(&nothing);
        let shown = state.is_visible(Policy::Ask);
        let held = held(state);
        if !world.careless {
            assert_eq!(shown, visible, "{record}");
        }
        assert!(shown || !visible, "{record}");
        for (field, expected) in fields {
            let held = held.get(&field).cloned().unwrap_or_default();
            if !world.careless {
                assert_eq!(held, expected, "{record} {field}");
            }
            assert!(held.is_superset(&expected), "{record} {field}: {held:?} {expected:?}");
        }
    }

    // A newcomer that replays the logs finds what the snapshot says.
    let publisher = AuthSecret::from_secret(&Secret::from_bytes([7; 32])).unwrap();
    let (snapshot, chunks) = world.devices[0].snapshot(&publisher);
    let newcomer = world.devices.last().unwrap();
    for Included { tip, id } in snapshot.logs() {
        assert_eq!(newcomer.applied()[&tip.log.writer].id, *id);
    }
    assert_eq!(newcomer.state_hash(), snapshot.state());
    let mut reader = SnapshotReader::new(snapshot, &publisher.public()).unwrap();
    let rows = chunks.iter().flat_map(|chunk| reader.read(chunk).unwrap());
    let read: BTreeMap<_, _> = rows.map(|row| (row.record, row.state)).collect();
    assert_eq!(read, newcomer.records);
    reader.finish().unwrap();

    // Applying is idempotent: everything once more changes nothing.
    let before: BTreeMap<RecordId, RecordState> = world.devices[0].records.clone();
    world.repeat_everything(seed);
    agree(&world);
    assert_eq!(world.devices[0].records, before);

    // What is resolved stays resolved.
    world.resolve_everything();
    world.settle();
    world.repeat_everything(seed);
    agree(&world);
    for state in world.devices[0].records.values() {
        assert_eq!(state.conflicts(Policy::Ask), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn devices_that_keep_to_the_rules_agree_exactly(
        devices in 2usize..5, steps in careful(), seed: u64,
    ) {
        check(World::new(devices), &steps, seed);
    }

    #[test]
    fn forks_are_survived(devices in 2usize..4, steps in careless(), seed: u64) {
        check(World::new(devices), &steps, seed);
    }
}
