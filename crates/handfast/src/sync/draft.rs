//! What the own feed consists of, and what of that is new.

use std::collections::BTreeMap;

use handfast_ipfs::{Block, Cid, Record, record};
use handfast_keys::{Digest, Label, Timestamp, canonical};
use handfast_ring::directory::Recipient;
use handfast_ring::manifest::{FEED_VERSION, path_to};
use handfast_ring::sealed::{self, Kind};
use handfast_ring::{DeviceManifest, DeviceRing, FeedKeys, PeerDirectory, SignedIdentity};

use super::fetch::{plain_blocks, sealed_blocks};
use super::note_sequences;
use super::schedule::{LOST_LIFETIME, NOT_BEFORE, RECORD_LIFETIME, RECORD_TTL};
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::feed::{Archive, Database, Index, Listing};
use crate::store::meta::{self, Published};
use crate::store::{cuts, forks, logs, reach, snapshots};

/// By name, the parts that are uploaded only when they change: the hash of what went in, and the
/// blocks.
pub type Parts = BTreeMap<String, (Digest, Vec<Cid>)>;

/// What the feed consists of at present.
pub struct Contents {
    /// Whether every segment in it is at the provider.
    pub is_uploaded: bool,
    /// How many edits of this device are in it.
    pub edits: u64,
    pub identity: SignedIdentity,
    pub feed: FeedKeys,
    pub ring: DeviceRing,
    pub index: Index,
    pub archive: Archive,
    pub database: Database,
}

impl Contents {
    /// What it consists of now.
    pub fn of(device: &Inner) -> Result<Contents> {
        device.store.read(|tx| {
            let reach = reach::told(tx, &device.keys.device_id())?;
            let mut index = Index { reach, ..Index::default() };
            let mut edits = 0;
            for log in logs::all(tx)? {
                if log.device == device.keys.device_id() {
                    edits += log.end.id;
                }
                index.forks.extend(forks::known(&log)?);
                if let Some(listing) = cuts::listing(tx, &log)? {
                    index.logs.push(listing);
                    index.certificates.push(log.certificate);
                }
            }
            let (index, archive) = index.part();
            Ok(Contents {
                is_uploaded: cuts::count_to_upload(tx)? == 0,
                edits,
                identity: meta::IDENTITY.get(tx)?,
                feed: meta::FEED_KEYS.get(tx)?,
                ring: meta::RING.get(tx)?,
                database: snapshots::database(tx)?,
                index,
                archive,
            })
        })
    }

    /// The bytes of the database, if there is one.
    fn database(&self) -> Option<Vec<u8>> {
        (!self.database.snapshots.is_empty()).then(|| self.database.encode())
    }

    /// The bytes of the archive, if there is one.
    fn archive(&self) -> Option<Vec<u8>> {
        (!self.archive.logs.is_empty()).then(|| self.archive.encode())
    }
}

const DIRECTORY: &str = "directory";
const RING: &str = "ring";
const DATABASE: &str = "database";
const ARCHIVE: &str = "archive";

/// By what it is told whether a part has changed. Sealing is never the same twice, so these are
/// hashes of what goes in; they never leave the device.
pub struct Hashes {
    directory: Digest,
    ring: Digest,
    database: Digest,
    archive: Digest,
    /// Of everything.
    pub content: Digest,
}

impl Hashes {
    /// The hashes of what it consists of.
    pub fn of(contents: &Contents) -> Hashes {
        let admissions = canonical::encode(contents.ring.admissions());
        let identity = canonical::encode(&contents.identity);
        let feed = canonical::encode(&contents.feed);
        let ring = Label::STATE.hash([&admissions, &feed]);
        let directory = Label::STATE.hash([&admissions, &feed, &identity]);
        let database = Label::STATE.hash([&contents.database.encode(), &feed]);
        let archive = Label::STATE.hash([&contents.archive.encode(), &feed]);
        let index = contents.index.encode();
        let (database_, archive_) = (database.as_ref(), archive.as_ref());
        let content =
            Label::STATE.hash([directory.as_ref(), ring.as_ref(), database_, archive_, &index]);
        Hashes { directory, ring, database, archive, content }
    }
}

/// The hash of all that would be published now.
pub fn content(device: &Inner) -> Result<Digest> {
    device.store.write(|tx| cuts::cut_own(tx))?;
    Ok(Hashes::of(&Contents::of(device)?).content)
}

/// Whether everything that this store has to say of logs stands in an index that a twin of it has
/// published, and its ring has not changed since it published itself: then there is nothing to
/// publish, and this is the hash of what there is.
pub fn covered_by(device: &Inner, index: &Index, published: &Published) -> Result<Option<Digest>> {
    let contents = Contents::of(device)?;
    let hashes = Hashes::of(&contents);
    let covers = |own: &Listing| {
        let theirs = index.logs.iter().find(|theirs| theirs.log() == own.log());
        theirs.is_some_and(|theirs| theirs.tip.position.id >= own.tip.position.id)
    };
    let covered = contents.index.logs.iter().all(covers)
        && contents.index.forks.iter().all(|fork| index.forks.contains(fork))
        && published.parts.get(DIRECTORY).is_some_and(|(hash, _)| *hash == hashes.directory)
        && published.parts.get(RING).is_some_and(|(hash, _)| *hash == hashes.ring);
    Ok(covered.then_some(hashes.content))
}

