//! The one task that keeps nodes which know the way to this side.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::time::{sleep, timeout};

use super::shared::Shared;
use super::topics::Topics;
use crate::dht::{Dht, Node};
use crate::key::{KeyPair, Topic};

/// How often the way to this side is announced again.
const REPEAT: Duration = Duration::from_secs(300);
/// When no node answered, or nodes that know the way are gone.
const SOON: Duration = Duration::from_secs(5);
/// How long taking it back may take. Nodes forget it by themselves in the end.
const WITHDRAW: Duration = Duration::from_secs(3);

/// What announces the own key.
pub(super) struct Reach {
    pub(super) shared: Arc<Shared>,
    pub(super) node: Arc<Node>,
    pub(super) dht: Dht,
    pub(super) keys: KeyPair,
}

impl Reach {
    /// Runs from when this side listens until the swarm is closed. Then, and while the swarm is
    /// suspended, the announcement is taken back.
    pub(super) async fn run(self) {
        let over = &self.shared.over;
        let own = Topic(self.keys.public_key().target());
        let (mut listens, mut awake) =
            (self.shared.listens.subscribe(), self.shared.awake.subscribe());
        // (The senders are in `self`.)
        if over.run_until_cancelled(listens.wait_for(|listens| *listens)).await.is_none() {
            return;
        }
        self.node.handle().register_server(&own.0);
        while over.run_until_cancelled(awake.wait_for(|awake| *awake)).await.is_some() {
            tokio::select! {
                () = over.cancelled() => {}
                _ = awake.wait_for(|awake| !awake) => {}
                () = self.keep_announced(own) => {}
            }
            self.withdraw(own).await;
        }
        self.node.handle().unregister_server(&own.0);
    }

    /// Never ends.
    async fn keep_announced(&self, own: Topic) {
        loop {
            let told = self.dht.announce(own, &self.keys).await;
            let wait = if told.is_ok() {
                self.shared.announced.notify_one();
                self.shared.reachable.send_replace(true);
                self.shared.change_topics(Topics::set_reachable);
                REPEAT.mul_f64(rand::rng().random_range(0.8..1.2))
            } else {
                SOON
            };
            // Not more often than that, however often nodes fail.
            sleep(SOON).await;
            let _ = timeout(wait, self.shared.lost.notified()).await;
        }
    }

    async fn withdraw(&self, own: Topic) {
        if self.shared.reachable.send_replace(false) {
            self.shared.topics().set_unreachable();
            let _ = timeout(WITHDRAW, self.dht.unannounce(own, &self.keys)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::{JoinOptions, Swarm, SwarmOptions};
    use crate::testnet::Testnet;

    const LONG: Duration = Duration::from_secs(30);
    const TOPIC: Topic = Topic([5; 32]);

    async fn until_found(dht: &Dht, topic: Topic, found: bool) {
        let looked = async { while dht.lookup(topic).await.unwrap().is_empty() == found {} };
        timeout(LONG, looked).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_sleeps_is_not_to_be_found_neither_by_topic_nor_by_key() {
        let net = Testnet::new(10).await.unwrap();
        let swarm = Swarm::new(SwarmOptions::new(net.bootstrap())).await.unwrap();
        let dht = net.nodes()[9].dht();
        let own = Topic(swarm.public_key().target());
        let joined = swarm.join(TOPIC, JoinOptions { announce: true, lookup: false }).unwrap();
        joined.flushed().await;
        for topic in [own, TOPIC] {
            until_found(dht, topic, true).await;
        }
        swarm.suspend();
        for topic in [own, TOPIC] {
            until_found(dht, topic, false).await;
        }
        swarm.resume();
        for topic in [own, TOPIC] {
            until_found(dht, topic, true).await;
        }
        swarm.close().await;
        for topic in [own, TOPIC] {
            until_found(dht, topic, false).await;
        }
        net.close().await;
    }
}
