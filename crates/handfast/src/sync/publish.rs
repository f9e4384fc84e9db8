//! Publishing the own feed.
//!
//! Blocks first, then the record: the name moves only when everything it leads to is there. What
//! has not changed is not uploaded again, so a small edit costs two blocks and one record.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use handfast_ipfs::{Block, Cid, Name, Record, record};
use handfast_keys::{Digest, Label, Timestamp, canonical};
use handfast_providers::{ErrorKind, NameRouter, Provider, ProviderError};
use handfast_ring::directory::Recipient;
use handfast_ring::manifest::{FEED_VERSION, path_to};
use handfast_ring::sealed::{self, Kind};
use handfast_ring::{DeviceManifest, DeviceRing, FeedKeys, PeerDirectory, SignedIdentity};
use rusqlite::Connection;

use super::fetch::{plain_blocks, sealed_blocks};
use super::note_sequences;
use super::schedule::{LOST_LIFETIME, NOT_BEFORE, RECORD_LIFETIME, RECORD_TTL, RENEW_BELOW};
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::events::{Event, Work};
use crate::feed::{Archive, Database, Index, Listing};
use crate::store::meta::{self, Published};
use crate::store::{cuts, forks, logs, reach, snapshots, uploads};

/// By name, the parts that are uploaded only when they change: the hash of what went in, and the
/// blocks.
type Parts = BTreeMap<String, (Digest, Vec<Cid>)>;

/// How many segments that are not uploaded yet peers are told of: these blocks are kept for them.
const MOST_TOLD: u64 = 4;

/// What came of publishing.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The record that stands now.
    pub record: Record,
    /// Its sequence.
    pub sequence: u64,
    /// Whether anything was published.
    pub news: bool,
}

/// What the feed consists of at present.
struct Contents {
    /// Whether every segment in it is at the provider.
    is_uploaded: bool,
    /// How many edits of this device are in it.
    edits: u64,
    identity: SignedIdentity,
    feed: FeedKeys,
    ring: DeviceRing,
    index: Index,
    archive: Archive,
    database: Database,
}

