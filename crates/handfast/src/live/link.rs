//! A connected device as one more block store and one more name router.
//!
//! A [`Link`] speaks the [messages](super::message) of one channel. It is made of two queues, so
//! that it knows nothing of what carries them; whoever does pumps frames in and out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use handfast_ipfs::{Block, Cid, Name, Record};
use handfast_providers::{
    BlockStore, ErrorKind, NameRouter, ProviderError, Resolve, Resolved, Traffic,
};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::time::{self, Instant};

use super::message::{MAX_QUESTIONS, Message};

/// A frame of a channel: the kind of the message and its contents.
pub type Frame = (u64, Vec<u8>);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a question may wait for a record to change.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// So many bytes of blocks are worth lanes: one connection carries about 1 MB/s.
const BULK: u64 = 1 << 20;

/// So many blocks are asked for at a time over the link itself; more wait, for lanes too.
const AT_ONCE: usize = 4;

/// How many of the names that a peer has told of are remembered.
const MAX_NAMES: usize = 256;

/// What a question comes to: the bytes, if the device has them.
type Asked = Result<Option<Vec<u8>>, ProviderError>;

/// A question that is open.
struct Question {
    asked: Instant,
    answer: oneshot::Sender<Option<Vec<u8>>>,
}

/// What a device answers its peers from.
#[async_trait]
pub trait Shelf: Send + Sync {
    /// The newest record of a name that it knows.
    async fn record(&self, name: &Name) -> Option<Vec<u8>>;

    /// A block of a feed that it knows.
    async fn block(&self, cid: &Cid) -> Option<Vec<u8>>;
}

/// A connected device.
pub struct Link {
    /// What it is called.
    device: String,
    frames: mpsc::Sender<Frame>,
    traffic: Arc<Traffic>,
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Question>>,
    /// When the device said something last.
    heard: Mutex<Instant>,
    /// The records that the peer has told of by itself.
    told: Mutex<BTreeMap<Name, Vec<u8>>>,
    /// Wakes those who wait for a record.
    news: Notify,
    /// Rung at every record that the device tells of. Whoever listens later hears it then.
    bell: Arc<Notify>,
    /// The peer has asked something.
    asked: Notify,
    /// Further links to the same device, for blocks.
    lanes: Mutex<Vec<Arc<Link>>>,
    lanes_changed: Notify,
    /// Blocks that may be asked for over this link itself.
    places: Semaphore,
    /// How many bytes of blocks have come.
    bulk: AtomicU64,
    wants_lanes: Notify,
}

impl Link {
    /// A link to a device; `frames` go to it, and are counted. The bell rings when the device tells
    /// of a record.
    pub fn new(
        device: impl Into<String>,
        frames: mpsc::Sender<Frame>,
        traffic: Arc<Traffic>,
        bell: Arc<Notify>,
    ) -> Arc<Link> {
        Arc::new(Link {
            device: device.into(),
            frames,
            traffic,
            next: AtomicU64::new(1),
            open: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            told: Mutex::default(),
            news: Notify::new(),
            bell,
            asked: Notify::new(),
            lanes: Mutex::default(),
            lanes_changed: Notify::new(),
            places: Semaphore::new(AT_ONCE),
            bulk: AtomicU64::new(0),
            wants_lanes: Notify::new(),
        })
    }

