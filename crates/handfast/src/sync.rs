//! Keeping devices in step: publishing the own feed, and taking in the others'.

mod draft;
mod elsewhere;
mod fetch;
mod give_up;
mod import;
mod migrate;
mod publish;
mod resolve;
mod schedule;
mod snapshot;
mod watch;

use std::collections::BTreeSet;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use handfast_ipfs::Record;
use handfast_providers::{ErrorKind, Provider};
use handfast_ring::{DeviceId, Identity};

pub(crate) use elsewhere::Elsewhere;
pub(crate) use give_up::GivingUp;
pub use migrate::Migrated;
pub use watch::Watch;
pub(crate) use watch::wait;

use crate::device::Inner;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::store::meta::{self, Published};
use crate::store::{peers, snapshots};

pub(crate) use import::{Imported, find_peer, import_peer};
pub(crate) use migrate::{leave_provider, migrate};
pub(crate) use publish::{Outcome, publish, tell_peers, unpublished};
pub(crate) use resolve::{check_router, latest};
pub(crate) use schedule::CHECK_OWN_NAME;

/// What one round of synchronisation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// The sequence under which the own feed was published, if it had changed.
    pub published: Option<u64>,
    /// How many other devices had news.
    pub news_from: u64,
    /// Mutations that came in.
    pub mutations: u64,
    /// Records that changed.
    pub records: u64,
    /// Records among them that are in conflict now.
    pub conflicts: u64,
    /// The devices of which it was seen that they have all that this one has written.
    pub in_step: Vec<DeviceId>,
    /// What did not work, as sentences for people. It is tried again next time.
    pub trouble: Vec<String>,
}

/// One round: take in what is new, then publish what is. What did not work is noted until it works
/// again.
pub(crate) async fn round(device: &Inner) -> Result<SyncReport> {
    let mut report = SyncReport::default();
    take_in_and_publish(device, &mut report).await?;
    note_trouble(device, report.trouble.first())?;
    Ok(report)
}

/// A round, and then what only newcomers need: nobody else should have to wait for it.
pub(crate) async fn full_round(device: &Inner) -> Result<SyncReport> {
    let mut report = SyncReport::default();
    let published = take_in_and_publish(device, &mut report).await?;
    if published && device.store.write(|tx| snapshots::renew(tx, &device.keys))? {
        publish_into(device, &device.provider()?, &mut report).await;
    }
    note_trouble(device, report.trouble.first())?;
    Ok(report)
}

fn note_trouble(device: &Inner, trouble: Option<&String>) -> Result<()> {
    let known = device.store.read(|tx| meta::TROUBLE.find(tx))?;
    match (known, trouble) {
        (None, None) => Ok(()),
        (Some((_, known)), Some(trouble)) if known == *trouble => Ok(()),
        (Some(_), None) => device.store.write(|tx| meta::TROUBLE.clear(tx)),
        (known, Some(trouble)) => {
            let since = known.map_or_else(|| device.clock.now(), |(since, _)| since);
            device.store.write(|tx| meta::TROUBLE.set(tx, &(since, trouble.clone())))
        }
    }
}

/// Whether everything is published.
async fn take_in_and_publish(device: &Inner, report: &mut SyncReport) -> Result<bool> {
    let (provider, roads) = (device.provider()?, device.roads()?);
    // What other processes have written and peers have told until now is part of this round.
    device.elsewhere.look(device);
    let _ = device.live.news().now_or_never();
    // Edits that wait go out before anything is asked: a round trip earlier. But a store with a twin
    // looks first what that one has published.
    let alone = device.store.read(|tx| meta::TWIN.find(tx))?.is_none();
    let first = alone && device.own_name_checked() && unpublished(device)? > 0;
    if first && !publish_into(device, &provider, report).await {
        poll_all(device, &roads, report).await?;
        return Ok(false);
    }
    if let Err(error) = resolve::check_own_name(device, &roads, report).await {
        report.trouble.push(error.to_string());
    }
    poll_all(device, &roads, report).await?;
    Ok(publish_into(device, &provider, report).await)
}