impl Contents {
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

/// Publishes the own feed, if it has changed since the last time.
pub(crate) async fn publish(device: &Inner, provider: &Provider) -> Result<Outcome> {
    if device.store.write(|tx| {
        cuts::cut_own(tx)?;
        cuts::count_to_upload(tx)
    })? > 0
    {
        tell_peers(device).await?;
    }
    let contents = loop {
        upload_segments(device, provider).await?;
        upload_chunks(device, provider).await?;
        let contents = contents(device)?;
        if contents.is_uploaded {
            break contents;
        }
    };
    let published = device.store.read(|tx| meta::PUBLISHED.find(tx))?.unwrap_or_default();
    let hashes = Hashes::of(&contents);
    let own = Name::of(device.keys.ipns.public());
    if published.content == Some(hashes.content)
        && let Ok(record) = Record::parse(&own, &published.record, None)
    {
        let outcome = keep(device, provider, published, record).await?;
        note_delivered(device, contents.edits)?;
        return Ok(outcome);
    }

    let drafted = draft(device, &contents, &hashes, &published.parts)?;
    // Who is connected need not wait for the provider.
    tell(device, &drafted).await?;
    upload(device, provider, &drafted.fresh).await?;

    let Draft { parts, index, record, sequence, .. } = drafted;
    let bytes = record.as_bytes().to_vec().into();
    let content = Some(hashes.content);
    let published = Published { content, record: bytes, delivered: false, index, parts };
    device.store.write(|tx| note_published(tx, sequence, published.clone()))?;
    deliver(device, &provider.names, &record).await?;
    let delivered = Published { delivered: true, ..published };
    device.store.write(|tx| note_published(tx, sequence, delivered))?;
    note_delivered(device, contents.edits)?;
    device.bus.emit(Event::Published { sequence });
    Ok(Outcome { record, sequence, news: true })
}

/// Tells the connected peers, and them alone, of what is new: while a publication is going on, which
/// may wait for a provider that does not answer. It is published like everything else by the next
/// round.
pub(crate) async fn tell_peers(device: &Inner) -> Result<()> {
    // Before that it isn't certain which sequence is the next.
    let alone = device.store.read(|tx| meta::TWIN.find(tx))?.is_none();
    if !(alone && device.own_name_checked() && device.live.is_linked()) {
        return Ok(());
    }
    device.store.write(|tx| cuts::cut_own(tx))?;
    let contents = contents(device)?;
    let hashes = Hashes::of(&contents);
    let published = device.store.read(|tx| meta::PUBLISHED.find(tx))?.unwrap_or_default();
    // So much takes its time on every road.
    let waiting = device.store.read(cuts::count_to_upload)?;
    if published.content == Some(hashes.content) || waiting > MOST_TOLD {
        return Ok(());
    }
    for cut in device.store.write(|tx| cuts::to_upload(tx))? {
        device.live.keep(&cut.blocks()?)?;
    }
    let drafted = draft(device, &contents, &hashes, &published.parts)?;
    tell(device, &drafted).await
}

/// Tells the connected peers of a draft. From then on it is the own record that is known: what
/// somebody hands back of it later was published by this store.
async fn tell(device: &Inner, drafted: &Draft) -> Result<()> {
    if !device.live.is_linked() {
        return Ok(());
    }
    device.store.write(|tx| {
        let published = meta::PUBLISHED.find(tx)?.unwrap_or_default();
        let told = Published {
            content: None,
            record: drafted.record.as_bytes().to_vec().into(),
            delivered: false,
            index: drafted.index.clone(),
            parts: published.parts,
        };
        meta::PUBLISHED.set(tx, &told)
    })?;
    device.live.tell(&drafted.fresh, &drafted.record).await
}

/// Notes what was published, unless peers were told of something newer meanwhile.
fn note_published(connection: &Connection, sequence: u64, published: Published) -> Result<()> {
    if meta::SEQUENCE.find(connection)? == Some(sequence) {
        return meta::PUBLISHED.set(connection, &published);
    }
    let mut newer = meta::PUBLISHED.find(connection)?.unwrap_or_default();
    newer.parts = published.parts;
    newer.index.extend(published.index);
    meta::PUBLISHED.set(connection, &newer)
}

/// What is about to be published.
struct Draft {
    /// The blocks that are new.
    fresh: Vec<Block>,
    parts: Parts,
    /// The blocks of the index and the manifest.
    index: Vec<Cid>,
    record: Record,
    sequence: u64,
}

/// Draws up what is new since the last time, under the next sequence.
fn draft(device: &Inner, contents: &Contents, hashes: &Hashes, known: &Parts) -> Result<Draft> {
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

/// The hash of all that would be published now.
pub(crate) fn content(device: &Inner) -> Result<Digest> {
    device.store.write(|tx| cuts::cut_own(tx))?;
    Ok(Hashes::of(&contents(device)?).content)
}

/// How many edits no router has heard of yet.
pub(crate) fn unpublished(device: &Inner) -> Result<u64> {
    let own = device.keys.device_id();
    device.store.read(|tx| {
        let logs = logs::all(tx)?;
        let edits: u64 = logs.iter().filter(|log| log.device == own).map(|log| log.end.id).sum();
        Ok(edits.saturating_sub(meta::DELIVERED.find(tx)?.unwrap_or(0)))
    })
}

fn note_delivered(device: &Inner, edits: u64) -> Result<()> {
    if device.store.read(|tx| meta::DELIVERED.find(tx))? == Some(edits) {
        return Ok(());
    }
    device.store.write(|tx| meta::DELIVERED.set(tx, &edits))
}

/// Whether everything that this store has to say of logs stands in an index that a twin of it has
/// published, and its ring has not changed since it published itself: then there is nothing to
/// publish, and this is the hash of what there is.
pub(crate) fn covered_by(
    device: &Inner,
    index: &Index,
    published: &Published,
) -> Result<Option<Digest>> {
    let contents = contents(device)?;
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

/// Nothing has changed: but the record may not have been delivered, or be about to expire.
async fn keep(
    device: &Inner,
    provider: &Provider,
    mut published: Published,
    mut record: Record,
) -> Result<Outcome> {
    let sequence = record.sequence();
    let left = record.validity().timestamp().since(device.clock.now());
    if left < RENEW_BELOW {
        record = sign(device, record.value().to_owned(), sequence)?;
        published.record = record.as_bytes().to_vec().into();
        published.delivered = false;
        device.store.write(|tx| meta::PUBLISHED.set(tx, &published))?;
    }
    let news = !published.delivered;
    if news {
        deliver(device, &provider.names, &record).await?;
        published.delivered = true;
        device.store.write(|tx| meta::PUBLISHED.set(tx, &published))?;
    }
    Ok(Outcome { record, sequence, news })
}

/// Uploads the segments that the provider does not have yet, a few at a time.
async fn upload_segments(device: &Inner, provider: &Provider) -> Result<()> {
    device.store.write(|tx| cuts::cut_own(tx))?;
    let total = device.store.read(cuts::count_to_upload)?;
    let mut done = 0;
    loop {
        let batch = device.store.write(|tx| cuts::to_upload(tx))?;
        if batch.is_empty() {
            return Ok(());
        }
        let mut blocks = Vec::new();
        for cut in &batch {
            blocks.extend(cut.blocks()?);
        }
        upload(device, provider, &blocks).await?;
        device.store.write(|tx| batch.iter().try_for_each(|cut| cuts::set_uploaded(tx, cut)))?;
        done += batch.len() as u64;
        device.bus.progress(Work::Uploading, done, total.max(done));
    }
}

/// Uploads the chunks of snapshots that the provider does not have yet.
async fn upload_chunks(device: &Inner, provider: &Provider) -> Result<()> {
    let total = device.store.read(snapshots::count_to_upload)?;
    let mut done = 0;
    while let Some(chunk) = device.store.read(snapshots::to_upload)? {
        let blocks = chunk.blocks()?;
        upload(device, provider, &blocks).await?;
        device.store.write(|tx| snapshots::set_uploaded(tx, &chunk))?;
        done += 1;
        device.bus.progress(Work::Uploading, done, total.max(done));
    }
    Ok(())
}

/// Uploads blocks. That they are this device's to give up one day is noted first: if it dies in
/// between, they are not forgotten.
async fn upload(device: &Inner, provider: &Provider, blocks: &[Block]) -> Result<()> {
    device.store.write(|tx| uploads::add(tx, blocks.iter().map(|block| *block.cid())))?;
    Ok(provider.blocks.put_all(blocks).await?)
}

fn contents(device: &Inner) -> Result<Contents> {
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

/// By what it is told whether a part has changed. Sealing is never the same twice, so these are
/// hashes of what goes in; they never leave the device.
struct Hashes {
    directory: Digest,
    ring: Digest,
    database: Digest,
    archive: Digest,
    content: Digest,
}

impl Hashes {
    fn of(contents: &Contents) -> Hashes {
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

fn sign(device: &Inner, value: String, sequence: u64) -> Result<Record> {
    let now = device.clock.now();
    // A clock that is certainly wrong must not make records that are expired when they are born.
    let eol: Timestamp =
        if now < NOT_BEFORE { NOT_BEFORE + LOST_LIFETIME } else { now + RECORD_LIFETIME };
    let ttl_ns = u64::try_from(RECORD_TTL.as_nanos()).unwrap_or(u64::MAX);
    record::Draft { ttl_ns, ..record::Draft::new(value, sequence, eol) }
        .sign(&device.keys.ipns)
        .map_err(|_| Error::Damaged("record"))
}

/// Publishes a record at all routers; done when one has taken it, the rest goes on behind.
async fn deliver(device: &Inner, routers: &[Arc<dyn NameRouter>], record: &Record) -> Result<()> {
    let mut puts: FuturesUnordered<_> = routers
        .iter()
        .filter(|router| router.publishes())
        .cloned()
        .map(|router| {
            let record = record.clone();
            tokio::spawn(async move { router.publish(&record).await })
        })
        .collect();
    let mut failure = ProviderError::new(ErrorKind::Unreachable, "no name router", "publishing");
    while let Some(put) = puts.next().await {
        match put {
            Ok(Ok(())) => return Ok(()),
            // It holds one that is newer: a copy of this store has published. Next time the own
            // name is looked up first.
            Ok(Err(error)) if error.kind() == ErrorKind::Outdated => {
                device.set_own_name_checked(false);
                failure = error;
            }
            Ok(Err(error)) => failure = error,
            Err(_) => (),
        }
    }
    Err(failure.into())
}
