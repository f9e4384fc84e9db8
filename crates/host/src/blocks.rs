//! The blocks that are kept: `blocks/<shard>/<cid>`, one file each, written once.
//!
//! A block is kept as long as an account pins it, and for a while after that.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use handfast_ipfs::{Block, Cid};

use crate::accounts::Account;
use crate::files::{self, Staging};
use crate::limits::Limits;
use crate::tokens::{AccountName, Tokens};

/// Threads that write the blocks of one upload.
const WRITERS: usize = 8;

/// Why blocks could not be stored, pinned or unpinned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlocksError {
    #[error("quota exceeded: this account may pin {bytes} bytes in {pins} blocks")]
    Quota { bytes: u64, pins: usize },
    #[error("quota exceeded: there is no room for more unpinned blocks")]
    LooseQuota,
    #[error("block was not found locally: {0}")]
    NotHeld(Cid),
    #[error("not pinned or pinned indirectly")]
    NotPinned,
    #[error("the disk refused: {0}")]
    Io(#[from] io::Error),
}

/// What a collection threw away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many blocks.
    pub blocks: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// All blocks and accounts of a host. Its methods block on the disk.
#[derive(Debug)]
pub(crate) struct Blocks {
    dir: PathBuf,
    staging: Arc<Staging>,
    limits: Limits,
    accounts: BTreeMap<AccountName, Arc<Account>>,
    /// Taken briefly, and after an account's book, never before.
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    held: HashMap<Cid, Held>,
    /// Bytes of blocks that nobody pins.
    loose: u64,
}

/// What is known of a block.
#[derive(Debug)]
struct Held {
    /// `None`: accounts pin it, but its file is lost or was spoilt.
    size: Option<u64>,
    /// Accounts that pin it.
    pins: usize,
    /// When it was last put, or given up.
    touched: SystemTime,
}

impl Shelf {
    /// Changes what is known of a block, keeping the books.
    fn change(&mut self, cid: Cid, change: impl FnOnce(&mut Held)) {
        let held = self.held.entry(cid).or_insert(Held {
            size: None,
            pins: 0,
            touched: SystemTime::UNIX_EPOCH,
        });
        self.loose -= held.loose();
        change(held);
        self.loose += held.loose();
    }

    fn size(&self, cid: &Cid) -> Option<u64> {
        self.held.get(cid)?.size
    }
}

impl Held {
    fn loose(&self) -> u64 {
        if self.pins == 0 { self.size.unwrap_or(0) } else { 0 }
    }
}

impl Blocks {
    /// Opens `blocks` and `pins` below `dir`.
    pub(crate) fn open(
        dir: &Path,
        staging: Arc<Staging>,
        tokens: &Tokens,
        limits: Limits,
    ) -> io::Result<Self> {
        let mut shelf = Shelf::default();
        let blocks = dir.join("blocks");
        files::walk(&blocks, |name, file| {
            let Ok(cid) = Cid::parse(name) else {
                return Ok(());
            };
            let metadata = file.metadata()?;
            let touched = metadata.modified()?;
            shelf.change(cid, |held| {
                *held = Held { size: Some(metadata.len()), pins: 0, touched };
            });
            Ok(())
        })?;
        let size = |cid: &Cid| shelf.size(cid).unwrap_or(0);
        let accounts = Account::open_all(&dir.join("pins"), &staging, tokens, size)?;
        for account in accounts.values() {
            for cid in account.book().pins().keys() {
                shelf.change(*cid, |held| held.pins += 1);
            }
        }
        Ok(Self { dir: blocks, staging, limits, accounts, shelf: Mutex::new(shelf) })
    }

    /// The account of this name, which exists for every token.
    pub(crate) fn account(&self, name: &AccountName) -> Option<Arc<Account>> {
        self.accounts.get(name).cloned()
    }

    /// Whether the block is held.
    pub(crate) fn has(&self, cid: &Cid) -> bool {
        self.size(cid).is_some()
    }

    /// How many bytes a block has, if it is held.
    pub(crate) fn size(&self, cid: &Cid) -> Option<u64> {
        self.shelf().size(cid)
    }

    /// Reads a block. A file that has been spoilt is no block: it is removed, so that putting the
    /// block again heals it.
    pub(crate) fn get(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        let path = self.path(cid);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        if cid.verify(&bytes).is_ok() {
            return Ok(Some(bytes));
        }
        tracing::error!(%cid, "the file of a block was spoilt and is removed");
        self.shelf().change(*cid, |held| held.size = None);
        fs::remove_file(&path)?;
        Ok(None)
    }

    /// Stores blocks, and pins them for an account.
    pub(crate) fn put(
        &self,
        account: &Account,
        blocks: &[Block],
        pin: bool,
    ) -> Result<(), BlocksError> {
        if pin {
            // Looked at again when they are pinned, but before anything is written too.
            let book = account.book();
            let new = blocks.iter().filter(|block| !book.pins().contains_key(block.cid()));
            let (count, bytes) = new.fold((0, 0), |(count, bytes), block| {
                (count + 1, bytes + block.bytes().len() as u64)
            });
            self.check_quota(book.pins().len() + count, book.bytes() + bytes)?;
        }
        self.store_all(blocks, pin)?;
        if pin {
            let cids: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
            self.pin(account, &cids)?;
        }
        Ok(())
    }

