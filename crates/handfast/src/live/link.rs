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
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time;

use super::message::{MAX_QUESTIONS, Message};

/// A frame of a channel: the kind of the message and its contents.
pub type Frame = (u64, Vec<u8>);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a question may wait for a record to change.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// So many bytes of blocks are worth lanes: one connection carries about 1 MB/s.
const BULK: u64 = 1 << 20;

/// How many of the names that a peer has told of are remembered.
const MAX_NAMES: usize = 256;

/// What a question comes to: the bytes, if the device has them.
type Asked = Result<Option<Vec<u8>>, ProviderError>;

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
    open: Mutex<BTreeMap<u64, oneshot::Sender<Option<Vec<u8>>>>>,
    /// The records that the peer has told of by itself.
    told: Mutex<BTreeMap<Name, Vec<u8>>>,
    news: Notify,
    /// The peer has asked something.
    asked: Notify,
    /// Further links to the same device, for blocks.
    lanes: Mutex<Vec<Arc<Link>>>,
    /// How many bytes of blocks have come.
    bulk: AtomicU64,
    wants_lanes: Notify,
}

impl Link {
    /// A link to a device; `frames` go to it, and are counted.
    pub fn new(
        device: impl Into<String>,
        frames: mpsc::Sender<Frame>,
        traffic: Arc<Traffic>,
    ) -> Arc<Link> {
        Arc::new(Link {
            device: device.into(),
            frames,
            traffic,
            next: AtomicU64::new(1),
            open: Mutex::default(),
            told: Mutex::default(),
            news: Notify::new(),
            asked: Notify::new(),
            lanes: Mutex::default(),
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
                            if let Some(waits) = self.open().remove(&number) {
                                // Who asked may have given up.
                                let _ = waits.send(found);
                            }
                        }
                    }
                }
            }
        }
        self.open().clear();
        self.news.notify_waiters();
    }

    /// What the device is called.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Waits until so much has come in blocks that lanes are worth their while.
    pub async fn wants_lanes(&self) {
        self.wants_lanes.notified().await;
    }

    /// Fetches blocks over this link, too.
    pub fn add_lane(&self, lane: &Arc<Link>) {
        self.lanes().push(lane.clone());
    }

    /// No longer.
    pub fn remove_lane(&self, lane: &Arc<Link>) {
        self.lanes().retain(|other| !Arc::ptr_eq(other, lane));
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Link>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block: over the lane where the fewest questions are open, if there are lanes.
    async fn ask_block(&self, doing: &'static str, cid: &Cid) -> Asked {
        let question = |number| Message::AskBlock(number, *cid);
        let lane = self.lanes().iter().min_by_key(|lane| lane.open().len()).cloned();
        let found = match lane {
            Some(lane) => match lane.ask(doing, question).await {
                Err(_) => self.ask(doing, question).await,
                found => found,
            },
            None => self.ask(doing, question).await,
        }?;
        let size = found.as_ref().map_or(0, Vec::len) as u64;
        let before = self.bulk.fetch_add(size, Ordering::Relaxed);
        if before < BULK && before + size >= BULK {
            self.wants_lanes.notify_one();
        }
        Ok(found)
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
        }
    }

    /// Returns when the device tells of a record, or is gone.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// The record of a name that the device has told of by itself.
    pub fn told(&self, name: &Name) -> Option<Vec<u8>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    async fn ask(&self, doing: &'static str, question: impl FnOnce(u64) -> Message) -> Asked {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.open().insert(number, sender);
        let answered = async {
            self.send(question(number)).await?;
            answer.await.map_err(|_| self.gone(doing))
        };
        let result = time::timeout(PATIENCE, answered).await;
        self.open().remove(&number);
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

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Option<Vec<u8>>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self, doing: &'static str) -> ProviderError {
        ProviderError::new(ErrorKind::Unreachable, self.device.clone(), doing)
    }

    fn nonsense(&self, doing: &'static str, detail: &str) -> ProviderError {
        ProviderError::new(ErrorKind::Nonsense, self.device.clone(), doing).because(detail)
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
        let until = query.wait.map(|wait| time::Instant::now() + wait.min(LONGEST_WAIT));
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
mod tests {
    use futures_util::FutureExt;
    use handfast_ipfs::Draft;
    use handfast_keys::{IpnsSecret, Timestamp};
    use handfast_providers::Validator;

    use super::*;

    fn link(device: &str, frames: mpsc::Sender<Frame>) -> Arc<Link> {
        Link::new(device, frames, Arc::default())
    }

    #[derive(Default)]
    struct Kept {
        blocks: BTreeMap<Cid, Vec<u8>>,
        records: Mutex<BTreeMap<Name, Vec<u8>>>,
    }

    #[async_trait]
    impl Shelf for Kept {
        async fn record(&self, name: &Name) -> Option<Vec<u8>> {
            self.records.lock().unwrap().get(name).cloned()
        }

        async fn block(&self, cid: &Cid) -> Option<Vec<u8>> {
            self.blocks.get(cid).cloned()
        }
    }

    /// Two linked devices, each with what it keeps. The second answers from `kept`.
    fn linked(kept: Arc<Kept>) -> (Arc<Link>, Arc<Link>) {
        let (to_second, at_second) = mpsc::channel(8);
        let (to_first, at_first) = mpsc::channel(8);
        let (first, second) = (link("second", to_second), link("first", to_first));
        let (one, other) = (first.clone(), second.clone());
        tokio::spawn(async move { one.run(at_first, &Kept::default()).await });
        tokio::spawn(async move { other.run(at_second, kept.as_ref()).await });
        (first, second)
    }

    fn record(sequence: u64) -> Record {
        Draft::new(handfast_ipfs::EMPTY_PATH, sequence, Timestamp(4_000_000_000_000))
            .sign(&IpnsSecret::from_seed([9; 32]))
            .unwrap()
    }

    #[tokio::test]
    async fn a_peer_is_a_block_store() {
        let block = vec![7; handfast_ipfs::MAX_BLOCK];
        let blocks = BTreeMap::from([(Cid::of(&block), block.clone())]);
        let (first, _second) = linked(Arc::new(Kept { blocks, ..Kept::default() }));
        assert_eq!(first.get(&Cid::of(&block)).await.unwrap(), block);
        let missing = first.get(&Cid::of(b"other")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        first.check().await.unwrap();
    }

    /// Much is worth lanes; then blocks come over them, and over the link itself once they are gone.
    #[tokio::test]
    async fn blocks_come_over_lanes_once_there_are_many() {
        let block = |number: u8| vec![number; handfast_ipfs::MAX_BLOCK];
        let held = |number: u8| (Cid::of(&block(number)), block(number));
        let shelf = || Kept { blocks: (0..6).map(held).collect(), ..Kept::default() };
        let (link, _peer) = linked(Arc::new(shelf()));
        let wanted = |link: &Link| link.wants_lanes().now_or_never().is_some();
        for number in 0..3 {
            link.get(&Cid::of(&block(number))).await.unwrap();
        }
        assert!(!wanted(&link), "three blocks are not many");
        link.get(&Cid::of(&block(3))).await.unwrap();
        assert!(wanted(&link));

        let (lane, _peer_of_lane) = linked(Arc::new(shelf()));
        link.add_lane(&lane);
        let before = link.next.load(Ordering::Relaxed);
        assert_eq!(link.get(&Cid::of(&block(4))).await.unwrap(), block(4));
        assert_eq!(link.next.load(Ordering::Relaxed), before, "the link itself was not asked");
        // A lane that fails costs nothing but the question.
        let (gone, _) = mpsc::channel(1);
        link.remove_lane(&lane);
        link.add_lane(&Link::new("second", gone, Arc::default()));
        assert_eq!(link.get(&Cid::of(&block(5))).await.unwrap(), block(5));
        assert_eq!(link.next.load(Ordering::Relaxed), before + 1);
        assert!(!wanted(&link), "they are asked for once");
    }

    #[tokio::test]
    async fn wrong_bytes_are_found_out() {
        let cid = Cid::of(b"right");
        let blocks = BTreeMap::from([(cid, b"wrong".to_vec())]);
        let (first, _second) = linked(Arc::new(Kept { blocks, ..Kept::default() }));
        assert_eq!(first.get(&cid).await.unwrap_err().kind(), ErrorKind::Nonsense);
    }

    #[tokio::test]
    async fn a_peer_is_a_name_router_that_tells_of_news() {
        let kept = Arc::new(Kept::default());
        let (first, second) = linked(kept.clone());
        let (old, new) = (record(1), record(2));
        let name = *old.name();
        let missing = first.resolve(&name, &Resolve::default()).await.unwrap();
        assert!(matches!(missing, Resolved::Missing));
        kept.records.lock().unwrap().insert(name, old.as_bytes().to_vec());
        let Resolved::Record(found, validator) =
            first.resolve(&name, &Resolve::default()).await.unwrap()
        else {
            panic!("it knows a record");
        };
        assert_eq!(found, old);
        let query = Resolve::default().unless(validator).waiting(Duration::from_secs(60));
        let waits = first.resolve(&name, &query);
        let tells = second.publish(&new);
        let (found, told) = tokio::join!(waits, tells);
        told.unwrap();
        assert!(matches!(found.unwrap(), Resolved::Record(record, _) if record == new));
        let query = Resolve::default().unless(Validator::of(&new));
        let unchanged = first.resolve(&name, &query).await.unwrap();
        assert!(matches!(unchanged, Resolved::Unchanged));
    }

    #[tokio::test]
    async fn questions_fail_when_the_peer_goes() {
        let (frames, mut sent) = mpsc::channel(8);
        let (_none, at_first) = mpsc::channel::<Frame>(1);
        let link = link("phone", frames);
        let cid = Cid::of(b"block");
        let asks = link.get(&cid);
        let goes = async {
            sent.recv().await.unwrap();
            drop((_none, sent));
            link.run(at_first, &Kept::default()).await;
        };
        let (answer, ()) = tokio::join!(asks, goes);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unreachable);
        assert!(link.check().await.is_err());
    }

    #[tokio::test]
    async fn who_asks_too_much_at_once_is_dropped() {
        struct Never;
        #[async_trait]
        impl Shelf for Never {
            async fn record(&self, _: &Name) -> Option<Vec<u8>> {
                std::future::pending().await
            }
            async fn block(&self, _: &Cid) -> Option<Vec<u8>> {
                std::future::pending().await
            }
        }
        let (frames, _sent) = mpsc::channel(8);
        let (questions, at_link) = mpsc::channel(MAX_QUESTIONS + 1);
        for number in 0..=MAX_QUESTIONS as u64 {
            let question = Message::AskBlock(number, Cid::of(b"block"));
            questions.try_send(question.encode()).unwrap();
        }
        link("phone", frames).run(at_link, &Never).await;
    }
}
