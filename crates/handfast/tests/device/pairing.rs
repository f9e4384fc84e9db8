//! Two and three real devices over a real host on loopback.

use crate::home::{World, begin, compare, fields, pair, text};
use handfast::{Consent, Device, Event, Pick, RecordId, Value};

fn name(device: &Device) -> String {
    device.name().unwrap().as_str().to_owned()
}

async fn settle(devices: &[&Device]) {
    // Twice around: what the first publishes last, the others have in the second round.
    for _ in 0..3 {
        for device in devices {
            let report = device.sync().await.unwrap();
            assert_eq!(report.trouble, Vec::<String>::new(), "{}", name(device));
        }
    }
}

fn hash(device: &Device) -> handfast_keys::Digest {
    device.content_hash().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn solo_data_meets_and_stays_in_step() {
    let world = World::new().await;
    let (a, b) = (world.device("laptop"), world.bare("phone"));
    let airports = a.records("airports").unwrap();
    airports.put_key("JFK", [("city", "New York"), ("name", "Kennedy")]).unwrap();
    airports.put_key("OSL", [("city", "Oslo")]).unwrap();
    let theirs = b.records("airports").unwrap();
    let jfk = theirs.put_key("JFK", [("city", "New York"), ("name", "Idlewild")]).unwrap();
    theirs.put_key("CDG", [("city", "Paris")]).unwrap();

    let (peer_of_a, peer_of_b) = pair(&a, &b).await;
    assert_eq!((peer_of_a.name.as_str(), peer_of_b.name.as_str()), ("phone", "laptop"));
    assert!(b.provider_config().unwrap().is_some(), "handed over after both confirmed");
    settle(&[&a, &b]).await;
    assert_eq!(hash(&a), hash(&b));
    assert_eq!(airports.len().unwrap(), 3);

    // The same thing with two names: a conflict on both, until one decides.
    for device in [&a, &b] {
        let conflicts = device.conflicts().unwrap();
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].record.id, jfk);
        assert_eq!(conflicts[0].fields[0].field, "name");
        assert_eq!(conflicts[0].fields[0].values.len(), 2);
    }
    b.records("airports").unwrap().resolve(&jfk, "name", Pick::Theirs).unwrap();
    airports.set(&jfk, "runways", Value::parse("4").unwrap()).unwrap();
    settle(&[&a, &b]).await;
    assert_eq!(hash(&a), hash(&b));
    assert!(a.conflicts().unwrap().is_empty() && b.conflicts().unwrap().is_empty());
    let jfk = theirs.get(&jfk).unwrap().unwrap();
    assert_eq!(jfk.fields, fields(r#"{"city":"New York","name":"Kennedy","runways":4}"#));
    assert!(a.check().unwrap().findings.is_empty());
    assert!(b.check().unwrap().findings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_device_is_picked_up_by_the_others() {
    let world = World::new().await;
    let (a, b, c) = (world.device("a"), world.bare("b"), world.bare("c"));
    for (device, record) in [(&a, 1), (&b, 2), (&c, 3)] {
        let id = RecordId::from_bytes([record; 16]);
        device.records("notes").unwrap().set(&id, "by", text(&name(device))).unwrap();
    }
    pair(&a, &b).await;
    pair(&a, &c).await;
    settle(&[&a, &b, &c]).await;
    settle(&[&a, &b, &c]).await;
    for device in [&a, &b, &c] {
        let mut names: Vec<String> =
            device.devices().unwrap().iter().map(|d| d.name.as_str().to_owned()).collect();
        names.sort();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(device.records("notes").unwrap().len().unwrap(), 3);
        assert_eq!(hash(device), hash(&a));
    }
    let admitted = b.devices().unwrap().into_iter().find(|d| d.name.as_str() == "c").unwrap();
    assert_eq!(admitted.admitted_by.unwrap().as_str(), "a");
    // B and C have never met, and are in step all the same.
    c.records("notes").unwrap().set(&RecordId::from_bytes([2; 16]), "by", text("c")).unwrap();
    settle(&[&c, &b, &a]).await;
    assert_eq!(hash(&b), hash(&c));
}

#[tokio::test(flavor = "multi_thread")]
async fn version_one_works_when_asked_for() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.device("b"));
    a.records("n").unwrap().put_key("x", [("v", "1")]).unwrap();
    b.records("n").unwrap().put_key("y", [("v", "2")]).unwrap();
    let (mut one, mut two) = begin(&a, &b, Consent::Compare, true).await;
    let mut shown = Vec::new();
    for pairing in [&mut two, &mut one] {
        loop {
            if let Some(handfast::Step::AskLiteral(fingerprint)) = pairing.next().await {
                shown.push(fingerprint);
                pairing.answer(handfast::Answer::Yes);
                break;
            }
        }
    }
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], b.devices().unwrap()[0].fingerprint);
    tokio::try_join!(one.finished(), two.finished()).unwrap();
    settle(&[&a, &b]).await;
    assert_eq!(hash(&a), hash(&b));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_goes_on() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    let (one, two) = begin(&a, &b, Consent::Typed, false).await;
    // Both processes die; the code was scanned.
    drop((one, two, a, b));
    let (a, b) = (world.reopen("a"), world.reopen("b"));
    let one = a.resume_pairing().await.unwrap().unwrap();
    let two = b.resume_pairing().await.unwrap().unwrap();
    compare(one, two).await;
    assert_eq!((a.devices().unwrap().len(), b.devices().unwrap().len()), (2, 2));
    assert!(a.resume_pairing().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_pair_again_when_asked_to() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    pair(&a, &b).await;
    let shown = a.pair(handfast::PairOptions::default()).await.unwrap();
    let code = shown.code().unwrap().to_owned();
    let refused = b.join(&code, handfast::JoinOptions::default()).await;
    let failure = refused.err().map(|error| error.to_string());
    assert_eq!(failure, Some(handfast::Failure::AlreadyPaired.to_string()));

    a.records("notes").unwrap().put_key("since", [("v", "1")]).unwrap();
    let again = handfast::JoinOptions { again: true, ..handfast::JoinOptions::default() };
    let joined = b.join(&code, again).await.unwrap();
    compare(shown, joined).await;
    assert_eq!((a.devices().unwrap().len(), b.devices().unwrap().len()), (2, 2));
    assert_eq!(b.records("notes").unwrap().len().unwrap(), 1, "the feed of this pairing came in");
    assert!(!a.status().unwrap().pairing_pending && !b.status().unwrap().pairing_pending);
    settle(&[&a, &b]).await;
    assert_eq!(hash(&a), hash(&b));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_home_writes_elsewhere_and_nothing_is_lost() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    pair(&a, &b).await;
    let notes = b.records("notes").unwrap();
    notes.put_key("before", [("v", "1")]).unwrap();
    settle(&[&a, &b]).await;

    // A copy of B's home, made while it has an edit that nobody has seen.
    notes.put_key("unseen", [("v", "2")]).unwrap();
    let copy = world.dir.path().join("copy");
    drop((notes, b));
    copy_home(&world.dir.path().join("b"), &copy);
    let (b, copy) = (world.reopen("b"), crate::home::open(&copy));
    assert_eq!(copy.events().try_next(), Some(Event::NewIncarnation));
    assert_eq!(copy.events().try_next(), None, "it is told once");
    assert_eq!(b.events().try_next(), None);
    b.records("notes").unwrap().put_key("original", [("v", "3")]).unwrap();
    copy.records("notes").unwrap().put_key("copy", [("v", "4")]).unwrap();
    settle(&[&b, &a]).await;
    settle(&[&copy, &a]).await;
    settle(&[&b, &copy, &a]).await;
    assert_eq!(a.records("notes").unwrap().len().unwrap(), 4);
    for device in [&b, &copy] {
        assert_eq!(hash(device), hash(&a));
        assert!(device.check().unwrap().findings.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_home_loses_nothing() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    pair(&a, &b).await;
    b.records("notes").unwrap().put_key("old", [("v", "1")]).unwrap();
    settle(&[&b, &a]).await;
    let backup = world.dir.path().join("backup");
    drop(b);
    copy_home(&world.dir.path().join("b"), &backup);

    let b = world.reopen("b");
    b.records("notes").unwrap().put_key("later", [("v", "2")]).unwrap();
    settle(&[&b, &a]).await;
    drop(b);
    // Restored in place: the same files as far as the system tells.
    for file in ["handfast.db", "handfast.db-wal", "handfast.db-shm"] {
        let (from, to) = (backup.join(file), world.dir.path().join("b").join(file));
        match std::fs::read(&from) {
            Ok(bytes) => std::fs::write(&to, bytes).unwrap(),
            Err(_) => drop(std::fs::remove_file(&to)),
        }
    }
    let b = world.reopen("b");
    b.records("notes").unwrap().put_key("after", [("v", "3")]).unwrap();
    settle(&[&b, &a]).await;
    settle(&[&b, &a]).await;
    assert_eq!(b.records("notes").unwrap().len().unwrap(), 3);
    assert_eq!(hash(&a), hash(&b));
    assert!(a.check().unwrap().findings.is_empty() && b.check().unwrap().findings.is_empty());
}

fn copy_home(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
