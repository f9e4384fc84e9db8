//! Keeping links to the other devices up, over the swarm.
//!
//! A device announces a topic that only its peers can compute and looks theirs up. Whoever connects
//! is known by the swarm key that stands in the ring; a stranger is dropped before a word is said,
//! unless an invite is open: then it may be the one who was invited.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
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

/// How many connections carry blocks beside the one on which devices talk.
const LANES: usize = 8;

/// How often the topics are compared with who belongs together, beside when that changes.
const REFRESH: Duration = Duration::from_secs(15);

/// The live road is open while this exists.
pub struct Online {
    swarm: Swarm,
    device: Arc<Inner>,
    which: u64,
    task: JoinHandle<()>,
}

impl Online {
    /// Goes online. `options` say which network; the keys are the device's own.
    pub(crate) async fn start(device: Arc<Inner>, options: SwarmOptions) -> Result<Online> {
        let keys = KeyPair::from_seed(*device.keys.swarm.seed());
        let swarm = Swarm::new(SwarmOptions { keys, ..options })
            .await
            .map_err(|error| Error::Swarm(error.to_string()))?;
        let which = device.live.go_online(swarm.clone());
        let task = tokio::spawn(run(device.clone(), swarm.clone()));
        Ok(Online { swarm, device, which, task })
    }

    /// The devices that are connected now.
    pub fn peers(&self) -> Vec<DeviceId> {
        self.device.live.connected()
    }

    /// Whether any node of the network has answered; without one nobody is found. It goes on trying.
    pub async fn is_reachable(&self) -> bool {
        self.swarm.dht().known_nodes().await.is_ok_and(|nodes| nodes > 0)
    }

    /// Goes offline, and tells the network so. Peers that are just fetching something from here are
    /// waited for, a few seconds at most.
    pub async fn close(self) {
        self.device.live.settled().await;
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
        self.device.live.go_offline(self.which);
        self.task.abort();
    }
}

async fn run(device: Arc<Inner>, swarm: Swarm) {
    let mut connections = swarm.subscribe();
    let mut happenings = device.bus.subscribe();
    let mut doors = device.live.open_doors();
    let mut topics: BTreeMap<Digest, Discovery> = BTreeMap::new();
    let mut strangers: Vec<Connection> = Vec::new();
    let mut links = JoinSet::new();
    // To whom there is no road, as the person knows.
    let mut told = BTreeSet::new();
    loop {
        if let Err(error) = join_topics(&device, &swarm, &mut topics) {
            tracing::debug!(%error, "the topics could not be read");
        }
        let inviting = *doors.borrow_and_update() > 0;
        strangers.retain(|connection| {
            if let Some(member) = member(&device, connection.remote_public_key()) {
                links.spawn(keep(device.clone(), member, connection.clone()));
                return false;
            }
            if !inviting {
                connection.close();
            }
            inviting && !connection.is_closed()
        });
        tokio::select! {
            event = connections.next() => match event {
                Some(SwarmEvent::Connected(connection)) => {
                    told.remove(&connection.remote_public_key());
                    strangers.push(connection);
                }
                Some(SwarmEvent::Failed { peer, reason }) if is_for_people(&reason) => {
                    let name = match member(&device, peer) {
                        Some((_, name)) => Some(name.to_string()),
                        None => inviting.then(|| "the other device".to_owned()),
                    };
                    if let Some(name) = name.filter(|_| told.insert(peer)) {
                        let message = format!("no direct road to {name}: {reason}");
                        device.bus.emit(Event::Trouble { message });
                    }
                }
                Some(_) => (),
                None => return,
            },
            Some(_) = links.join_next() => (),
            () = membership_changed(&mut happenings) => (),
            Ok(()) = doors.changed() => (),
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

/// Keeps the link to a member over a connection, until it ends. The member may come to know this
/// device later than this device it: then it opens the channel.
async fn keep(device: Arc<Inner>, (id, name): (DeviceId, DeviceName), connection: Connection) {
    let mut meeting = connection.mux().meet(PROTOCOL, None);
    while let Some(channel) = meeting.next().await {
        let (outgoing, frames) = mpsc::channel(QUEUE);
        let linked = Linked::begin(&device, id, &name, outgoing);
        // What either side did not know of the other is exchanged now.
        device.edited.notify_one();
        tokio::select! {
            () = carry(&device, &linked.link, channel, frames) => (),
            () = keep_lanes(&device, &linked.link, &connection) => (),
        }
    }
}

/// A device that is connected as long as this exists.
struct Linked<'a> {
    device: &'a Inner,
    id: DeviceId,
    name: &'a DeviceName,
    link: Arc<Link>,
}

impl<'a> Linked<'a> {
    fn begin(
        device: &'a Inner,
        id: DeviceId,
        name: &'a DeviceName,
        frames: mpsc::Sender<Frame>,
    ) -> Linked<'a> {
        let traffic = device.http.traffic().clone();
        let link = Link::new(name.as_str(), frames, traffic, device.live.bell());
        device.live.connect(id, &link);
        device.bus.emit(Event::Connected { name: name.clone() });
        Linked { device, id, name, link }
    }
}

impl Drop for Linked<'_> {
    fn drop(&mut self) {
        self.link.end();
        self.device.live.disconnect(&self.id, &self.link);
        self.device.bus.emit(Event::Disconnected { name: self.name.clone() });
    }
}

/// Keeps further connections beside a link, for blocks, once there are many or the peer wants them.
async fn keep_lanes(device: &Inner, link: &Link, connection: &Connection) {
    let mut lanes = FuturesUnordered::new();
    let requested = async {
        link.wants_lanes().await;
        if let Err(error) = connection.request_lanes(LANES).await {
            tracing::debug!(%error, "there will be no lanes");
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(requested);
    loop {
        tokio::select! {
            Some(lane) = connection.accept_lane() => lanes.push(keep_lane(device, link, lane)),
            Some(()) = lanes.next() => (),
            () = &mut requested => (),
            _ = connection.closed() => return,
        }
    }
}

/// Keeps one of them.
async fn keep_lane(device: &Inner, link: &Link, connection: Connection) {
    let mut meeting = connection.mux().meet(PROTOCOL, None);
    let Some(channel) = meeting.next().await else { return };
    let (outgoing, frames) = mpsc::channel(QUEUE);
    // A device tells of records over the link itself.
    let bell = Arc::default();
    let lane = Link::new(link.device(), outgoing, device.http.traffic().clone(), bell);
    link.add_lane(&lane);
    carry(device, &lane, channel, frames).await;
    link.remove_lane(&lane);
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