/// What is about to be published.
pub struct Draft {
    /// The blocks that are new.
    pub fresh: Vec<Block>,
    pub parts: Parts,
    /// The blocks of the index and the manifest.
    pub index: Vec<Cid>,
    pub record: Record,
    pub sequence: u64,
}

impl Draft {
    /// Draws up what is new since the last time, under the next sequence.
    pub fn of(
        device: &Inner,
        contents: &Contents,
        hashes: &Hashes,
        known: &Parts,
    ) -> Result<Draft> {
        let mut fresh: Vec<Block> = Vec::new();
        let mut parts = known.clone();
        if parts.get(DIRECTORY).is_none_or(|(hash, _)| *hash != hashes.directory) {
            let bytes = directory(device, contents)?.encode();
            add_part(&mut parts, &mut fresh, DIRECTORY, hashes.directory, plain_blocks(&bytes)?);
        }
        if parts.get(RING).is_none_or(|(hash, _)| *hash != hashes.ring) {
            let mut ring = contents.ring.clone();
            for (peer, sequence) in note_sequences(device)? {
                ring.note_sequence(peer, sequence);
            }
            let blocks = seal(device, Kind::Ring, &contents.feed.broadcast, &ring.encode())?;
            add_part(&mut parts, &mut fresh, RING, hashes.ring, blocks);
        }
        for (part, kind, hash, content) in [
            (DATABASE, Kind::Database, hashes.database, contents.database()),
            (ARCHIVE, Kind::Archive, hashes.archive, contents.archive()),
        ] {
            let Some(bytes) = content else {
                parts.remove(part);
                continue;
            };
            if parts.get(part).is_none_or(|(known, _)| *known != hash) {
                let blocks = seal(device, kind, &contents.feed.personal, &bytes)?;
                add_part(&mut parts, &mut fresh, part, hash, blocks);
            }
        }
        let index = seal(device, Kind::Index, &contents.feed.personal, &contents.index.encode())?;
        let mut index_cids: Vec<Cid> = index.iter().map(|block| *block.cid()).collect();
        fresh.extend(index);

        let sequence = device.store.write(|tx| {
            let sequence = meta::SEQUENCE.find(tx)?.unwrap_or(0).saturating_add(1);
            meta::SEQUENCE.set(tx, &sequence.min(record::MAX_SEQUENCE))?;
            Ok(sequence)
        })?;
        let cids = |part| parts.get(part).map(|(_, cids)| cids.clone()).unwrap_or_default();
        let manifest = DeviceManifest {
            version: FEED_VERSION,
            ipns: device.keys.ipns.public(),
            sequence,
            exchange: device.keys.exchange.public(),
            directory: cids(DIRECTORY),
            ring: cids(RING),
            database: cids(DATABASE),
            archive: cids(ARCHIVE),
            index: index_cids.clone(),
        };
        let manifest = plain_blocks(&manifest.sign(&device.keys.auth))?;
        let root = manifest.first().map(|block| *block.cid()).ok_or(Error::Damaged("manifest"))?;
        fresh.extend(manifest);
        let record = sign(device, path_to(&root), sequence)?;
        index_cids.push(root);
        Ok(Draft { fresh, parts, index: index_cids, record, sequence })
    }
}

fn directory(device: &Inner, contents: &Contents) -> Result<PeerDirectory> {
    let members = contents.ring.members(&device.keys.device_id());
    let recipients: Vec<Recipient<'_>> = members
        .values()
        .map(|admission| Recipient { peer: admission.device(), transcript: admission.transcript() })
        .collect();
    Ok(PeerDirectory::seal(
        &device.keys,
        contents.identity.clone(),
        &contents.feed,
        &recipients,
        &mut rand::rng(),
    ))
}

fn seal(
    device: &Inner,
    kind: Kind,
    key: &handfast_keys::ContentKey,
    plaintext: &[u8],
) -> Result<Vec<Block>> {
    let id = device.keys.device_id();
    sealed_blocks(sealed::seal(kind, &id, key, plaintext, &mut rand::rng()))
}

fn add_part(
    parts: &mut Parts,
    fresh: &mut Vec<Block>,
    name: &str,
    hash: Digest,
    blocks: Vec<Block>,
) {
    parts.insert(name.into(), (hash, blocks.iter().map(|block| *block.cid()).collect()));
    fresh.extend(blocks);
}

/// Signs a record of the own name.
pub fn sign(device: &Inner, value: String, sequence: u64) -> Result<Record> {
    let now = device.clock.now();
    // A clock that is certainly wrong must not make records that are expired when they are born.
    let eol: Timestamp =
        if now < NOT_BEFORE { NOT_BEFORE + LOST_LIFETIME } else { now + RECORD_LIFETIME };
    let ttl_ns = u64::try_from(RECORD_TTL.as_nanos()).unwrap_or(u64::MAX);
    record::Draft { ttl_ns, ..record::Draft::new(value, sequence, eol) }
        .sign(&device.keys.ipns)
        .map_err(|_| Error::Damaged("record"))
}
