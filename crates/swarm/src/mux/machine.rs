//! Protomux without I/O: frames in, frames and events out.
//!
//! A channel number is free again on the side that chose it as soon as both sides have spoken about
//! the channel: with the remote's open or reject, whichever comes first. Until then a number whose
//! channel was closed stays taken, because the remote's answer still names it.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;

use super::codec::{put_uint, uint_len};
use super::event::{ChannelId, Event, Key, OfferId};
use super::frame::{self, Batch, Item, MAX_HANDSHAKE, MAX_ID, MAX_PROTOCOL};
use super::{OpenError, ProtocolError};

/// Most channels that a remote may hold open at a time.
pub(crate) const MAX_CHANNELS: usize = 4096;
/// A batch that has grown to this many bytes is sent on.
const MAX_BATCH: usize = 1024 * 1024;
/// What a waiting message costs beside its bytes.
const WAITING_COST: usize = 64;
/// What an offer costs beside its bytes.
const OFFER_COST: usize = 512;

#[derive(Default)]
pub(crate) struct Machine {
    /// By our number - 1.
    local: Vec<Option<Session>>,
    /// Of `local`, what may be used again.
    free: Vec<u32>,
    /// Keys of our opens that the remote has not answered, by our number - 1.
    unanswered: HashMap<u32, Key>,
    /// By the remote's number - 1.
    remote: Vec<Option<Remote>>,
    by_id: HashMap<ChannelId, u32>,
    pairs: HashMap<Key, Pair>,
    /// Keys whose remote opens are offered; an empty id in `any` stands for every id.
    listening: HashSet<Key>,
    listening_any: HashSet<String>,
    /// Opens that nobody listens for wait too, until [`Machine::decide`].
    patient: bool,
    serial: u64,
    corked: usize,
    batch: Batch,
    frames: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
    /// What offers cost, and the messages that wait with them.
    held: usize,
}

struct Session {
    channel: ChannelId,
    key: Key,
    /// The remote's number - 1, once it has opened too.
    remote: Option<u32>,
}

enum Remote {
    Offered { serial: u64, key: Key, handshake: Bytes, waiting: Vec<(u64, Bytes)>, asked: bool },
    Paired { local: u32 },
}

/// Who waits for whom, per key.
#[derive(Default)]
struct Pair {
    /// Our sessions, answered or not.
    opened: usize,
    /// The remote's numbers - 1 that wait for us.
    incoming: VecDeque<u32>,
    /// Our numbers - 1 that wait for the remote.
    outgoing: VecDeque<u32>,
}

impl Machine {
    /// A machine that keeps opens which nobody listens for, until [`Self::decide`].
    pub(crate) fn patient() -> Self {
        Self { patient: true, ..Self::default() }
    }

    /// From now on opens that nobody listens for are rejected at once; so are those that wait.
    pub(crate) fn decide(&mut self) {
        self.patient = false;
        let unasked = |(remote, slot): (usize, &Option<Remote>)| match slot {
            Some(Remote::Offered { key, asked: false, .. }) => Some((remote as u32, key.clone())),
            _ => None,
        };
        let unasked: Vec<_> = self.remote.iter().enumerate().filter_map(unasked).collect();
        for (remote, key) in unasked {
            self.forget_offer(&key, remote);
            self.void(remote);
            self.tidy(&key);
        }
    }

    /// Opens a channel; pairs with the remote's offer of the same key if there is one.
    pub(crate) fn open(&mut self, key: Key, handshake: &[u8]) -> Result<ChannelId, OpenError> {
        if key.protocol.len() > MAX_PROTOCOL
            || key.id.len() > MAX_ID
            || handshake.len() > MAX_HANDSHAKE
        {
            return Err(OpenError::TooLong);
        }
        let pair = self.pairs.entry(key.clone()).or_default();
        if pair.opened > 0 {
            return Err(OpenError::AlreadyOpen);
        }
        let offered = pair.incoming.pop_front();
        Ok(self.start(key, offered, handshake))
    }

