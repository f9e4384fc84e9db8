//! Giving up blocks that nobody lists any more: those on this device's shelf, and those that it has
//! put at its provider.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::stream;
use handfast_ipfs::Cid;
use handfast_keys::Timestamp;
use handfast_providers::Provider;

use super::schedule::{PARALLEL_UNPINS, UNLISTED_EVERY, UNPIN_AFTER, UNPINS_AT_ONCE};
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::store::unlisted::{self, Place};
use crate::store::{blocks, cuts, logs, meta, peers, snapshots, uploads};

/// What is left to be given up. Much may be due at once, after an evening of edits a week ago: then it
/// goes in small helpings, so that nobody waits for it.
#[derive(Debug, Default)]
pub(crate) struct GivingUp(Mutex<Due>);

#[derive(Debug, Default)]
struct Due {
    looked: Option<Timestamp>,
    cids: Vec<Cid>,
}

impl GivingUp {
    /// Gives up a few of the blocks that are due.
    pub async fn go_on(&self, device: &Inner) {
        let done = async {
            let helping = self.helping(device)?;
            if !helping.is_empty() {
                unpin(device, &device.roads()?, helping).await;
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = done.await {
            tracing::debug!(%error, "blocks that nobody lists were not given up");
        }
    }

    fn helping(&self, device: &Inner) -> Result<Vec<Cid>> {
        let now = device.clock.now();
        let mut due = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if due.looked.is_none_or(|at| now < at || now.since(at) >= UNLISTED_EVERY) {
            due.cids = look(device, now)?;
            due.looked = Some(now);
        }
        let rest = due.cids.len().saturating_sub(UNPINS_AT_ONCE);
        Ok(due.cids.split_off(rest))
    }
}

/// Gives up what is due on the shelf, and finds what is due at the provider.
fn look(device: &Inner, now: Timestamp) -> Result<Vec<Cid>> {
    let before = Timestamp(now.0.saturating_sub(UNPIN_AFTER.as_millis() as u64));
    let listed = listed(device)?;
    device.store.write(|tx| {
        for cid in unlisted::note(tx, Place::Shelf, &listed, now, before)? {
            blocks::remove(tx, &cid)?;
        }
        unlisted::note(tx, Place::Provider, &listed, now, before)
    })
}

/// What fails is due again at the next look.
async fn unpin(device: &Inner, provider: &Provider, cids: Vec<Cid>) {
    let unpins = stream::iter(cids).for_each_concurrent(PARALLEL_UNPINS, async |cid| {
        let unpinned = async {
            provider.blocks.unpin(&cid).await?;
            device.store.write(|tx| uploads::remove(tx, &cid))
        };
        if let Err(error) = unpinned.await {
            tracing::debug!(%error, "a block that nobody lists was not given up");
        }
    });
    unpins.await;
}

/// Every block that this device lists, or a feed that it knows.
fn listed(device: &Inner) -> Result<BTreeSet<Cid>> {
    device.store.read(|tx| {
        let published = meta::PUBLISHED.find(tx)?.unwrap_or_default();
        let mut listed: BTreeSet<_> = published.index.into_iter().collect();
        listed.extend(published.parts.into_values().flat_map(|(_, cids)| cids));
        listed.extend(peers::all_listed(tx)?);
        listed.extend(snapshots::database(tx)?.blocks());
        for log in logs::all(tx)? {
            for cut in cuts::of_log(tx, log.id)? {
                listed.extend(cut.cids);
            }
        }
        Ok(listed)
    })
}

#[cfg(test)]
mod tests {
    use handfast_ipfs::Block;
    use tempfile::TempDir;

    use super::*;
    use crate::{Clock, Device, DeviceName, DeviceOptions, KeyStore};

    fn device() -> (TempDir, Device) {
        let dir = TempDir::new().unwrap();
        let options = DeviceOptions {
            key_store: KeyStore::File,
            clock: Some(Clock::starting_at(Timestamp(1_800_000_000_000))),
            ..DeviceOptions::default()
        };
        let device = Device::create(dir.path(), DeviceName::new("a").unwrap(), options).unwrap();
        (dir, device)
    }

    fn block(content: &str) -> Block {
        Block::new(content.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn the_shelf_keeps_what_somebody_lists_and_the_rest_for_a_week() {
        let (_dir, device) = device();
        let device = &*device.0;
        let (listed, unlisted) = (block("listed"), block("unlisted"));
        device.live.keep(&[listed.clone(), unlisted.clone()]).unwrap();
        let index = vec![*listed.cid()];
        let published = meta::Published { index, ..meta::Published::default() };
        device.store.write(|tx| meta::PUBLISHED.set(tx, &published)).unwrap();
        let is_kept =
            |block: &Block| device.store.read(|tx| blocks::contains(tx, block.cid())).unwrap();
        let (begun, a_second) = (device.clock.now(), std::time::Duration::from_secs(1));
        for (now, kept) in
            [(begun, true), (begun + UNPIN_AFTER, true), (begun + UNPIN_AFTER + a_second, false)]
        {
            look(device, now).unwrap();
            assert_eq!((is_kept(&listed), is_kept(&unlisted)), (true, kept));
        }
        // Who is told of it again keeps it for another week.
        device.live.keep(std::slice::from_ref(&unlisted)).unwrap();
        look(device, begun + 2 * UNPIN_AFTER).unwrap();
        assert!(is_kept(&unlisted));
    }

    #[test]
    fn much_is_given_up_in_helpings() {
        let (_dir, device) = device();
        let device = &*device.0;
        let cids = (0..UNPINS_AT_ONCE + 3).map(|number| *block(&number.to_string()).cid());
        device.store.write(|tx| uploads::add(tx, cids)).unwrap();
        look(device, Timestamp(device.clock.now().0 - 2 * UNPIN_AFTER.as_millis() as u64)).unwrap();
        let helping = || device.giving_up.helping(device).unwrap().len();
        assert_eq!([helping(), helping(), helping()], [UNPINS_AT_ONCE, 3, 0]);
    }
}
