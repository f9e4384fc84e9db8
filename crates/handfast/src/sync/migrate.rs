//! Moving to another provider: what is still referenced is uploaded there first, then the feed is
//! published from there, and once more where the others still look.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use handfast_ipfs::{Block, Cid};
use handfast_keys::Timestamp;
use handfast_providers::{BlockStore, ErrorKind, Provider, ProviderConfig, ProviderError};
use rusqlite::Connection;
use tokio::time;

use super::publish::Outcome;
use super::schedule::{FORMER_DEADLINE, PARALLEL_FETCHES, TELL_FORMER};
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::events::Work;
use crate::store::meta::Former;
use crate::store::{cuts, logs, meta, reach, snapshots, uploads};

/// What came of moving to another provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Migrated {
    /// Blocks of other devices' logs that were copied; the own ones were made again.
    pub copied: u64,
    /// Blocks of other devices' logs that could not be copied. These devices have them.
    pub left: u64,
    /// The sequence under which the feed was published.
    pub sequence: u64,
}

/// Moves to another provider. If anything fails before the end, the old one stays.
pub(crate) async fn migrate(device: &Inner, config: &ProviderConfig) -> Result<Migrated> {
    let others = device.store.read(reach::all)?;
    let others: Vec<_> = others.into_iter().map(|(_, reach)| reach).collect();
    let new = Provider::reaching(config, &others, &device.http)?;
    new.blocks.check().await?;
    let old = device.provider().ok();
    let mut migrated = Migrated::default();
    if let Some(old) = &old {
        copy_foreign(device, old, &new, &mut migrated).await?;
    }
    device.set_provider(config)?;
    let provider = device.provider()?;
    let published = publish_where_others_look(device, &provider).await?;
    Ok(Migrated { sequence: published.sequence, ..migrated })
}

/// Notes that nothing of what this device lists is at its provider, which is another one than
/// before.
pub(crate) fn leave_provider(
    connection: &Connection,
    before: Option<&ProviderConfig>,
    now: Timestamp,
) -> Result<()> {
    let Some(mut published) = meta::PUBLISHED.find(connection)? else { return Ok(()) };
    published.content = None;
    published.parts.clear();
    meta::PUBLISHED.set(connection, &published)?;
    meta::INFORMED.clear(connection)?;
    if let Some(before) = before {
        let config = serde_json::to_string(before).map_err(|_| Error::Damaged("provider"))?;
        let former = Former { config: config.into(), since: now, told: None };
        meta::FORMER.set(connection, &former)?;
    }
    snapshots::forget(connection)?;
    cuts::forget_uploads(connection)
}

/// Publishes the feed; also at the provider that was left, if there is one and it can be reached,
/// as long as some other device may look there alone: what it finds says where this device is now.
pub(crate) async fn publish_where_others_look(
    device: &Inner,
    present: &Provider,
) -> Result<Outcome> {
    if let Some(former) = former(device)? {
        match publish_at_both(device, present, former).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) => tracing::info!(%error, "the former provider was not told of the present"),
        }
    }
    super::publish(device, present).await
}

/// The provider that was left, if there is something to tell there.
fn former(device: &Inner) -> Result<Option<Former>> {
    let Some(former) = device.store.read(|tx| meta::FORMER.find(tx))? else { return Ok(None) };
    let informed = device.store.read(|tx| meta::INFORMED.find(tx))?.unwrap_or_default();
    let members = device.members()?;
    let all = members.iter().all(|member| informed.contains(&member.device_id()));
    if all || device.clock.now().since(former.since) > TELL_FORMER {
        device.store.write(|tx| meta::FORMER.clear(tx))?;
        return Ok(None);
    }
    let content = super::draft::content(device)?;
    Ok(Some(former).filter(|former| former.told != Some(content)))
}

async fn publish_at_both(
    device: &Inner,
    present: &Provider,
    mut former: Former,
) -> Result<Outcome> {
    let config =
        serde_json::from_str(former.config.expose()).map_err(|_| Error::Damaged("provider"))?;
    let left = Provider::from_config(&config, &device.http)?;
    time::timeout(FORMER_DEADLINE, left.blocks.check()).await.map_err(|_| Error::Stopped)??;
    device.store.write(|tx| {
        let mut published = meta::PUBLISHED.get(tx)?;
        published.content = None;
        published.parts.clear();
        meta::PUBLISHED.set(tx, &published)
    })?;
    let known: BTreeSet<String> = present.names.iter().map(|name| name.describe()).collect();
    let names = left.names.into_iter().filter(|name| !known.contains(&name.describe()));
    let both = Provider {
        blocks: Arc::new(Both { present: present.blocks.clone(), former: left.blocks }),
        names: present.names.iter().cloned().chain(names).collect(),
    };
    let outcome = super::publish(device, &both).await?;
    former.told = device.store.read(|tx| meta::PUBLISHED.get(tx))?.content;
    device.store.write(|tx| meta::FORMER.set(tx, &former))?;
    Ok(outcome)
}

/// Copies the blocks of other devices' logs, which only their writers could make again.
async fn copy_foreign(
    device: &Inner,
    old: &Provider,
    new: &Provider,
    migrated: &mut Migrated,
) -> Result<()> {
    let cids = device.store.read(foreign)?;
    let total = cids.len() as u64;
    for batch in cids.chunks(PARALLEL_FETCHES) {
        let fetches: Vec<_> = batch.iter().map(|cid| old.blocks.get(cid)).collect();
        let fetched: Vec<_> = stream::iter(fetches).buffered(PARALLEL_FETCHES).collect().await;
        let mut blocks = Vec::new();
        for bytes in fetched.into_iter().filter_map(Result::ok) {
            blocks.push(Block::new(bytes).map_err(|_| Error::Damaged("block"))?);
        }
        new.blocks.put_all(&blocks).await?;
        device.store.write(|tx| uploads::add(tx, blocks.iter().map(|block| *block.cid())))?;
        migrated.copied += blocks.len() as u64;
        migrated.left += (batch.len() - blocks.len()) as u64;
        device.bus.progress(Work::Uploading, migrated.copied + migrated.left, total);
    }
    Ok(())
}

fn foreign(connection: &Connection) -> Result<Vec<Cid>> {
    let mut cids = BTreeSet::new();
    for log in logs::all(connection)?.iter().filter(|log| log.secret.is_none()) {
        for cut in cuts::of_log(connection, log.id)? {
            cids.extend(cut.cids);
        }
    }
    Ok(cids.into_iter().collect())
}

/// The present provider and the former one, where the others still look.
struct Both {
    present: Arc<dyn BlockStore>,
    former: Arc<dyn BlockStore>,
}

#[async_trait]
impl BlockStore for Both {
    async fn put(&self, block: &Block) -> Result<(), ProviderError> {
        tokio::try_join!(self.present.put(block), self.former.put(block)).map(drop)
    }

    async fn put_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        tokio::try_join!(self.present.put_all(blocks), self.former.put_all(blocks)).map(drop)
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        match self.present.get(cid).await {
            Err(error) if error.kind() == ErrorKind::NotFound => self.former.get(cid).await,
            answer => answer,
        }
    }

    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.present.pin(cid).await
    }

    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError> {
        self.present.unpin(cid).await
    }

    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError> {
        self.present.is_pinned(cid).await
    }

    async fn check(&self) -> Result<(), ProviderError> {
        self.present.check().await
    }

    fn describe(&self) -> String {
        self.present.describe()
    }
}
