//! The one task that announces and looks up topics.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};
use tokio::time::{sleep_until, timeout};

use super::manager::Command;
use super::shared::Shared;
use super::topics::{Outcome, Round};
use crate::dht::{Dht, FoundPeer};
use crate::key::{KeyPair, Topic};

/// Topics that ask the network at one moment.
const AT_ONCE: usize = 8;
/// The same, once the swarm is closed and little time is left.
const AT_ONCE_IN_THE_END: usize = 64;
/// How long taking back an announcement may take.
const WITHDRAW: Duration = Duration::from_secs(4);

/// What makes the rounds of all topics.
#[derive(Clone)]
pub(super) struct Rounds {
    pub(super) shared: Arc<Shared>,
    pub(super) dht: Dht,
    pub(super) keys: KeyPair,
}

impl Rounds {
    /// Runs until the swarm is closed; then takes all announcements back.
    pub(super) async fn run(self) {
        let mut running = JoinSet::new();
        let mut rounds = HashMap::new();
        loop {
            let due = self.begin(&mut running, &mut rounds);
            tokio::select! {
                () = self.shared.over.cancelled() => break,
                () = self.shared.topics_changed.notified() => {}
                Some(ended) = running.join_next_with_id() => {
                    let (id, outcome) = ended.unwrap_or_else(|error| (error.id(), Outcome::BAD));
                    if let Some(round) = rounds.remove(&id) {
                        let chance = rand::random();
                        self.shared.topics().finished(&round, outcome, self.shared.now(), chance);
                    }
                }
                () = sleep_until(self.shared.start + due.unwrap_or_default()), if due.is_some() => {}
            }
        }
        running.shutdown().await;
        let mut announced = self.shared.topics().close().into_iter();
        let mut withdrawing = JoinSet::new();
        loop {
            for topic in announced.by_ref().take(AT_ONCE_IN_THE_END - withdrawing.len()) {
                let this = self.clone();
                withdrawing.spawn(async move { this.withdraw(topic).await });
            }
            if withdrawing.join_next().await.is_none() {
                return;
            }
        }
    }

    /// Begins what is due, and says when more will be that there is room for.
    fn begin(
        &self,
        running: &mut JoinSet<Outcome>,
        rounds: &mut HashMap<Id, Round>,
    ) -> Option<Duration> {
        let mut topics = self.shared.topics();
        while running.len() < AT_ONCE {
            let Some(round) = topics.next(self.shared.now()) else {
                return topics.next_time();
            };
            let this = self.clone();
            let task = running.spawn(async move { this.make(&round).await });
            rounds.insert(task.id(), round);
        }
        None
    }

    async fn make(&self, round: &Round) -> Outcome {
        let announce = async { !round.announce || self.announce(round.topic).await };
        let look_up = async { !round.look_up || self.look_up(round.topic).await };
        let withdraw = async { !round.withdraw || self.withdraw(round.topic).await };
        let (announced, mut found, withdrawn) = tokio::join!(announce, look_up, withdraw);
        // Once more behind the announcement: of two that come at the same moment, one finds the
        // other.
        if round.announce && !found {
            found = self.look_up(round.topic).await;
        }
        Outcome { announced, found, withdrawn }
    }

    async fn announce(&self, topic: Topic) -> bool {
        self.dht.announce(topic, &self.keys).await.is_ok()
    }

    async fn look_up(&self, topic: Topic) -> bool {
        let Ok(found) = self.dht.lookup(topic).await else { return false };
        let own = self.keys.public_key();
        let found: Vec<FoundPeer> =
            found.into_iter().filter(|peer| peer.public_key != own).collect();
        let anybody = !found.is_empty();
        // (Held until it is sent: whoever leaves says so afterwards.)
        let topics = self.shared.topics();
        if anybody && topics.is_joined(&topic) {
            // Closed: then nobody wants to know.
            let _ = self.shared.commands.send(Command::Found { topic, found });
        }
        anybody
    }

    async fn withdraw(&self, topic: Topic) -> bool {
        let withdrawn = timeout(WITHDRAW, self.dht.unannounce(topic, &self.keys)).await;
        withdrawn.is_ok_and(|withdrawn| withdrawn.is_ok())
    }
}
