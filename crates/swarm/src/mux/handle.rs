//! The machine behind a lock, and what an application holds of it.
//!
//! Whoever reads the connection calls [`Mux::receive`], whoever writes it [`Mux::frames`]; neither
//! waits for the other. Back-pressure: a sender waits while more than [`HIGH_WATER`] bytes are
//! queued; what the application leaves unread is counted, and so is what the peer has us answer:
//! beyond its limit, either ends the connection. (The transport below acknowledges whatever arrives,
//! read or not: refusing to read would not slow the peer down.)

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::channel::{Channel, Message, Opening};
use super::event::{ChannelId, Event, Key, OfferId};
use super::frame;
use super::machine::Machine;
use super::{OpenError, ProtocolError, SendError};

/// Senders wait while more than this many bytes are queued.
pub(crate) const HIGH_WATER: usize = 256 * 1024;
/// Most bytes of opens, rejects and closes that may be queued when a frame of the peer's has been taken
/// in. (Messages wait for each other; these are said at once, and the peer decides how many.)
pub(super) const MAX_CONTROL: usize = 16 * HIGH_WATER;
/// What a waiting message costs beside its bytes.
const MESSAGE_COST: usize = 64;
/// Most offers that wait for the application at a time, per listener; more are rejected.
const MAX_OFFERS: usize = 256;

/// The channels of one connection. Clones share them.
#[derive(Clone)]
pub struct Mux {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    state: Mutex<State>,
    /// There is something to write, or nothing ever again.
    ready: Notify,
    /// Something was written.
    drained: Notify,
    unread: AtomicUsize,
}

#[derive(Default)]
struct State {
    machine: Machine,
    channels: HashMap<ChannelId, Inbox>,
    listeners: HashMap<(String, Option<Bytes>), mpsc::Sender<Waiting>>,
    queued: usize,
    /// Of `queued`, what opens, rejects or closes channels.
    control: usize,
    frames: VecDeque<Vec<u8>>,
    ended: bool,
}

struct Inbox {
    messages: mpsc::UnboundedSender<Message>,
    opening: watch::Sender<Opening>,
}

struct Waiting {
    offer: OfferId,
    key: Key,
    handshake: Bytes,
}

