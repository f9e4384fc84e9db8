//! Sessions that share a channel: of one protocol and id there is only one on a connection, but
//! several invites may have the same discovery key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use crate::network::{Channel, SharedNetwork};

/// How many events wait for a session.
const QUEUE: usize = 256;
/// How long the other end of a channel is given to take what was sent.
pub(crate) const FAREWELL: Duration = Duration::from_secs(3);

/// What happens on the channels of a hub.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A channel is open, under a number that is nobody else's.
    Opened(u64),
    /// A message came on it.
    Message(u64, u64, Vec<u8>),
}

/// What a session hears of a hub. What waits is boxed: thousands of sessions hear nothing for hours.
pub(crate) type Events = mpsc::Receiver<Box<Event>>;

/// All channels of one protocol and id.
pub(crate) struct Hub {
    shared: Arc<Mutex<State>>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct State {
    next: u64,
    open: BTreeMap<u64, Open>,
    listeners: Vec<mpsc::Sender<Box<Event>>>,
}

/// An open channel.
struct Open {
    sender: mpsc::Sender<(u64, Vec<u8>)>,
    /// Cancelled when it is closed, by whichever side, or the hub is gone.
    closed: CancellationToken,
    _guard: DropGuard,
}

type Address = (&'static str, [u8; 32]);

/// The hubs of a manager.
#[derive(Clone, Default)]
pub(crate) struct Hubs(Arc<Mutex<BTreeMap<Address, Weak<Hub>>>>);

impl Hubs {
    /// The hub of this protocol and id, and its events from now on, beginning with the channels that
    /// are open already.
    pub fn subscribe(
        &self,
        network: &SharedNetwork,
        protocol: &'static str,
        id: [u8; 32],
    ) -> (Arc<Hub>, Events) {
        let mut hubs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|_, hub| hub.strong_count() > 0);
        let hub = hubs.get(&(protocol, id)).and_then(Weak::upgrade).unwrap_or_else(|| {
            let hub = Arc::new(Hub::start(network.channels(protocol, id)));
            hubs.insert((protocol, id), Arc::downgrade(&hub));
            hub
        });
        drop(hubs);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut state = lock(&hub.shared);
        for number in state.open.keys() {
            let _ = sender.try_send(Box::new(Event::Opened(*number)));
        }
        state.listeners.push(sender);
        drop(state);
        (hub, receiver)
    }
}

impl Hub {
    fn start(mut channels: mpsc::Receiver<Channel>) -> Hub {
        let shared = Arc::new(Mutex::new(State::default()));
        let state = shared.clone();
        let task = tokio::spawn(async move {
            let mut readers = tokio::task::JoinSet::new();
            while let Some(channel) = channels.recv().await {
                while readers.try_join_next().is_some() {}
                readers.spawn(read(channel, state.clone()));
            }
            while readers.join_next().await.is_some() {}
        });
        Hub { shared, _task: AbortOnDropHandle::new(task) }
    }

    /// Sends a message on a channel, if it is still open.
    pub fn send(&self, number: u64, kind: u64, bytes: Vec<u8>) {
        let sender = lock(&self.shared).open.get(&number).map(|open| open.sender.clone());
        if let Some(sender) = sender {
            // The order of messages matters: only a full queue is waited for elsewhere.
            if let Err(mpsc::error::TrySendError::Full(message)) = sender.try_send((kind, bytes)) {
                tokio::spawn(async move { sender.send(message).await });
            }
        }
    }

    /// Sends messages on every channel. Returns which those are.
    pub fn broadcast(&self, kind: u64, messages: &[Vec<u8>]) -> Vec<u64> {
        let numbers: Vec<u64> = lock(&self.shared).open.keys().copied().collect();
        for number in &numbers {
            messages.iter().for_each(|message| self.send(*number, kind, message.clone()));
        }
        numbers
    }

    /// Waits until a channel is closed: whoever is at its other end has what it wanted.
    pub fn closed(&self, number: u64) -> impl Future<Output = ()> + Send + 'static {
        // (Not the sender: whoever holds it keeps the channel open.)
        let closed = lock(&self.shared).open.get(&number).map(|open| open.closed.clone());
        async move {
            if let Some(closed) = closed {
                let _ = tokio::time::timeout(FAREWELL, closed.cancelled()).await;
            }
        }
    }

    /// Whether any channel is open.
    pub fn is_live(&self) -> bool {
        !lock(&self.shared).open.is_empty()
    }
}

async fn read(mut channel: Channel, state: Arc<Mutex<State>>) {
    let number = {
        let mut state = lock(&state);
        state.next += 1;
        let number = state.next;
        let closed = CancellationToken::new();
        let _guard = closed.clone().drop_guard();
        state.open.insert(number, Open { sender: channel.sender.clone(), closed, _guard });
        number
    };
    tell(&state, Event::Opened(number)).await;
    while let Some((kind, bytes)) = channel.receiver.recv().await {
        tell(&state, Event::Message(number, kind, bytes)).await;
    }
    lock(&state).open.remove(&number);
}

/// Tells every session, and waits for those that are busy.
async fn tell(state: &Mutex<State>, event: Event) {
    let listeners = {
        let mut state = lock(state);
        state.listeners.retain(|listener| !listener.is_closed());
        state.listeners.clone()
    };
    for listener in listeners {
        let _ = listener.send(Box::new(event.clone())).await;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
