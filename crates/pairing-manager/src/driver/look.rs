//! Looking into the DHT: for requests, a response, the peer's line.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use handfast_keys::MailboxPublic;
use handfast_pairing::invite::{Input, InviteId, Machine, Request, Response, Topic, Via};
use rand::RngExt;
use rand::seq::IndexedRandom;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Driver, FIRST_POLL};
use crate::clock::rng;

/// How many announcers are looked at in one poll.
const MAX_ANNOUNCERS: usize = 64;
/// How many of them at a time.
const AT_ONCE: usize = 8;
/// How many announcers are remembered as seen.
const MAX_SEEN: usize = 4_096;
/// When a request that was heard is looked at again: its announcement stands, but the answer may not
/// have been found.
const REST: Duration = Duration::from_secs(60);
/// How often the DHT is looked at in the end.
const LAST_POLL: Duration = Duration::from_secs(60);

/// The announcers that need not be looked at again, or not before then.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<MailboxPublic, Option<Instant>>);

impl Seen {
    fn lets(&self, announcer: &MailboxPublic) -> bool {
        match self.0.get(announcer) {
            Some(until) => until.is_some_and(|until| until <= Instant::now()),
            None => true,
        }
    }

    fn add(&mut self, announcer: MailboxPublic, until: Option<Instant>) {
        if self.0.len() > MAX_SEEN {
            self.0.clear();
        }
        self.0.insert(announcer, until);
    }
}

/// One kind of look into the DHT, of which the next does not begin before the last is over.
#[derive(Default)]
pub(super) struct Look(Weak<()>);

impl Look {
    /// Begins unless one goes on, which it does as long as anybody has what is returned.
    fn begin(&mut self) -> Option<Arc<()>> {
        if self.0.strong_count() > 0 {
            return None;
        }
        let goes_on = Arc::new(());
        self.0 = Arc::downgrade(&goes_on);
        Some(goes_on)
    }
}

impl Driver {
    /// Looks into the DHT, for whatever it is not still looking for.
    pub(super) fn look(&mut self) {
        self.pace = (self.pace * 5 / 4).min(LAST_POLL);
        let spread = rand::rng().random_range(0.9..1.1);
        let mut pace = self.pace;
        if matches!(&self.machine, Machine::Member(member) if !member.is_pairing()) {
            // Many open invites share the same patience.
            let open = u32::try_from(self.context.tasks.len()).unwrap_or(u32::MAX);
            pace = self.pace.max(Duration::from_millis(200) * open);
        }
        self.next_poll = Instant::now() + pace.mul_f64(spread);
        if let Some(response) = self.asking.as_ref().map(|asking| asking.response) {
            self.look_for_response(response);
        }
        if let Machine::Member(member) = &self.machine
            && !member.is_forgotten()
        {
            self.look_for_requests(member.id(), member.discovery_key().mailbox_topic());
        }
        // A line that is heard live need not be looked for.
        let live = self.exchange.as_ref().is_some_and(|hub| hub.is_live());
        if let Some(peer) = self.machine.conversation().map(|talk| talk.peer)
            && self.listens
            && (!live || self.pace > FIRST_POLL * 2)
        {
            self.look_for_line(peer);
        }
    }

    fn look_for_response(&mut self, response: MailboxPublic) {
        if !self.announced {
            // From now on the candidate lets itself be found, too, as in blind-pairing.
            let topic = self.machine.discovery_key().topic();
            self.joined = Some(self.context.network.join(topic, true, true).into());
            self.announced = true;
        }
        let Some(goes_on) = self.mailbox.begin() else { return };
        let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
        self.spawn_look(goes_on, async move {
            if let Ok(Some((_, bytes))) = network.mutable_get(&response).await
                && let Ok(response) = Response::from_bytes(&bytes)
            {
                let _ = inbox.send(Input::Response(Via::Mailbox, response)).await;
            }
        });
    }

    fn look_for_line(&mut self, peer: MailboxPublic) {
        let Some(goes_on) = self.line.begin() else { return };
        let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
        self.spawn_look(goes_on, async move {
            if let Ok(Some((sequence, value))) = network.mutable_get(&peer).await {
                let _ = inbox.send(Input::Line(sequence, value)).await;
            }
        });
    }

    fn look_for_requests(&mut self, id: InviteId, topic: Topic) {
        let Some(goes_on) = self.mailbox.begin() else { return };
        let (seen, turns) = (self.seen.clone(), self.context.turns.clone());
        let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
        let sweep = move || async move {
            let seen = || seen.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(mut announcers) = network.lookup(topic).await else { return };
            {
                let seen = seen();
                announcers.retain(|announcer| seen.lets(announcer));
            }
            // Anybody may announce anything: among a flood, each has the same chance in each poll.
            let some: Vec<_> = announcers.sample(&mut rng(), MAX_ANNOUNCERS).copied().collect();
            let gets = stream::iter(some).map(|announcer| {
                let network = network.clone();
                async move { (announcer, network.mutable_get(&announcer).await) }
            });
            let mut found = gets.buffer_unordered(AT_ONCE);
            while let Some((announcer, found)) = found.next().await {
                // What could not be asked for, or is not there yet, is looked for in the next poll.
                let Ok(Some((_, bytes))) = found else { continue };
                match Request::from_bytes(&bytes) {
                    Ok(request) if request.invite == id => {
                        seen().add(announcer, Some(Instant::now() + REST));
                        let _ = inbox.send(Input::Request(Via::Mailbox, request)).await;
                    }
                    _ => seen().add(announcer, None),
                }
            }
        };
        self.spawn_look(goes_on, async move {
            let _turn = turns.acquire().await;
            // Boxed: thousands wait for their turn, few look.
            Box::pin(sweep()).await;
        });
    }

    /// (Not among the manager's tasks: those are the sessions that are open.)
    fn spawn_look(&self, goes_on: Arc<()>, look: impl Future<Output = ()> + Send + 'static) {
        let over: CancellationToken = self.context.over.clone();
        tokio::spawn(async move {
            over.run_until_cancelled(look).await;
            drop(goes_on);
        });
    }
}
