//! Sessions that outlive the process: their bytes, and deadlines that survive a restart.

use alloc::vec::Vec;
use core::time::Duration;

use handfast_keys::{Timestamp, canonical};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The largest stored session: an invite's, with a map of many structures in it.
const MAX_SESSION: usize = 4 << 20;

/// A stored session that can't be read: it was written by another version, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored pairing session cannot be read")]
pub struct Unreadable;

/// A deadline that survives restarts and wrong clocks: what is stored is the time that remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deadline(Timestamp);

impl Deadline {
    pub fn after(now: Timestamp, duration: Duration) -> Deadline {
        Deadline(now + duration)
    }

    /// The later of this deadline and one at `duration` from now.
    pub fn at_least(self, now: Timestamp, duration: Duration) -> Deadline {
        Deadline(self.0.max(now + duration))
    }

    /// The earlier of two deadlines.
    pub fn at_most(self, other: Deadline) -> Deadline {
        Deadline(self.0.min(other.0))
    }

    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.0
    }

    pub fn at(self) -> Timestamp {
        self.0
    }

    /// The deadline after a restart: what remained at `stored`, less the time that passed since,
    /// of which there is neither less than nothing nor more than what remained.
    fn resume(self, stored: Timestamp, now: Timestamp) -> Deadline {
        let remaining = self.0.since(stored);
        let passed = now.since(stored).min(remaining);
        Deadline(now + (remaining - passed))
    }
}

/// A machine's state, as far as storing it goes.
pub(crate) trait Stored: Serialize + DeserializeOwned {
    /// The deadline that is running, if any.
    fn deadline(&mut self) -> Option<&mut Deadline>;
}

/// The bytes of a session that is stored at `now`.
pub(crate) fn store<S: Stored>(state: &S, now: Timestamp) -> Vec<u8> {
    canonical::encode(&(now, state))
}

/// The session that was [stored](store), at `now` after a restart.
pub(crate) fn resume<S: Stored>(bytes: &[u8], now: Timestamp) -> Result<S, Unreadable> {
    let (stored, mut state): (Timestamp, S) =
        canonical::decode(bytes, MAX_SESSION).map_err(|_| Unreadable)?;
    if let Some(deadline) = state.deadline() {
        *deadline = deadline.resume(stored, now);
    }
    Ok(state)
}
