//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The directory where files are written before they get their names.
#[derive(Debug)]
pub(crate) struct Staging {
    dir: PathBuf,
    next: AtomicU64,
}

impl Staging {
    /// Opens the directory and throws away what a killed process left in it.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        for entry in fs::read_dir(&dir)? {
            fs::remove_file(entry?.path())?;
        }
        Ok(Self { dir, next: AtomicU64::new(0) })
    }

    /// Creates or replaces `path`. Whatever happens meanwhile, a reader finds the old content or
    /// the new one; once this has returned, the new one survives a loss of power.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let staged = self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let outcome = (|| {
            let mut file = File::create(&staged)?;
            file.write_all(content)?;
            file.sync_all()?;
            let dir = path.parent().unwrap_or(Path::new("."));
            make_dir(dir)?;
            fs::rename(&staged, path)?;
            sync_dir(dir)
        })();
        if outcome.is_err() {
            let _ = fs::remove_file(&staged);
        }
        outcome
    }
}

/// Creates a directory, durably, if it is not there.
fn make_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    dir.parent().map_or(Ok(()), sync_dir)
}

/// Makes the names in a directory durable, where directories can be opened.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// The place of a file called `name` below `root`: in one of some thousand directories, by the two
/// last characters of its name, which are the ones that differ in CIDs and keys.
pub(crate) fn shard(root: &Path, name: &str) -> PathBuf {
    let (_, shard) = name.split_at_checked(name.len().saturating_sub(2)).unwrap_or(("", name));
    root.join(shard).join(name)
}

/// Calls `found` with every file below the shards of `root`.
pub(crate) fn walk(
    root: &Path,
    mut found: impl FnMut(&str, &fs::DirEntry) -> io::Result<()>,
) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for shard in fs::read_dir(root)? {
        let shard = shard?;
        if !shard.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(shard.path())? {
            let file = file?;
            if let Some(name) = file.file_name().to_str() {
                found(name, &file)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_cleans_up() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        fs::write(dir.path().join("tmp/7"), "half").unwrap();
        let staging = Staging::open(dir.path().join("tmp")).unwrap();
        let path = shard(&dir.path().join("things"), "abcdef");
        assert!(path.ends_with("things/ef/abcdef"));
        staging.write(&path, b"one").unwrap();
        staging.write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);

        let mut names = Vec::new();
        walk(&dir.path().join("things"), |name, _| {
            names.push(name.to_owned());
            Ok(())
        })
        .unwrap();
        assert_eq!(names, ["abcdef"]);
    }
}