    /// Opens the channel that the remote offers.
    pub(crate) fn accept(
        &mut self,
        offer: OfferId,
        handshake: &[u8],
    ) -> Result<ChannelId, OpenError> {
        let key = self.offered(offer).ok_or(OpenError::Withdrawn)?.clone();
        if handshake.len() > MAX_HANDSHAKE {
            self.decline(offer);
            return Err(OpenError::TooLong);
        }
        if self.pairs.get(&key).is_some_and(|pair| pair.opened > 0) {
            self.decline(offer);
            return Err(OpenError::AlreadyOpen);
        }
        // The remote takes our open for an answer to the first of its own with this key.
        while let Some(first) = self.pairs.get_mut(&key).and_then(|p| p.incoming.pop_front()) {
            if first == offer.remote {
                break;
            }
            self.void(first);
        }
        Ok(self.start(key, Some(offer.remote), handshake))
    }

    /// Rejects the channel that the remote offers; nothing if it is offered no more.
    pub(crate) fn decline(&mut self, offer: OfferId) {
        let Some(key) = self.offered(offer).cloned() else { return };
        self.forget_offer(&key, offer.remote);
        self.void(offer.remote);
        self.tidy(&key);
    }

    /// From now on remote opens of this key are offered; without an id, those of every id.
    pub(crate) fn listen(&mut self, protocol: &str, id: Option<&[u8]>) {
        match id {
            Some(id) => self.listening.insert(Key::new(protocol, id)),
            None => self.listening_any.insert(protocol.to_owned()),
        };
        for (remote, slot) in self.remote.iter_mut().enumerate() {
            if let Some(Remote::Offered { serial, key, handshake, asked, .. }) = slot
                && !*asked
                && key.protocol == protocol
                && id.is_none_or(|id| key.id == id)
            {
                *asked = true;
                self.events.push_back(Event::Offered {
                    offer: OfferId { remote: remote as u32, serial: *serial },
                    key: key.clone(),
                    handshake: handshake.clone(),
                });
            }
        }
    }

    /// Takes [`Self::listen`] back.
    pub(crate) fn unlisten(&mut self, protocol: &str, id: Option<&[u8]>) {
        match id {
            Some(id) => self.listening.remove(&Key::new(protocol, id)),
            None => self.listening_any.remove(protocol),
        };
    }

    /// Whether the channel was open to take it.
    pub(crate) fn send(&mut self, channel: ChannelId, kind: u64, payload: &[u8]) -> bool {
        let Some(&local) = self.by_id.get(&channel) else { return false };
        let mut head = Vec::with_capacity(10 + payload.len());
        if self.corked > 0 {
            put_uint(&mut head, kind);
            self.batch.push(local + 1, &head, payload);
            self.send_full_batch();
        } else {
            head.reserve(uint_len(u64::from(local) + 1));
            put_uint(&mut head, u64::from(local) + 1);
            put_uint(&mut head, kind);
            head.extend_from_slice(payload);
            self.frames.push_back(head);
        }
        true
    }

    /// Closes our channel; nothing if it is closed.
    pub(crate) fn close(&mut self, channel: ChannelId) {
        if let Some(&local) = self.by_id.get(&channel) {
            self.end(local);
            self.control(frame::close(local + 1));
        }
    }

    /// Until [`Self::uncork`], what is said is collected into one frame.
    pub(crate) fn cork(&mut self) {
        self.corked += 1;
    }

    /// Sends what was collected, if this was the last cork.
    pub(crate) fn uncork(&mut self) {
        self.corked = self.corked.saturating_sub(1);
        if self.corked == 0 {
            self.frames.extend(std::mem::take(&mut self.batch).finish());
        }
    }

    /// Takes in one frame of the remote's. After an error the connection must be ended.
    pub(crate) fn receive(&mut self, frame: Bytes) -> Result<(), ProtocolError> {
        let plural = frame::is_plural(&frame);
        if plural {
            self.cork();
        }
        let result = frame::decode(frame, |item| self.on_item(item));
        if plural {
            self.uncork();
        }
        result
    }

