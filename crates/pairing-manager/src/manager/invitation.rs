//! The member's side: invites, and how they stand.

mod inviting;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use handfast_keys::Secret;
use handfast_pairing::invite::{
    DiscoveryKey, Failure, InviteId, InviteOptions, Profile, StructureKey,
};
use handfast_pairing::qr::Consent;
use handfast_ring::DeviceName;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::app::{MemberState, OnPaired, Person};
use crate::error::Error;
use crate::network::Joining;

/// How long an invite lives when nobody says otherwise.
pub const DEFAULT_LIFETIME: Duration = handfast_pairing::invite::session::DEFAULT_LIFETIME;

/// An invite that this device made, for [`PairingManager::setup_member`](crate::PairingManager::setup_member).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteHandle {
    pub(super) id: InviteId,
}

impl InviteHandle {
    /// The invite's id.
    pub fn id(&self) -> InviteId {
        self.id
    }
}

/// A new invite.
#[derive(Clone)]
pub struct Invitation {
    /// What the person sends to the other device. Whoever has it can join until it is used.
    pub invite_code: String,
    /// What [`PairingManager::setup_member`](crate::PairingManager::setup_member) takes.
    pub invite: InviteHandle,
}

/// Nothing of the code.
impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("invite", &self.invite).finish_non_exhaustive()
    }
}

/// What else there is to be said about an invite.
#[derive(Clone, Default)]
pub struct InviteRequest {
    /// The structure around which the group meets. In the raw profile the one that is handed over.
    pub primary_key: Option<StructureKey>,
    /// What the candidate receives as the group's key. In the raw profile it must be the primary
    /// key, or be left out.
    pub primary_autobase_key: Option<StructureKey>,
    /// What the group's blocks are encrypted under, if they are.
    pub encryption_key: Option<Secret<32>>,
    /// For apps on JavaScript's blind-pairing: one structure, one writer.
    pub raw: bool,
    /// More for the app at the other end (raw profile only).
    pub additional: Option<Vec<u8>>,
    /// Whether both people compare the check code, and how this one does (envelope profile only).
    pub verify: Option<Consent>,
    /// Lifetime and flags.
    pub options: InviteOptions,
}

/// Nothing of what is only for the app at the other end.
impl fmt::Debug for InviteRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteRequest")
            .field("primary_key", &self.primary_key)
            .field("primary_autobase_key", &self.primary_autobase_key)
            .field("raw", &self.raw)
            .field("verify", &self.verify)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// How an invite stands that was made here.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteInfo {
    /// The invite.
    pub invite: InviteHandle,
    /// What both sides find each other by; in the raw profile the structure's.
    pub discovery_key: DiscoveryKey,
    /// Its code, while it is open. Secret, as that of an [`Invitation`] is.
    pub invite_code: Option<String>,
    /// Which exchange it leads to, until it is over.
    pub profile: Option<Profile>,
    /// Whether both people are to compare, while it is open.
    pub verifies: Option<bool>,
    /// Whether somebody is being paired.
    pub is_pairing: bool,
    /// Once it is over: how it ended.
    pub ended: Option<Result<(), Failure>>,
}

/// Nothing of the code.
impl fmt::Debug for InviteInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteInfo")
            .field("invite", &self.invite)
            .field("discovery_key", &self.discovery_key)
            .field("profile", &self.profile)
            .field("verifies", &self.verifies)
            .field("is_pairing", &self.is_pairing)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What [`PairingManager::setup_member`](crate::PairingManager::setup_member) takes.
pub struct MemberSetup {
    /// The topic on which both sides meet once they are paired. It is joined until the invite has
    /// failed, or, if it has not, until the manager is closed.
    pub primary_discovery_key: DiscoveryKey,
    /// The invite that candidates may answer.
    pub invite: InviteHandle,
    /// What this device calls itself.
    pub username: DeviceName,
    /// Called once somebody is paired. See [`on_paired`](crate::on_paired()).
    pub on_paired: OnPaired,
    /// Who compares, if the invite says so.
    pub person: Option<Arc<dyn Person>>,
}

/// A member that waits for its candidate. Dropping it changes nothing.
#[derive(Clone)]
pub struct MemberHandle {
    pub(super) state: watch::Receiver<MemberState>,
    pub(super) joined: Weak<dyn Joining>,
    /// The manager is closed.
    pub(super) over: CancellationToken,
}

impl MemberHandle {
    /// Waits until the candidate is paired and `on_paired` was called; or until it is known that this
    /// will not come about here.
    pub async fn finished(&self) -> Result<(), Error> {
        let mut state = self.state.clone();
        let state = state.wait_for(|state| !matches!(state, MemberState::Pending)).await;
        match state.map(|state| state.clone()) {
            Ok(MemberState::Failed(failure)) => Err(failure.into()),
            Ok(MemberState::Incomplete(namespace)) => Err(Error::Incomplete(namespace)),
            Ok(MemberState::NoWriterKey(namespace)) => Err(Error::NoWriterKey(namespace)),
            Ok(MemberState::Broken(error)) => Err(error.into()),
            Ok(MemberState::Paired | MemberState::Pending) => Ok(()),
            Err(_) => Err(Error::Closed),
        }
    }

    /// Waits until candidates can find this member.
    pub async fn flushed(&self) {
        // (A session that is over has left the topic.)
        let flushed = self.joined.upgrade().map(|joined| joined.flushed());
        if let Some(flushed) = flushed {
            let _ = self.over.run_until_cancelled(flushed).await;
        }
    }
}

impl fmt::Debug for MemberHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberHandle").field("state", &*self.state.borrow()).finish_non_exhaustive()
    }
}