    /// Stores several blocks side by side: mostly, it is the disk that has to be waited for, and it
    /// makes many files durable in hardly more time than one.
    fn store_all(&self, blocks: &[Block], to_be_pinned: bool) -> Result<(), BlocksError> {
        let share =
            |blocks: &[Block]| blocks.iter().try_for_each(|block| self.store(block, to_be_pinned));
        if blocks.len() < 2 {
            return share(blocks);
        }
        std::thread::scope(|scope| {
            let shares = blocks.chunks(blocks.len().div_ceil(WRITERS));
            let writers: Vec<_> = shares.map(|blocks| scope.spawn(move || share(blocks))).collect();
            writers.into_iter().try_for_each(|writer| {
                writer.join().unwrap_or_else(|_| Err(io::Error::other("a writer failed").into()))
            })
        })
    }

    fn store(&self, block: &Block, to_be_pinned: bool) -> Result<(), BlocksError> {
        let size = block.bytes().len() as u64;
        let path = self.path(block.cid());
        let now = SystemTime::now();
        // A block that has just been touched is not collected.
        let known = {
            let mut shelf = self.shelf();
            let known = shelf.size(block.cid()).is_some();
            if known {
                shelf.change(*block.cid(), |held| held.touched = now);
            }
            known
        };
        if known && fs::read(&path).is_ok_and(|bytes| bytes == block.bytes()) {
            if !to_be_pinned {
                touch(&path, now);
            }
            return Ok(());
        }
        if !to_be_pinned && self.shelf().loose + size > self.limits.loose_bytes {
            self.collect(self.limits.grace);
            if self.shelf().loose + size > self.limits.loose_bytes {
                return Err(BlocksError::LooseQuota);
            }
        }
        self.staging.write(&path, block.bytes())?;
        self.shelf().change(*block.cid(), |held| {
            held.size = Some(size);
            held.touched = now;
        });
        Ok(())
    }

    /// Pins blocks that are held; all or none.
    pub(crate) fn pin(&self, account: &Account, cids: &[Cid]) -> Result<(), BlocksError> {
        let mut book = account.book();
        let mut new = BTreeMap::new();
        {
            let mut shelf = self.shelf();
            for cid in cids {
                let size = shelf.size(cid).ok_or(BlocksError::NotHeld(*cid))?;
                if !book.pins().contains_key(cid) {
                    new.insert(*cid, size);
                    shelf.change(*cid, |held| held.touched = SystemTime::now());
                }
            }
        }
        let new: Vec<_> = new.into_iter().collect();
        let bytes: u64 = new.iter().map(|(_, size)| size).sum();
        self.check_quota(book.pins().len() + new.len(), book.bytes() + bytes)?;
        book.pin(&new)?;
        let mut shelf = self.shelf();
        for (cid, _) in new {
            shelf.change(cid, |held| held.pins += 1);
        }
        Ok(())
    }

    /// Gives up blocks that the account pins; all or none.
    pub(crate) fn unpin(&self, account: &Account, cids: &[Cid]) -> Result<(), BlocksError> {
        let mut cids = cids.to_vec();
        cids.sort_unstable();
        cids.dedup();
        let mut book = account.book();
        if !cids.iter().all(|cid| book.pins().contains_key(cid)) {
            return Err(BlocksError::NotPinned);
        }
        book.unpin(&cids)?;
        let now = SystemTime::now();
        for cid in cids {
            // So that a restart does not shorten the grace.
            touch(&self.path(&cid), now);
            self.shelf().change(cid, |held| {
                held.pins = held.pins.saturating_sub(1);
                held.touched = now;
            });
        }
        Ok(())
    }

    /// Throws away what nobody has pinned for this long.
    pub(crate) fn collect(&self, grace: Duration) -> Collected {
        let now = SystemTime::now();
        let mut collected = Collected::default();
        let mut shelf = self.shelf();
        let old: Vec<Cid> = shelf
            .held
            .iter()
            .filter(|(_, held)| {
                // A clock that was set back makes nothing old.
                held.pins == 0 && now.duration_since(held.touched).is_ok_and(|age| age >= grace)
            })
            .map(|(cid, _)| *cid)
            .collect();
        // Under the lock, so that nobody puts it again in between.
        for cid in old {
            match fs::remove_file(self.path(&cid)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%cid, %error, "a block could not be removed");
                    continue;
                }
                _ => {}
            }
            if let Some(held) = shelf.held.remove(&cid) {
                shelf.loose -= held.loose();
                collected.blocks += 1;
                collected.bytes += held.loose();
            }
        }
        collected
    }

    fn check_quota(&self, pins: usize, bytes: u64) -> Result<(), BlocksError> {
        let Limits { account_bytes, account_pins, .. } = self.limits;
        if bytes > account_bytes || pins > account_pins {
            return Err(BlocksError::Quota { bytes: account_bytes, pins: account_pins });
        }
        Ok(())
    }

    fn path(&self, cid: &Cid) -> PathBuf {
        files::shard(&self.dir, &cid.to_string())
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets a file's time, from which its grace is counted after a restart.
fn touch(path: &Path, now: SystemTime) {
    let touched = File::options().append(true).open(path).and_then(|file| file.set_modified(now));
    if let Err(error) = touched {
        tracing::debug!(%error, "the time of a block could not be set");
    }
}
