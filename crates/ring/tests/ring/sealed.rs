//! Sealed objects open for who holds the key, as what they were sealed as.

use handfast_keys::ContentKey;
use handfast_keys::sealing::{MAX_PLAIN_BLOCK, OpenError};
use handfast_ring::DeviceId;
use handfast_ring::sealed::{Kind, open, seal};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::household::devices;

const KINDS: [Kind; 4] = [Kind::Index, Kind::Archive, Kind::Ring, Kind::Database];

fn key(seed: u64) -> ContentKey {
    ContentKey::generate(&mut StdRng::seed_from_u64(seed))
}

fn ids() -> [DeviceId; 2] {
    devices::<2>().map(|device| device.id())
}

fn sealed(kind: Kind, plaintext: &[u8]) -> Vec<Vec<u8>> {
    seal(kind, &ids()[0], &key(1), plaintext, &mut StdRng::seed_from_u64(2))
}

#[test]
fn it_opens_as_what_it_was_sealed_as() {
    let [own, other] = ids();
    for kind in KINDS {
        let blocks = sealed(kind, b"hello");
        assert_eq!(open(kind, &own, &key(1), &blocks).unwrap(), b"hello");
        for wrong in KINDS.into_iter().filter(|wrong| *wrong != kind) {
            assert_eq!(open(wrong, &own, &key(1), &blocks), Err(OpenError));
        }
        assert_eq!(open(kind, &other, &key(1), &blocks), Err(OpenError));
        assert_eq!(open(kind, &own, &key(2), &blocks), Err(OpenError));
    }
}

#[test]
fn the_same_twice_does_not_look_the_same() {
    let rng = &mut StdRng::seed_from_u64(2);
    let [own, _] = ids();
    let first = seal(Kind::Ring, &own, &key(1), b"hello", rng);
    assert_ne!(seal(Kind::Ring, &own, &key(1), b"hello", rng), first);
}

#[test]
fn large_objects_are_several_blocks() {
    let [own, _] = ids();
    for len in [0, 1, MAX_PLAIN_BLOCK, MAX_PLAIN_BLOCK + 1, 2 * MAX_PLAIN_BLOCK + 9] {
        let plaintext: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let blocks = sealed(Kind::Database, &plaintext);
        assert_eq!(blocks.len(), len.div_ceil(MAX_PLAIN_BLOCK).max(1));
        assert!(blocks.iter().all(|block| block.len() <= handfast_ipfs::MAX_BLOCK));
        assert_eq!(open(Kind::Database, &own, &key(1), &blocks).unwrap(), plaintext);
    }
    let blocks = sealed(Kind::Database, &vec![7; 2 * MAX_PLAIN_BLOCK + 9]);
    let [a, b, c] = [&blocks[0], &blocks[1], &blocks[2]];
    for wrong in [vec![a, b], vec![a, c], vec![a, c, b], vec![b, a, c], vec![a, b, c, c], vec![]] {
        assert_eq!(open(Kind::Database, &own, &key(1), &wrong), Err(OpenError));
    }
    for (block, byte) in [(0, 0), (0, 30), (0, 59), (0, 60), (1, 5), (2, 0)] {
        let mut tampered = blocks.clone();
        tampered[block][byte] ^= 1;
        assert_eq!(open(Kind::Database, &own, &key(1), &tampered), Err(OpenError));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_blocks_are_answered(blocks: Vec<Vec<u8>>) {
        let [own, _] = ids();
        prop_assert_eq!(open(Kind::Index, &own, &key(1), &blocks), Err(OpenError));
    }

    #[test]
    fn any_plaintext_comes_back(plaintext: Vec<u8>) {
        let [own, _] = ids();
        let blocks = sealed(Kind::Index, &plaintext);
        prop_assert_eq!(open(Kind::Index, &own, &key(1), &blocks), Ok(plaintext));
    }
}
