//! Keeping links to the other devices up, over the swarm.
//!
//! A device announces a topic that only its peers can compute and looks theirs up. Whoever connects
//! is known by the swarm key that stands in the ring; a stranger is dropped before a word is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use handfast_keys::Digest;
use handfast_ring::{DeviceId, DeviceName};
use handfast_swarm::{
    Channel, ConnectError, Connection, Discovery, JoinOptions, KeyPair, PublicKey, Swarm,
    SwarmEvent, SwarmOptions, Topic,
};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time;

use super::link::{Frame, Link};
use super::message::PROTOCOL;
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::store::{meta, peers};

/// Frames that may wait on either side of a link.
const QUEUE: usize = 64;

/// How often the topics are compared with who belongs together, beside when that changes.
const REFRESH: Duration = Duration::from_secs(15);

/// The live road is open while this exists.
pub struct Online {
    swarm: Swarm,
    device: Arc<Inner>,
    task: JoinHandle<()>,
}

impl Online {
    /// Goes online. `options` say which network; the keys are the device's own.
    pub(crate) async fn start(device: Arc<Inner>, options: SwarmOptions) -> Result<Online> {
        let keys = KeyPair::from_seed(*device.keys.swarm.seed());
        let swarm = Swarm::new(SwarmOptions { keys, ..options })
            .await
            .map_err(|error| Error::Swarm(error.to_string()))?;
        device.live.set_running(true);
        let task = tokio::spawn(run(device.clone(), swarm.clone()));
        Ok(Online { swarm, device, task })
    }

    /// The devices that are connected now.
    pub fn peers(&self) -> Vec<DeviceId> {
        self.device.live.connected()
    }

    /// Goes offline, and tells the network so.
    pub async fn close(self) {
        self.task.abort();
        self.swarm.close().await;
    }
}

impl std::fmt::Debug for Online {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Online").field("peers", &self.peers()).finish()
    }
}

impl Drop for Online {
    fn drop(&mut self) {
        self.device.live.set_running(false);
        self.task.abort();
    }
}

async fn run(device: Arc<Inner>, swarm: Swarm) {
    let mut connections = swarm.subscribe();
    let mut happenings = device.bus.subscribe();
    let mut topics: BTreeMap<Digest, Discovery> = BTreeMap::new();
    let mut links = JoinSet::new();
    // To whom there is no road, as the person knows.
    let mut told = BTreeSet::new();
    loop {
        if let Err(error) = join_topics(&device, &swarm, &mut topics) {
            tracing::debug!(%error, "the topics could not be read");
        }
        tokio::select! {
            event = connections.next() => match event {
                Some(SwarmEvent::Connected(connection)) => {
                    told.remove(&connection.remote_public_key());
                    links.spawn(keep(device.clone(), connection));
                }
                Some(SwarmEvent::Failed { peer, reason }) => {
                    if is_for_people(&reason)
                        && let Some((_, name)) = member(&device, peer)
                        && told.insert(peer)
                    {
                        let message = format!("no direct road to {name}: {reason}");
                        device.bus.emit(Event::Trouble { message });
                    }
                }
                Some(SwarmEvent::Disconnected { .. }) => (),
                None => return,
            },
            Some(_) = links.join_next() => (),
            () = membership_changed(&mut happenings) => (),
            () = time::sleep(REFRESH) => (),
        }
    }
}

/// Whether a dial failed for a reason that does not pass by itself.
fn is_for_people(reason: &ConnectError) -> bool {
    matches!(reason, ConnectError::SymmetricNat | ConnectError::NoPath | ConnectError::Relay)
}

async fn membership_changed(happenings: &mut crate::Events) {
    loop {
        match happenings.next().await {
            Some(Event::DeviceAdded { .. } | Event::RecordsChanged { .. }) => return,
            Some(_) => (),
            None => std::future::pending().await,
        }
    }
}

/// Announces the own topic and looks up those of the peers; leaves what is no longer one.
fn join_topics(
    device: &Inner,
    swarm: &Swarm,
    topics: &mut BTreeMap<Digest, Discovery>,
) -> Result<()> {
    let members = device.members()?;
    let wanted: BTreeMap<Digest, JoinOptions> = device.store.read(|tx| {
        let announced = JoinOptions { announce: true, lookup: false };
        let mut wanted = BTreeMap::from([(meta::FEED_KEYS.get(tx)?.topic(), announced)]);
        for member in &members {
            if let Some(feed) = peers::get(tx, &member.device_id())?.feed {
                wanted.insert(feed.topic(), JoinOptions { announce: false, lookup: true });
            }
        }
        Ok(wanted)
    })?;
    topics.retain(|topic, _| wanted.contains_key(topic));
    for (topic, options) in wanted {
        if !topics.contains_key(&topic)
            && let Ok(discovery) = swarm.join(Topic(*topic.as_bytes()), options)
        {
            topics.insert(topic, discovery);
        }
    }
    Ok(())
}

/// Keeps the link over a connection, until it ends. A connection of a stranger ends at once.
async fn keep(device: Arc<Inner>, connection: Connection) {
    let Some((id, name)) = member(&device, connection.remote_public_key()) else {
        connection.close();
        return;
    };
    let Ok(channel) = connection.mux().open(PROTOCOL, None, b"") else { return };
    let (outgoing, frames) = mpsc::channel(QUEUE);
    let link = Link::new(name.as_str(), outgoing);
    device.live.connect(id, &link);
    device.bus.emit(Event::Connected { name: name.clone() });
    // What either side did not know of the other is exchanged now.
    device.edited.notify_one();
    carry(&device, &link, channel, frames).await;
    device.live.disconnect(&id, &link);
    device.bus.emit(Event::Disconnected { name });
}

/// Who of the other devices shows itself by a key.
fn member(device: &Inner, key: PublicKey) -> Option<(DeviceId, DeviceName)> {
    let members = device.members().ok()?;
    let member = members.into_iter().find(|member| *member.swarm.as_bytes() == key.0)?;
    Some((member.device_id(), member.name))
}

/// Carries frames between a link and its channel.
async fn carry(
    device: &Inner,
    link: &Link,
    mut channel: Channel,
    mut frames: mpsc::Receiver<Frame>,
) {
    let sender = channel.sender();
    let (incoming, received) = mpsc::channel(QUEUE);
    let sends = async {
        while let Some((kind, contents)) = frames.recv().await {
            if sender.send(kind, &contents).await.is_err() {
                break;
            }
        }
    };
    let receives = async move {
        while let Some(message) = channel.recv().await {
            if incoming.send((message.kind, message.bytes.to_vec())).await.is_err() {
                break;
            }
        }
    };
    let shelf = device.live.shelf(device.provider_blocks());
    tokio::select! {
        () = sends => (),
        ((), ()) = async { tokio::join!(receives, link.run(received, &shelf)) } => (),
    }
}
