use handfast_keys::{ContentKey, Timestamp, WriterPublic, WriterSecret};
use proptest::prelude::*;

use super::*;
use crate::field::{FieldName, Fields};
use crate::log::{Author, Position};
use crate::mutation::{Change, Dot, Op};
use crate::namespace::Namespace;
use crate::packing::Sealed;
use crate::record::RecordId;
use crate::recut::{Cut, plan};
use crate::value::Value;

fn secret() -> WriterSecret {
    WriterSecret::from_seed([1; 32])
}

fn namespace() -> Namespace {
    Namespace::new("notes").unwrap()
}

fn record(id: u64) -> RecordId {
    RecordId::from_bytes([(id % 7) as u8; 16])
}

/// A log of `count` mutations with the tips after those in `tips`, cut there.
fn segments(count: u64, tips: impl Fn(u64) -> bool) -> Vec<Segment> {
    let secret = secret();
    let mut author = Author::new(&namespace(), &secret, None);
    let (mut before, mut mutations, mut segments) = (author.position(), Vec::new(), Vec::new());
    for id in 1..=count {
        let fields = Fields::parse(&format!(r#"{{"n":{id},"text":"some text {id}"}}"#)).unwrap();
        let entry = author.append(record(id), Timestamp(id), Op::Create { fields }).unwrap();
        mutations.push(entry.bytes);
        if tips(id) || id == count {
            let tip = author.tip();
            segments.push(Segment::new(before.hash, core::mem::take(&mut mutations), tip).unwrap());
            before = author.position();
        }
    }
    segments
}

fn one(count: u64) -> Segment {
    segments(count, |_| false).remove(0)
}

/// The same segment with its parts changed and, if asked for, signed anew.
fn forge(
    count: u64,
    sign: bool,
    change: impl FnOnce(&mut ChainHash, &mut Vec<ByteBuf>, &mut Tip),
) -> Result<Verified, SegmentError> {
    let Segment { mut before, mut mutations, mut tip } = one(count);
    change(&mut before, &mut mutations, &mut tip);
    if sign {
        let hash = mutations.iter().fold(before, |hash, bytes| hash.next(bytes));
        tip = Tip::sign(&namespace(), Position { hash, ..tip.position }, &secret());
    }
    Segment::try_from((before, Mutations(mutations), tip))?.verify()
}

#[test]
fn a_segment_travels_in_sealed_blocks() {
    let segment = one(300);
    let mut rng = rand::rng();
    let sealed = Sealed::new(segment.to_body(), &mut rng);
    assert!(sealed.body().len() < segment.size() / 2);
    let opened = Sealed::open(sealed.key().clone(), &sealed.blocks()).unwrap();
    let received = Segment::from_body(opened.body()).unwrap();
    assert_eq!(received, segment);
    assert_eq!((received.first(), received.last()), (1, 300));
    let verified = received.verify().unwrap();
    assert_eq!(verified.entries().len(), 300);
    assert_eq!(verified.entries()[299].hash, verified.tip().position.hash);
    let other = ContentKey::generate(&mut rng);
    assert!(Sealed::open(other, &sealed.blocks()).is_err());
}

#[test]
fn what_the_writer_did_not_sign_is_refused() {
    assert!(forge(5, false, |_, _, _| {}).is_ok());
    let chain = Err(SegmentError::Chain);
    assert_eq!(forge(5, false, |before, _, tip| *before = tip.position.hash), chain);
    assert_eq!(forge(5, true, |before, _, tip| *before = tip.position.hash), chain);
    assert_eq!(forge(5, false, |_, _, tip| tip.position.hash = tip.log.start().hash), chain);
    assert_eq!(
        forge(5, false, |_, _, tip| tip.signature =
            Tip::sign(&namespace(), tip.position, &WriterSecret::from_seed([2; 32])).signature),
        Err(BadSignature.into())
    );
    let swapped = SegmentError::Mutation { id: 2, source: None };
    assert_eq!(forge(5, true, |_, mutations, _| mutations.swap(1, 2)), Err(swapped));
    let shorter = forge(5, false, |_, mutations, _| {
        mutations.remove(0);
    });
    assert_eq!(shorter, chain);
    let rubbish = forge(5, true, |_, mutations, _| mutations[3] = ByteBuf::from([0x80]));
    assert!(matches!(rubbish, Err(SegmentError::Mutation { id: 4, source: Some(_) })));
}

#[test]
fn no_mutation_names_what_comes_after_it() {
    let segment = forge(3, true, |_, mutations, _| {
        let name = |id| Dot { writer: secret().public(), id };
        let change = |id| Change {
            field: FieldName::new("n").unwrap(),
            value: Value::null(),
            supersedes: std::vec![name(id)],
        };
        let update = |id| Op::Update { changes: std::vec![change(id)], seen: None };
        let mutation = Mutation::new(3, record(3), Timestamp(3), update(3)).unwrap();
        mutations[2] = ByteBuf::from(mutation.encode());
    });
    let source = Some(MutationError::NamesTheFuture);
    assert_eq!(segment, Err(SegmentError::Mutation { id: 3, source }));
}

#[test]
fn sizes_are_bounded() {
    let tip = one(3).tip;
    let before = one(3).before;
    let size = |mutations: Vec<Vec<u8>>| Segment::new(before, mutations, tip.clone());
    let refused = |count| Err(SegmentError::Size { count, last: 3 });
    assert_eq!(size(Vec::new()), refused(0));
    assert_eq!(size(std::vec![std::vec![]; 4]), refused(4));
    let mut far = tip.clone();
    far.position.id = Mutation::MAX_NUMBER;
    let count = Segment::MAX_MUTATIONS + 1;
    assert!(Segment::new(before, std::vec![std::vec![0]; count], far.clone()).is_err());
    let many = canonical::encode(&(before, std::vec![ByteBuf::new(); count], &far));
    assert!(canonical::decode::<Segment>(&many, packing::MAX_PLAINTEXT).is_err());
    assert!(Segment::new(before, std::vec![std::vec![0; 256 * 1024]; 64], far).is_err());
}

#[test]
fn only_neighbours_join() {
    let mut parts = segments(30, |id| id % 10 == 0).into_iter();
    let [a, b, c] = [parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap()];
    assert_eq!(a.clone().join(c.clone()), Err(SegmentError::NotAdjacent));
    assert_eq!(b.clone().join(a.clone()), Err(SegmentError::NotAdjacent));
    let Segment { mutations, tip, .. } = b.clone();
    let elsewhere = Segment { before: tip.position.hash, mutations, tip };
    assert_eq!(a.clone().join(elsewhere), Err(SegmentError::NotAdjacent));
    let joined = a.join(b).unwrap().join(c).unwrap();
    assert_eq!(joined, one(30));
}

#[test]
fn whose_log_it_is_matters() {
    let stranger = WriterPublic::from_bytes([9; 32]);
    assert_eq!(forge(3, false, |_, _, tip| tip.log.writer = stranger), Err(SegmentError::Chain));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However often and wherever a log is cut and merged, it is the same log.
    #[test]
    fn recut_segments_give_the_same_log(
        count in 1u64..400,
        tips in prop::collection::btree_set(1u64..400, 0..60),
    ) {
        let whole = one(count).verify().unwrap();
        let mut parts = segments(count, |id| tips.contains(&id));
        let cuts: Vec<Cut> = parts
            .iter()
            .map(|part| Cut { first: part.first(), last: part.last(), size: part.size() })
            .collect();
        for run in plan(&cuts).into_iter().rev() {
            let joined = parts[run.clone()].iter().cloned().reduce(|a, b| a.join(b).unwrap());
            parts.splice(run, joined);
        }
        let mut entries = Vec::new();
        for part in parts {
            let part = Segment::from_body(&part.to_body()).unwrap().verify().unwrap();
            prop_assert_eq!(part.first(), entries.len() as u64 + 1);
            entries.extend(part.into_entries());
        }
        prop_assert_eq!(entries.as_slice(), whole.entries());
    }

    #[test]
    fn damage_is_noticed(at: prop::sample::Index, flip in 1u8..) {
        let segment = one(4);
        let mut bytes = canonical::encode(&segment);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let damaged = canonical::decode::<Segment>(&bytes, 1 << 20);
        prop_assert!(damaged.map(|segment| segment.verify().is_err()).unwrap_or(true));
    }

    #[test]
    fn rubbish_is_refused_quietly(bytes: Vec<u8>) {
        let _ = Segment::from_body(&bytes);
        let _ = canonical::decode::<Segment>(&bytes, 1 << 20);
        let _ = canonical::decode::<Tip>(&bytes, 1 << 20);
    }
}
