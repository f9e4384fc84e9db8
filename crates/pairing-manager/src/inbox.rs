//! Where a session is told what happens.

use handfast_pairing::invite::Input;
use tokio::sync::mpsc;

/// How much waits before whoever tells it does.
const QUEUE: usize = 256;

/// Tells a session something. What waits is boxed: thousands of sessions hear nothing for hours.
#[derive(Clone)]
pub(crate) struct Inbox(mpsc::Sender<Box<Input>>);

/// What a session has been told.
pub(crate) type Told = mpsc::Receiver<Box<Input>>;

/// The session is over.
pub(crate) struct Over;

impl Inbox {
    /// An inbox, and what comes out of it.
    pub fn new() -> (Inbox, Told) {
        let (sender, told) = mpsc::channel(QUEUE);
        (Inbox(sender), told)
    }

    /// Tells it, and waits while it is busy.
    pub async fn send(&self, input: Input) -> Result<(), Over> {
        self.0.send(Box::new(input)).await.map_err(|_| Over)
    }

    /// Tells it without waiting; nothing if it is too busy.
    pub fn try_send(&self, input: Input) {
        let _ = self.0.try_send(Box::new(input));
    }
}
