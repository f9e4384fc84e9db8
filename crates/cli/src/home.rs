//! Which device is meant: the folder that it lives in.

use std::env;
use std::path::{Path, PathBuf};

use handfast::{Device, DeviceName, DeviceOptions, KeyStore};

use crate::report::CliError;

/// The folder of a device, which may not exist yet.
#[derive(Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The folder that was given, or else the one of this machine's person.
    pub fn choose(given: Option<PathBuf>) -> Result<Home, CliError> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        given
            .or_else(|| {
                Some(set("XDG_DATA_HOME").filter(|dir| dir.is_absolute())?.join("handfast"))
            })
            .or_else(|| Some(set("HOME")?.join(".handfast")))
            .map(Home)
            .ok_or_else(|| {
                CliError::usage("there is no home directory to keep a device in")
                    .hint("Name a folder with --home.")
            })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The device in it.
    pub fn open(&self) -> Result<Device, CliError> {
        Ok(Device::open(&self.0)?)
    }

    /// Sets a device up in it. `HANDFAST_KEYS=file` keeps its keys out of the keyring.
    pub fn create(&self, name: DeviceName) -> Result<Device, CliError> {
        let key_store = match env::var("HANDFAST_KEYS").as_deref() {
            Err(_) | Ok("" | "best") => KeyStore::Best,
            Ok("file") => KeyStore::File,
            Ok(_) => return Err(CliError::usage("HANDFAST_KEYS is `file` or `best`")),
        };
        let options = DeviceOptions { key_store, ..DeviceOptions::default() };
        Ok(Device::create(&self.0, name, options)?)
    }
}
