//! Links whose two ends are in one test.

use futures_util::FutureExt;
use handfast_ipfs::Draft;
use handfast_keys::{IpnsSecret, Timestamp};
use handfast_providers::Validator;

use super::*;

fn link_to(device: &str, frames: mpsc::Sender<Frame>) -> Arc<Link> {
    Link::new(device, frames, Arc::default(), Arc::default())
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
    let (first, second) = (link_to("second", to_second), link_to("first", to_first));
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
    link.add_lane(&link_to("second", gone));
    assert_eq!(link.get(&Cid::of(&block(5))).await.unwrap(), block(5));
    assert_eq!(link.next.load(Ordering::Relaxed), before + 1);
    assert!(!wanted(&link), "they are asked for once");
}

/// More than a link asks for at a time waits for lanes, too.
#[tokio::test]
async fn what_finds_no_place_goes_over_a_lane() {
    let (frames, mut unanswered) = mpsc::channel(8);
    let link = link_to("second", frames);
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..=AT_ONCE as u8 {
        let link = link.clone();
        waiting.spawn(async move { link.get(&Cid::of(&[number])).await });
    }
    link.wants_lanes().await;
    for _ in 0..AT_ONCE {
        unanswered.recv().await.unwrap();
    }
    assert!(unanswered.try_recv().is_err());
    let blocks = (0..=AT_ONCE as u8).map(|number| (Cid::of(&[number]), vec![number]));
    let (lane, _peer) = linked(Arc::new(Kept { blocks: blocks.collect(), ..Kept::default() }));
    link.add_lane(&lane);
    assert_eq!(waiting.join_next().await.unwrap().unwrap().unwrap(), [AT_ONCE as u8]);
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
    let link = link_to("phone", frames);
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

#[tokio::test(start_paused = true)]
async fn a_device_is_silent_that_leaves_a_question_open_and_says_nothing() {
    let a_second = Duration::from_secs(1);
    let (frames, mut sent) = mpsc::channel(8);
    let (says, at_first) = mpsc::channel::<Frame>(1);
    let link = link_to("phone", frames);
    let runs = link.clone();
    tokio::spawn(async move { runs.run(at_first, &Kept::default()).await });
    time::sleep(2 * a_second).await;
    assert!(!link.is_silent_for(a_second), "it was asked nothing");
    let (asks, cid) = (link.clone(), Cid::of(b"block"));
    let asked = tokio::spawn(async move { asks.get(&cid).await });
    sent.recv().await.unwrap();
    assert!(!link.is_silent_for(a_second));
    time::sleep(2 * a_second).await;
    assert!(link.is_silent_for(a_second));
    says.send(Message::Record(77, None).encode()).await.unwrap();
    time::sleep(a_second / 2).await;
    assert!(!link.is_silent_for(a_second), "it says something else");
    time::sleep(2 * a_second).await;
    assert!(link.is_silent_for(a_second));
    // A question that nobody waits for any more isn't open.
    asked.abort();
    assert!(asked.await.is_err());
    assert!(!link.is_silent_for(a_second));
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
    link_to("phone", frames).run(at_link, &Never).await;
}