impl Mux {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State { machine: Machine::patient(), ..State::default() }),
                ready: Notify::new(),
                drained: Notify::new(),
                unread: AtomicUsize::new(0),
            }),
        }
    }

    /// Opens a channel and pairs it with the peer's of the same protocol and id, opened before or
    /// later. A peer that does not know the protocol rejects it: then [`Channel::opened`] fails.
    /// No id and an empty one are the same.
    ///
    /// # Errors
    /// [`OpenError`] if this side has such a channel already, or the connection has ended.
    pub fn open(
        &self,
        protocol: &str,
        id: Option<&[u8]>,
        handshake: &[u8],
    ) -> Result<Channel, OpenError> {
        let key = Key::new(protocol, id.unwrap_or_default());
        self.start(|machine| machine.open(key, handshake))
    }

    /// From now on the peer's opens of `protocol` with this id, or with any id if `None`, are handed
    /// out instead of being rejected; in the first second of a connection, those that came before,
    /// too. The listener of the exact id goes before that of any. A later
    /// listener of the same takes the earlier one's place.
    pub fn listen(&self, protocol: &str, id: Option<&[u8]>) -> Listener {
        let (sender, offers) = mpsc::channel(MAX_OFFERS);
        let id = id.map(Bytes::copy_from_slice);
        let mut state = self.shared.lock();
        if !state.ended {
            state.machine.listen(protocol, id.as_deref());
            state.listeners.insert((protocol.to_owned(), id.clone()), sender.clone());
            self.shared.settle(&mut state);
        }
        drop(state);
        Listener {
            shared: self.shared.clone(),
            protocol: protocol.to_owned(),
            id,
            offers,
            sender: sender.downgrade(),
        }
    }

    fn start(
        &self,
        open: impl FnOnce(&mut Machine) -> Result<ChannelId, OpenError>,
    ) -> Result<Channel, OpenError> {
        let mut state = self.shared.lock();
        if state.ended {
            return Err(OpenError::Ended);
        }
        let result = open(&mut state.machine);
        let channel = result.map(|id| {
            let (messages, receiver) = mpsc::unbounded_channel();
            let (opening, opened) = watch::channel(Opening::Waiting);
            state.channels.insert(id, Inbox { messages, opening });
            Channel::new(self.shared.clone(), id, receiver, opened)
        });
        self.shared.settle(&mut state);
        channel
    }

    /// The application has had its time to listen: what nobody listens for is rejected.
    pub(crate) fn decide(&self) {
        let mut state = self.shared.lock();
        state.machine.decide();
        self.shared.settle(&mut state);
    }

    /// Takes in a frame that the peer sent.
    pub(crate) fn receive(&self, frame: Bytes) -> Result<(), ProtocolError> {
        let mut state = self.shared.lock();
        let result = state.machine.receive(frame);
        self.shared.settle(&mut state);
        if state.control > MAX_CONTROL { result.and(Err(ProtocolError::Unheard)) } else { result }
    }

    /// Bytes that wait for the application to read them.
    pub(crate) fn unread(&self) -> usize {
        self.shared.unread.load(Ordering::Relaxed) + self.shared.lock().machine.held()
    }

    /// Waits until there is something to write. `false`: there will never be.
    pub(crate) async fn ready(&self) -> bool {
        loop {
            let ready = self.shared.ready.notified();
            {
                let state = self.shared.lock();
                if !state.frames.is_empty() || state.ended {
                    return !state.frames.is_empty();
                }
            }
            ready.await;
        }
    }

    /// What is to be written: frames of about `most` bytes together, one at least if there is any.
    pub(crate) fn frames(&self, most: usize) -> Vec<Vec<u8>> {
        let mut state = self.shared.lock();
        let mut bytes = 0;
        let until = state.frames.iter().position(|frame| {
            let full = bytes > 0 && bytes + frame.len() > most;
            bytes += frame.len();
            full
        });
        let count = until.unwrap_or(state.frames.len());
        let frames: Vec<_> = state.frames.drain(..count).collect();
        for frame in &frames {
            let (cost, control) = cost(frame);
            state.queued = state.queued.saturating_sub(cost);
            state.control = state.control.saturating_sub(control);
        }
        if state.queued <= HIGH_WATER {
            self.shared.drained.notify_waiters();
        }
        frames
    }

    /// The connection is over: every channel closes. What was queued may still be written.
    pub(crate) fn end(&self) {
        let mut state = self.shared.lock();
        state.ended = true;
        state.channels.clear();
        state.listeners.clear();
        drop(state);
        self.shared.ready.notify_one();
        self.shared.drained.notify_waiters();
    }
}

impl Shared {
    pub(super) fn taken(&self, bytes: usize) {
        self.unread.fetch_sub(bytes + MESSAGE_COST, Ordering::Relaxed);
    }

    pub(super) fn close_channel(&self, id: ChannelId) {
        let mut state = self.lock();
        state.machine.close(id);
        state.channels.remove(&id);
        self.settle(&mut state);
    }