    /// Takes in the frames that come from the device and answers its questions, until they end or
    /// break the rules. Every question of this side that is open then fails.
    pub async fn run(&self, mut frames: mpsc::Receiver<Frame>, shelf: &dyn Shelf) {
        let mut answers = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(answer) = answers.next() => {
                    let answer: Message = answer;
                    if self.send(answer).await.is_err() {
                        break;
                    }
                }
                frame = frames.recv() => {
                    let Some((kind, contents)) = frame else { break };
                    self.traffic.count_received(contents.len());
                    *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    let message = match Message::decode(kind, &contents) {
                        Ok(Some(message)) => message,
                        Ok(None) => continue,
                        Err(error) => {
                            tracing::debug!(%error, device = self.device, "a broken frame");
                            break;
                        }
                    };
                    match message {
                        Message::AskRecord(..) | Message::AskBlock(..)
                            if answers.len() >= MAX_QUESTIONS => break,
                        Message::AskRecord(..) | Message::AskBlock(..) => {
                            self.asked.notify_waiters();
                            answers.push(answer(shelf, message));
                        }
                        Message::Push(name, record) => self.take_push(Name::of(name), record),
                        Message::Record(number, found) | Message::Block(number, found) => {
                            if let Some(question) = self.open().remove(&number) {
                                // Who asked may have given up.
                                let _ = question.answer.send(found);
                            }
                        }
                    }
                }
            }
        }
        self.end();
    }

    /// Ends it: every question that is open fails.
    pub fn end(&self) {
        self.open().clear();
        self.news.notify_waiters();
    }

    /// What the device is called.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Waits until lanes are worth their while: much has come in blocks, or more are wanted at a time
    /// than are asked for over this link.
    pub async fn wants_lanes(&self) {
        self.wants_lanes.notified().await;
    }

    /// Fetches blocks over this link, too.
    pub fn add_lane(&self, lane: &Arc<Link>) {
        self.lanes().push(lane.clone());
        self.lanes_changed.notify_waiters();
    }

    /// No longer.
    pub fn remove_lane(&self, lane: &Arc<Link>) {
        self.lanes().retain(|other| !Arc::ptr_eq(other, lane));
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_block(&self, doing: &'static str, cid: &Cid) -> Asked {
        let found = self.ask_over_lanes(doing, cid).await?;
        let size = found.as_ref().map_or(0, Vec::len) as u64;
        let before = self.bulk.fetch_add(size, Ordering::Relaxed);
        if before < BULK && before + size >= BULK {
            self.wants_lanes.notify_one();
        }
        Ok(found)
    }

    /// A block: over the lane where the fewest questions are open, or over this link where there are
    /// none.
    async fn ask_over_lanes(&self, doing: &'static str, cid: &Cid) -> Asked {
        let question = |number| Message::AskBlock(number, *cid);
        loop {
            let mut changed = std::pin::pin!(self.lanes_changed.notified());
            changed.as_mut().enable();
            let lane = self.lanes().iter().min_by_key(|lane| lane.open().len()).cloned();
            if let Some(lane) = lane {
                match lane.ask(doing, question).await {
                    // It has just ended.
                    Err(_) => return self.ask(doing, question).await,
                    found => return found,
                }
            }
            if self.places.available_permits() == 0 {
                self.wants_lanes.notify_one();
            }
            tokio::select! {
                _place = self.places.acquire() => return self.ask(doing, question).await,
                () = changed => (),
            }
        }
    }

    /// Waits until the device has asked nothing for so long, or is gone.
    pub async fn quiet(&self, pause: Duration) {
        let asked = async { while time::timeout(pause, self.asked.notified()).await.is_ok() {} };
        tokio::select! {
            () = asked => (),
            () = self.frames.closed() => (),
        }
    }

    /// Tells the device of a record.
    pub async fn push(&self, record: &Record) -> Result<(), ProviderError> {
        let name = *record.name().public();
        self.send(Message::Push(name, record.as_bytes().to_vec())).await
    }

    fn take_push(&self, name: Name, record: Vec<u8>) {
        if Record::parse(&name, &record, None).is_err() {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MAX_NAMES || told.contains_key(&name) {
            told.insert(name, record);
            self.news.notify_waiters();
            self.bell.notify_one();
        }
    }

    /// Whether the device has left a question open for longer than this, and said nothing else since:
    /// it may be gone without a word.
    pub fn is_silent_for(&self, patience: Duration) -> bool {
        let lanes = self.lanes().clone();
        let links = || std::iter::once(self).chain(lanes.iter().map(AsRef::as_ref));
        let asked = links().filter_map(|link| Some(link.open().values().next()?.asked)).min();
        let heard = links().map(|link| *link.heard.lock().unwrap_or_else(PoisonError::into_inner));
        asked.is_some_and(|asked| asked.elapsed() > patience)
            && heard.max().is_some_and(|heard| heard.elapsed() > patience)
    }

    /// The record of a name that the device has told of by itself.
    pub fn told(&self, name: &Name) -> Option<Vec<u8>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    async fn ask(&self, doing: &'static str, question: impl FnOnce(u64) -> Message) -> Asked {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.open().insert(number, Question { asked: Instant::now(), answer: sender });
        // Also when nobody waits for the answer any more.
        let _asked = Asking { link: self, number };
        let answered = async {
            self.send(question(number)).await?;
            answer.await.map_err(|_| self.gone(doing))
        };
        let result = time::timeout(PATIENCE, answered).await;
        result.unwrap_or_else(|_| Err(self.gone(doing).because("it does not answer")))
    }

    async fn send(&self, message: Message) -> Result<(), ProviderError> {
        let asks = matches!(message, Message::AskRecord(..) | Message::AskBlock(..));
        let frame = message.encode();
        match asks {
            true => self.traffic.count_request(frame.1.len()),
            false => self.traffic.count_sent(frame.1.len()),
        }
        self.frames.send(frame).await.map_err(|_| self.gone("telling it"))
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Question>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self, doing: &'static str) -> ProviderError {
        ProviderError::new(ErrorKind::Unreachable, self.device.clone(), doing)
    }

    fn nonsense(&self, doing: &'static str, detail: &str) -> ProviderError {
        ProviderError::new(ErrorKind::Nonsense, self.device.clone(), doing).because(detail)
    }
}

/// A question that is open as long as this exists.
struct Asking<'l> {
    link: &'l Link,
    number: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.link.open().remove(&self.number);
    }
}

