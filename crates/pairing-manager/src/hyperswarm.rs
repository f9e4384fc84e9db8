//! Pairing over Hyperswarm.

use async_trait::async_trait;
use handfast_keys::{MailboxPublic, MailboxSecret};
use handfast_pairing::invite::{ChunkHash, Topic};
use handfast_swarm::{
    Connection, Discovery, JoinOptions, KeyPair, PublicKey, Swarm, SwarmEvent, Topic as SwarmTopic,
};
use tokio::sync::mpsc;

use crate::network::{Channel, Joining, Network, Offline};

/// A [`Swarm`] to pair over. The app may use it for other things, too.
#[derive(Clone)]
pub struct Hyperswarm(Swarm);

impl Hyperswarm {
    /// Pairs over this swarm, whose end is the caller's business.
    pub fn new(swarm: Swarm) -> Hyperswarm {
        Hyperswarm(swarm)
    }
}

struct Left(Option<Discovery>);

#[async_trait]
impl Joining for Left {
    async fn flushed(&self) {
        if let Some(discovery) = &self.0 {
            discovery.flushed().await;
        }
    }
}

#[async_trait]
impl Network for Hyperswarm {
    fn join(&self, topic: Topic, announce: bool, lookup: bool) -> Box<dyn Joining> {
        let options = JoinOptions { announce, lookup };
        Box::new(Left(self.0.join(SwarmTopic(*topic.as_bytes()), options).ok()))
    }

    fn channels(&self, protocol: &'static str, id: [u8; 32]) -> mpsc::Receiver<Channel> {
        let (sender, receiver) = mpsc::channel(16);
        let mut events = self.0.subscribe();
        let connected = self.0.connections();
        tokio::spawn(async move {
            for connection in &connected {
                tokio::spawn(serve(connection.clone(), protocol, id, sender.clone()));
            }
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = sender.closed() => None,
                };
                match event {
                    Some(SwarmEvent::Connected(connection)) => {
                        // One that came in between is in both lists.
                        if !connected.iter().any(|known| known.is_same(&connection)) {
                            tokio::spawn(serve(connection, protocol, id, sender.clone()));
                        }
                    }
                    Some(_) => (),
                    None => return,
                }
            }
        });
        receiver
    }

    async fn mutable_put(
        &self,
        key: &MailboxSecret,
        sequence: u64,
        value: &[u8],
    ) -> Result<(), Offline> {
        let keys = KeyPair::from_seed(*key.seed());
        self.0.dht().mutable_put(&keys, sequence, value).await.map_err(offline).map(|_| ())
    }

    async fn mutable_get(&self, key: &MailboxPublic) -> Result<Option<(u64, Vec<u8>)>, Offline> {
        let key = PublicKey(*key.as_bytes());
        let found = self.0.dht().mutable_get(&key, 0).await.map_err(offline)?;
        Ok(found.map(|found| (found.seq, found.value)))
    }

    async fn immutable_put(&self, value: &[u8]) -> Result<(), Offline> {
        self.0.dht().immutable_put(value).await.map_err(offline).map(|_| ())
    }

    async fn immutable_get(&self, hash: &ChunkHash) -> Result<Option<Vec<u8>>, Offline> {
        self.0.dht().immutable_get(hash.as_bytes()).await.map_err(offline)
    }

    async fn announce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        let keys = KeyPair::from_seed(*key.seed());
        self.0.dht().announce(SwarmTopic(*topic.as_bytes()), &keys).await.map_err(offline)
    }

    async fn unannounce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        let keys = KeyPair::from_seed(*key.seed());
        self.0.dht().unannounce(SwarmTopic(*topic.as_bytes()), &keys).await.map_err(offline)
    }

    async fn lookup(&self, topic: Topic) -> Result<Vec<MailboxPublic>, Offline> {
        let found = self.0.dht().lookup(SwarmTopic(*topic.as_bytes())).await.map_err(offline)?;
        Ok(found.into_iter().map(|peer| MailboxPublic::from_bytes(peer.public_key.0)).collect())
    }
}

fn offline(error: handfast_swarm::DhtError) -> Offline {
    Offline(error.to_string())
}

/// Keeps the channel open on one connection: at once, and whenever the other side opens it later.
async fn serve(
    connection: Connection,
    protocol: &'static str,
    id: [u8; 32],
    sender: mpsc::Sender<Channel>,
) {
    let mut meeting = connection.mux().meet(protocol, Some(&id));
    loop {
        let channel = tokio::select! {
            channel = meeting.next() => channel,
            () = sender.closed() => None,
        };
        let Some(channel) = channel else { return };
        if carry(channel, &sender).await.is_none() {
            return;
        }
    }
}

/// Carries messages until the channel is closed by the other side; `None` if it was by this one.
async fn carry(mut channel: handfast_swarm::Channel, to: &mpsc::Sender<Channel>) -> Option<()> {
    let (inner, mut outer) = Channel::pair();
    to.send(inner).await.ok()?;
    loop {
        tokio::select! {
            message = outer.receiver.recv() => {
                let (kind, bytes) = message?;
                if channel.send(kind, &bytes).await.is_err() {
                    return Some(());
                }
            }
            message = channel.recv() => match message {
                Some(message) => outer.sender.send((message.kind, message.bytes.to_vec())).await.ok()?,
                None => return Some(()),
            },
        }
    }
}
