//! Taking in another device's feed: record → manifest → directory, ring, archive, index →
//! segments.

use std::pin::pin;

use futures_util::StreamExt;
use futures_util::stream;
use handfast_ipfs::{Cid, Name, Record};
use handfast_keys::{AuthPublic, Digest};
use handfast_ledger::{Sealed, Segment, Verified};
use handfast_pairing::qr::session::PeerKeys;
use handfast_providers::{ErrorKind, Provider, ProviderError, Resolve, Resolved};
use handfast_ring::sealed::{self, Kind};
use handfast_ring::{
    DeviceId, DeviceManifest, DeviceRing, FeedKeys, Identity, PeerDirectory, SignedIdentity,
};
use tokio_util::task::AbortOnDropHandle;

use super::schedule::{SEGMENTS_AHEAD, VERIFIED};
use super::{fetch, snapshot, tell};
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::events::{Event, Work};
use crate::feed::{Archive, Body, Index, Listing, SegmentRef};
use crate::store::replay::{Applied, Outcome};
use crate::store::{cuts, forks, logs, meta, peers, reach, replay, snapshots};

/// What came of an import.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// What changed.
    pub applied: Applied,
    /// Why not all of it could be taken in, if so. It is tried again.
    pub trouble: Option<Error>,
    /// Whether the other device has handed its keys over; until then its feed can't be read.
    pub admitted: bool,
    /// Whether its feed lists everything that this device has written.
    pub knows_all: bool,
}

/// Takes in everything that a member's record leads to. Right after a pairing, `transcript` is that
/// pairing's: an entry in the member's directory from an older one says nothing.
pub(crate) async fn import_peer(
    device: &Inner,
    provider: &Provider,
    member: &Identity,
    record: &Record,
    transcript: Option<&Digest>,
) -> Result<Imported> {
    let id = member.device_id();
    let manifest = manifest(provider, &member.auth, record).await?;
    let (peer, known_parts, archive) = device
        .store
        .read(|tx| Ok((peers::get(tx, &id)?, peers::parts(tx, &id)?, peers::archive(tx, &id)?)))?;
    let parts: Vec<_> = manifest.directory.iter().chain(&manifest.ring).copied().collect();
    // What is known of the parts is not fetched again.
    let fresh: &[Cid] = if archive.0 == manifest.archive { &[] } else { &manifest.archive };
    let (feed, fresh, index) = match peer.feed {
        Some(feed) if parts == known_parts => {
            let (fresh, index) = tokio::try_join!(
                fetch::part(provider, fresh),
                fetch::part(provider, &manifest.index),
            )?;
            (feed, fresh, index)
        }
        _ => {
            let (directory, ring, fresh, index) = tokio::try_join!(
                fetch::part(provider, &manifest.directory),
                fetch::part(provider, &manifest.ring),
                fetch::part(provider, fresh),
                fetch::part(provider, &manifest.index),
            )?;
            let entry = open_directory(device, member, &manifest, &directory.concat())?;
            let Some((feed, _)) =
                entry.filter(|(_, known)| transcript.is_none_or(|wanted| wanted == known))
            else {
                return Ok(Imported::default());
            };
            device.store.write(|tx| peers::set_feed(tx, &id, &feed))?;
            adopt(device, member, &feed, &ring)?;
            (feed, fresh, index)
        }
    };
    let archive = if archive.0 == manifest.archive {
        archive.1
    } else {
        let archive = open_archive(&id, &feed, &fresh)?;
        device.store.write(|tx| peers::set_archive(tx, &id, &manifest.archive, &archive))?;
        archive
    };
    let index = open_index(&id, &feed, &index)?;
    let index = index.join(archive).ok_or_else(|| nonsense("its archive is another index's"))?;
    let own = device.keys.device_id();
    device.store.write(|tx| reach::learn_all(tx, &own, &id, &index.reach))?;
    enter_logs(device, &index)?;
    if missing(device, &index)? >= snapshots::WORTH
        && let Err(error) = snapshot::take_in(device, provider, member, &manifest, &feed).await
    {
        // It would have saved a wait; the logs say everything.
        tracing::debug!(%error, "a snapshot was not used");
    }
    let (applied, trouble) = import_logs(device, provider, &index).await?;
    if trouble.is_none() {
        let listed: Vec<_> = manifest.blocks().chain(index.blocks()).copied().collect();
        device.store.write(|tx| peers::set_imported(tx, &id, record, &parts, &listed))?;
    }
    Ok(Imported { applied, trouble, admitted: true, knows_all: lists_all(device, &index)? })
}