/// Publishes what is new; says whether that worked.
async fn publish_into(device: &Inner, provider: &Provider, report: &mut SyncReport) -> bool {
    match publish_above(device, provider, report).await {
        Ok(published) => {
            report.published = published.news.then_some(published.sequence).or(report.published);
            true
        }
        Err(error) => {
            report.trouble.push(error.to_string());
            false
        }
    }
}

/// Publishes the own feed. Where a router holds a newer record of the own name, this store was
/// restored or copied: that record is read first, then this store publishes above it.
pub(crate) async fn publish_above(
    device: &Inner,
    provider: &Provider,
    report: &mut SyncReport,
) -> Result<Outcome> {
    match migrate::publish_where_others_look(device, provider).await {
        Err(Error::Provider(error)) if error.kind() == ErrorKind::Outdated => {
            resolve::check_own_name(device, provider, report).await?;
            device.store.write(|tx| {
                let published = meta::PUBLISHED.find(tx)?.unwrap_or_default();
                meta::PUBLISHED.set(tx, &Published { content: None, ..published })
            })?;
            migrate::publish_where_others_look(device, provider).await
        }
        outcome => outcome,
    }
}

/// Asks for every other device's record and takes in what is new, including devices that are found
/// on the way.
async fn poll_all(device: &Inner, roads: &Provider, report: &mut SyncReport) -> Result<()> {
    let mut asked = BTreeSet::new();
    loop {
        let members: Vec<_> = device
            .members()?
            .into_iter()
            .filter(|identity| asked.insert(identity.device_id()))
            .collect();
        if members.is_empty() {
            return Ok(());
        }
        let ask = async |member| (member, latest(device, roads, member).await);
        let mut answers: FuturesUnordered<_> = members.iter().map(ask).collect();
        // As they come: who cannot be asked is waited for last.
        while let Some((member, answer)) = answers.next().await {
            let imported = match answer {
                Ok(Some(record)) => take_in(device, roads, member, &record).await,
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            let mut trouble = |error: Option<Error>| {
                report.trouble.extend(error.map(|error| format!("{}: {error}", member.name)));
            };
            match imported {
                Ok(imported) => {
                    report.news_from += 1;
                    report.mutations += imported.applied.mutations;
                    report.records += imported.applied.records;
                    report.conflicts += imported.applied.conflicts;
                    if imported.knows_all {
                        report.in_step.push(member.device_id());
                    }
                    trouble(imported.trouble);
                }
                Err(error) => trouble(Some(error)),
            }
        }
    }
}

/// Takes in what connected devices have told of by themselves: while a round is going on, which may
/// wait for services that do not answer.
pub(crate) async fn hear_peers(device: &Inner) -> Result<()> {
    let roads = device.roads()?;
    for member in device.members()? {
        if let Some(record) = resolve::told(device, &member)?
            && let Err(error) = take_in(device, &roads, &member, &record).await
        {
            tracing::debug!(%error, device = %member.name, "the next round takes it in");
        }
    }
    Ok(())
}

/// Takes in one feed at a time.
async fn take_in(
    device: &Inner,
    roads: &Provider,
    member: &Identity,
    record: &Record,
) -> Result<Imported> {
    let _turn = device.taking_in.lock().await;
    import_peer(device, roads, member, record, None).await
}

/// Notes the sequences that were seen, for the ring that is published next.
pub(crate) fn note_sequences(device: &Inner) -> Result<Vec<(DeviceId, u64)>> {
    let members = device.members()?;
    device.store.read(|tx| {
        let mut seen = Vec::new();
        for member in &members {
            let id = member.device_id();
            if let Some(accepted) = peers::get(tx, &id)?.accepted {
                seen.push((id, accepted.sequence));
            }
        }
        Ok(seen)
    })
}

/// Tells of what a round or an import has changed.
pub(crate) fn tell(device: &Inner, collection: &str, applied: crate::store::replay::Applied) {
    if applied.records > 0 {
        let (collection, records) = (collection.to_owned(), applied.records);
        device.bus.emit(Event::RecordsChanged { collection, records });
    }
    if applied.conflicts > 0 {
        let (collection, records) = (collection.to_owned(), applied.conflicts);
        device.bus.emit(Event::Conflicts { collection, records });
    }
}
