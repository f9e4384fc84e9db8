//! Pairing over Hyperswarm.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use handfast_keys::{MailboxPublic, MailboxSecret};
use handfast_pairing::invite::{ChunkHash, Topic};
use handfast_swarm::{
    Connection, Discovery, JoinOptions, KeyPair, Meeting, PublicKey, Swarm, SwarmEvent,
    Topic as SwarmTopic,
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::network::{Channel, Dht, Joining, Live, Offline, Opened};

/// A [`Swarm`] to pair over. The app may use it for other things, too.
#[derive(Clone)]
pub struct Hyperswarm {
    swarm: Swarm,
    /// Where the one task is told that opens channels, once anybody has asked for any.
    wanted: Arc<OnceLock<mpsc::UnboundedSender<Wanted>>>,
}

/// A channel that is to be opened on every connection, and who gets it.
struct Wanted {
    protocol: &'static str,
    id: [u8; 32],
    opened: Opened,
    over: CancellationToken,
}

impl Hyperswarm {
    /// Pairs over this swarm, whose end is the caller's business.
    pub fn new(swarm: Swarm) -> Hyperswarm {
        Hyperswarm { swarm, wanted: Arc::default() }
    }
}

struct Left(Option<Discovery>);

impl Joining for Left {
    fn flushed(&self) -> BoxFuture<'static, ()> {
        match &self.0 {
            Some(discovery) => Box::pin(discovery.flushed()),
            None => Box::pin(std::future::ready(())),
        }
    }
}

impl Live for Hyperswarm {
    fn join(&self, topic: Topic, announce: bool, lookup: bool) -> Box<dyn Joining> {
        let options = JoinOptions { announce, lookup };
        Box::new(Left(self.swarm.join(SwarmTopic(*topic.as_bytes()), options).ok()))
    }

    fn open(&self, protocol: &'static str, id: [u8; 32], opened: Opened) -> DropGuard {
        let over = CancellationToken::new();
        let wanted = self.wanted.get_or_init(|| {
            let (wanted, asked) = mpsc::unbounded_channel();
            tokio::spawn(open_all(self.swarm.clone(), asked));
            wanted
        });
        // Closed with the swarm: then nothing is handed out.
        let _ = wanted.send(Wanted { protocol, id, opened, over: over.clone() });
        over.drop_guard()
    }
}

#[async_trait]
impl Dht for Hyperswarm {
    async fn mutable_put(
        &self,
        key: &MailboxSecret,
        sequence: u64,
        value: &[u8],
    ) -> Result<(), Offline> {
        let keys = KeyPair::from_seed(*key.seed());
        self.swarm.dht().mutable_put(&keys, sequence, value).await.map_err(offline).map(|_| ())
    }

    async fn mutable_get(&self, key: &MailboxPublic) -> Result<Option<(u64, Vec<u8>)>, Offline> {
        let key = PublicKey(*key.as_bytes());
        let found = self.swarm.dht().mutable_get(&key, 0).await.map_err(offline)?;
        Ok(found.map(|found| (found.seq, found.value)))
    }

    async fn immutable_put(&self, value: &[u8]) -> Result<(), Offline> {
        self.swarm.dht().immutable_put(value).await.map_err(offline).map(|_| ())
    }

    async fn immutable_get(&self, hash: &ChunkHash) -> Result<Option<Vec<u8>>, Offline> {
        self.swarm.dht().immutable_get(hash.as_bytes()).await.map_err(offline)
    }

    async fn announce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        let keys = KeyPair::from_seed(*key.seed());
        self.swarm.dht().announce(SwarmTopic(*topic.as_bytes()), &keys).await.map_err(offline)
    }

    async fn unannounce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        let keys = KeyPair::from_seed(*key.seed());
        self.swarm.dht().unannounce(SwarmTopic(*topic.as_bytes()), &keys).await.map_err(offline)
    }

    async fn lookup(&self, topic: Topic) -> Result<Vec<MailboxPublic>, Offline> {
        let found =
            self.swarm.dht().lookup(SwarmTopic(*topic.as_bytes())).await.map_err(offline)?;
        Ok(found.into_iter().map(|peer| MailboxPublic::from_bytes(peer.public_key.0)).collect())
    }
}

fn offline(error: handfast_swarm::DhtError) -> Offline {
    Offline(error.to_string())
}

/// Opens what is wanted on every connection, until the swarm is closed or nobody can want more.
async fn open_all(swarm: Swarm, mut asked: mpsc::UnboundedReceiver<Wanted>) {
    let mut events = swarm.subscribe();
    let mut connected = swarm.connections();
    let mut wanted: Vec<Wanted> = Vec::new();
    loop {
        tokio::select! {
            event = events.next() => {
                let new = match event {
                    // Said while it is still opening, a request saves a round trip.
                    Some(SwarmEvent::Opening(new) | SwarmEvent::Connected(new)) => new,
                    Some(_) => continue,
                    None => return,
                };
                // One that opened, or came while this began, is known already.
                if !connected.iter().any(|known| known.is_same(&new)) {
                    wanted.retain(|wanted| !wanted.over.is_cancelled());
                    wanted.iter().for_each(|wanted| wanted.serve(&new));
                    connected.retain(|connection| !connection.is_closed());
                    connected.push(new);
                }
            }
            more = asked.recv() => match more {
                Some(more) => {
                    // (Now and then.)
                    if wanted.len().is_power_of_two() {
                        wanted.retain(|wanted| !wanted.over.is_cancelled());
                    }
                    connected.iter().for_each(|connection| more.serve(connection));
                    wanted.push(more);
                }
                None => return,
            },
        }
    }
}

impl Wanted {
    /// Keeps the channel open on one connection: at once, and whenever the other side opens it later.
    fn serve(&self, connection: &Connection) {
        let mut meeting = connection.mux().meet(self.protocol, Some(&self.id));
        let mut early = meeting.early();
        let (opened, over) = (self.opened.clone(), self.over.clone());
        tokio::spawn(async move {
            // (What was said before the end is still sent: only waiting ends with it.)
            while let Some(Some(channel)) =
                over.run_until_cancelled(next(&mut early, &mut meeting)).await
            {
                carry(channel, &opened).await;
            }
        });
    }
}

async fn next(
    early: &mut Option<handfast_swarm::Channel>,
    meeting: &mut Meeting,
) -> Option<handfast_swarm::Channel> {
    match early.take() {
        Some(channel) => Some(channel),
        None => meeting.next().await,
    }
}

/// Carries messages until the channel is closed, by whichever side.
async fn carry(mut channel: handfast_swarm::Channel, opened: &Opened) {
    let (inner, mut outer) = Channel::pair();
    opened(inner);
    loop {
        tokio::select! {
            message = outer.receiver.recv() => {
                let Some((kind, bytes)) = message else { return };
                if channel.send(kind, &bytes).await.is_err() {
                    return;
                }
            }
            message = channel.recv() => {
                let Some(message) = message else { return };
                if outer.sender.send((message.kind, message.bytes.to_vec())).await.is_err() {
                    break;
                }
            }
        }
    }
    // Nobody listens any more: what was said before still goes out.
    while let Some((kind, bytes)) = outer.receiver.recv().await {
        if channel.send(kind, &bytes).await.is_err() {
            return;
        }
    }
}
