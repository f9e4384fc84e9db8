//! Where the device's own keys are kept: the operating system's keyring where there is one, else a
//! file that only its owner may read.

use std::fs;

use handfast_keys::canonical;
use handfast_ring::DeviceKeys;
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
    if choice == KeyStore::Best && in_keyring(home, &bytes) {
        return Ok(());
    }
    write_private(&home.key_file(), &bytes)
}

/// Reads the keys of a device.
pub(crate) fn load(home: &Home) -> Result<DeviceKeys> {
    let path = home.key_file();
    let bytes = if path.exists() {
        refuse_if_readable(&path)?;
        fs::read(&path).map_err(Error::io(&path))?
    } else {
        entry(home)
            .and_then(|entry| entry.get_secret())
            .map_err(|error| Error::Keys(error.to_string()))?
    };
    canonical::decode(&Zeroizing::new(bytes), MAX_KEYS)
        .map_err(|_| Error::Keys("they are damaged".into()))
}

/// Puts keys into the keyring; tells whether they are really there.
fn in_keyring(home: &Home, bytes: &[u8]) -> bool {
    let Ok(entry) = entry(home) else { return false };
    entry.set_secret(bytes).is_ok()
        && entry.get_secret().is_ok_and(|stored| *Zeroizing::new(stored) == *bytes)
}

fn entry(home: &Home) -> keyring::Result<Entry> {
    let path = home.path().canonicalize().unwrap_or_else(|_| home.path().to_owned());
    Entry::new(SERVICE, &path.to_string_lossy())
}
