//! A device that comes late to a large collection.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod home;

use handfast::{Error, Event, RecordId, Work};
use home::{World, fields, pair};

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