    pub(super) async fn send(
        &self,
        id: ChannelId,
        messages: &[(u64, &[u8])],
    ) -> Result<(), SendError> {
        loop {
            let mut drained = std::pin::pin!(self.drained.notified());
            drained.as_mut().enable();
            {
                let mut state = self.lock();
                if !state.channels.contains_key(&id) {
                    return Err(SendError::Closed);
                }
                if state.queued <= HIGH_WATER {
                    let batch = messages.len() > 1;
                    if batch {
                        state.machine.cork();
                    }
                    for (kind, bytes) in messages {
                        state.machine.send(id, *kind, bytes);
                    }
                    if batch {
                        state.machine.uncork();
                    }
                    self.settle(&mut state);
                    return Ok(());
                }
            }
            drained.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands on what the machine has to say, to the application and to the writer.
    fn settle(&self, state: &mut State) {
        while let Some(event) = state.machine.poll_event() {
            match event {
                Event::Opened { channel, handshake } => {
                    if let Some(inbox) = state.channels.get(&channel) {
                        inbox.opening.send_replace(Opening::Opened(handshake));
                    }
                }
                Event::Message { channel, kind, payload } => {
                    if let Some(inbox) = state.channels.get(&channel) {
                        let cost = payload.len() + MESSAGE_COST;
                        self.unread.fetch_add(cost, Ordering::Relaxed);
                        if inbox.messages.send(Message { kind, bytes: payload }).is_err() {
                            self.unread.fetch_sub(cost, Ordering::Relaxed);
                        }
                    }
                }
                Event::Closed { channel } => {
                    if let Some(inbox) = state.channels.remove(&channel) {
                        inbox.opening.send_if_modified(|opening| {
                            let waiting = matches!(opening, Opening::Waiting);
                            if waiting {
                                *opening = Opening::Closed;
                            }
                            waiting
                        });
                    }
                    self.drained.notify_waiters();
                }
                Event::Offered { offer, key, handshake } => {
                    let exact = (key.protocol.clone(), Some(key.id.clone()));
                    let listener = state
                        .listeners
                        .get(&exact)
                        .or_else(|| state.listeners.get(&(key.protocol.clone(), None)));
                    let waiting = Waiting { offer, key, handshake };
                    if listener.is_none_or(|listener| listener.try_send(waiting).is_err()) {
                        state.machine.decline(offer);
                    }
                }
                // Whoever accepts it is told then.
                Event::Withdrawn { .. } => {}
            }
        }
        let before = state.frames.len();
        while let Some(frame) = state.machine.poll_frame() {
            let (cost, control) = cost(&frame);
            state.queued += cost;
            state.control += control;
            state.frames.push_back(frame);
        }
        if state.frames.len() > before {
            self.ready.notify_one();
        }
    }
}

/// What a queued frame costs, and what of it counts as opening, rejecting or closing channels.
fn cost(frame: &[u8]) -> (usize, usize) {
    let cost = frame.len() + MESSAGE_COST;
    (cost, if frame::is_control(frame) { cost } else { 0 })
}

/// Hands out the peer's opens of one protocol; dropping it rejects those that wait and all later ones.
pub struct Listener {
    shared: Arc<Shared>,
    protocol: String,
    id: Option<Bytes>,
    offers: mpsc::Receiver<Waiting>,
    sender: mpsc::WeakSender<Waiting>,
}

impl Listener {
    /// The next channel that the peer opens; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Offer> {
        let waiting = self.offers.recv().await?;
        Some(Offer { shared: self.shared.clone(), waiting })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let key = (self.protocol.clone(), self.id.clone());
        let mut state = self.shared.lock();
        let ours = self.sender.upgrade();
        let current = state.listeners.get(&key).zip(ours.as_ref());
        if current.is_some_and(|(current, ours)| current.same_channel(ours)) {
            state.listeners.remove(&key);
            state.machine.unlisten(&self.protocol, self.id.as_deref());
        }
        self.offers.close();
        while let Ok(waiting) = self.offers.try_recv() {
            state.machine.decline(waiting.offer);
        }
        self.shared.settle(&mut state);
    }
}

/// A channel that the peer opened and this side has not; dropping it rejects it.
pub struct Offer {
    shared: Arc<Shared>,
    waiting: Waiting,
}

impl Offer {
    /// The id under which the peer opened it; empty if none.
    pub fn id(&self) -> &[u8] {
        &self.waiting.key.id
    }

    /// What the peer said in its open, raw; empty if nothing.
    pub fn handshake(&self) -> &[u8] {
        &self.waiting.handshake
    }

    /// Opens this side too.
    ///
    /// # Errors
    /// [`OpenError`] if the peer closed it meanwhile, this side has such a channel already, or the
    /// connection has ended.
    pub fn accept(self, handshake: &[u8]) -> Result<Channel, OpenError> {
        let mux = Mux { shared: self.shared.clone() };
        mux.start(|machine| machine.accept(self.waiting.offer, handshake))
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.machine.decline(self.waiting.offer);
        self.shared.settle(&mut state);
    }
}
