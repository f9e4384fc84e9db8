//! Which sessions are carried out: each by one driver, whoever called last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio_util::sync::CancellationToken;

use crate::driver::Context;
use crate::error::Error;
use crate::inbox::{Inbox, Told};
use crate::journal::{JournalError, Kind};

/// Where a session lies in the journal.
pub(super) type Address = (Kind, [u8; 32]);

/// The sessions of a manager that are carried out, or are about to be.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<BTreeMap<Address, Session>>>);

pub(super) struct Session {
    /// Held by whoever carries the session out.
    seat: Arc<tokio::sync::Mutex<()>>,
    /// Of whoever called last: it carries the session out, or waits until its predecessor has ended.
    inbox: Inbox,
    over: CancellationToken,
    dropped: CancellationToken,
}

/// The right to carry a session out, until it is dropped.
pub(super) struct Seat {
    sessions: Sessions,
    address: Address,
    /// Where the session is told what happens.
    pub inbox: Inbox,
    /// The manager's, but it is over as soon as a successor wants the seat.
    pub context: Context,
    held: Option<OwnedMutexGuard<()>>,
}

impl Sessions {
    /// Ends whoever carries the session out, waits until it has, and takes its place. What was asked
    /// of the network stays as it is, for the successor. Whoever waits here is overtaken by who comes
    /// after it.
    pub async fn take(
        &self,
        address: Address,
        context: &Context,
    ) -> Result<(Seat, mpsc::Receiver<Box<Told>>), Error> {
        let (inbox, told) = Inbox::new();
        let (over, dropped) = (context.over.child_token(), context.dropped.child_token());
        let own = Context { over: over.clone(), dropped: dropped.clone(), ..context.clone() };
        let (sessions, held) = (self.clone(), None);
        let mut place = Seat { sessions, address, inbox: inbox.clone(), context: own, held };
        let seat = {
            let mut sessions = self.lock();
            let seat = sessions.get(&address).map_or_else(Arc::default, |before| {
                before.dropped.cancel();
                before.over.cancel();
                before.seat.clone()
            });
            let session = Session { seat: seat.clone(), inbox, over, dropped };
            sessions.insert(address, session);
            seat
        };
        place.held = Some(seat.lock_owned().await);
        if place.is_overtaken() {
            return Err(JournalError::Overtaken.into());
        }
        Ok((place, told))
    }

    /// Where a session is told what happens, if it is carried out.
    pub fn inbox(&self, address: &Address) -> Option<Inbox> {
        self.lock().get(address).map(|session| session.inbox.clone())
    }

    /// The sessions that are carried out. As long as this is held no other one begins.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether somebody else has called since.
    pub fn is_overtaken(&self) -> bool {
        let last = self.sessions.inbox(&self.address);
        !last.is_some_and(|inbox| inbox.is(&self.inbox))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.held = None;
        let mut sessions = self.sessions.lock();
        // Whoever else holds the seat or waits for it leaves the session there.
        if sessions.get(&self.address).is_some_and(|it| Arc::strong_count(&it.seat) == 1) {
            sessions.remove(&self.address);
        }
    }
}