async fn answer(shelf: &dyn Shelf, question: Message) -> Message {
    match question {
        Message::AskRecord(number, name) => {
            Message::Record(number, shelf.record(&Name::of(name)).await)
        }
        Message::AskBlock(number, cid) => Message::Block(number, shelf.block(&cid).await),
        other => other,
    }
}

#[async_trait]
impl BlockStore for Link {
    /// A peer keeps what its own feed lists; nothing is put there.
    async fn put(&self, _: &Block) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError> {
        let doing = "fetching a block";
        let found = self.ask_block(doing, cid).await?;
        let not_found = || ProviderError::new(ErrorKind::NotFound, self.device.clone(), doing);
        let bytes = found.ok_or_else(not_found)?;
        cid.verify(&bytes).map_err(|_| self.nonsense(doing, "other bytes than asked for"))?;
        Ok(bytes)
    }

    async fn pin(&self, _: &Cid) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn unpin(&self, _: &Cid) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn is_pinned(&self, _: &Cid) -> Result<bool, ProviderError> {
        Ok(false)
    }

    async fn check(&self) -> Result<(), ProviderError> {
        if self.frames.is_closed() { Err(self.gone("looking whether it is there")) } else { Ok(()) }
    }

    fn describe(&self) -> String {
        self.device.clone()
    }
}

#[async_trait]
impl NameRouter for Link {
    async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        self.push(record).await
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Result<Resolved, ProviderError> {
        let doing = "looking up a name";
        let until = query.wait.map(|wait| Instant::now() + wait.min(LONGEST_WAIT));
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            // What it told by itself is as new as what it would answer.
            let found = match self.told(name) {
                Some(record) => Some(record),
                None => {
                    let key = *name.public();
                    self.ask(doing, |number| Message::AskRecord(number, key)).await?
                }
            };
            let resolved = match found {
                Some(record) => Resolved::verify(name, query, &record, None)
                    .map_err(|error| self.nonsense(doing, &error.to_string()))?,
                None => Resolved::Missing,
            };
            let (Resolved::Unchanged | Resolved::Missing, Some(until)) = (&resolved, until) else {
                return Ok(resolved);
            };
            tokio::select! {
                () = news => if self.frames.is_closed() { return Err(self.gone(doing)) },
                () = self.frames.closed() => return Err(self.gone(doing)),
                () = time::sleep_until(until) => return Ok(resolved),
            }
        }
    }

    fn longest_wait(&self) -> Option<Duration> {
        Some(LONGEST_WAIT)
    }

    fn describe(&self) -> String {
        self.device.clone()
    }
}

#[cfg(test)]
mod tests;
