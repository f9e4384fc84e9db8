//! The manager: invites on one side, joining on the other.
//!
//! | module | |
//! |---|---|
//! | [`invitation`], [`joining`] | the two sides |
//! | [`sessions`] | of each session one driver |
//! | [`forgetting`] | the end of sessions that nobody carries out |
//! | [`meetings`] | the topics where groups meet |

mod forgetting;
mod invitation;
mod joining;
mod meetings;
mod sessions;

use std::path::Path;
use std::sync::{Arc, Once};

use handfast_pairing::invite::Machine;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::clock::Clock;
use crate::driver::{Context, Driver, TURNS};
use crate::error::Error;
use crate::hub::{FAREWELL, Hubs};
use crate::inbox::Told;
use crate::journal::{Journal, JournalError, Row};
use crate::network::{Joining, Network};
use crate::structures::{DataStructures, Device};

pub use invitation::{
    DEFAULT_LIFETIME, Invitation, InviteHandle, InviteInfo, InviteRequest, MemberHandle,
    MemberSetup,
};
pub use joining::{Join, Joined};
pub(crate) use meetings::Meeting;
use meetings::Meetings;
use sessions::{Seat, Sessions};

/// Pairs an app's devices by invite. See the [crate](crate)'s documentation.
pub struct PairingManager {
    structures: Arc<dyn DataStructures>,
    device: Option<Arc<dyn Device>>,
    context: Context,
    sessions: Sessions,
    meetings: Meetings,
    /// Whether what is over is forgotten from time to time.
    forgets: Once,
}

impl PairingManager {
    /// A manager for these structures, over this network. Without a [`journal`](Self::journal) its
    /// invites die with the process: what was made before a restart is not answered after it.
    pub fn new(
        structures: Arc<dyn DataStructures>,
        network: Arc<dyn Network>,
    ) -> Result<PairingManager, Error> {
        let meetings = Meetings::new(network.clone());
        let context = Context {
            network,
            hubs: Hubs::default(),
            journal: Journal::in_memory()?,
            clock: Clock::start(),
            turns: Arc::new(Semaphore::new(TURNS)),
            tasks: TaskTracker::new(),
            deliveries: TaskTracker::new(),
            over: CancellationToken::new(),
            dropped: CancellationToken::new(),
        };
        let (device, sessions, forgets) = (None, Sessions::default(), Once::new());
        Ok(PairingManager { structures, device, context, sessions, meetings, forgets })
    }

    /// Keeps invites and pairings in this file from now on. It holds secrets. What has been over for
    /// two days is deleted from it.
    pub fn journal(mut self, path: impl AsRef<Path>) -> Result<PairingManager, Error> {
        self.context.journal = Journal::open(path.as_ref())?;
        self.sweep();
        Ok(self)
    }

    /// Puts a device behind the manager. With the envelope profile it then pairs devices, not only
    /// structures.
    pub fn device(mut self, device: Arc<dyn Device>) -> PairingManager {
        self.device = Some(device);
        self
    }

    /// Ends everything that goes on, and takes back what was announced. What is on its way to a peer
    /// is given a few seconds to arrive. What is in the journal can be gone on with later.
    pub async fn close(&self) {
        self.context.deliveries.close();
        let _ = tokio::time::timeout(FAREWELL, self.context.deliveries.wait()).await;
        self.context.over.cancel();
        self.context.tasks.close();
        self.context.tasks.wait().await;
        self.meetings.leave();
    }

    fn keys(&self) -> Option<handfast_ring::DeviceKeys> {
        self.device.as_ref().map(|device| device.keys())
    }

    /// Ends what is due and forgets what is long over, of what nobody carries out.
    fn sweep(&self) {
        let now = self.context.clock.now();
        if let Err(error) = forgetting::sweep(&self.context.journal, &self.sessions, now) {
            tracing::warn!(%error, "what is over is not forgotten yet");
        }
    }

    /// Carries a session out in the background.
    fn drive(
        &self,
        (seat, told): (Seat, mpsc::Receiver<Box<Told>>),
        machine: Machine,
        app: Arc<dyn App>,
        row: Row,
        joined: Option<Arc<dyn Joining>>,
    ) {
        self.forgets.call_once(|| {
            let forget = forgetting::forget(self.context.clone(), self.sessions.clone());
            self.context.tasks.spawn(forget);
        });
        let (context, inbox) = (seat.context.clone(), seat.inbox.clone());
        let driver = Driver::new(context, machine, app.clone(), row, inbox, joined);
        self.context.tasks.spawn(async move {
            match driver.run(told).await {
                Ok(()) if seat.is_overtaken() => app.broken(JournalError::Overtaken),
                Ok(()) => (),
                Err(error) => {
                    tracing::error!(%error, "a pairing cannot go on");
                    app.broken(error);
                }
            }
        });
    }
}

/// Ends everything that goes on, as if the process had died: what was announced stays announced.
impl Drop for PairingManager {
    fn drop(&mut self) {
        self.context.dropped.cancel();
        self.context.over.cancel();
    }
}

impl std::fmt::Debug for PairingManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairingManager").finish_non_exhaustive()
    }
}
