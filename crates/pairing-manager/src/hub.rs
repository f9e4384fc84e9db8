//! Sessions that share a channel: of one protocol and id there is only one on a connection, but
//! several invites may have the same discovery key.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::inbox::{Inbox, Told};
use crate::network::{Channel, SharedNetwork};

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

/// All channels of one protocol and id.
pub(crate) struct Hub {
    address: Address,
    hubs: Hubs,
    shared: Arc<Mutex<State>>,
    _opening: DropGuard,
}

/// What a session has to do with a [`Hub`].
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    number: u64,
}

/// What an event is to a session, which may have subscribed to several hubs.
pub(crate) type Meaning = fn(Event) -> Told;

#[derive(Default)]
struct State {
    next: u64,
    open: BTreeMap<u64, Open>,
    listeners: Vec<Listener>,
    is_over: bool,
}

#[derive(Clone)]
struct Listener {
    number: u64,
    inbox: Inbox,
    meaning: Meaning,
}

/// An open channel.
struct Open {
    sender: mpsc::Sender<(u64, Vec<u8>)>,
    reader: AbortHandle,
    /// Cancelled when it is closed, by whichever side, or the hub is gone.
    closed: CancellationToken,
    _guard: DropGuard,
}

type Address = (&'static str, [u8; 32]);

/// The hubs of a manager.
#[derive(Clone, Default)]
pub(crate) struct Hubs(Arc<Mutex<BTreeMap<Address, Weak<Hub>>>>);

impl Hubs {
    /// Subscribes to the hub of this protocol and id: its events from now on go to this inbox.
    /// Returned are also the channels that are open already.
    pub fn subscribe(
        &self,
        network: &SharedNetwork,
        protocol: &'static str,
        id: [u8; 32],
        inbox: Inbox,
        meaning: Meaning,
    ) -> (Subscription, Vec<u64>) {
        let address = (protocol, id);
        let mut hubs = self.lock();
        let known = hubs.get(&address).and_then(Weak::upgrade);
        let hub = known.unwrap_or_else(|| {
            let hub = Arc::new(Hub::open(network, address, self.clone()));
            hubs.insert(address, Arc::downgrade(&hub));
            hub
        });
        drop(hubs);
        let mut state = lock(&hub.shared);
        let number = state.new_number();
        state.listeners.push(Listener { number, inbox, meaning });
        let open = state.open.keys().copied().collect();
        drop(state);
        (Subscription { hub, number }, open)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Weak<Hub>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::ops::Deref for Subscription {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        &self.hub
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        lock(&self.hub.shared).listeners.retain(|listener| listener.number != self.number);
    }
}

impl Hub {
    fn open(network: &SharedNetwork, address: Address, hubs: Hubs) -> Hub {
        let shared = Arc::new(Mutex::new(State::default()));
        let state = shared.clone();
        let opened = Arc::new(move |channel| take(channel, &state));
        let (protocol, id) = address;
        Hub { address, hubs, shared, _opening: network.open(protocol, id, opened) }
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

impl Drop for Hub {
    fn drop(&mut self) {
        let mut hubs = self.hubs.lock();
        // (There may be a new one by now.)
        if hubs.get(&self.address).is_some_and(|hub| hub.strong_count() == 0) {
            hubs.remove(&self.address);
        }
        drop(hubs);
        let mut state = lock(&self.shared);
        state.is_over = true;
        // (Whatever opens channels still holds the state, and a channel is closed by dropping it.)
        std::mem::take(&mut state.open).into_values().for_each(|open| open.reader.abort());
    }
}

impl State {
    fn new_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

/// Takes a channel in that was opened.
fn take(channel: Channel, shared: &Arc<Mutex<State>>) {
    let mut state = lock(shared);
    if state.is_over {
        return;
    }
    let number = state.new_number();
    let closed = CancellationToken::new();
    let _guard = closed.clone().drop_guard();
    let sender = channel.sender.clone();
    let reader = tokio::spawn(read(number, channel, shared.clone())).abort_handle();
    state.open.insert(number, Open { sender, reader, closed, _guard });
}

async fn read(number: u64, mut channel: Channel, state: Arc<Mutex<State>>) {
    tell(&state, Event::Opened(number)).await;
    while let Some((kind, bytes)) = channel.receiver.recv().await {
        tell(&state, Event::Message(number, kind, bytes)).await;
    }
    lock(&state).open.remove(&number);
}

/// Tells every session, and waits for those that are busy.
async fn tell(state: &Mutex<State>, event: Event) {
    let listeners = lock(state).listeners.clone();
    for Listener { inbox, meaning, .. } in listeners {
        // One that is over needs no telling.
        let _ = inbox.tell(meaning(event.clone())).await;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
