//! What both sides need: the network, and a manager over it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use handfast_pairing_manager::{
    DataStructures, Denial, Error, Failure, Hyperswarm, InviteError, PairingManager,
};
use handfast_swarm::{Swarm, SwarmEvent};

use crate::network::{Network, no_road, warn_of_silence};
use crate::prompt::Interrupt;
use crate::report::{CliError, Exit, Report};

/// How long what is left is waited for at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// A manager on a swarm of its own.
pub struct Session {
    manager: PairingManager,
    swarm: Swarm,
}

impl Session {
    /// Goes online, for these structures.
    pub async fn open(
        network: &Network,
        journal: Option<&Path>,
        structures: Arc<dyn DataStructures>,
        report: &Report,
    ) -> Result<Session, CliError> {
        let swarm = Swarm::new(network.needed()?).await.map_err(|error| {
            CliError::new("network", Exit::Provider, format!("this machine is not online: {error}"))
        })?;
        if swarm.dht().known_nodes().await.is_ok_and(|nodes| nodes == 0) {
            warn_of_silence(report);
        }
        tokio::spawn(tell_of_failures(swarm.subscribe(), *report));
        let manager = PairingManager::new(structures, Arc::new(Hyperswarm::new(swarm.clone())))?;
        let manager = match journal {
            Some(path) => manager.journal(path)?,
            None => manager,
        };
        Ok(Session { manager, swarm })
    }

    /// Does something until it is done, or interrupted. Then it goes offline, once what is on its
    /// way has arrived.
    pub async fn hold<T>(
        self,
        mut interrupt: Interrupt,
        work: impl AsyncFnOnce(&PairingManager) -> Result<T, CliError>,
    ) -> Result<T, CliError> {
        let held = tokio::select! {
            held = work(&self.manager) => held,
            () = interrupt.next() => Err(interrupted()),
        };
        self.close().await;
        held
    }

    async fn close(self) {
        let close = async {
            self.manager.close().await;
            self.swarm.close().await;
        };
        // A network that hangs must not keep the program.
        let _ = tokio::time::timeout(FAREWELL, close).await;
    }
}

/// Says, once, why the other side is not reached directly.
async fn tell_of_failures(mut events: handfast_swarm::Events, report: Report) {
    while let Some(event) = events.next().await {
        if let SwarmEvent::Failed { reason, .. } = event
            && let Some(why) = no_road(&reason)
        {
            return report.warn(&why);
        }
    }
}

/// Ctrl-C.
fn interrupted() -> CliError {
    CliError::new("interrupted", Exit::Other, "interrupted")
}

impl From<Error> for CliError {
    fn from(error: Error) -> CliError {
        (&error).into()
    }
}

impl From<&Error> for CliError {
    fn from(error: &Error) -> CliError {
        let (kind, exit) = match error {
            Error::Pairing(failure) => return (*failure).into(),
            Error::Invite(error) => return (*error).into(),
            Error::Journal(_) | Error::Unreadable(_) => ("journal", Exit::BadInput),
            Error::UnknownInvite => ("no_invite", Exit::NotFound),
            Error::Used => ("invite_used", Exit::Pairing),
            Error::OtherTerms(_) => ("other_terms", Exit::BadInput),
            Error::NoWriterKey(_) => ("no_writer_key", Exit::BadInput),
            Error::Incomplete(_) => ("incomplete", Exit::Pairing),
            Error::Closed => ("other", Exit::Other),
        };
        CliError::new(kind, exit, error.to_string())
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> CliError {
        let kind = match failure {
            Failure::Expired => "expired",
            Failure::Revoked => "revoked",
            Failure::Denied(Denial::Rejected) => "invite_rejected",
            Failure::Denied(Denial::Used) => "invite_used",
            Failure::Denied(Denial::Expired) => "invite_expired",
            Failure::Declined => "declined",
            Failure::Left => "left",
            Failure::Mismatch => "mismatch",
            Failure::PeerSilent => "peer_silent",
            Failure::Refused => "refused",
            Failure::Unverified => "unverified",
            Failure::NoDiscoveryKey => "no_discovery_key",
            Failure::WrongProfile | Failure::NotRaw | Failure::ForApps | Failure::ForDevices => {
                return CliError::new("wrong_profile", Exit::BadInput, failure.to_string());
            }
        };
        // Each says itself what to do next.
        CliError::new(kind, Exit::Pairing, failure.to_string())
    }
}

impl From<InviteError> for CliError {
    fn from(error: InviteError) -> CliError {
        let (kind, hint) = match error {
            InviteError::NotAnInvite => {
                ("not_an_invite", "An invite code is one long word that begins with `yr` or `01`.")
            }
            InviteError::Damaged => ("damaged_invite", "Copy all of it, and nothing else."),
            InviteError::UnsupportedVersion(_) => ("newer_invite", "Update Handfast."),
        };
        CliError::new(kind, Exit::BadInput, error.to_string()).hint(hint)
    }
}
