//! A device that comes late to a large collection.

use crate::home::{World, fields, pair};
use handfast::{Device, Error, Event, RecordId, Totals, Work};

const MANY: u64 = 10_500;

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_sees_the_snapshot_before_it_has_replayed_the_logs() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    pair(&a, &b).await;
    let rows = (0..MANY).map(|number| {
        let mut id = [7; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        Ok::<_, Error>((RecordId::from_bytes(id), fields(&format!(r#"{{"n":{number}}}"#))))
    });
    a.records("notes").unwrap().import(rows, |_| Ok(())).unwrap();
    a.sync().await.unwrap();
    // What is written after the snapshot comes from the log.
    a.records("notes").unwrap().put_key("late", [("n", "late")]).unwrap();
    a.sync().await.unwrap();

    let c = world.bare("c");
    c.records("notes").unwrap().put_key("own", [("n", "own")]).unwrap();
    let mut events = c.events();
    pair(&a, &c).await;

    let mut shown_before_replay = None;
    let mut replayed = false;
    while let Some(event) = events.try_next() {
        match event {
            Event::RecordsChanged { records, .. } if !replayed && shown_before_replay.is_none() => {
                shown_before_replay = Some(records);
            }
            Event::Progress(progress) => replayed |= progress.work == Work::Importing,
            Event::WrongSnapshot { .. } => panic!("the snapshot is right"),
            _ => (),
        }
    }
    assert!(replayed, "the logs are replayed all the same");
    assert_eq!(shown_before_replay, Some(MANY));
    assert_eq!(c.records("notes").unwrap().len().unwrap(), MANY + 2);

    a.sync().await.unwrap();
    assert_eq!(a.content_hash().unwrap(), c.content_hash().unwrap());
    assert!(c.check().unwrap().findings.is_empty());
}

/// What an edit costs: to publish it, and to take it in.
async fn edit(a: &Device, b: &Device, text: &str) -> [Totals; 2] {
    a.records("notes").unwrap().put_key("edited", [("text", text)]).unwrap();
    let mut costs = Vec::new();
    for device in [a, b] {
        let before = device.traffic();
        let report = device.sync().await.unwrap();
        assert_eq!(report.trouble, Vec::<String>::new());
        costs.push(device.traffic().since(before));
    }
    assert_eq!(a.content_hash().unwrap(), b.content_hash().unwrap());
    costs.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_large_collection_costs_what_one_of_a_small_one_does() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    pair(&a, &b).await;
    let settle = async || {
        for device in [&a, &b, &a, &b] {
            assert_eq!(device.sync().await.unwrap().trouble, Vec::<String>::new());
        }
    };
    a.records("notes").unwrap().put_key("first", [("text", "bread")]).unwrap();
    settle().await;
    let small = edit(&a, &b, "milk").await;
    settle().await;
    // A full segment each, so many that a list of them would be seen.
    for round in 1..=6 {
        let rows = (0..32).map(|number| {
            let mut id = [round; 16];
            id[15] = number;
            let text = "x".repeat(100_000);
            Ok::<_, Error>((RecordId::from_bytes(id), fields(&format!(r#"{{"text":"{text}"}}"#))))
        });
        a.records("notes").unwrap().import(rows, |_| Ok(())).unwrap();
    }
    settle().await;
    let large = edit(&a, &b, "cheese").await;
    for (small, large) in small.iter().zip(&large) {
        assert_eq!(small.requests, large.requests);
        let (small, large) = (small.sent + small.received, large.sent + large.received);
        assert!(large < small + 1_000, "{large} bytes, {small} of a small one");
    }
    // Whoever comes late finds what never changes where it is listed.
    let c = world.bare("c");
    pair(&a, &c).await;
    assert_eq!(c.records("notes").unwrap().len().unwrap(), 194);
    assert!(c.check().unwrap().findings.is_empty());
}
