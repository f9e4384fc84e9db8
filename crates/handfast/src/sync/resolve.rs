//! The latest record of a name, from all routers.

use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, future};
use handfast_ipfs::{Name, Record};
use handfast_providers::{
    ErrorKind, NameRouter, Provider, ProviderError, Resolve, Resolved, Validator,
};
use handfast_ring::Identity;
use serde_bytes::ByteBuf;
use tokio::time::{self, Instant};

use super::schedule::{GRACE, LONG_GRACE, RESOLVE_DEADLINE, TEST_DEADLINE};
use super::{SyncReport, draft, import};
use crate::device::Inner;
use crate::error::Result;
use crate::events::Event;
use crate::store::meta::{self, Published};
use crate::store::{forks, peers};

/// The record of a member that is to be taken in, if there is one: higher than any that was
/// accepted before, or accepted before but not taken in whole. A missing name is no news.
pub async fn latest(
    device: &Inner,
    provider: &Provider,
    member: &Identity,
) -> Result<Option<Record>> {
    let id = member.device_id();
    let name = Name::of(member.ipns);
    let peer = device.store.read(|tx| peers::get(tx, &id))?;
    let accepted = match &peer.accepted {
        Some(accepted) => Record::parse(&name, &accepted.record, None).ok(),
        None => None,
    };
    if let Some(told) = told(device, member)? {
        return Ok(Some(told));
    }
    let answers = ask_all(provider, &name, accepted.as_ref()).await?;
    match answers.highest {
        Some(record) if accepted.as_ref().is_none_or(|known| is_above(&record, known)) => {
            device.store.write(|tx| peers::accept(tx, &id, &record, device.clock.now()))?;
            Ok(Some(record))
        }
        // Rollback is real: below what was accepted is no news.
        _ => {
            if let Some(known) = &accepted {
                republish(device, provider, known, &answers.behind).await;
            }
            Ok(accepted.filter(|_| !peer.imported))
        }
    }
}

/// What a member that is connected has told of itself, if it is news. Nobody knows better, so nobody
/// else need be waited for.
pub fn told(device: &Inner, member: &Identity) -> Result<Option<Record>> {
    let (id, name) = (member.device_id(), Name::of(member.ipns));
    let Some(record) = device.live.told_by(&id, &name) else { return Ok(None) };
    device.store.write(|tx| {
        let accepted = peers::get(tx, &id)?.accepted;
        let known = accepted.and_then(|known| Record::parse(&name, &known.record, None).ok());
        if known.is_some_and(|known| !is_above(&record, &known)) {
            return Ok(None);
        }
        peers::accept(tx, &id, &record, device.clock.now())?;
        Ok(Some(record))
    })
}

/// Checks that a router answers as one. Whoever says nothing at all for long may be a DHT that is
/// still searching, and is taken for one.
pub async fn check_router(
    router: &dyn NameRouter,
    name: &Name,
) -> std::result::Result<(), ProviderError> {
    match time::timeout(TEST_DEADLINE, router.resolve(name, &Resolve::default())).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Ok(()),
    }
}

/// Looks the own name up: before the first publication of a process, and then now and then, for a
/// router may have lost it, or never kept what it said it had; and in every round of a store that
/// has a twin, for two stores can use one sequence without any router's refusing it.
///
/// A record there that is above the last that this store has published or read was published by a
/// twin. It is read like a peer's, this store goes on under new writer keys, and publishes above it
/// if it has more.
pub async fn check_own_name(
    device: &Inner,
    provider: &Provider,
    report: &mut SyncReport,
) -> Result<()> {
    let (sequence, published, twin) = device.store.read(|tx| {
        Ok((meta::SEQUENCE.find(tx)?, meta::PUBLISHED.find(tx)?, meta::TWIN.find(tx)?))
    })?;
    let Some(sequence) = sequence else { return Ok(()) };
    if device.own_name_checked() && twin.is_none() {
        return Ok(());
    }
    let name = Name::of(device.keys.ipns.public());
    let published = published.unwrap_or_default();
    let own = Record::parse(&name, &published.record, None).ok();
    let read = twin.as_ref().and_then(|twin| Record::parse(&name, twin, None).ok());
    let known = match (own, read) {
        (Some(own), Some(read)) => Some(Record::select(own, read)),
        (own, read) => own.or(read),
    };
    let answers = ask_all(provider, &name, known.as_ref()).await?;
    match answers.highest {
        Some(record) if known.as_ref().is_none_or(|known| is_above(&record, known)) => {
            let imported = import::import_own(device, provider, &record).await?;
            let mut content = None;
            if let Some((applied, index)) = imported {
                report.mutations += applied.mutations;
                report.records += applied.records;
                content = draft::covered_by(device, &index, &published)?;
            }
            // At once: a store that knows of the twin is a new incarnation.
            device.store.write(|tx| {
                meta::SEQUENCE.set(tx, &record.sequence().max(sequence))?;
                meta::PUBLISHED.set(tx, &Published { content, ..published })?;
                meta::TWIN.set(tx, &ByteBuf::from(record.as_bytes()))?;
                if twin.is_none() { forks::retire(tx, &device.keys) } else { Ok(()) }
            })?;
            if twin.is_none() {
                device.bus.emit(Event::NewIncarnation);
            }
        }
        _ => {
            // What only peers were told of is not at any provider yet.
            if let Some(known) = known.as_ref().filter(|_| published.delivered) {
                republish(device, provider, known, &answers.behind).await;
            }
        }
    }
    device.set_own_name_checked(true);
    Ok(())
}

