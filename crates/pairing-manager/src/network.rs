//! What a pairing needs of the network.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use handfast_keys::{MailboxPublic, MailboxSecret};
use handfast_pairing::invite::{ChunkHash, Topic};
use tokio::sync::mpsc;

pub use tokio_util::sync::{CancellationToken, DropGuard};

/// How many messages wait on a channel before its sender does.
const CHANNEL_SIZE: usize = 64;

/// Both roads of a pairing. [`Hyperswarm`](crate::Hyperswarm) is one, [`memory::Network`](crate::memory)
/// another; and `(live, dht)` is the live road of the one with the DHT of the other.
pub trait Network: Live + Dht {}

impl<N: Live + Dht> Network for N {}

/// The live road: connections to whoever joins the same topics, with channels on them.
pub trait Live: Send + Sync + 'static {
    /// Finds others on a topic and is found by them, until what is returned is dropped.
    fn join(&self, topic: Topic, announce: bool, lookup: bool) -> Box<dyn Joining>;

    /// Opens the channel of this protocol and id on every connection, now and later, and hands over
    /// each that the other side opened, too. It goes on until the guard is dropped: that of a
    /// [`CancellationToken`], which the network looks at.
    fn open(&self, protocol: &'static str, id: [u8; 32], opened: Opened) -> DropGuard;
}

/// The road through the DHT: what is left there waits for whoever looks for it.
#[async_trait]
pub trait Dht: Send + Sync + 'static {
    /// Leaves a value of at most 1 000 bytes under a key. A value of the same key with a lower
    /// sequence gives way to it.
    async fn mutable_put(
        &self,
        key: &MailboxSecret,
        sequence: u64,
        value: &[u8],
    ) -> Result<(), Offline>;

    /// The value under a key that has the highest sequence, and that.
    async fn mutable_get(&self, key: &MailboxPublic) -> Result<Option<(u64, Vec<u8>)>, Offline>;

    /// Leaves a value of at most 1 000 bytes under its hash.
    async fn immutable_put(&self, value: &[u8]) -> Result<(), Offline>;

    /// The value with this hash.
    async fn immutable_get(&self, hash: &ChunkHash) -> Result<Option<Vec<u8>>, Offline>;

    /// Announces a key on a topic, for about twenty minutes.
    async fn announce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline>;

    /// Takes an announcement back.
    async fn unannounce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline>;

    /// The keys that are announced on a topic. Anybody may have announced them.
    async fn lookup(&self, topic: Topic) -> Result<Vec<MailboxPublic>, Offline>;
}

/// Who is handed the channels that were opened. It is called in the middle of the network's work: it
/// neither waits nor asks anything of the network.
pub type Opened = Arc<dyn Fn(Channel) + Send + Sync>;

/// A topic that is joined. Dropping it leaves the topic.
pub trait Joining: Send + Sync {
    /// Waits until others can find this side. (What waits does not keep the topic joined.)
    fn flushed(&self) -> BoxFuture<'static, ()>;
}

/// The DHT could not be asked. Nothing is lost: it is asked again later.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the DHT cannot be reached: {0}")]
pub struct Offline(pub String);

/// An open channel on a connection, both ways. It is closed by dropping it, and when the other side
/// or the connection is gone, nothing more comes.
#[derive(Debug)]
pub struct Channel {
    /// For messages to the other side: their number within the protocol, and their bytes.
    pub sender: mpsc::Sender<(u64, Vec<u8>)>,
    /// Messages from the other side.
    pub receiver: mpsc::Receiver<(u64, Vec<u8>)>,
}

impl Channel {
    /// Both ends of a channel.
    pub fn pair() -> (Channel, Channel) {
        let (to_a, from_b) = mpsc::channel(CHANNEL_SIZE);
        let (to_b, from_a) = mpsc::channel(CHANNEL_SIZE);
        let a = Channel { sender: to_b, receiver: from_b };
        let b = Channel { sender: to_a, receiver: from_a };
        (a, b)
    }
}

/// A network that several sessions share.
pub(crate) type SharedNetwork = Arc<dyn Network>;

impl<L: Live, D: Dht> Live for (L, D) {
    fn join(&self, topic: Topic, announce: bool, lookup: bool) -> Box<dyn Joining> {
        self.0.join(topic, announce, lookup)
    }

    fn open(&self, protocol: &'static str, id: [u8; 32], opened: Opened) -> DropGuard {
        self.0.open(protocol, id, opened)
    }
}

#[async_trait]
impl<L: Live, D: Dht> Dht for (L, D) {
    async fn mutable_put(
        &self,
        key: &MailboxSecret,
        sequence: u64,
        value: &[u8],
    ) -> Result<(), Offline> {
        self.1.mutable_put(key, sequence, value).await
    }

    async fn mutable_get(&self, key: &MailboxPublic) -> Result<Option<(u64, Vec<u8>)>, Offline> {
        self.1.mutable_get(key).await
    }

    async fn immutable_put(&self, value: &[u8]) -> Result<(), Offline> {
        self.1.immutable_put(value).await
    }

    async fn immutable_get(&self, hash: &ChunkHash) -> Result<Option<Vec<u8>>, Offline> {
        self.1.immutable_get(hash).await
    }

    async fn announce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        self.1.announce(topic, key).await
    }

    async fn unannounce(&self, topic: Topic, key: &MailboxSecret) -> Result<(), Offline> {
        self.1.unannounce(topic, key).await
    }

    async fn lookup(&self, topic: Topic) -> Result<Vec<MailboxPublic>, Offline> {
        self.1.lookup(topic).await
    }
}
