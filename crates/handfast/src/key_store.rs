//! Where the device's own keys are kept: the operating system's keyring where there is one, else a
//! file that only its owner may read.

use std::fs;

use handfast_keys::canonical;
use handfast_ring::{DeviceId, DeviceKeys};
use keyring::Entry;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::home::{Home, refuse_if_readable, write_private};

const SERVICE: &str = "handfast";
const MAX_KEYS: usize = 4_096;

/// Where keys may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum KeyStore {
    /// Into the keyring, or where there is none into a file.
    #[default]
    Best,
    /// Into a file.
    File,
}

/// Stores the keys of a new device.
pub(crate) fn store(home: &Home, keys: &DeviceKeys, choice: KeyStore) -> Result<()> {
    let bytes = Zeroizing::new(canonical::encode(keys));
    if choice == KeyStore::Best && in_keyring(keys.device_id(), &bytes) {
        return Ok(());
    }
    write_private(&home.key_file(), &bytes)
}

/// Reads the keys of the device that lives in a home.
pub(crate) fn load(home: &Home, device: DeviceId) -> Result<DeviceKeys> {
    let path = home.key_file();
    let bytes = if path.exists() {
        refuse_if_readable(&path)?;
        fs::read(&path).map_err(Error::io(&path))?
    } else {
        entry(device).and_then(|entry| entry.get_secret()).map_err(out_of_reach)?
    };
    let keys: DeviceKeys = canonical::decode(&Zeroizing::new(bytes), MAX_KEYS)
        .map_err(|_| Error::Keys("they are damaged"))?;
    if keys.device_id() != device {
        return Err(Error::Keys("they belong to another device"));
    }
    Ok(keys)
}

/// Puts keys into the keyring; tells whether they are really there.
fn in_keyring(device: DeviceId, bytes: &[u8]) -> bool {
    let Ok(entry) = entry(device) else { return false };
    entry.set_secret(bytes).is_ok()
        && entry.get_secret().is_ok_and(|stored| *Zeroizing::new(stored) == *bytes)
}

/// By the device's id: a home that is moved or copied finds its keys.
fn entry(device: DeviceId) -> keyring::Result<Entry> {
    Entry::new(SERVICE, &device.to_string())
}

fn out_of_reach(error: keyring::Error) -> Error {
    Error::Keys(match error {
        keyring::Error::NoEntry => "they are neither in the home nor in this system's keyring",
        keyring::Error::NoStorageAccess(_) => "this system's keyring is locked",
        _ => "they are not in the home, and this system's keyring cannot be reached",
    })
}
