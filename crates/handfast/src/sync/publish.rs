//! Publishing the own feed.
//!
//! Blocks first, then the record: the name moves only when everything it leads to is there. What
//! has not changed is not uploaded again, so a small edit costs two blocks and one record.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use handfast_ipfs::{Block, Name, Record};
use handfast_providers::{ErrorKind, NameRouter, Provider, ProviderError};
use rusqlite::Connection;

use super::draft::{Contents, Draft, Hashes, sign};
use super::schedule::RENEW_BELOW;
use crate::device::Inner;
use crate::error::Result;
use crate::events::{Event, Work};
use crate::store::meta::{self, Published};
use crate::store::{cuts, logs, snapshots, uploads};

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
        let contents = Contents::of(device)?;
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

    let drafted = Draft::of(device, &contents, &hashes, &published.parts)?;
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
    let contents = Contents::of(device)?;
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
    let drafted = Draft::of(device, &contents, &hashes, &published.parts)?;
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
