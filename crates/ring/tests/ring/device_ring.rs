//! Whom a device trusts, and whom it takes over from others.

use std::collections::BTreeSet;

use handfast_keys::canonical::{self, DecodeError};
use handfast_ring::{Admission, DeviceId, DeviceRing};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::household::{Device, device, devices};

fn ring(admissions: impl IntoIterator<Item = Admission>) -> DeviceRing {
    let mut ring = DeviceRing::default();
    admissions.into_iter().for_each(|admission| ring.admit(admission));
    ring
}

fn members(ring: &DeviceRing, own: &Device) -> BTreeSet<DeviceId> {
    ring.members(&own.id()).into_keys().collect()
}

fn ids(devices: &[&Device]) -> BTreeSet<DeviceId> {
    devices.iter().map(|device| device.id()).collect()
}

/// What `own` takes over when it reads `theirs`.
fn adopt(own: &Device, ring: &mut DeviceRing, theirs: &DeviceRing) -> usize {
    let news = ring.news_in(&own.id(), theirs);
    news.iter().for_each(|admission| ring.admit(admission.clone()));
    assert_eq!(ring.news_in(&own.id(), theirs), [], "adopting once is enough");
    news.len()
}

/// The seed's last section: A pairs with C, B sees it, and C sees B.
#[test]
fn device_c_later() {
    let [a, b, c] = devices();
    let mut of_a = ring([a.admits(&b)]);
    let mut of_b = ring([b.admits(&a)]);
    of_a.admit(a.admits(&c));
    let mut of_c = ring([c.admits(&a)]);
    assert_eq!(members(&of_b, &b), ids(&[&a]));

    assert_eq!(adopt(&b, &mut of_b, &of_a), 1);
    assert_eq!(members(&of_b, &b), ids(&[&a, &c]));
    assert_eq!(of_b.members(&b.id())[&c.id()].admitter(), a.id());
    assert_eq!(adopt(&c, &mut of_c, &of_a), 1);
    assert_eq!(members(&of_c, &c), ids(&[&a, &b]));
    // Now that all know each other there is nothing more to tell.
    for theirs in [&of_b, &of_c] {
        assert_eq!(of_a.news_in(&a.id(), theirs), []);
    }
    assert_eq!(of_b.news_in(&b.id(), &of_c), []);
}

#[test]
fn a_device_is_not_a_member_of_its_own_ring() {
    let [a, b] = devices();
    let everything = ring([a.admits(&b), b.admits(&a)]);
    assert_eq!(members(&everything, &a), ids(&[&b]));
    assert_eq!(members(&everything, &b), ids(&[&a]));
    // Nor does it learn of itself from others.
    assert_eq!(ring([a.admits(&b)]).news_in(&a.id(), &ring([b.admits(&a)])), []);
}

#[test]
fn what_strangers_admit_counts_for_nothing() {
    let [a, b, c, stranger] = devices();
    let mut of_b = ring([b.admits(&a)]);
    // In a trusted device's ring there may stand what it should not have taken in.
    let of_a = ring([a.admits(&b), stranger.admits(&c), c.admits(&stranger)]);
    assert_eq!(adopt(&b, &mut of_b, &of_a), 0);
    assert_eq!(members(&of_a, &a), ids(&[&b]));
    // Not even in the own ring.
    of_b.admit(stranger.admits(&c));
    assert_eq!(members(&of_b, &b), ids(&[&a]));
    // It becomes trusted with who vouches for it.
    of_b.admit(a.admits(&stranger));
    assert_eq!(members(&of_b, &b), ids(&[&a, &stranger, &c]));
}

#[test]
fn chains_are_adopted_in_one_go() {
    let [a, b, c, d, e] = devices();
    // A knows C, which admitted D, which admitted E.
    let of_a = ring([a.admits(&b), a.admits(&c), c.admits(&d), d.admits(&e)]);
    let mut of_b = ring([b.admits(&a)]);
    assert_eq!(adopt(&b, &mut of_b, &of_a), 3);
    assert_eq!(members(&of_b, &b), ids(&[&a, &c, &d, &e]));
    // With the link in the middle gone, so is what hung on it.
    of_b.undo(&c.admits(&d).id());
    assert_eq!(members(&of_b, &b), ids(&[&a, &c]));
}

#[test]
fn a_chain_may_go_through_several_rings() {
    let [a, b, c, d] = devices();
    let mut of_b = ring([b.admits(&a)]);
    // C's ring tells of D, but B does not know C yet.
    let of_c = ring([c.admits(&a), c.admits(&d)]);
    assert_eq!(adopt(&b, &mut of_b, &of_c), 0);
    assert_eq!(adopt(&b, &mut of_b, &ring([a.admits(&c)])), 1);
    assert_eq!(adopt(&b, &mut of_b, &of_c), 1);
    assert_eq!(members(&of_b, &b), ids(&[&a, &c, &d]));
}

#[test]
fn pairing_again_replaces_the_admission() {
    let [a, b] = devices();
    let mut of_a = ring([a.admits(&b)]);
    let again = a.admits_again(&b, 2);
    of_a.admit(again.clone());
    assert_eq!(of_a.admissions(), std::slice::from_ref(&again));
    assert_eq!(of_a.members(&a.id())[&b.id()], &again);
    // It failed, and is taken back.
    of_a.undo(&again.id());
    assert_eq!(of_a, DeviceRing::default());
}

