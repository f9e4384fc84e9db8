//! Looking into the DHT: for requests, a response, the peer's line.

use std::sync::PoisonError;
use std::time::Duration;

use handfast_keys::MailboxPublic;
use handfast_pairing::invite::{Input, InviteId, Machine, Request, Response, Topic, Via};
use rand::RngExt;
use rand::seq::IndexedRandom;
use tokio::time::Instant;

use super::{Driver, FIRST_POLL};
use crate::clock::rng;

/// How many announcers are looked at in one poll.
const MAX_ANNOUNCERS: usize = 64;
/// How many announcers are remembered as seen.
const MAX_SEEN: usize = 4_096;
/// How often the DHT is looked at in the end.
const LAST_POLL: Duration = Duration::from_secs(60);

impl Driver {
    /// Looks into the DHT, unless it is still looking.
    pub(super) fn look(&mut self) {
        let busy = !self.polls.is_empty();
        self.pace = (self.pace * 5 / 4).min(LAST_POLL);
        let spread = rand::rng().random_range(0.9..1.1);
        let mut pace = self.pace;
        if matches!(&self.machine, Machine::Member(member) if !member.is_pairing()) {
            // Many open invites share the same patience.
            let open = u32::try_from(self.context.tasks.len()).unwrap_or(u32::MAX);
            pace = self.pace.max(Duration::from_millis(200) * open);
        }
        self.next_poll = Instant::now() + pace.mul_f64(spread);
        if busy {
            return;
        }
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
            let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
            self.spawn_poll(async move {
                if let Ok(Some((sequence, value))) = network.mutable_get(&peer).await {
                    let _ = inbox.send(Input::Line(sequence, value)).await;
                }
            });
        }
    }

    fn look_for_response(&mut self, response: MailboxPublic) {
        if !self.announced {
            // From now on the candidate lets itself be found, too, as in blind-pairing.
            let topic = self.machine.discovery_key().topic();
            self.joined = Some(self.context.network.join(topic, true, true).into());
            self.announced = true;
        }
        let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
        self.spawn_poll(async move {
            if let Ok(Some((_, bytes))) = network.mutable_get(&response).await
                && let Ok(response) = Response::from_bytes(&bytes)
            {
                let _ = inbox.send(Input::Response(Via::Mailbox, response)).await;
            }
        });
    }

    fn look_for_requests(&self, id: InviteId, topic: Topic) {
        let (seen, turns) = (self.seen.clone(), self.context.turns.clone());
        let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
        let look = move || async move {
            let Ok(announcers) = network.lookup(topic).await else { return };
            let new: Vec<MailboxPublic> = {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() > MAX_SEEN {
                    seen.clear();
                }
                announcers.into_iter().filter(|key| !seen.contains(key)).collect()
            };
            // Anybody may announce anything: among a flood, each has the same chance in each poll.
            let new = new.sample(&mut rng(), MAX_ANNOUNCERS).copied().collect::<Vec<_>>();
            for key in new {
                let Ok(found) = network.mutable_get(&key).await else { return };
                match found.map(|(_, bytes)| Request::from_bytes(&bytes)) {
                    Some(Ok(request)) if request.invite == id => {
                        let _ = inbox.send(Input::Request(Via::Mailbox, request)).await;
                    }
                    None => (),
                    Some(_) => {
                        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                    }
                }
            }
        };
        self.spawn_poll(async move {
            let _turn = turns.acquire().await;
            // Boxed: thousands wait for their turn, few look.
            Box::pin(look()).await;
        });
    }
}