    /// What the remote's offers cost that nobody has accepted yet, and what was said on them.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn poll_frame(&mut self) -> Option<Vec<u8>> {
        self.frames.pop_front()
    }

    fn on_item(&mut self, item: Item) -> Result<(), ProtocolError> {
        match item {
            Item::Open { remote, protocol, id, handshake } => {
                self.on_open(remote, Key { protocol, id }, handshake)
            }
            Item::Reject { local } => self.on_reject(local),
            Item::Close { remote } => {
                self.on_close(remote);
                Ok(())
            }
            Item::Message { remote, kind, payload } => {
                self.on_message(remote, kind, payload);
                Ok(())
            }
        }
    }

    fn on_open(&mut self, number: u32, key: Key, handshake: Bytes) -> Result<(), ProtocolError> {
        let remote = number.checked_sub(1).ok_or(ProtocolError::BadOpen)?;
        let at = remote as usize;
        if at >= MAX_CHANNELS {
            return Err(ProtocolError::TooManyChannels);
        }
        // The remote may use a number that is free, or the next one.
        if at == self.remote.len() {
            self.remote.push(None);
        }
        match self.remote.get(at) {
            Some(None) => {}
            _ => return Err(ProtocolError::BadOpen),
        }
        let asked = self.listening.contains(&key) || self.listening_any.contains(&key.protocol);
        let pair = self.pairs.entry(key.clone()).or_default();
        if let Some(local) = pair.outgoing.pop_front() {
            self.unanswered.remove(&local);
            match self.session(local) {
                Some(session) => {
                    session.remote = Some(remote);
                    let channel = session.channel;
                    self.set_remote(remote, Some(Remote::Paired { local }));
                    self.events.push_back(Event::Opened { channel, handshake });
                }
                // We closed it before the remote's open arrived; it will read our close.
                None => self.free.push(local),
            }
        } else if asked || self.patient {
            self.serial += 1;
            let serial = self.serial;
            pair.incoming.push_back(remote);
            self.held += offer_cost(&key, &handshake);
            let offered = Remote::Offered {
                serial,
                key: key.clone(),
                handshake: handshake.clone(),
                waiting: Vec::new(),
                asked,
            };
            self.set_remote(remote, Some(offered));
            if asked {
                let offer = OfferId { remote, serial };
                self.events.push_back(Event::Offered { offer, key: key.clone(), handshake });
            }
        } else {
            self.control(frame::reject(number));
        }
        self.tidy(&key);
        Ok(())
    }

    fn on_reject(&mut self, number: u32) -> Result<(), ProtocolError> {
        let local = number.checked_sub(1).ok_or(ProtocolError::BadReject)?;
        let key = self.unanswered.remove(&local).ok_or(ProtocolError::BadReject)?;
        if let Some(pair) = self.pairs.get_mut(&key) {
            pair.outgoing.retain(|&waiting| waiting != local);
        }
        if let Some(channel) = self.session(local).map(|session| session.channel) {
            self.end(local);
            self.events.push_back(Event::Closed { channel });
        }
        self.free.push(local);
        self.tidy(&key);
        Ok(())
    }

    fn on_close(&mut self, number: u32) {
        let Some(remote) = number.checked_sub(1) else { return };
        match self.remote.get(remote as usize) {
            Some(Some(Remote::Paired { local })) => {
                let local = *local;
                if let Some(channel) = self.session(local).map(|session| session.channel) {
                    self.end(local);
                    self.events.push_back(Event::Closed { channel });
                }
            }
            // It still waits for an answer to its open, to use the number again.
            Some(Some(Remote::Offered { key, .. })) => {
                let key = key.clone();
                self.forget_offer(&key, remote);
                self.void(remote);
                self.tidy(&key);
            }
            // We closed it ourselves, or never heard of it.
            Some(None) | None => {}
        }
    }

    fn on_message(&mut self, number: u32, kind: u64, payload: Bytes) {
        let Some(remote) = number.checked_sub(1) else { return };
        match self.remote.get_mut(remote as usize) {
            Some(Some(Remote::Paired { local })) => {
                let local = *local;
                if let Some(channel) = self.session(local).map(|session| session.channel) {
                    self.events.push_back(Event::Message { channel, kind, payload });
                }
            }
            Some(Some(Remote::Offered { waiting, .. })) => {
                self.held += payload.len() + WAITING_COST;
                waiting.push((kind, payload));
            }
            // Sent before the remote knew that we closed it.
            Some(None) | None => {}
        }
    }

    /// Opens under a number of ours, as the answer to the remote's `offered` if there is one.
    fn start(&mut self, key: Key, offered: Option<u32>, handshake: &[u8]) -> ChannelId {
        let local = self.free.pop().unwrap_or(self.local.len() as u32);
        if local as usize == self.local.len() {
            self.local.push(None);
        }
        self.serial += 1;
        let channel = ChannelId(self.serial);
        let opened = frame::open(local + 1, &key.protocol, &key.id, handshake);
        let pair = self.pairs.entry(key.clone()).or_default();
        pair.opened += 1;
        if offered.is_none() {
            pair.outgoing.push_back(local);
            self.unanswered.insert(local, key.clone());
        }
        if let Some(slot) = self.local.get_mut(local as usize) {
            *slot = Some(Session { channel, key, remote: offered });
        }
        self.by_id.insert(channel, local);
        self.control(opened);
        if let Some(remote) = offered
            && let Some(Remote::Offered { key, handshake, waiting, .. }) =
                self.set_remote(remote, Some(Remote::Paired { local }))
        {
            self.release(&key, &handshake, &waiting);
            self.events.push_back(Event::Opened { channel, handshake });
            self.events.extend(waiting.into_iter().map(|(kind, payload)| Event::Message {
                channel,
                kind,
                payload,
            }));
        }
        channel
    }

    /// Our session is over: by our close, or the remote's close or reject.
    fn end(&mut self, local: u32) {
        let slot = self.local.get_mut(local as usize);
        let Some(session) = slot.and_then(Option::take) else { return };
        self.by_id.remove(&session.channel);
        if let Some(remote) = session.remote {
            self.set_remote(remote, None);
            self.free.push(local);
        }
        if let Some(pair) = self.pairs.get_mut(&session.key) {
            pair.opened = pair.opened.saturating_sub(1);
        }
        self.tidy(&session.key);
    }

    /// Rejects what the remote holds open under this number.
    fn void(&mut self, remote: u32) {
        if let Some(Remote::Offered { serial, key, handshake, waiting, .. }) =
            self.set_remote(remote, None)
        {
            self.release(&key, &handshake, &waiting);
            self.events.push_back(Event::Withdrawn { offer: OfferId { remote, serial } });
            self.control(frame::reject(remote + 1));
        }
    }

    /// An offer waits no more.
    fn release(&mut self, key: &Key, handshake: &Bytes, waiting: &[(u64, Bytes)]) {
        let said: usize = waiting.iter().map(|(_, payload)| payload.len() + WAITING_COST).sum();
        self.held = self.held.saturating_sub(offer_cost(key, handshake) + said);
    }

    fn control(&mut self, message: Vec<u8>) {
        if self.corked > 0 {
            self.batch.push(0, &[], &message);
            self.send_full_batch();
        } else {
            let mut frame = Vec::with_capacity(message.len() + 1);
            frame.push(0);
            frame.extend_from_slice(&message);
            self.frames.push_back(frame);
        }
    }

    fn send_full_batch(&mut self) {
        if self.batch.len() >= MAX_BATCH {
            self.frames.extend(std::mem::take(&mut self.batch).finish());
        }
    }

    fn session(&mut self, local: u32) -> Option<&mut Session> {
        self.local.get_mut(local as usize)?.as_mut()
    }

    fn offered(&self, offer: OfferId) -> Option<&Key> {
        match self.remote.get(offer.remote as usize)?.as_ref()? {
            Remote::Offered { serial, key, .. } if *serial == offer.serial => Some(key),
            _ => None,
        }
    }

    fn forget_offer(&mut self, key: &Key, remote: u32) {
        if let Some(pair) = self.pairs.get_mut(key) {
            pair.incoming.retain(|&waiting| waiting != remote);
        }
    }

    fn set_remote(&mut self, remote: u32, value: Option<Remote>) -> Option<Remote> {
        let slot = self.remote.get_mut(remote as usize)?;
        std::mem::replace(slot, value)
    }

    fn tidy(&mut self, key: &Key) {
        if self.pairs.get(key).is_some_and(|pair| {
            pair.opened == 0 && pair.incoming.is_empty() && pair.outgoing.is_empty()
        }) {
            self.pairs.remove(key);
        }
    }
}

fn offer_cost(key: &Key, handshake: &Bytes) -> usize {
    OFFER_COST + key.protocol.len() + key.id.len() + handshake.len()
}

#[cfg(test)]
impl Machine {
    /// Numbers in use and keys remembered: what must be nothing when everything is closed.
    pub(crate) fn remembered(&self) -> (usize, usize, usize) {
        let open = self.local.iter().flatten().count() + self.remote.iter().flatten().count();
        (open, self.pairs.len(), self.local.len() - self.free.len())
    }
}
