//! Where a session is told what happens.

use handfast_pairing::invite::Input;
use tokio::sync::{mpsc, oneshot};

use crate::hub::Event;

/// How much waits before whoever tells it does.
const QUEUE: usize = 256;

/// Tells a session something. What waits is boxed: thousands of sessions hear nothing for hours.
#[derive(Clone)]
pub(crate) struct Inbox(mpsc::Sender<Box<Told>>);

/// What a session is told.
pub(crate) enum Told {
    /// Something for its machine.
    Input(Input),
    /// That the invite is revoked. Answered once that is stored: whether nobody is let in by it.
    Revoked(oneshot::Sender<bool>),
    /// On the channels of blind-pairing.
    Pairing(Event),
    /// On the channels of the exchange.
    Exchange(Event),
}

/// The session is over.
pub(crate) struct Over;

impl Inbox {
    /// An inbox, and what comes out of it.
    pub fn new() -> (Inbox, mpsc::Receiver<Box<Told>>) {
        let (sender, told) = mpsc::channel(QUEUE);
        (Inbox(sender), told)
    }

    /// Whether both lead to the same session's driver.
    pub fn is(&self, other: &Inbox) -> bool {
        self.0.same_channel(&other.0)
    }

    /// Tells the machine, and waits while the session is busy.
    pub async fn send(&self, input: Input) -> Result<(), Over> {
        self.tell(Told::Input(input)).await
    }

    /// Tells the session, and waits while it is busy.
    pub async fn tell(&self, told: Told) -> Result<(), Over> {
        self.0.send(Box::new(told)).await.map_err(|_| Over)
    }
}
