//! What every implementation of the traits must pass.
//!
//! A new implementation's tests call these with an instance; nothing else is needed. All keys and
//! contents are random, so that the same service can be tested again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use handfast_ipfs::{Block, Cid, Draft, EMPTY_PATH, MAX_BLOCK, Name, Record};
use handfast_keys::{IpnsSecret, Timestamp};
use rand::RngExt as _;

use crate::{BlockStore, ErrorKind, NameRouter, ProviderError, Resolve, Resolved, Validator};

/// A promise that an implementation broke, in words.
#[derive(Debug)]
pub struct Breach(String);

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Breach {}

impl From<ProviderError> for Breach {
    fn from(error: ProviderError) -> Self {
        Self(format!("a call that must succeed failed: {error}"))
    }
}

fn require(holds: bool, promise: impl fmt::Display) -> Result<(), Breach> {
    if holds { Ok(()) } else { Err(Breach(format!("broken: {promise}"))) }
}

/// Tests a [`BlockStore`], which must accept its credentials.
pub async fn block_store(store: &dyn BlockStore) -> Result<(), Breach> {
    store.check().await?;

    // Sizes at both ends; the empty block is one too.
    for size in [0, 1, 1000, MAX_BLOCK] {
        let block = random_block(size)?;
        store.put(&block).await?;
        let got = store.get(block.cid()).await?;
        require(got == block.bytes(), format_args!("{size} bytes come back as they were put"))?;
    }

    let block = random_block(500)?;
    let cid = block.cid();
    let missing = store.get(cid).await;
    require(
        missing.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound),
        format_args!("a block that nobody put is not found, not {missing:?}"),
    )?;
    require(!store.is_pinned(cid).await?, "a block that nobody put is not pinned")?;
    store.unpin(cid).await?;

    store.put(&block).await?;
    store.put(&block).await?;
    require(store.is_pinned(cid).await?, "what was put is pinned")?;
    store.unpin(cid).await?;
    if store.unpins() {
        require(!store.is_pinned(cid).await?, "what was put twice is unpinned once")?;
    }
    store.unpin(cid).await?;
    store.put(&block).await?;
    require(store.is_pinned(cid).await?, "putting again pins again")?;
    store.pin(cid).await?;
    require(store.is_pinned(cid).await?, "pinning what is pinned changes nothing")?;

    let blocks = (0..40).map(|n| random_block(n * 700)).collect::<Result<Vec<_>, _>>()?;
    store.put_all(&blocks).await?;
    store.put_all(&[]).await?;
    for block in &blocks {
        let got = store.get(block.cid()).await?;
        require(got == block.bytes(), "each of many blocks comes back")?;
        require(store.is_pinned(block.cid()).await?, "each of many blocks is pinned")?;
        store.unpin(block.cid()).await?;
    }
    require(!store.describe().is_empty(), "it says what it is")
}

