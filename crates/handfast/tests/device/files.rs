//! The folder of a device, and what is wrong with it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use handfast::{Device, DeviceName, DeviceOptions, Error, KeyStore};
use tempfile::TempDir;

fn create(home: &Path) -> Result<Device, Error> {
    let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
    Device::create(home, DeviceName::new("device").unwrap(), options)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_secret_is_for_its_owner_only() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().join("home");
    let device = create(&home).unwrap();
    device.records("notes").unwrap().put_key("a", [("v", "1")]).unwrap();
    assert_eq!(mode(&home), 0o700);
    for file in ["handfast.db", "handfast.db-wal", "device.key", "incarnation"] {
        assert_eq!(mode(&home.join(file)), 0o600, "{file}");
    }
    drop(device);
    for file in ["handfast.db", "device.key"] {
        let path = home.join(file);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = Device::open(&home).unwrap_err();
        assert!(matches!(&error, Error::WorldReadable(found) if *found == path), "{error}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
    assert!(Device::open(&home).is_ok());
}

#[test]
fn a_device_is_set_up_once() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().join("home");
    assert!(matches!(Device::open(&home), Err(Error::NoDevice(_))));
    let id = create(&home).unwrap().id();
    assert!(matches!(create(&home), Err(Error::DeviceExists(_))));
    assert_eq!(Device::open(&home).unwrap().id(), id);
}

#[test]
fn keys_that_are_damaged_or_gone_are_said_to_be() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().join("home");
    drop(create(&home).unwrap());
    let key = home.join("device.key");
    let bytes = fs::read(&key).unwrap();
    fs::write(&key, bytes.get(1..).unwrap()).unwrap();
    assert!(matches!(Device::open(&home), Err(Error::Keys(_))));
    fs::remove_file(&key).unwrap();
    assert!(matches!(Device::open(&home), Err(Error::Keys(_))));
}

#[test]
fn a_newer_store_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let home = dir.path().join("home");
    drop(create(&home).unwrap());
    let database = rusqlite::Connection::open(home.join("handfast.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    assert!(matches!(Device::open(&home), Err(Error::NewerHome { found: 99, .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_at_a_time_pairs_or_syncs() {
    let world = crate::home::World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    crate::home::pair(&a, &b).await;
    let watch = a.watch().unwrap();
    let other = world.reopen("a");
    assert!(matches!(other.sync().await, Err(Error::Locked(_))));
    // Reading and writing records needs no lock.
    other.records("notes").unwrap().put_key("x", [("v", "1")]).unwrap();
    watch.stop().await;
    other.sync().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_devices_tell_each_other_of_edits() {
    let world = crate::home::World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    crate::home::pair(&a, &b).await;
    let mut events = b.events();
    let (_a, _b) = (a.watch().unwrap(), b.watch().unwrap());
    let id = a.records("notes").unwrap().put_key("x", [("v", "1")]).unwrap();
    let arrived = async {
        while b.records("notes").unwrap().get(&id).unwrap().is_none() {
            events.next().await;
        }
    };
    tokio::time::timeout(crate::home::PATIENCE, arrived).await.unwrap();
}
