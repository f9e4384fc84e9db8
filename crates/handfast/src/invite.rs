//! Pairing by invite: [`handfast_pairing_manager`], with the device behind it.
//!
//! | module | |
//! |---|---|
//! | [`structures`] | the device's collections, as the manager sees them |
//! | [`admission`] | taking the other device into the ring, and what goes along with that |
//! | [`person`] | the person, between the manager's questions and the answers of a [`Pairing`] |
//! | [`session`] | one pairing, from the invite to the first data |
//!
//! An invite pairs two devices as fully as a code does. What is different is the road: both have to
//! be [online](Device::go_online), at the same time or one after the other.

mod admission;
mod person;
mod session;
mod structures;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use handfast_keys::Timestamp;
use handfast_pairing::invite::Invite;
use handfast_pairing_manager as manager;
use handfast_pairing_manager::{Hyperswarm, InviteId, InviteRequest, Nowhere, PairingManager};

use crate::Consent;
use crate::device::{Device, Inner};
use crate::error::{Error, Result};
use crate::pairing::{JoinOptions, Pairing};
use crate::store::meta::{self, InviteRole, InviteSession};

use admission::Admitter;
use structures::Structures;

/// How an invite is made.
#[derive(Debug, Clone)]
pub struct InviteOptions {
    /// How long it lives.
    pub lifetime: Duration,
    /// How both people confirm that the right device answers; `None`: whoever answers first is let
    /// in.
    pub consent: Option<Consent>,
}

impl Default for InviteOptions {
    fn default() -> Self {
        let consent = Some(Consent::Typed);
        InviteOptions { lifetime: manager::DEFAULT_LIFETIME, consent }
    }
}

/// An invite that this device made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteInfo {
    /// Its id.
    pub id: InviteId,
    /// How it stands.
    pub state: InviteState,
}

/// How an invite stands.
#[derive(Clone, PartialEq, Eq)]
pub enum InviteState {
    /// Nobody has answered it yet.
    Open {
        /// The code. Secret.
        code: String,
        /// When it ends, by this device's clock.
        expires: Option<Timestamp>,
    },
    /// Somebody has answered it; nobody else can any more.
    Answered,
    /// Somebody was paired by it.
    Used,
    /// It ended without success.
    Failed(manager::Failure),
}

/// Whoever has the code can answer the invite: it is for no log.
impl fmt::Debug for InviteState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InviteState::Open { expires, .. } => {
                f.debug_struct("Open").field("expires", expires).finish_non_exhaustive()
            }
            InviteState::Answered => f.write_str("Answered"),
            InviteState::Used => f.write_str("Used"),
            InviteState::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
        }
    }
}

/// Whether a text is an invite, rather than a code that a device shows.
pub fn is_invite(text: &str) -> bool {
    Invite::parse(text).is_ok()
}

impl Device {
    /// Makes an invite and waits for somebody to answer it, as long as the result exists: its
    /// [code](Pairing::code) is what the other device [joins](Self::join) with, whenever that is.
    /// [`resume_pairing`](Self::resume_pairing) waits again after a restart.
    ///
    /// The device must be [online](Self::go_online), and stay so until the pairing is over.
    pub async fn invite(&self, options: InviteOptions) -> Result<Pairing> {
        let lock = self.0.home.lock()?;
        self.refuse_if_pending()?;
        let manager = manager(&self.0)?;
        let mut request = InviteRequest { verify: options.consent, ..InviteRequest::default() };
        request.options.lifetime = options.lifetime;
        let invitation = manager.create_invite_with(request).await?;
        let role = InviteRole::Member(invitation.invite.id());
        note(&self.0, role)?;
        let code = Some(invitation.invite_code.clone());
        let act = session::Act::Invite(invitation.invite);
        session::start(self.0.clone(), lock, manager, act, code)
    }

    /// Every invite that was made here, for some days after its end.
    pub fn invites(&self) -> Result<Vec<InviteInfo>> {
        let infos = offline_manager(&self.0)?.invites()?;
        let info = |info: manager::InviteInfo| InviteInfo {
            id: info.invite.id(),
            state: match (info.ended, info.invite_code) {
                (Some(Ok(())), _) => InviteState::Used,
                (Some(Err(failure)), _) => InviteState::Failed(failure),
                (None, Some(code)) => {
                    let expires = Invite::parse(&code).ok().and_then(|it| it.expires_at());
                    InviteState::Open { code, expires }
                }
                (None, None) => InviteState::Answered,
            },
        };
        Ok(infos.into_iter().map(info).collect())
    }