/// Takes in what a copy of this very store has published; `None` if that is sealed with keys that
/// this one never had: its other devices have the same data.
pub(crate) async fn import_own(
    device: &Inner,
    provider: &Provider,
    record: &Record,
) -> Result<Option<(Applied, Index)>> {
    let manifest = manifest(provider, &device.keys.auth.public(), record).await?;
    let feed = device.store.read(|tx| meta::FEED_KEYS.get(tx))?;
    let (archive, index) = tokio::try_join!(
        fetch::part(provider, &manifest.archive),
        fetch::part(provider, &manifest.index),
    )?;
    let own = device.keys.device_id();
    let Ok(index) = open_index(&own, &feed, &index) else { return Ok(None) };
    let archive = open_archive(&own, &feed, &archive)?;
    let index = index.join(archive).ok_or_else(|| nonsense("its archive is another index's"))?;
    enter_logs(device, &index)?;
    match import_logs(device, provider, &index).await? {
        (applied, None) => Ok(Some((applied, index))),
        (_, Some(error)) => Err(error),
    }
}

/// Looks for the feed of a device of which only the keys are known, and for the identity in it
/// that was signed for this pairing. `None` while there is none.
pub(crate) async fn find_peer(
    provider: &Provider,
    peer: &PeerKeys,
) -> Result<Option<SignedIdentity>> {
    let name = Name::of(peer.ipns);
    for router in &provider.names {
        let Ok(Resolved::Record(record, _)) = router.resolve(&name, &Resolve::default()).await
        else {
            continue;
        };
        let manifest = manifest(provider, &peer.auth, &record).await?;
        let directory = fetch::part(provider, &manifest.directory).await?;
        let Ok(directory) = PeerDirectory::decode(&directory.concat()) else { continue };
        let identity = directory.publisher().identity();
        let right = identity.auth == peer.auth
            && identity.ipns == peer.ipns
            && identity.role == peer.role
            && identity.session == peer.session;
        if right {
            return Ok(Some(directory.publisher().clone()));
        }
    }
    Ok(None)
}

async fn manifest(
    provider: &Provider,
    auth: &AuthPublic,
    record: &Record,
) -> Result<DeviceManifest> {
    let cid = record.cid().map_err(|_| nonsense("its record leads to no manifest"))?;
    let bytes = provider.blocks.get(&cid).await?;
    DeviceManifest::verify(&bytes, auth, record.name().public(), record.sequence())
        .map_err(|error| nonsense(&error.to_string()))
}

fn open_directory(
    device: &Inner,
    member: &Identity,
    manifest: &DeviceManifest,
    bytes: &[u8],
) -> Result<Option<(FeedKeys, Digest)>> {
    let directory =
        PeerDirectory::decode(bytes).map_err(|_| nonsense("its directory is damaged"))?;
    let publisher = directory.publisher().identity();
    let right = publisher.auth == member.auth
        && publisher.exchange == member.exchange
        && manifest.exchange == member.exchange;
    if !right {
        return Err(nonsense("its directory belongs to another device"));
    }
    Ok(directory.open(&device.keys))
}

/// Adopts the devices that a member's ring tells of, as far as they are admitted by somebody whom
/// this device trusts.
fn adopt(device: &Inner, member: &Identity, feed: &FeedKeys, blocks: &[Vec<u8>]) -> Result<()> {
    let bytes = sealed::open(Kind::Ring, &member.device_id(), &feed.broadcast, blocks)
        .map_err(|_| nonsense("its ring does not open"))?;
    let theirs = DeviceRing::decode(&bytes).map_err(|_| nonsense("its ring is damaged"))?;
    let own = device.keys.device_id();
    let news = device.store.write(|tx| {
        let mut ring = meta::RING.get(tx)?;
        let news = ring.news_in(&own, &theirs);
        for admission in &news {
            ring.admit(admission.clone());
        }
        if !news.is_empty() {
            meta::RING.set(tx, &ring)?;
        }
        Ok(news)
    })?;
    for admission in news {
        let (device_id, name) = (admission.device().device_id(), admission.device().name.clone());
        let by = Some(device.name_of(&admission.admitter())?.unwrap_or(member.name.clone()));
        device.bus.emit(Event::DeviceAdded { device: device_id, name, by });
    }
    Ok(())
}