/// The spec's order, without its last resort: the bytes around a record are not signed.
fn is_above(record: &Record, known: &Record) -> bool {
    (record.sequence(), record.validity()) > (known.sequence(), known.validity())
}

struct Answers {
    highest: Option<Record>,
    /// The routers that hold nothing, or something older.
    behind: Vec<usize>,
}

/// Asks all routers; waits for each as long as there is nothing, then not much longer. An error
/// only if none answered.
async fn ask_all(provider: &Provider, name: &Name, known: Option<&Record>) -> Result<Answers> {
    // No expiry: what was accepted before keeps old records out, and a clock may be wrong.
    let mut query = Resolve::default();
    if let Some(known) = known {
        query = query.unless(Validator::of(known));
    }
    let mut asked: FuturesUnordered<_> = provider
        .names
        .iter()
        .enumerate()
        .map(async |(index, router)| (index, router.resolve(name, &query).await))
        .collect();
    let mut answers = Answers { highest: None, behind: Vec::new() };
    let mut failure = None;
    let mut answered = false;
    let mut end = Instant::now() + RESOLVE_DEADLINE;
    // Whoever is late is heard at the next round.
    while let Ok(Some((index, answer))) = time::timeout_at(end, asked.next()).await {
        end = match &answer {
            Ok(Resolved::Record(..) | Resolved::Unchanged) => end.min(Instant::now() + GRACE),
            Ok(Resolved::Missing) => end.min(Instant::now() + LONG_GRACE),
            Err(_) => end,
        };
        match answer {
            Ok(Resolved::Record(record, _)) => {
                answered = true;
                if known.is_some_and(|known| is_above(known, &record)) {
                    answers.behind.push(index);
                }
                answers.highest = Some(match answers.highest.take() {
                    Some(other) => Record::select(other, record),
                    None => record,
                });
            }
            Ok(Resolved::Unchanged) => answered = true,
            Ok(Resolved::Missing) => {
                answered = true;
                answers.behind.push(index);
            }
            Err(error) => failure = Some(error),
        }
    }
    if answered {
        return Ok(answers);
    }
    Err(failure.unwrap_or_else(nobody_answered).into())
}

fn nobody_answered() -> ProviderError {
    ProviderError::new(ErrorKind::Unreachable, "every name router", "looking up a name")
}

/// Puts a record where routers hold none or an older one. Needs no key; what is put is the highest
/// known, after asking.
async fn republish(device: &Inner, provider: &Provider, record: &Record, behind: &[usize]) {
    if record.is_expired(device.clock.now()) {
        return;
    }
    let routers = behind.iter().filter_map(|index| provider.names.get(*index));
    let puts = routers.filter(|router| router.publishes()).cloned().map(|router| {
        let record = record.clone();
        tokio::spawn(async move {
            if let Err(error) = router.publish(&record).await {
                tracing::debug!(%error, "a record was not taken");
            }
        })
    });
    // Who is slow goes on in the background.
    let _ = time::timeout(GRACE, future::join_all(puts)).await;
}

#[cfg(test)]
mod tests {
    use handfast_keys::IpnsSecret;

    use super::*;
    use crate::empty_router::EmptyRouter;

    #[tokio::test(start_paused = true)]
    async fn a_router_that_fails_is_told_from_one_that_searches() {
        let name = Name::of(IpnsSecret::from_seed([7; 32]).public());
        let fails_after = |takes| EmptyRouter { takes, fails: true, ..EmptyRouter::default() };
        let failed = check_router(&fails_after(TEST_DEADLINE / 2), &name).await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Nonsense);
        check_router(&fails_after(TEST_DEADLINE * 2), &name).await.unwrap();
    }
}
