//! Homes whose device died while it was set up, or while it was opened.

use std::fs;

use handfast_ring::DeviceName;
use rusqlite::Connection;

use super::power::Power;
use super::story;
use super::world::{World, copy_dir, scratch, trial};
use crate::device::{Device, DeviceOptions};
use crate::error::Error;
use crate::events::Event;
use crate::key_store::KeyStore;

fn options() -> DeviceOptions {
    DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() }
}

/// Whatever part of a home is there when a device dies while it is set up: either there is no
/// device, and it can be set up, or there is one, and it works.
#[test]
fn a_device_that_died_while_it_was_set_up() {
    let dir = scratch();
    let whole = dir.path().join("whole");
    drop(Device::create(&whole, DeviceName::new("whole").unwrap(), options()).unwrap());
    // In the order in which they come into being.
    let draft: [(&str, &[u8]); 2] = [("handfast.new", b"half"), ("handfast.new-wal", b"half")];
    for n in 0..=4_usize {
        let home = dir.path().join(n.to_string());
        fs::create_dir(&home).unwrap();
        if n > 0 {
            fs::copy(whole.join("device.key"), home.join("device.key")).unwrap();
        }
        for (file, bytes) in draft.iter().take(n.saturating_sub(1)) {
            fs::write(home.join(file), bytes).unwrap();
        }
        if n == 4 {
            // The store is in its place; that this is no copy was not noted yet.
            fs::copy(whole.join("handfast.db"), home.join("handfast.db")).unwrap();
            let opened = Device::open_with(&home, options()).unwrap();
            assert_eq!(opened.name().unwrap().as_str(), "whole");
            assert_eq!(opened.events().try_next(), None);
            continue;
        }
        assert!(matches!(Device::open_with(&home, options()), Err(Error::NoDevice(_))));
        let created = Device::create(&home, DeviceName::new("new").unwrap(), options()).unwrap();
        let id = created.id();
        drop(created);
        assert_eq!(Device::open_with(&home, options()).unwrap().id(), id);
        let files: Vec<_> =
            fs::read_dir(&home).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(!files.iter().any(|it| it.to_string_lossy().contains("new")), "{files:?}");
    }
}

/// A copy that dies while it is opened for the first time is a copy at the second time.
#[test]
fn a_copy_that_died_while_it_was_opened() {
    trial(async {
        let world = World::new().await;
        story::beginning(&world).await;
        story::pairing(&world).await;
        world.end("b").await;
        let copy = world.home("b-copy");
        copy_dir(&world.home("b"), &copy, &[]);
        // As if it died before its first write was durable.
        let database = Connection::open(copy.join("handfast.db")).unwrap();
        let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON meta BEGIN \
                      SELECT RAISE(ABORT, 'no power'); END";
        database.execute_batch(refuse).unwrap();
        assert!(Device::open_with(&copy, options()).is_err());
        database.execute_batch("DROP TRIGGER refuse").unwrap();
        drop(database);
        let opened = world.open("b-copy", Power::lasting());
        assert_eq!(opened.events().try_next(), Some(Event::NewIncarnation));
        drop(opened);
        let opened = world.restart("b-copy", Power::lasting()).await;
        assert_eq!(opened.events().try_next(), None);
    });
}
