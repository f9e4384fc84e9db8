//! How a device hands its keys to its peers.
//!
//! Each entry is sealed to one peer and looks like every other; entries stand in random order,
//! padded in number, so that a reader learns neither whom they are for nor how many peers there
//! are. A peer finds its entry by trying all of them.

use alloc::vec::Vec;

use handfast_keys::canonical::{self, DecodeError};
use handfast_keys::{ContentKey, Digest, ExchangePublic, Label, hpke};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::identity::{DeviceId, DeviceKeys, Identity, SignedIdentity};

/// The largest directory, in bytes of its encoding.
pub const MAX_DIRECTORY: usize = 1 << 20;

/// The number of entries is padded to a multiple of this.
pub const ENTRIES_STEP: usize = 4;

/// What a device hands to each of its peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedKeys {
    /// Opens the device's index and database.
    pub personal: ContentKey,
    /// Opens the device's ring.
    pub broadcast: ContentKey,
    /// How often the keys were changed.
    pub epoch: u64,
}

impl FeedKeys {
    /// Draws the first keys of a device.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> FeedKeys {
        FeedKeys {
            personal: ContentKey::generate(rng),
            broadcast: ContentKey::generate(rng),
            epoch: 0,
        }
    }

    /// Where the device waits for its peers on the swarm. Only they can tell that it does.
    pub fn topic(&self) -> Digest {
        self.broadcast.hash(Label::TOPIC)
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    personal: ContentKey,
    broadcast: ContentKey,
    transcript: Digest,
}

/// Who gets an entry: a peer, and the transcript of the conversation through which it came in.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The peer.
    pub peer: &'a Identity,
    /// `H(transcript)` of the admission that let it in.
    pub transcript: Digest,
}

/// A device's signed identity and the sealed entries for its peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerDirectory {
    publisher: SignedIdentity,
    epoch: u64,
    entries: Vec<ByteBuf>,
}

impl PeerDirectory {
    /// Makes the directory of the device with `keys`, whose identity is `publisher`.
    pub fn seal<R: CryptoRng>(
        keys: &DeviceKeys,
        publisher: SignedIdentity,
        feed: &FeedKeys,
        recipients: &[Recipient<'_>],
        rng: &mut R,
    ) -> PeerDirectory {
        let own = keys.device_id();
        let mut entries: Vec<ByteBuf> = recipients
            .iter()
            .map(|recipient| {
                let entry = Entry {
                    personal: feed.personal.clone(),
                    broadcast: feed.broadcast.clone(),
                    transcript: recipient.transcript,
                };
                let info = entry_info(&own, &recipient.peer.device_id(), feed.epoch);
                let plaintext = zeroize::Zeroizing::new(canonical::encode(&entry));
                let exchange = recipient.peer.exchange;
                ByteBuf::from(exchange.seal_auth(&keys.exchange, &info, &plaintext, rng))
            })
            .collect();
        while entries.is_empty() || !entries.len().is_multiple_of(ENTRIES_STEP) {
            entries.push(decoy(feed, rng));
        }
        shuffle(&mut entries, rng);
        PeerDirectory { publisher, epoch: feed.epoch, entries }
    }

    /// The device that published the directory.
    pub fn publisher(&self) -> &SignedIdentity {
        &self.publisher
    }

    /// Finds and opens the entry that is for the holder of `keys`: the publisher's keys and the
    /// transcript under which it knows the holder. `None` when there is no such entry (yet).
    pub fn open(&self, keys: &DeviceKeys) -> Option<(FeedKeys, Digest)> {
        let publisher = self.publisher.identity();
        let info = entry_info(&publisher.device_id(), &keys.device_id(), self.epoch);
        let entry: Entry = self.entries.iter().find_map(|sealed| {
            let opened = keys.exchange.open_auth(&publisher.exchange, &info, sealed).ok()?;
            canonical::decode(&zeroize::Zeroizing::new(opened), 1_024).ok()
        })?;
        let Entry { personal, broadcast, transcript } = entry;
        Some((FeedKeys { personal, broadcast, epoch: self.epoch }, transcript))
    }

    /// Its bytes, to be published as they are.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Reads a directory and verifies the publisher's identity in it. The caller checks that it is
    /// the publisher that it expected.
    pub fn decode(bytes: &[u8]) -> Result<PeerDirectory, DecodeError> {
        canonical::decode(bytes, MAX_DIRECTORY)
    }
}

fn entry_info(publisher: &DeviceId, recipient: &DeviceId, epoch: u64) -> Digest {
    Label::ENTRY.hash([publisher.as_ref(), recipient.as_ref(), &epoch.to_be_bytes()])
}

/// An entry for nobody: random keys sealed to a random key, like a real one in every visible way.
fn decoy<R: CryptoRng>(feed: &FeedKeys, rng: &mut R) -> ByteBuf {
    let nobody = handfast_keys::ExchangeSecret::generate(rng).public();
    let transcript = Digest::from_bytes([0; 32]);
    let FeedKeys { personal, broadcast, .. } = FeedKeys::generate(rng);
    let plaintext = canonical::encode(&Entry { personal, broadcast, transcript });
    let info = Label::ENTRY.hash([&feed.epoch.to_be_bytes()]);
    debug_assert!(plaintext.len() + hpke::OVERHEAD < MAX_DIRECTORY);
    ByteBuf::from(ExchangePublic::seal(&nobody, &info, &plaintext, rng))
}

/// Fisher and Yates' shuffle. The modulo's bias over 64 bits is beyond notice.
fn shuffle<T, R: CryptoRng + ?Sized>(items: &mut [T], rng: &mut R) {
    for last in (1..items.len()).rev() {
        let other = (rng.next_u64() % (last as u64 + 1)) as usize;
        items.swap(last, other);
    }
}