#[test]
fn the_own_admission_counts_before_others() {
    let [a, b, c] = devices();
    for own in [a.admits_again(&c, 1), a.admits_again(&c, 2), a.admits_again(&c, 3)] {
        let of_a = ring([a.admits(&b), b.admits_again(&c, 4), own.clone()]);
        assert_eq!(of_a.members(&a.id())[&c.id()], &own);
        assert_eq!(of_a.admissions().len(), 3, "by different devices");
        // Nobody replaces it from elsewhere.
        assert_eq!(of_a.news_in(&a.id(), &ring([b.admits_again(&c, 5)])), []);
    }
}

#[test]
fn sequences_only_grow() {
    let [a, b, _] = devices();
    let mut ring = ring([a.admits(&b)]);
    assert_eq!(ring.sequence_of(&b.id()), None);
    for (seen, highest) in [(5, 5), (3, 5), (9, 9), (9, 9), (0, 9)] {
        ring.note_sequence(b.id(), seen);
        assert_eq!(ring.sequence_of(&b.id()), Some(highest));
    }
    ring.note_sequence(a.id(), 1);
    assert_eq!((ring.sequence_of(&a.id()), ring.sequence_of(&b.id())), (Some(1), Some(9)));
    assert_eq!(DeviceRing::decode(&ring.encode()), Ok(ring));
}

#[test]
fn a_ring_with_a_forged_admission_is_no_ring() {
    let [a, b, c] = devices();
    let bytes = ring([a.admits(&b), a.admits(&c)]).encode();
    for index in (0..bytes.len()).step_by(7) {
        let mut tampered = bytes.clone();
        tampered[index] ^= 0x20;
        assert!(DeviceRing::decode(&tampered).is_err(), "byte {index}");
    }
    // The order in which devices were admitted is nobody's business.
    assert_eq!(ring([a.admits(&c), a.admits(&b)]).encode(), bytes);
}

#[test]
fn a_ring_has_one_form() {
    #[derive(Serialize, Deserialize)]
    struct Raw {
        admissions: Vec<Admission>,
        seen: Vec<(DeviceId, u64)>,
    }
    let [a, b, c] = devices();
    let mut ring = ring([a.admits(&b), a.admits(&c)]);
    ring.note_sequence(b.id(), 1);
    ring.note_sequence(c.id(), 2);
    let changed = |change: fn(&mut Raw)| {
        let mut raw: Raw = canonical::decode(&ring.encode(), 1 << 20).unwrap();
        change(&mut raw);
        DeviceRing::decode(&canonical::encode(&raw))
    };
    assert_eq!(changed(|_| ()), Ok(ring.clone()));
    let changes: [fn(&mut Raw); 4] = [
        |raw| raw.admissions.reverse(),
        |raw| raw.admissions[1] = raw.admissions[0].clone(),
        |raw| raw.seen.reverse(),
        |raw| raw.seen[1] = (raw.seen[0].0, 9),
    ];
    for change in changes {
        assert_eq!(changed(change), Err(DecodeError::Malformed));
    }
}

/// Somebody with a large household, or with bad intentions.
#[test]
fn a_ring_of_many() {
    let all: Vec<Device> = (0..60).map(device).collect();
    let chain = all.windows(2).map(|pair| pair[0].admits(&pair[1]));
    let of_first = ring(chain);
    let [first, second, ..] = all.as_slice() else { panic!() };
    assert_eq!(of_first.members(&first.id()).len(), 59);
    assert_eq!(of_first.news_in(&first.id(), &of_first), []);
    assert_eq!(ring([]).news_in(&second.id(), &of_first).len(), 58);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        let _ = DeviceRing::decode(&bytes);
    }

    /// Whoever reads whose ring in whatever order: one is a member if and only if there is a chain
    /// of admissions from the reader to it.
    #[test]
    fn members_are_those_who_are_vouched_for(
        pairs in proptest::collection::vec((0..6usize, 0..6usize), 0..12),
        split in 0..12usize,
    ) {
        let all: [Device; 6] = devices();
        let admissions: Vec<Admission> = pairs
            .iter()
            .filter(|(by, of)| by != of)
            .map(|(by, of)| all[*by].admits(&all[*of]))
            .collect();
        let mut reachable = BTreeSet::from([0]);
        for _ in 0..6 {
            reachable.extend(
                pairs.iter().filter(|(by, _)| reachable.contains(by)).map(|(_, of)| *of).collect::<Vec<_>>(),
            );
        }
        reachable.remove(&0);
        let expected: BTreeSet<DeviceId> = reachable.iter().map(|index| all[*index].id()).collect();
        let whole = ring(admissions.clone());
        prop_assert_eq!(members(&whole, &all[0]), expected.clone());
        // The same when some of it is known, and the rest is told by somebody.
        let split = split.min(admissions.len());
        let mut known = ring(admissions[..split].to_vec());
        adopt(&all[0], &mut known, &whole);
        prop_assert_eq!(members(&known, &all[0]), expected);
    }
}
