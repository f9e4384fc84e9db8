//! Edits that other processes make in this device's store.
//!
//! SQLite says by a number whether somebody else has written. When to look at that number the system
//! says: the store's folder is watched. Where it can't be, or the system doesn't tell, as with
//! folders of other machines, the number is looked at from time to time.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time;

use super::schedule::OWN_EDITS;
use crate::device::Inner;

/// What is written in the folder can be read a moment later, when its writer has made it durable.
const A_MOMENT: Duration = Duration::from_millis(2);

/// Which edits of other processes this one has heard of.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    seen: Mutex<Option<i64>>,
    folder: OnceLock<Folder>,
}

impl Elsewhere {
    /// Takes note of everything that has been written, and says whether that is news. While this
    /// process writes itself, it looks like none.
    pub fn look(&self, device: &Inner) -> bool {
        let Ok(Some(version)) = device.store.version() else { return false };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.replace(version) != Some(version)
    }

    /// Waits until another process has written something that was not looked at.
    pub async fn edited(&self, device: &Inner) {
        let folder = self.folder.get_or_init(|| Folder::watch(device.home.path()));
        let mut pause = A_MOMENT;
        while !self.look(device) {
            tokio::select! {
                () = time::sleep(pause) => pause = OWN_EDITS.min(2 * pause),
                () = folder.written.notified() => {
                    time::sleep(A_MOMENT).await;
                    pause = A_MOMENT;
                }
            }
        }
    }
}

/// A folder in which something may be written.
#[derive(Debug)]
struct Folder {
    written: Arc<Notify>,
    /// Watches as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

impl Folder {
    fn watch(path: &Path) -> Folder {
        let written = Arc::new(Notify::new());
        let tell = Arc::clone(&written);
        let watching = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if matches!(event, Ok(notify::Event { kind: EventKind::Modify(_), .. })) {
                tell.notify_one();
            }
        })
        .and_then(|mut watcher| {
            watcher.watch(path, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watching {
            tracing::debug!(%error, "edits of other processes are looked for from time to time");
        }
        Folder { written, _watcher: watching.ok() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tempfile::TempDir;

    use super::*;
    use crate::{Device, DeviceName, DeviceOptions, KeyStore};

    /// A device, and the same again as another process has it.
    fn twice() -> (TempDir, Device, Device) {
        let dir = TempDir::new().unwrap();
        let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
        let device = Device::create(dir.path(), DeviceName::new("a").unwrap(), options).unwrap();
        let other = Device::open(dir.path()).unwrap();
        device.0.elsewhere.look(&device.0);
        (dir, device, other)
    }

    fn edit(device: &Device) {
        device.records("notes").unwrap().put_key("x", [("v", "1")]).unwrap();
    }

    #[tokio::test]
    async fn what_was_written_before_the_wait_ends_it_at_once() {
        let (_dir, device, other) = twice();
        edit(&other);
        assert_eq!(device.0.elsewhere.edited(&device.0).now_or_never(), Some(()));
        edit(&device);
        assert_eq!(device.0.elsewhere.edited(&device.0).now_or_never(), None);
    }

    #[tokio::test]
    async fn the_system_tells() {
        let (_dir, device, other) = twice();
        let folder = Folder::watch(device.home());
        edit(&other);
        let told = time::timeout(Duration::from_secs(60), folder.written.notified());
        assert_eq!(told.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_system_does_not_tell_it_is_looked() {
        let (_dir, device, other) = twice();
        let deaf = Folder { written: Arc::default(), _watcher: None };
        device.0.elsewhere.folder.set(deaf).unwrap();
        let mut edited = std::pin::pin!(device.0.elsewhere.edited(&device.0));
        assert!(time::timeout(20 * OWN_EDITS, &mut edited).await.is_err());
        edit(&other);
        assert_eq!(time::timeout(2 * OWN_EDITS, edited).await, Ok(()));
    }
}
