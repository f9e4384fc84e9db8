//! Announces and looks up one topic for as long as it is joined.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::manager::Command;
use super::options::JoinOptions;
use crate::dht::{Dht, FoundPeer};
use crate::key::{KeyPair, PublicKey, Topic};

/// Nodes forget an announcement after 20 minutes.
const REPEAT: Duration = Duration::from_secs(540);
/// Up to this much more, so that not all topics are repeated at one moment.
const SPREAD: Duration = Duration::from_secs(120);
/// When nobody was found or no node answered, the next rounds come sooner.
const SOON: [Duration; 7] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(180),
];
/// How long taking back an announcement may take.
const UNANNOUNCE: Duration = Duration::from_secs(4);

/// How far the task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Progress {
    /// Rounds that were made with the options of this number.
    pub(super) done: u64,
}

/// What a topic's task is told: the options, and a number that grows whenever it is to begin anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) options: JoinOptions,
    pub(super) number: u64,
}

pub(super) struct TopicTask {
    pub(super) topic: Topic,
    pub(super) dht: Dht,
    pub(super) keys: KeyPair,
    pub(super) wishes: watch::Receiver<Wish>,
    pub(super) progress: watch::Sender<Progress>,
    /// Whether handshakes find their way to us: before, an announcement would not help.
    pub(super) reachable: watch::Receiver<bool>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) over: CancellationToken,
    /// Not all topics ask the network at one moment.
    pub(super) turns: Arc<Semaphore>,
}

/// Topics that ask the network at one moment.
pub(super) const TURNS: usize = 8;

impl TopicTask {
    /// Runs until the topic is left; then takes the announcement back.
    pub(super) async fn run(mut self) {
        let mut announced = false;
        let over = self.over.clone();
        over.run_until_cancelled(self.rounds(&mut announced)).await;
        if announced {
            // Nodes forget it by themselves in the end.
            let back = Box::pin(self.dht.unannounce(self.topic, &self.keys));
            let _ = timeout(UNANNOUNCE, back).await;
        }
    }

    async fn rounds(&mut self, announced: &mut bool) {
        let mut soon = SOON.iter();
        let mut announce_again = Instant::now();
        loop {
            let wish = *self.wishes.borrow_and_update();
            let mut well = true;
            if wish.options.announce && announce_again <= Instant::now() {
                *announced = true;
                // Boxed, here and below: thousands of topics wait, few ask.
                let (is_announced, is_found) = tokio::join!(Box::pin(self.announce()), async {
                    wish.options.lookup && Box::pin(self.look_up()).await
                });
                well &= is_announced;
                if is_announced {
                    announce_again = Instant::now() + REPEAT;
                }
                // Once more behind the announcement: of two that come at the same moment, one finds
                // the other.
                if wish.options.lookup && !is_found {
                    well &= Box::pin(self.look_up()).await;
                }
            } else {
                if *announced && !wish.options.announce {
                    well &= Box::pin(self.dht.unannounce(self.topic, &self.keys)).await.is_ok();
                    *announced = !well;
                }
                if wish.options.lookup {
                    well &= Box::pin(self.look_up()).await;
                }
            }
            self.progress.send_replace(Progress { done: wish.number });
            let wait = if well { None } else { soon.next().copied() };
            let wait = wait.unwrap_or_else(|| REPEAT + SPREAD.mul_f64(rand::rng().random()));
            match timeout(wait, self.wishes.changed()).await {
                Ok(Ok(())) => {
                    soon = SOON.iter();
                    announce_again = Instant::now();
                }
                // The swarm is gone; whoever dropped it cancels us.
                Ok(Err(_)) => return std::future::pending().await,
                Err(_) => {}
            }
        }
    }

    async fn announce(&self) -> bool {
        // The sender lives as long as the swarm.
        let _ = self.reachable.clone().wait_for(|reachable| *reachable).await;
        let _turn = self.turns.acquire().await;
        self.dht.announce(self.topic, &self.keys).await.is_ok()
    }

    async fn look_up(&self) -> bool {
        let turn = self.turns.acquire().await;
        let found = self.dht.lookup(self.topic).await;
        drop(turn);
        let Ok(found) = found else { return false };
        let own: PublicKey = self.keys.public_key();
        let found: Vec<FoundPeer> =
            found.into_iter().filter(|peer| peer.public_key != own).collect();
        let anybody = !found.is_empty();
        if anybody {
            // Closed: then nobody wants to know.
            let _ = self.commands.send(Command::Found { topic: self.topic, found });
        }
        anybody
    }
}
