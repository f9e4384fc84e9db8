//! Staying in step: rounds of synchronisation, one after the other, each begun when there is a
//! reason for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future;
use handfast_ipfs::{Name, Record};
use handfast_providers::{NameRouter, Provider, Resolve, Resolved, Validator};
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

use super::schedule::{FOREGROUND, LONG_POLL};
use super::{SyncReport, full_round, hear_peers, tell_peers};
use crate::device::Inner;
use crate::error::Result;
use crate::events::Event;
use crate::home::SyncLock;
use crate::store::peers;

/// A router that has nothing new to say, and says so sooner than this, did not wait.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A device that keeps itself in step, until this is dropped or stopped. What happens comes as
/// [events](crate::Device::events).
#[derive(Debug)]
pub struct Watch {
    task: JoinHandle<()>,
}

impl Watch {
    pub(crate) fn start(device: Arc<Inner>, lock: SyncLock) -> Watch {
        Watch { task: tokio::spawn(run(device, lock)) }
    }

    /// Ends it. A publication that is under way goes on at the next start.
    pub async fn stop(self) {
        self.task.abort();
        let _ = (&mut { self }.task).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(device: Arc<Inner>, _lock: SyncLock) {
    let mut told: Option<String> = None;
    loop {
        // Whether there is a reason for another round at once.
        let again = AtomicBool::new(false);
        let round = async {
            note(&device, full_round(&device).await, &mut told);
            device.giving_up.go_on(&device).await;
        };
        tokio::select! {
            () = round => (),
            never = meanwhile(&device, &again) => match never {},
        }
        if !again.load(Ordering::Relaxed) {
            wait(&device).await;
        }
    }
}

/// Tells of what did not work, once and not at every round.
fn note(device: &Inner, ended: Result<SyncReport>, told: &mut Option<String>) {
    let trouble = match ended {
        Ok(SyncReport { trouble, .. }) => trouble.into_iter().next(),
        Err(error) => Some(error.to_string()),
    };
    if let Some(message) = &trouble
        && *told != trouble
    {
        device.bus.emit(Event::Trouble { message: message.clone() });
    }
    *told = trouble;
}

/// While a round goes on, which may wait for services that do not answer: the peers that are
/// connected are told of edits, and heard, all the same.
async fn meanwhile(device: &Inner, again: &AtomicBool) -> Infallible {
    loop {
        let edited = tokio::select! {
            () = device.edited.notified() => true,
            () = device.elsewhere.edited(device) => true,
            () = device.live.news() => false,
        };
        again.store(true, Ordering::Relaxed);
        let done = if edited { tell_peers(device).await } else { hear_peers(device).await };
        if let Err(error) = done {
            tracing::debug!(%error, "the next round does it");
        }
    }
}

/// Waits for a reason: an edit in this process or another, news at a router, or time.
pub(crate) async fn wait(device: &Inner) {
    let until = Instant::now() + FOREGROUND;
    tokio::select! {
        () = device.edited.notified() => (),
        () = device.elsewhere.edited(device) => (),
        () = news(device) => (),
        () = time::sleep_until(until) => (),
    }
}

/// Waits at the routers that can wait, for news of any other device. Where none can, for ever.
async fn news(device: &Inner) {
    if let Err(error) = wait_at_routers(device).await {
        tracing::debug!(%error, "waiting at a router failed");
    }
    // No router waits, or it failed: the schedule counts.
    future::pending::<()>().await;
}

async fn wait_at_routers(device: &Inner) -> Result<()> {
    let provider = device.roads()?;
    let mut waits = Vec::new();
    for member in device.members()? {
        let name = Name::of(member.ipns);
        let accepted = device.store.read(|tx| peers::get(tx, &member.device_id()))?.accepted;
        let known = accepted.and_then(|known| Record::parse(&name, &known.record, None).ok());
        for router in waiting(&provider) {
            waits.push(Box::pin(wait_for(router, name, known.clone())));
        }
    }
    if !waits.is_empty() {
        let (changed, _, _) = future::select_all(waits).await;
        if changed {
            // Returning ends the select: a round begins.
            device.edited.notify_one();
        }
    }
    Ok(())
}

/// The routers that are worth waiting at: the preferred one, and those that are known to let
/// queries wait.
fn waiting(provider: &Provider) -> impl Iterator<Item = &dyn NameRouter> {
    let routers = provider.names.iter().map(AsRef::as_ref).enumerate();
    let waits =
        |(index, router): &(usize, &dyn NameRouter)| *index == 0 || router.longest_wait().is_some();
    routers.filter(waits).map(|(_, router)| router)
}

/// Whether a router has news of a name; returns only when it has.
async fn wait_for(router: &dyn NameRouter, name: Name, known: Option<Record>) -> bool {
    loop {
        let mut query = Resolve::default().waiting(LONG_POLL);
        if let Some(known) = &known {
            query = query.unless(Validator::of(known));
        }
        let asked = Instant::now();
        match router.resolve(&name, &query).await {
            Ok(Resolved::Record(record, _))
                if known.as_ref().is_none_or(|known| record.newer_than(known)) =>
            {
                return true;
            }
            // One that answers at once, though it can wait, has no room for it now, or holds
            // something old.
            Ok(_) if router.longest_wait().is_some() && asked.elapsed() >= AT_ONCE => (),
            _ => return future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::IpnsSecret;

    use super::*;
    use crate::empty_router::EmptyRouter;

    #[tokio::test(start_paused = true)]
    async fn a_router_without_room_to_wait_is_not_asked_again_at_once() {
        let name = Name::of(IpnsSecret::from_seed([7; 32]).public());
        for (takes, asked) in [(Duration::ZERO, 1), (LONG_POLL, 4)] {
            let longest_wait = Some(LONG_POLL);
            let router = EmptyRouter { takes, longest_wait, ..EmptyRouter::default() };
            let waiting = wait_for(&router, name, None);
            let before_the_fifth = 4 * LONG_POLL - Duration::from_secs(1);
            assert!(time::timeout(before_the_fifth, waiting).await.is_err());
            assert_eq!(router.asked.load(Ordering::Relaxed), asked);
        }
    }
}
