//! What cannot be made.

use super::*;
use crate::validity::EolError;

#[test]
fn drafts_that_nobody_could_read_are_refused() {
    let sign = |change: &dyn Fn(&mut Draft)| {
        let mut draft = draft();
        change(&mut draft);
        draft.sign(&key())
    };
    let extra = |key: &str, len| {
        let (key, bytes) = (String::from(key), vec![7; len]);
        move |draft: &mut Draft| drop(draft.extra.insert(key.clone(), bytes.clone()))
    };
    assert_eq!(sign(&|d| d.value = "bafkqaaa".into()), Err(RecordError::NotAPath));
    assert_eq!(sign(&|d| d.value.clear()), Err(RecordError::NotAPath));
    assert_eq!(
        sign(&|d| d.sequence = MAX_SEQUENCE + 1),
        Err(RecordError::OutOfRange(Field::Sequence))
    );
    assert_eq!(sign(&|d| d.ttl_ns = 1 << 63), Err(RecordError::OutOfRange(Field::Ttl)));
    assert_eq!(sign(&|d| d.eol = Timestamp(u64::MAX)), Err(RecordError::Eol(EolError::TooFar)));
    for key in ["", "Value", "TTL", "handfast"] {
        assert_eq!(sign(&extra(key, 1)), Err(RecordError::ExtraKey(key.into())));
    }
    assert_eq!(sign(&|d| d.sequence = MAX_SEQUENCE).unwrap().sequence(), MAX_SEQUENCE);
}

#[test]
fn a_record_has_at_most_10_kib() {
    let with_extra = |len| {
        let mut draft = draft();
        draft.extra.insert("_x".into(), vec![7; len]);
        draft.sign(&key())
    };
    let overhead = with_extra(9_000).unwrap().as_bytes().len() - 9_000;
    let largest = with_extra(MAX_RECORD - overhead).unwrap();
    assert_eq!(largest.as_bytes().len(), MAX_RECORD);
    assert_eq!(parse(largest.as_bytes()).unwrap(), largest);
    assert_eq!(
        with_extra(MAX_RECORD - overhead + 1),
        Err(RecordError::TooLarge { len: MAX_RECORD + 1 })
    );
}
