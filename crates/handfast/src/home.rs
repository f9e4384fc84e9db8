//! The folder that a device lives in.
//!
//! | file | what |
//! |---|---|
//! | `handfast.db` | the store; also holds writer keys and the provider config |
//! | `invites.db` | invites that were made here or are being answered |
//! | `device.key` | the device's keys, where there is no keyring |
//! | `incarnation` | which file the store was when it was last opened |
//! | `sync.lock` | held by the one process that pairs or syncs |
//!
//! Everything in it is open to its owner only.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A device's folder.
#[derive(Debug, Clone)]
pub(crate) struct Home(PathBuf);

/// Which file the store was when it was last opened. Beside a copy it tells of the original.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Whereabouts {
    device: u64,
    inode: u64,
}

/// Held while a process pairs or syncs.
#[derive(Debug)]
pub(crate) struct SyncLock {
    _file: File,
}

impl Home {
    /// The home of a device that exists.
    pub fn open(path: &Path) -> Result<Home> {
        let home = Home(path.to_owned());
        match fs::metadata(home.database()) {
            Ok(file) if file.is_file() => (),
            Err(source) if source.kind() == ErrorKind::PermissionDenied => {
                return Err(Error::Io { path: path.to_owned(), source });
            }
            _ => return Err(Error::NoDevice(path.to_owned())),
        }
        refuse_if_readable(&home.database())?;
        Ok(home)
    }

    /// A home for a new device. The folder may exist, but not with a device in it.
    pub fn create(path: &Path) -> Result<Home> {
        let home = Home(path.to_owned());
        if home.database().exists() {
            return Err(Error::DeviceExists(path.to_owned()));
        }
        let is_new = !path.exists();
        fs::create_dir_all(path).map_err(Error::io(path))?;
        if is_new {
            fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(Error::io(path))?;
        }
        Ok(home)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn database(&self) -> PathBuf {
        self.0.join("handfast.db")
    }

    /// Where the pairing manager keeps invites.
    pub fn invites(&self) -> PathBuf {
        self.0.join("invites.db")
    }

    /// Forgets invites: beside a copy, two devices would answer one.
    pub fn forget_invites(&self) -> Result<()> {
        let path = self.invites();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path)(error)),
            _ => Ok(()),
        }
    }

    pub fn key_file(&self) -> PathBuf {
        self.0.join("device.key")
    }

    /// Takes the lock of the one process that pairs or syncs. A killed process holds none.
    pub fn lock(&self) -> Result<SyncLock> {
        let path = self.0.join("sync.lock");
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(SyncLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(self.0.clone())),
            Err(TryLockError::Error(source)) => Err(Error::Io { path, source }),
        }
    }

    /// Tells whether the store is another file than when it was last opened here: a copy. What
    /// follows from that is to be done before [`note_whereabouts`](Self::note_whereabouts).
    pub fn was_copied(&self) -> Result<bool> {
        let now = self.whereabouts()?;
        Ok(self.noted_whereabouts().is_some_and(|before| before != now))
    }

    /// Notes which file the store is now.
    pub fn note_whereabouts(&self) -> Result<()> {
        let now = self.whereabouts()?;
        if self.noted_whereabouts().as_ref() == Some(&now) {
            return Ok(());
        }
        write_private(&self.incarnation(), &serde_json::to_vec(&now).unwrap_or_default())
    }

    fn whereabouts(&self) -> Result<Whereabouts> {
        let metadata = fs::metadata(self.database()).map_err(Error::io(self.database()))?;
        Ok(Whereabouts { device: metadata.dev(), inode: metadata.ino() })
    }

    fn noted_whereabouts(&self) -> Option<Whereabouts> {
        serde_json::from_slice(&fs::read(self.incarnation()).ok()?).ok()
    }

    fn incarnation(&self) -> PathBuf {
        self.0.join("incarnation")
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(Error::io(&draft))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io(&draft))?;
    fs::rename(&draft, path).map_err(Error::io(path))
}

/// Refuses a file with secrets that others can read.
pub(crate) fn refuse_if_readable(path: &Path) -> Result<()> {
    let metadata = fs::metadata(path).map_err(Error::io(path))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Error::WorldReadable(path.to_owned()));
    }
    Ok(())
}