/// Tests a [`NameRouter`].
pub async fn name_router(router: &dyn NameRouter) -> Result<(), Breach> {
    let secret = IpnsSecret::generate(&mut rand::rng());
    let name = Name::of(secret.public());
    let now = now();
    let latest = Resolve::at(now);
    let day = Duration::from_secs(24 * 60 * 60);

    let resolved = router.resolve(&name, &latest).await?;
    require(
        matches!(resolved, Resolved::Missing),
        format_args!("a name that nobody published is missing, not {resolved:?}"),
    )?;

    let first = sign(&secret, Draft::new(EMPTY_PATH, 1, now + day))?;
    router.publish(&first).await?;
    let given = expect(router, &latest, &first).await?;
    router.publish(&first).await?;

    for known in [given.clone(), Validator::of(&first)] {
        let resolved = router.resolve(&name, &latest.clone().unless(known)).await?;
        require(
            matches!(resolved, Resolved::Unchanged),
            format_args!("what the caller knows is unchanged, not {resolved:?}"),
        )?;
    }

    let value = Cid::of(b"second").path();
    let second = sign(&secret, Draft::new(&value, 2, now + day))?;
    router.publish(&second).await?;
    expect(router, &latest.clone().unless(given), &second).await?;

    // A lower record may be refused or ignored, but it must not come back.
    match router.publish(&first).await {
        Err(error) if error.kind() != ErrorKind::Outdated => return Err(error.into()),
        _ => expect(router, &latest, &second).await?,
    };

    let longer = sign(&secret, Draft::new(&value, 2, now + day + day))?;
    router.publish(&longer).await?;
    expect(router, &latest, &longer).await?;

    let rich = sign(
        &secret,
        Draft {
            extra: BTreeMap::from([("_handfast".to_owned(), vec![7; 4096])]),
            v1_compatible: false,
            ..Draft::new(EMPTY_PATH, 3, now + day)
        },
    )?;
    router.publish(&rich).await?;
    expect(router, &latest, &rich).await?;

    let tomorrow = Resolve::at(now + day + day);
    let resolved = router.resolve(&name, &tomorrow).await?;
    require(
        matches!(resolved, Resolved::Missing),
        format_args!("an expired record is none, not {resolved:?}"),
    )?;

    if router.longest_wait().is_some() {
        waits(router, &rich, &secret, now + day).await?;
    }
    require(!router.describe().is_empty(), "it says what it is")
}

/// Tests that a query that waits is answered when something new comes.
async fn waits(
    router: &dyn NameRouter,
    held: &Record,
    secret: &IpnsSecret,
    eol: Timestamp,
) -> Result<(), Breach> {
    let next = sign(secret, Draft::new(EMPTY_PATH, held.sequence() + 1, eol))?;
    let wait = Duration::from_secs(30);
    let query = Resolve::default().unless(Validator::of(held)).waiting(wait);
    let (answer, published) = tokio::join!(
        tokio::time::timeout(wait / 2, router.resolve(held.name(), &query)),
        router.publish(&next),
    );
    published?;
    let answer = answer.map_err(|_| Breach("broken: a waiting query hears of news".into()))??;
    require(
        matches!(&answer, Resolved::Record(record, _) if *record == next),
        format_args!("a waiting query is answered with the news, not {answer:?}"),
    )?;
    let at_once = Resolve::default().unless(Validator::of(held)).waiting(wait);
    let answer = tokio::time::timeout(wait / 2, router.resolve(held.name(), &at_once)).await;
    require(
        matches!(answer, Ok(Ok(Resolved::Record(..)))),
        "there is no wait for what is there already",
    )
}

/// Expects exactly this record, and returns its validator.
async fn expect(
    router: &dyn NameRouter,
    query: &Resolve,
    record: &Record,
) -> Result<Validator, Breach> {
    match router.resolve(record.name(), query).await? {
        Resolved::Record(got, validator) if got == *record => Ok(validator),
        other => Err(Breach(format!("broken: {record:?} comes back, not {other:?}"))),
    }
}

/// Signed records of one fresh name with these sequences, valid for a day: for tests.
pub fn random_records(sequences: &[u64]) -> Result<Vec<Record>, Breach> {
    let secret = IpnsSecret::generate(&mut rand::rng());
    let eol = now() + Duration::from_secs(24 * 60 * 60);
    sequences.iter().map(|n| sign(&secret, Draft::new(EMPTY_PATH, *n, eol))).collect()
}

/// A block of random bytes: for tests.
pub fn random_block(size: usize) -> Result<Block, Breach> {
    let mut bytes = vec![0; size];
    rand::rng().fill(&mut bytes[..]);
    Block::new(bytes).map_err(|error| Breach(error.to_string()))
}

fn sign(secret: &IpnsSecret, draft: Draft) -> Result<Record, Breach> {
    draft.sign(secret).map_err(|error| Breach(error.to_string()))
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
