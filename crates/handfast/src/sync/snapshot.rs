//! Taking in another device's snapshots, where that saves a newcomer a long replay.

use handfast_ledger::{Sealed, Snapshot, SnapshotReader, SnapshotRow};
use handfast_providers::Provider;
use handfast_ring::sealed::{self, Kind};
use handfast_ring::{DeviceManifest, FeedKeys, Identity};

use super::import::nonsense;
use super::{fetch, tell};
use crate::device::Inner;
use crate::error::Result;
use crate::events::{Event, Work};
use crate::feed::{Database, SnapshotRef};
use crate::store::provisional::{self, Verdict};
use crate::store::records::Rows;
use crate::store::replay::Applied;
use crate::store::{logs, records, snapshots};

/// Shows the snapshots in a member's database that are worth it, until what is behind them was
/// replayed.
pub async fn take_in(
    device: &Inner,
    provider: &Provider,
    member: &Identity,
    manifest: &DeviceManifest,
    feed: &FeedKeys,
) -> Result<()> {
    let blocks = fetch::part(provider, &manifest.database).await?;
    let bytes = sealed::open(Kind::Database, &member.device_id(), &feed.personal, &blocks)
        .map_err(|_| nonsense("its database does not open"))?;
    let database = Database::decode(&bytes).map_err(|_| nonsense("its database is damaged"))?;
    for place in &database.snapshots {
        let snapshot =
            Snapshot::decode(&place.head).map_err(|error| nonsense(&error.to_string()))?;
        if is_worth_it(device, &snapshot)? {
            take_in_one(device, provider, member, place, snapshot).await?;
        }
    }
    Ok(())
}

/// Compares the snapshots behind which everything is here with it.
pub fn settle(device: &Inner) -> Result<()> {
    for (collection, publisher, verdict) in device.store.write(|tx| provisional::settle(tx))? {
        if verdict == Verdict::Wrong
            && let Some(name) = device.name_of(&publisher)?
        {
            device.bus.emit(Event::WrongSnapshot { name, collection });
        }
    }
    Ok(())
}

/// Whether it holds much that is not here, and nothing by devices that this one does not know.
fn is_worth_it(device: &Inner, snapshot: &Snapshot) -> Result<bool> {
    device.store.read(|tx| {
        let mut missing = 0;
        for included in snapshot.logs() {
            let Some(log) = logs::find(tx, &included.tip.log)? else { return Ok(false) };
            missing += included.id.saturating_sub(log.end.id);
        }
        let shown = match records::find_collection(tx, snapshot.namespace())? {
            Some(collection) => Rows::shown(tx, collection)?,
            None => Rows::Replayed,
        };
        Ok(missing >= snapshots::WORTH && shown == Rows::Replayed)
    })
}

async fn take_in_one(
    device: &Inner,
    provider: &Provider,
    member: &Identity,
    place: &SnapshotRef,
    snapshot: Snapshot,
) -> Result<()> {
    let namespace = snapshot.namespace().clone();
    let collection = device.store.write(|tx| {
        let collection = records::collection(tx, &namespace)?;
        // Of an attempt that was interrupted.
        provisional::drop(tx, collection)?;
        Ok(collection)
    })?;
    let wrong = |error: handfast_ledger::SnapshotError| nonsense(&error.to_string());
    let (mut done, total) = (0, snapshot.count());
    let mut reader = SnapshotReader::new(snapshot, &member.auth).map_err(wrong)?;
    for (key, cids) in &place.chunks {
        let blocks = fetch::blocks(provider, cids).await?;
        let body = Sealed::open(key.clone(), &blocks)
            .map_err(|_| nonsense("its snapshot does not open"))?;
        let rows: Vec<SnapshotRow> = reader.read(body.body()).map_err(wrong)?;
        device.store.write(|tx| provisional::add(tx, collection, &rows))?;
        done += rows.len() as u64;
        if done < total {
            device.bus.progress(Work::Loading, done, total);
        }
    }
    let snapshot = reader.finish().map_err(wrong)?;
    device.store.write(|tx| provisional::show(tx, collection, &member.device_id(), &snapshot))?;
    device.bus.progress(Work::Loading, total, total);
    let applied = Applied { records: snapshot.count(), ..Applied::default() };
    tell(device, namespace.as_str(), applied);
    Ok(())
}
