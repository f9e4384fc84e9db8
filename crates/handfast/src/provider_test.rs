//! Trying a provider out: every operation that devices need, once.

use std::time::Duration;

use futures_util::future;
use handfast_ipfs::{Block, Draft, EMPTY_PATH, Record};
use handfast_keys::IpnsSecret;
use handfast_providers::{
    ErrorKind, NameRouter, Provider, ProviderConfig, ProviderError, Resolve, Resolved,
};
use rand::RngExt as _;
use tokio::time::Instant;

use crate::device::Device;
use crate::error::{Error, Result};

/// How large the block is that is stored, in bytes.
const BLOCK: usize = 256;
/// How long the record lives that is published.
const LIFETIME: Duration = Duration::from_secs(3_600);

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// What was tried.
    pub what: Operation,
    /// At which service, for people.
    pub service: String,
    /// How long it took, or why it failed.
    pub outcome: Result<Duration, ProviderError>,
}

/// What devices need of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It accepts the credentials.
    Credentials,
    /// It stores a block, and computes the same CID.
    Put,
    /// It gives the block back, unchanged.
    Get,
    /// It says that the block is pinned, and gives it up again.
    Pin,
    /// A name router takes a record.
    Publish,
    /// It gives the record back.
    Resolve,
}

impl Device {
    /// Tries out a provider: stores a small random block and gives it up again, and publishes a
    /// record under a name that nobody uses. An error means that nothing could be tried.
    pub async fn try_provider(&self, config: &ProviderConfig) -> Result<Vec<Trial>> {
        let provider = Provider::from_config(config, &self.0.http)?;
        let record = Draft::new(EMPTY_PATH, 1, self.0.clock.now() + LIFETIME)
            .sign(&IpnsSecret::generate(&mut rand::rng()))
            .map_err(|_| Error::Damaged("record"))?;
        let names = provider.names.iter().map(|router| try_names(router.as_ref(), &record));
        let (mut trials, names) = tokio::join!(try_blocks(&provider), future::join_all(names));
        trials.extend(names.into_iter().flatten());
        Ok(trials)
    }
}

async fn try_blocks(provider: &Provider) -> Vec<Trial> {
    let store = provider.blocks.as_ref();
    let mut bytes = vec![0; BLOCK];
    rand::rng().fill(&mut bytes[..]);
    let Ok(block) = Block::new(bytes) else { return Vec::new() };
    let mut trials = Vec::new();
    let mut note = |what, start: Instant, outcome: Result<(), ProviderError>| {
        let fine = outcome.is_ok();
        let outcome = outcome.map(|()| start.elapsed());
        trials.push(Trial { what, service: store.describe(), outcome });
        fine
    };
    let start = Instant::now();
    if !note(Operation::Credentials, start, store.check().await) {
        return trials;
    }
    let start = Instant::now();
    if !note(Operation::Put, start, store.put(&block).await) {
        return trials;
    }
    let start = Instant::now();
    note(Operation::Get, start, store.get(block.cid()).await.map(drop));
    let start = Instant::now();
    let pinned = match store.is_pinned(block.cid()).await {
        Ok(true) => store.unpin(block.cid()).await,
        Ok(false) => {
            Err(ProviderError::new(ErrorKind::Nonsense, store.describe(), "looking for a pin")
                .because("it has not pinned what it stored"))
        }
        Err(error) => Err(error),
    };
    note(Operation::Pin, start, pinned);
    trials
}

async fn try_names(router: &dyn NameRouter, record: &Record) -> Vec<Trial> {
    let trial = |what, start: Instant, outcome: Result<(), ProviderError>| Trial {
        what,
        service: router.describe(),
        outcome: outcome.map(|()| start.elapsed()),
    };
    let mut trials = Vec::new();
    if router.publishes() {
        let start = Instant::now();
        trials.push(trial(Operation::Publish, start, router.publish(record).await));
    }
    let start = Instant::now();
    let resolved = match router.resolve(record.name(), &Resolve::default()).await {
        Ok(Resolved::Missing) if router.publishes() => {
            Err(ProviderError::new(ErrorKind::NotFound, router.describe(), "resolving a name"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    trials.push(trial(Operation::Resolve, start, resolved));
    trials
}