/// Whether an index lists all that this device has written.
fn lists_all(device: &Inner, index: &Index) -> Result<bool> {
    let own = device.keys.device_id();
    let logs = device.store.read(logs::all)?;
    let mut written = logs.iter().filter(|log| log.device == own && log.end.id > 0);
    Ok(written.all(|log| {
        let listing = index.logs.iter().find(|listing| *listing.log() == log.log);
        listing.is_some_and(|listing| listing.tip.position.id >= log.end.id)
    }))
}

fn open_index(device: &DeviceId, feed: &FeedKeys, blocks: &[Vec<u8>]) -> Result<Index> {
    let bytes = sealed::open(Kind::Index, device, &feed.personal, blocks)
        .map_err(|_| nonsense("its index does not open"))?;
    Index::decode(&bytes).map_err(|_| nonsense("its index is damaged"))
}

/// An archive that is fetched is there: a feed without one names no blocks.
fn open_archive(device: &DeviceId, feed: &FeedKeys, blocks: &[Vec<u8>]) -> Result<Archive> {
    if blocks.is_empty() {
        return Ok(Archive::default());
    }
    let bytes = sealed::open(Kind::Archive, device, &feed.personal, blocks)
        .map_err(|_| nonsense("its archive does not open"))?;
    Archive::decode(&bytes).map_err(|_| nonsense("its archive is damaged"))
}

/// Takes in every log that an index lists, of devices that belong to this one. They were entered. A
/// log that can't be read keeps none of the others back: its publisher may only pass it on.
async fn import_logs(
    device: &Inner,
    provider: &Provider,
    index: &Index,
) -> Result<(Applied, Option<Error>)> {
    let total = missing(device, index)?;
    let (mut sum, mut trouble) = (Applied::default(), None);
    for listing in &index.logs {
        let mut applied = Applied::default();
        let progress = |applied: Applied| {
            let done = sum.mutations + applied.mutations;
            device.bus.progress(Work::Importing, done, total.max(done));
        };
        let ended = import_log(device, provider, listing, &mut applied, progress).await;
        tell(device, listing.namespace().as_str(), applied);
        sum = sum.and(applied);
        match ended {
            Err(Error::Provider(error))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Nonsense) =>
            {
                trouble = trouble.or(Some(error.into()));
            }
            ended => ended?,
        }
    }
    for fork in &index.forks {
        if let Outcome::Forked(applied) = device.store.write(|tx| forks::learn(tx, fork.clone()))? {
            tell(device, fork.log().namespace.as_str(), applied);
            sum = sum.and(applied);
        }
    }
    snapshot::settle(device)?;
    Ok((sum, trouble))
}

/// Enters the logs that are new, each with the certificate that says whose it is.
fn enter_logs(device: &Inner, index: &Index) -> Result<()> {
    let members = device.members()?;
    let own = device.keys.auth.public();
    let auth_of = |id: &DeviceId| {
        if *id == device.keys.device_id() {
            return Some(own);
        }
        members.iter().find(|member| member.device_id() == *id).map(|member| member.auth)
    };
    device.store.write(|tx| {
        for certificate in &index.certificates {
            let Some(auth) = auth_of(&certificate.device()) else { continue };
            let Ok(namespace) = handfast_ledger::Namespace::new(certificate.namespace()) else {
                continue;
            };
            let log = handfast_ledger::LogId { namespace, writer: certificate.writer() };
            if logs::find(tx, &log)?.is_none() && certificate.verify(&auth).is_ok() {
                logs::begin(tx, certificate)?;
            }
        }
        Ok(())
    })
}

