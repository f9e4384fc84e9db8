use handfast_keys::{Timestamp, WriterPublic};

use super::*;
use crate::record::RecordId;

const RECORD: RecordId = RecordId::from_bytes([0; 16]);

fn writer(byte: u8) -> WriterPublic {
    WriterPublic::from_bytes([byte; 32])
}

fn dot(byte: u8, id: u64) -> Dot {
    Dot { writer: writer(byte), id }
}

fn name(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn value(text: &str) -> Value {
    Value::parse(text).unwrap()
}

fn fields(text: &str) -> Fields {
    Fields::parse(text).unwrap()
}

fn apply(state: &mut RecordState, byte: u8, id: u64, op: Op) -> bool {
    let timestamp = state.next_timestamp(Timestamp(id));
    state.apply(&writer(byte), &Mutation::new(id, RECORD, timestamp, op).unwrap())
}

fn record(text: &str) -> RecordState {
    let mut state = RecordState::default();
    apply(&mut state, 1, 1, Op::Create { fields: fields(text) });
    state
}

/// Two devices set `a` of one record to 1 and 2 without knowing of each other.
fn conflict() -> RecordState {
    let mut state = record(r#"{"a":0,"b":0}"#);
    let mine = state.set(name("a"), value("1")).unwrap().unwrap();
    let theirs = state.set(name("a"), value("2")).unwrap().unwrap();
    apply(&mut state, 1, 2, mine);
    apply(&mut state, 2, 1, theirs);
    state
}

#[test]
fn an_update_replaces_what_is_there() {
    let state = record(r#"{"a":1,"b":2}"#);
    let expected = Op::Update {
        changes: Vec::from([Change {
            field: name("a"),
            value: value("3"),
            supersedes: Vec::from([dot(1, 1)]),
        }]),
        seen: None,
    };
    assert_eq!(state.set(name("a"), value("3")), Ok(Some(expected)));
    assert_eq!(state.set(name("a"), value("1.0")), Ok(None));
    assert_eq!(state.set(FieldName::deletion(), value("true")), Err(EditError::Reserved));
}

#[test]
fn creating_what_exists_updates_it() {
    let mut state = record(r#"{"a":1,"b":2}"#);
    assert_eq!(create(Some(&state), fields(r#"{"a":1}"#)), Ok(None));
    let op = create(Some(&state), fields(r#"{"a":9,"c":3}"#)).unwrap().unwrap();
    apply(&mut state, 1, 2, op);
    assert_eq!(state.winners_text(), r#"{"a":9,"b":2,"c":3}"#);
    let op = create(None, fields(r#"{"a":1}"#)).unwrap().unwrap();
    assert_eq!(op, Op::Create { fields: fields(r#"{"a":1}"#) });
}

#[test]
fn deleting_and_restoring() {
    let mut state = record(r#"{"a":1}"#);
    assert_eq!(state.restore(), Ok(None));
    let op = state.delete().unwrap().unwrap();
    apply(&mut state, 1, 2, op);
    assert!(!state.is_visible(Policy::Ask));
    assert_eq!(state.delete(), Ok(None));
    let mut edited = state.clone();
    let op = state.restore().unwrap().unwrap();
    apply(&mut state, 1, 3, op);
    assert!(state.is_visible(Policy::Ask));
    assert_eq!(state.restore(), Ok(None));
    assert_eq!(state.winners_text(), r#"{"a":1}"#);

    // An edit brings the record back, even one that changes nothing else.
    let op = edited.set(name("a"), value("1")).unwrap().unwrap();
    apply(&mut edited, 2, 1, op);
    assert!(edited.is_visible(Policy::Ask) && edited.conflicts(Policy::Ask).is_empty());
    let op = edited.delete().unwrap().unwrap();
    apply(&mut edited, 2, 2, op);
    let op = create(Some(&edited), Fields::new()).unwrap().unwrap();
    apply(&mut edited, 2, 3, op);
    assert!(edited.is_visible(Policy::Ask));
}

#[test]
fn an_edit_that_a_deletion_had_not_seen_is_a_conflict() {
    for restore in [true, false] {
        let mut state = record(r#"{"a":1}"#);
        let delete = state.delete().unwrap().unwrap();
        let edit = state.set(name("a"), value("2")).unwrap().unwrap();
        apply(&mut state, 2, 1, edit);
        apply(&mut state, 1, 2, delete);
        assert!(state.is_visible(Policy::Ask));
        assert!(!state.is_visible(Policy::Latest), "the deletion came last");
        match &state.conflicts(Policy::Ask)[..] {
            [Conflict::Deletion { deletes, keeps }] => {
                assert_eq!(deletes[0].dot, dot(1, 2));
                assert_eq!((keeps[0].0.as_str(), keeps[0].1.dot), ("a", dot(2, 1)));
            }
            other => panic!("{other:?}"),
        }
        // A further edit leaves the question open; an answer closes it.
        let edit = state.set(name("a"), value("3")).unwrap().unwrap();
        apply(&mut state, 2, 2, edit);
        assert!(state.is_visible(Policy::Latest), "now the edit came last");
        assert_eq!(state.conflicts(Policy::Ask).len(), 1);
        let op = if restore { state.restore() } else { state.delete() };
        apply(&mut state, 3, 1, op.unwrap().unwrap());
        assert_eq!(state.is_visible(Policy::Ask), restore);
        assert_eq!(state.conflicts(Policy::Ask), []);
    }
}

#[test]
fn deletion_against_restoration_is_a_conflict() {
    let mut state = record(r#"{"a":1}"#);
    let delete = state.delete().unwrap().unwrap();
    apply(&mut state, 1, 2, delete);
    let restore = state.restore().unwrap().unwrap();
    let again = {
        let mut other = state.clone();
        let restore = other.restore().unwrap().unwrap();
        apply(&mut other, 2, 1, restore);
        let delete = other.delete().unwrap().unwrap();
        (other, delete)
    };
    let mut other = again.0;
    apply(&mut other, 2, 2, again.1);
    apply(&mut other, 1, 3, restore);
    assert!(other.is_visible(Policy::Ask));
    assert_eq!(other.conflicts(Policy::Ask).len(), 1);
}

#[test]
fn resolving_picks_what_is_meant() {
    let mine = [writer(1)];
    for (pick, expected) in [
        (Pick::Mine(&mine), "1"),
        (Pick::Theirs(&mine), "2"),
        (Pick::Dot(dot(2, 1)), "2"),
        (Pick::Favourite, "2"),
        (Pick::Value(value("7")), "7"),
    ] {
        let mut state = conflict();
        let op = state.resolve("a", pick).unwrap();
        apply(&mut state, 3, 1, op);
        assert_eq!(state.conflicts(Policy::Ask), []);
        assert_eq!(state.winners_text(), format!(r#"{{"a":{expected},"b":0}}"#));
    }
    let state = conflict();
    assert_eq!(state.resolve("a", Pick::Dot(dot(1, 1))), Err(EditError::NoSuchValue));
    assert_eq!(state.resolve("a", Pick::Theirs(&[])), Err(EditError::Ambiguous));
    let none = EditError::NoConflict { field: "b".into() };
    assert_eq!(state.resolve("b", Pick::Favourite), Err(none));
    assert_eq!(state.resolve("$deleted", Pick::Favourite).map(|_| ()), {
        Err(EditError::NoConflict { field: "$deleted".into() })
    });
}

#[test]
fn under_latest_nobody_is_asked() {
    let state = conflict();
    assert_eq!(state.conflicts(Policy::Ask).len(), 1);
    assert_eq!(state.conflicts(Policy::Latest), []);
    assert_eq!(state.winners_text(), r#"{"a":2,"b":0}"#);
}

#[test]
fn setting_a_field_in_conflict_resolves_it() {
    let state = conflict();
    let op = state.set(name("a"), value("2")).unwrap().unwrap();
    let Op::Update { changes, .. } = op else { panic!("an update") };
    assert_eq!(changes[0].supersedes, [dot(1, 2), dot(2, 1)]);
}

#[test]
fn a_flood_of_values_can_be_resolved_in_steps() {
    let mut state = record(r#"{"a":0}"#);
    for id in 1..=5000 {
        apply(&mut state, 9, id, Op::Create { fields: fields(&format!(r#"{{"a":{id}}}"#)) });
    }
    assert_eq!(state.delete(), Err(EditError::TooManyValues));
    for id in 2..=3 {
        let op = state.set(name("a"), value("1")).unwrap().unwrap();
        apply(&mut state, 1, id, op);
    }
    assert_eq!(state.conflicts(Policy::Ask), []);
    assert!(state.delete().unwrap().is_some());
}

#[test]
fn records_have_a_largest_size() {
    let many: Vec<_> = (0..1024).map(|i| format!("\"{i}\":0")).collect();
    let state = record(&format!("{{{}}}", many.join(",")));
    assert_eq!(state.set(name("more"), value("1")), Err(EditError::TooManyFields));
    assert!(state.set(name("7"), value("1")).unwrap().is_some());
}
