//! Who pins what.
//!
//! An account's pins are a journal, `pins/<account>.log`: a line `+<cid>` or `-<cid>` for each
//! change, appended and synced once for each request. A torn last line is one that was never
//! confirmed, and is dropped. Opening a journal that has grown rewrites it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handfast_ipfs::Cid;

use crate::files::Staging;
use crate::tokens::{AccountName, Tokens};

/// One account and what it pins.
#[derive(Debug)]
pub(crate) struct Account {
    book: Mutex<Book>,
}

/// The pins of an account, with the bytes that each counts against its quota.
#[derive(Debug)]
pub(crate) struct Book {
    pins: BTreeMap<Cid, u64>,
    bytes: u64,
    journal: File,
    /// The last append failed and may have left half a line.
    torn: bool,
}

impl Account {
    /// Opens the accounts that have tokens and those that have pins. `size` tells how large a
    /// block is.
    pub(crate) fn open_all(
        dir: &Path,
        staging: &Staging,
        tokens: &Tokens,
        size: impl Fn(&Cid) -> u64,
    ) -> io::Result<BTreeMap<AccountName, Arc<Account>>> {
        fs::create_dir_all(dir)?;
        let mut names = tokens.accounts();
        for entry in fs::read_dir(dir)? {
            let file = entry?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".log"));
            names.extend(name.and_then(AccountName::parse));
        }
        names
            .into_iter()
            .map(|name| {
                let path = dir.join(format!("{name}.log"));
                let book = Book::open(&path, staging, &size)?;
                Ok((name, Arc::new(Account { book: Mutex::new(book) })))
            })
            .collect()
    }

    /// The book. Whoever holds it may write to disk: never wait for it while holding anything
    /// else.
    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn open(path: &Path, staging: &Staging, size: impl Fn(&Cid) -> u64) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        let mut pins = BTreeMap::new();
        let mut plain = true;
        for line in text.split_inclusive('\n') {
            let cid = |text| Cid::parse(text).ok();
            match line.strip_suffix('\n').and_then(|line| line.split_at_checked(1)) {
                Some(("+", text)) if let Some(cid) = cid(text) => {
                    pins.insert(cid, size(&cid));
                }
                Some(("-", text)) if let Some(cid) = cid(text) => {
                    plain = false;
                    pins.remove(&cid);
                }
                _ => {
                    plain = false;
                    tracing::warn!(?path, "a line that is no pin is dropped");
                }
            }
        }
        if !plain {
            let text: String = pins.keys().map(|cid| format!("+{cid}\n")).collect();
            staging.write(path, text.as_bytes())?;
        }
        let journal = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { bytes: pins.values().sum(), pins, journal, torn: false })
    }

    /// Bytes counted against the quota.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is pinned, in order.
    pub(crate) fn pins(&self) -> &BTreeMap<Cid, u64> {
        &self.pins
    }

    /// Pins blocks of these sizes that are not pinned yet.
    pub(crate) fn pin(&mut self, blocks: &[(Cid, u64)]) -> io::Result<()> {
        self.append('+', blocks.iter().map(|(cid, _)| cid))?;
        for (cid, size) in blocks {
            self.pins.insert(*cid, *size);
            self.bytes += size;
        }
        Ok(())
    }

    /// Gives up blocks that are pinned.
    pub(crate) fn unpin(&mut self, cids: &[Cid]) -> io::Result<()> {
        self.append('-', cids.iter())?;
        for cid in cids {
            self.bytes -= self.pins.remove(cid).unwrap_or(0);
        }
        Ok(())
    }

    fn append<'a>(&mut self, sign: char, cids: impl Iterator<Item = &'a Cid>) -> io::Result<()> {
        let mut lines: String = cids.map(|cid| format!("{sign}{cid}\n")).collect();
        if lines.is_empty() {
            return Ok(());
        }
        if self.torn {
            lines.insert(0, '\n');
        }
        self.torn = true;
        self.journal.write_all(lines.as_bytes())?;
        self.journal.sync_data()?;
        self.torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_being_killed_while_writing() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::open(dir.path().join("tmp")).unwrap();
        let path = dir.path().join("anna.log");
        let [a, b, c] = [b"a", b"b", b"c"].map(|bytes| Cid::of(bytes));
        let open = || Book::open(&path, &staging, |_| 10).unwrap();

        let mut book = open();
        book.pin(&[(a, 10), (b, 10)]).unwrap();
        book.unpin(&[a]).unwrap();
        book.pin(&[(c, 10)]).unwrap();
        drop(book);
        let whole = fs::read(&path).unwrap();
        let last = whole.iter().rposition(|byte| *byte == b'+').unwrap();
        for cut in last..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut book = open();
            assert_eq!(book.pins().keys().collect::<Vec<_>>(), [&b]);
            // What is appended after the cut is a line of its own.
            book.pin(&[(a, 10)]).unwrap();
            let book = open();
            assert_eq!((book.pins().len(), book.bytes()), (2, 20));
            assert!(book.pins().contains_key(&a) && book.pins().contains_key(&b));
        }
    }
}