/// How many mutations an index lists that are not here yet.
fn missing(device: &Inner, index: &Index) -> Result<u64> {
    device.store.read(|tx| {
        index.logs.iter().try_fold(0, |sum, listing| {
            let end = logs::find(tx, listing.log())?.map(|log| log.end.id);
            Ok(sum + end.map_or(0, |end| listing.tip.position.id.saturating_sub(end)))
        })
    })
}

/// Adds to `sum` what it changes as it goes.
async fn import_log(
    device: &Inner,
    provider: &Provider,
    listing: &Listing,
    sum: &mut Applied,
    progress: impl Fn(Applied),
) -> Result<()> {
    let Some(log) = device.store.read(|tx| logs::find(tx, listing.log()))? else {
        // Nobody whom this device trusts writes it.
        return Ok(());
    };
    let mut from = log.end.id + 1;
    // A second time from the start, if the log turns out to have forked further back.
    for _ in 0..2 {
        let wanted = listing.segments.iter().filter(move |segment| segment.last >= from);
        let wanted: Vec<SegmentRef> = wanted.cloned().collect();
        // In tasks of their own: the next ones come, and are verified, while one is applied.
        let bodies = stream::iter(wanted).map(|segment| {
            let provider = provider.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { body(&provider, segment).await }))
        });
        let verified = bodies.buffered(SEGMENTS_AHEAD).map(|body| async {
            let body = body.map_err(|_| Error::Stopped)??;
            tokio::task::spawn_blocking(move || verify(&body)).await.map_err(|_| Error::Stopped)?
        });
        let mut segments = pin!(verified.buffered(VERIFIED));
        let mut needs_earlier = false;
        while let Some(segment) = segments.next().await {
            let segment = segment?;
            if segment.tip().log != *listing.log() {
                return Err(nonsense("a segment belongs to another log"));
            }
            match device.store.write(|tx| apply(tx, device, listing, segment))? {
                Outcome::Known => (),
                Outcome::Applied(applied) => {
                    *sum = sum.and(applied);
                    progress(*sum);
                }
                Outcome::NeedsEarlier => needs_earlier = true,
                Outcome::Forked(applied) => {
                    *sum = sum.and(applied);
                    announce_fork(device, &log)?;
                }
            }
            if needs_earlier {
                break;
            }
        }
        if !needs_earlier {
            break;
        }
        from = 1;
    }
    device.store.write(|tx| {
        let Some(log) = logs::find(tx, listing.log())? else { return Ok(()) };
        let complete = log.secret.is_none() && log.end == listing.tip.position;
        if complete && cuts::is_better(tx, &log, listing)? {
            cuts::replace(tx, &log, listing)?;
        }
        Ok(())
    })
}

fn apply(
    tx: &rusqlite::Transaction<'_>,
    device: &Inner,
    listing: &Listing,
    segment: Verified,
) -> Result<Outcome> {
    match logs::find(tx, listing.log())? {
        Some(log) => replay::apply(tx, &device.keys, &log, segment),
        None => Ok(Outcome::Known),
    }
}

fn announce_fork(device: &Inner, log: &logs::Log) -> Result<()> {
    if log.device == device.keys.device_id() {
        device.bus.emit(Event::NewIncarnation);
    } else if let Some(name) = device.name_of(&log.device)? {
        let collection = log.log.namespace.as_str().to_owned();
        device.bus.emit(Event::Forked { name, collection });
    }
    Ok(())
}

/// Fetches and opens a segment.
async fn body(provider: &Provider, segment: SegmentRef) -> Result<Vec<u8>> {
    match segment.body {
        Body::Inline(body) => Ok(body.to_vec()),
        Body::Blocks(key, cids) => {
            let blocks = fetch::blocks(provider, &cids).await?;
            let sealed =
                Sealed::open(key, &blocks).map_err(|_| nonsense("a segment does not open"))?;
            Ok(sealed.body().to_vec())
        }
    }
}

fn verify(body: &[u8]) -> Result<Verified> {
    let segment = Segment::from_body(body).and_then(Segment::verify);
    segment.map_err(|error| nonsense(&error.to_string()))
}

/// What the other device has published is not what it should be.
pub(super) fn nonsense(detail: &str) -> Error {
    ProviderError::new(ErrorKind::Nonsense, "the other device's feed", "reading it")
        .because(detail)
        .into()
}
