//! Directories: each peer finds its own entry, and nobody learns anything of the others.

use std::collections::BTreeSet;

use handfast_ring::directory::{ENTRIES_STEP, Recipient};
use handfast_ring::{FeedKeys, Identity, PeerDirectory};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::household::{Device, devices, transcript};

/// The directory as everybody sees it.
#[derive(Serialize, Deserialize)]
struct Raw {
    publisher: handfast_ring::SignedIdentity,
    epoch: u64,
    entries: Vec<ByteBuf>,
}

fn raw(directory: &PeerDirectory) -> Raw {
    handfast_keys::canonical::decode(&directory.encode(), 1 << 20).unwrap()
}

fn cooked(raw: &Raw) -> PeerDirectory {
    PeerDirectory::decode(&handfast_keys::canonical::encode(raw)).unwrap()
}

fn feed(epoch: u64) -> FeedKeys {
    FeedKeys { epoch, ..FeedKeys::generate(&mut StdRng::seed_from_u64(7)) }
}

fn seal(own: &Device, feed: &FeedKeys, peers: &[&Device], seed: u64) -> PeerDirectory {
    let identities: Vec<Identity> =
        peers.iter().map(|peer| peer.signed(1).identity().clone()).collect();
    let recipients: Vec<Recipient<'_>> = identities
        .iter()
        .enumerate()
        .map(|(index, peer)| Recipient { peer, transcript: transcript(index as u8 + 1) })
        .collect();
    let rng = &mut StdRng::seed_from_u64(seed);
    PeerDirectory::seal(&own.keys, own.signed(1), feed, &recipients, rng)
}

#[test]
fn only_the_recipients_open_it() {
    let [laptop, phone, tablet, stranger] = devices();
    let feed = feed(3);
    let directory = seal(&laptop, &feed, &[&phone, &tablet], 1);
    let read = PeerDirectory::decode(&directory.encode()).unwrap();
    assert_eq!(read, directory);
    assert_eq!(read.publisher(), &laptop.signed(1));
    assert_eq!(read.open(&phone.keys), Some((feed.clone(), transcript(1))));
    assert_eq!(read.open(&tablet.keys), Some((feed, transcript(2))));
    assert_eq!(read.open(&stranger.keys), None);
    assert_eq!(read.open(&laptop.keys), None, "nothing is for the publisher itself");
    assert_eq!(seal(&laptop, &self::feed(0), &[], 1).open(&phone.keys), None);
}

#[test]
fn the_number_of_peers_does_not_show() {
    let all: [Device; 11] = devices();
    let [own, peers @ ..] = &all;
    let peers: Vec<&Device> = peers.iter().collect();
    for count in 0..=peers.len() {
        let entries = raw(&seal(own, &feed(0), &peers[..count], 1)).entries;
        assert_eq!(entries.len(), count.div_ceil(ENTRIES_STEP).max(1) * ENTRIES_STEP);
        // Decoys are as long as what is meant, and no two look alike.
        let sizes: BTreeSet<usize> = entries.iter().map(|entry| entry.len()).collect();
        assert_eq!(sizes.len(), 1);
        assert_eq!(entries.iter().collect::<BTreeSet<_>>().len(), entries.len());
        // They begin with a point of the curve in the same form.
        assert!(
            entries
                .iter()
                .all(|entry| { handfast_keys::ExchangePublic::from_sec1(&entry[..65]).is_ok() })
        );
    }
}

#[test]
fn the_order_is_random() {
    let [laptop, phone, tablet] = devices();
    let mut places = BTreeSet::new();
    for seed in 0..24 {
        let directory = seal(&laptop, &feed(0), &[&phone, &tablet], seed);
        let entries = raw(&directory).entries;
        let place = entries.iter().position(|entry| {
            let alone = Raw { entries: vec![entry.clone()], ..raw(&directory) };
            cooked(&alone).open(&phone.keys).is_some()
        });
        places.insert(place.unwrap());
    }
    assert_eq!(places, BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn entries_are_bound_to_publisher_recipient_and_epoch() {
    let [laptop, phone, tablet, stranger] = devices();
    let mine = raw(&seal(&laptop, &feed(3), &[&phone], 1));
    // Another epoch.
    let later = Raw { epoch: 4, publisher: laptop.signed(1), entries: mine.entries.clone() };
    assert_eq!(cooked(&later).open(&phone.keys), None);
    // Somebody else publishes the entries as his.
    let stolen = Raw { epoch: 3, publisher: stranger.signed(1), entries: mine.entries.clone() };
    assert_eq!(cooked(&stolen).open(&phone.keys), None);
    // Somebody else seals an entry and puts it under the publisher's name.
    let forged = raw(&seal(&stranger, &feed(3), &[&phone], 1));
    let forged = Raw { publisher: laptop.signed(1), ..forged };
    assert_eq!(cooked(&forged).open(&phone.keys), None);
    // An entry for a device with another auth key but the same exchange key.
    let mut mixed = tablet.keys.clone();
    mixed.exchange = phone.keys.exchange.clone();
    assert_eq!(cooked(&mine).open(&mixed), None);
    // A changed byte, in any entry.
    for index in 0..mine.entries.len() {
        for byte in [0, 70, 120, mine.entries[index].len() - 1] {
            let mut entries = mine.entries.clone();
            entries[index][byte] ^= 1;
            let tampered = Raw { epoch: 3, publisher: laptop.signed(1), entries };
            let opened = cooked(&tampered).open(&phone.keys);
            assert!(opened.is_none_or(|(keys, _)| keys == feed(3)));
        }
    }
}

#[test]
fn the_publisher_is_verified() {
    let [laptop, phone] = devices();
    let bytes = seal(&laptop, &feed(0), &[&phone], 1).encode();
    let identity = handfast_keys::canonical::encode(&laptop.signed(1));
    let at = bytes.windows(identity.len()).position(|it| it == identity).unwrap();
    for index in (at..at + identity.len()).step_by(11) {
        let mut tampered = bytes.clone();
        tampered[index] ^= 1;
        assert!(PeerDirectory::decode(&tampered).is_err());
    }
}

#[test]
fn keys_are_not_printed() {
    let printed = format!("{:?}", feed(2));
    assert_eq!(printed, "FeedKeys { personal: ContentKey(…), broadcast: ContentKey(…), epoch: 2 }");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        prop_assert!(PeerDirectory::decode(&bytes).is_err());
    }

    #[test]
    fn any_entries_are_answered(entries: Vec<Vec<u8>>) {
        let [laptop, phone] = devices();
        let entries = entries.into_iter().map(ByteBuf::from).collect();
        let directory = cooked(&Raw { publisher: laptop.signed(1), epoch: 0, entries });
        prop_assert_eq!(directory.open(&phone.keys), None);
    }
}