    /// Ends an invite: whoever answers it from now on is turned away. It is too late for that once
    /// somebody is let in ([`ManagerError::Used`](manager::Error::Used)).
    pub async fn revoke_invite(&self, id: &InviteId) -> Result<()> {
        let manager = offline_manager(&self.0)?;
        Ok(manager.revoke(&find(&manager, id)?.invite).await?)
    }

    /// Whether [`resume_pairing`](Self::resume_pairing) would go on with an invite, for which the
    /// device must be online.
    pub fn is_pairing_by_invite(&self) -> Result<bool> {
        Ok(self.0.store.read(|tx| meta::INVITE.find(tx))?.is_some())
    }

    /// Answers an invite.
    pub(crate) async fn join_invite(&self, code: &str, options: JoinOptions) -> Result<Pairing> {
        let lock = self.0.home.lock()?;
        self.refuse_if_pending()?;
        let manager = manager(&self.0)?;
        note(&self.0, InviteRole::Candidate(code.into(), options.consent))?;
        let act = session::Act::Join(code.to_owned(), options.consent);
        session::start(self.0.clone(), lock, manager, act, None)
    }

    /// Goes on with a pairing by invite that was begun earlier, if there is one: the latest, or the
    /// invite that is open longest.
    pub(crate) async fn resume_invite(&self) -> Result<Option<Pairing>> {
        let session = self.0.store.read(|tx| meta::INVITE.find(tx))?;
        let role = match session {
            Some(session) => session.role,
            None => match self.last_open_invite()? {
                Some(id) => InviteRole::Member(id),
                None => return Ok(None),
            },
        };
        let lock = self.0.home.lock()?;
        let manager = manager(&self.0)?;
        let (act, code) = match role {
            InviteRole::Member(id) => {
                let info = find(&manager, &id)?;
                if self.0.store.read(|tx| meta::INVITE.find(tx))?.is_none() {
                    note(&self.0, InviteRole::Member(id))?;
                }
                (session::Act::Invite(info.invite), info.invite_code)
            }
            InviteRole::Candidate(code, consent) => {
                (session::Act::Join(code.expose().to_owned(), consent), None)
            }
        };
        Ok(Some(session::start(self.0.clone(), lock, manager, act, code)?))
    }

    fn last_open_invite(&self) -> Result<Option<InviteId>> {
        let open = self.invites()?.into_iter().filter_map(|info| match info.state {
            InviteState::Open { expires, .. } => Some((expires, info.id)),
            _ => None,
        });
        Ok(open.max_by_key(|(expires, _)| *expires).map(|(_, id)| id))
    }

    /// Drops a pairing by invite that was begun earlier.
    pub(crate) async fn cancel_invite(&self) -> Result<bool> {
        let Some(session) = self.0.store.read(|tx| meta::INVITE.find(tx))? else {
            return Ok(false);
        };
        if let InviteRole::Member(id) = &session.role {
            match self.revoke_invite(id).await {
                Ok(())
                | Err(Error::Invite(manager::Error::UnknownInvite | manager::Error::Used)) => (),
                Err(error) => return Err(error),
            }
        }
        admission::undo(&self.0)?;
        self.0.store.write(|tx| meta::INVITE.clear(tx))?;
        Ok(true)
    }
}

/// The pairing that goes on from now on, in place of one that nothing came of.
fn note(device: &Inner, role: InviteRole) -> Result<()> {
    device.store.write(|tx| meta::INVITE.set(tx, &InviteSession { role, admission: None }))
}

fn find(manager: &PairingManager, id: &InviteId) -> Result<manager::InviteInfo> {
    let mut infos = manager.invites()?.into_iter();
    Ok(infos.find(|info| info.invite.id() == *id).ok_or(manager::Error::UnknownInvite)?)
}

/// The manager of a device that is online.
fn manager(device: &Arc<Inner>) -> Result<PairingManager> {
    let swarm = device.live.swarm().ok_or(Error::Offline)?;
    over(device, Arc::new(Hyperswarm::new(swarm)))
}

/// A manager that only looks after what it has noted.
fn offline_manager(device: &Arc<Inner>) -> Result<PairingManager> {
    over(device, Arc::new(Nowhere))
}

fn over(
    device: &Arc<Inner>,
    network: Arc<dyn manager::network::Network>,
) -> Result<PairingManager> {
    let structures = Arc::new(Structures(device.clone()));
    let manager = PairingManager::new(structures, network)?
        .journal(device.home.invites())?
        .device(Arc::new(Admitter(device.clone())));
    Ok(manager)
}
