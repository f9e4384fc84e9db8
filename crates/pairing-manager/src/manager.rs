//! The manager: invites on one side, joining on the other.

mod invitation;
mod joining;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use handfast_keys::{Digest, Secret};
use handfast_pairing::invite::{
    Candidate, CandidateSetup, Failure, Grant, Input, Invite, InviteError, InviteId,
    Joined as Outcome, Machine, Member, Profile, StructureKey, Terms, Unreadable,
};
use handfast_pairing::qr::Consent;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, CandidateApp, MemberApp, MemberState, Person};
use crate::clock::{Clock, rng};
use crate::driver::{Context, Driver, TURNS};
use crate::hub::{FAREWELL, Hubs};
use crate::inbox::Inbox;
use crate::journal::{Journal, JournalError, Kind, Row};
use crate::network::{Joining, Network};
use crate::structures::{DataStructures, Device, WriterStore};

pub use invitation::{
    DEFAULT_LIFETIME, Invitation, InviteHandle, InviteInfo, InviteRequest, MemberHandle,
    MemberSetup,
};
pub use joining::{Join, Joined};

/// Pairs an app's devices by invite. See the [crate](crate)'s documentation.
pub struct PairingManager {
    structures: Arc<dyn DataStructures>,
    device: Option<Arc<dyn Device>>,
    context: Context,
    running: Arc<Mutex<BTreeMap<InviteId, Inbox>>>,
    /// The topics where groups meet.
    met: Mutex<Vec<Box<dyn Joining>>>,
}

/// What can go wrong, and whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pairing came to its end without success.
    #[error(transparent)]
    Pairing(#[from] Failure),
    /// The invite code is none.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The journal failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is in the journal was written by another version.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No such invite was made here, or it was forgotten.
    #[error("this device made no such invite, or it has been over for days")]
    UnknownInvite,
    /// A structure's writer cannot be added; the app must mend that and call `setup_member` again.
    #[error("the writer of “{0}” could not be added: the pairing is not complete")]
    Incomplete(String),
    /// The manager was closed first.
    #[error("the pairing manager was closed")]
    Closed,
}

#[derive(Default, Serialize, Deserialize)]
struct MemberTerms {
    primary_autobase_key: Option<StructureKey>,
    encryption_key: Option<Secret<32>>,
}

impl PairingManager {
    /// A manager for these structures, over this network. Without a [`journal`](Self::journal) its
    /// invites die with the process: what was made before a restart is not answered after it.
    pub fn new(
        structures: Arc<dyn DataStructures>,
        network: Arc<dyn Network>,
    ) -> Result<PairingManager, Error> {
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
        let (running, met) = Default::default();
        Ok(PairingManager { structures, device: None, context, running, met })
    }

    /// Keeps invites and pairings in this file from now on. It holds secrets.
    pub fn journal(mut self, path: impl AsRef<Path>) -> Result<PairingManager, Error> {
        self.context.journal = Journal::open(path.as_ref())?;
        Ok(self)
    }

    /// Puts a device behind the manager. With the envelope profile it then pairs devices, not only
    /// structures.
    pub fn device(mut self, device: Arc<dyn Device>) -> PairingManager {
        self.device = Some(device);
        self
    }

    /// Makes an invite for a group: `primary_key` names the structure around which the group meets,
    /// `primary_autobase_key` is what the candidate receives as the group's key. It lives for an
    /// hour; nobody is let in before [`setup_member`](Self::setup_member) is called.
    pub async fn create_invite(
        &self,
        primary_key: StructureKey,
        primary_autobase_key: StructureKey,
    ) -> Result<Invitation, Error> {
        self.create_invite_with(InviteRequest {
            primary_key: Some(primary_key),
            primary_autobase_key: Some(primary_autobase_key),
            ..InviteRequest::default()
        })
        .await
    }

    /// Makes an invite about which there is more to be said.
    ///
    /// In the raw profile the candidate finds the member by the discovery key of the very key that
    /// it receives: the two keys of the request must be the same.
    pub async fn create_invite_with(&self, request: InviteRequest) -> Result<Invitation, Error> {
        let terms = match (request.raw, request.primary_autobase_key.or(request.primary_key)) {
            (true, Some(key)) => {
                if request.primary_key.is_some_and(|primary| primary != key) {
                    return Err(Failure::NoDiscoveryKey.into());
                }
                let names = self.structures.writer_keys().await;
                let namespace = names.into_iter().find(|(_, own)| *own == key);
                Terms::Raw {
                    namespace: namespace.map_or_else(|| "primary".to_owned(), |(name, _)| name),
                    key,
                    encryption_key: request.encryption_key.clone(),
                    additional: request.additional,
                }
            }
            (true, None) => return Err(Failure::NoDiscoveryKey.into()),
            (false, _) => Terms::Envelope { verify: request.verify },
        };
        let now = self.context.clock.now();
        let member = Member::start(terms, request.options, self.keys(), now, &mut rng());
        let terms = MemberTerms {
            primary_autobase_key: request.primary_autobase_key.or(request.primary_key),
            encryption_key: request.encryption_key,
        };
        let invite = InviteHandle { id: member.id() };
        let invite_code = member.invite().map(ToString::to_string).unwrap_or_default();
        let row = Row {
            id: *invite.id.as_bytes(),
            revision: 0,
            session: member.to_bytes(now),
            terms: handfast_keys::canonical::encode(&terms),
        };
        self.context.journal.put(Kind::Member, &row)?;
        Ok(Invitation { invite_code, invite })
    }

    /// Lets candidates answer an invite, until one is paired. Called again after a restart it goes
    /// on where it was.
    pub async fn setup_member(&self, setup: MemberSetup) -> Result<MemberHandle, Error> {
        let id = setup.invite.id;
        let (member, row) = self.member(&setup.invite)?;
        let terms: MemberTerms =
            handfast_keys::canonical::decode(&row.terms, 1 << 10).map_err(|_| Unreadable)?;
        let (state, states) = watch::channel(match member.ended() {
            None => MemberState::Pending,
            Some(None) => MemberState::Paired,
            Some(Some(failure)) => MemberState::Failed(failure),
        });
        let topic = setup.primary_discovery_key.topic();
        let meets = self.context.network.join(topic, true, true);
        self.met.lock().unwrap_or_else(PoisonError::into_inner).push(meets);
        let app = MemberApp {
            structures: self.structures.clone(),
            device: self.device.clone(),
            primary: terms.primary_autobase_key,
            encryption_key: terms.encryption_key,
            on_paired: setup.on_paired,
            person: setup.person,
            state,
        };
        let topic = member.discovery_key().topic();
        let joined: Arc<dyn Joining> = self.context.network.join(topic, true, false).into();
        let handle = MemberHandle {
            state: states,
            joined: Arc::downgrade(&joined),
            over: self.context.over.clone(),
        };
        let inbox = self.drive(id, Machine::Member(member), Arc::new(app), row, Some(joined));
        let _ = inbox.send(Input::Ready(setup.username)).await;
        Ok(handle)
    }

    /// Answers an invite, and returns once the member has added a writer for every structure. Called
    /// again with the same code after a restart it goes on where it was; for two days after success
    /// it returns the same once more.
    pub async fn join_with_invite(&self, join: Join) -> Result<Joined, Error> {
        let invite = Invite::parse(&join.invite_code)?;
        if invite.profile() != Profile::Envelope {
            return Err(Failure::WrongProfile.into());
        }
        let (person, consent) = match join.person {
            Some((person, consent)) => (Some(person), consent),
            None => (None, Consent::Compare),
        };
        let setup = CandidateSetup {
            name: join.username,
            device: self.keys(),
            consent,
            insist: join.insist,
        };
        let now = self.context.clock.now();
        let start = |invite| Candidate::start(setup, invite, now, &mut rng());
        match self.answer(invite, start, Some(join.store), person).await? {
            Outcome::Envelope(offer, writers) => {
                let map = offer.map;
                let keys = map.structures.iter().map(|it| (it.namespace.clone(), it.key));
                let joined = Joined {
                    all_structure_keys: keys.collect(),
                    username: offer.peer.name,
                    writers: writers.keys.into_iter().collect(),
                    structures: map.structures,
                    primary_autobase_key: map.primary,
                    encryption_key: map.encryption_key,
                };
                if let Some(key) = &joined.primary_autobase_key {
                    let topic = key.discovery_key().topic();
                    let meets = self.context.network.join(topic, true, true);
                    self.met.lock().unwrap_or_else(PoisonError::into_inner).push(meets);
                }
                Ok(joined)
            }
            Outcome::Raw(_) => Err(Failure::WrongProfile.into()),
        }
    }

    /// Answers an invite of an app on JavaScript's blind-pairing with the one writer key that goes
    /// with it.
    pub async fn join_raw(
        &self,
        invite_code: &str,
        writer_key: &StructureKey,
    ) -> Result<Grant, Error> {
        let invite = Invite::parse(invite_code)?;
        let now = self.context.clock.now();
        let start = |invite| Candidate::start_raw(invite, writer_key, now);
        match self.answer(invite, start, None, None).await? {
            Outcome::Raw(grant) => Ok(grant),
            Outcome::Envelope(..) => Err(Failure::WrongProfile.into()),
        }
    }

    /// Every invite that was made here and is not forgotten.
    pub fn invites(&self) -> Result<Vec<InviteInfo>, Error> {
        let rows = self.context.journal.all(Kind::Member)?;
        let now = self.context.clock.now();
        let info = |row: Row| {
            let member = Member::resume(&row.session, self.keys(), now, &mut rng())?;
            Ok(InviteInfo {
                invite: InviteHandle { id: member.id() },
                discovery_key: member.discovery_key(),
                invite_code: member.invite().map(ToString::to_string),
                profile: member.profile(),
                verifies: member.verifies(),
                is_pairing: member.is_pairing(),
                ended: member.ended().map(|failure| failure.map_or(Ok(()), Err)),
            })
        };
        rows.into_iter().map(info).collect()
    }

    /// Revokes an invite that nobody has answered: from now on who does is rejected.
    pub async fn revoke(&self, invite: &InviteHandle) -> Result<(), Error> {
        let inbox = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.get(&invite.id).cloned()
        };
        if let Some(inbox) = inbox
            && inbox.send(Input::Declined).await.is_ok()
        {
            return Ok(());
        }
        let (mut member, mut row) = self.member(invite)?;
        let now = self.context.clock.now();
        // (It fails with the very reason that is asked for.)
        let _ = member.handle(now, &mut rng(), Input::Declined);
        row.session = member.to_bytes(now);
        self.context.journal.put(Kind::Member, &row)?;
        Ok(())
    }

    /// Stops answering an invite: the person does not want to join any more. What
    /// [`join_with_invite`](Self::join_with_invite) or [`join_raw`](Self::join_raw) has begun ends as
    /// declined; as [`Failure::Left`] where the member may have the writers already.
    pub async fn leave(&self, invite_code: &str) -> Result<(), Error> {
        let id = Invite::parse(invite_code)?.id();
        let commands = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.get(&id).cloned()
        };
        if let Some(commands) = commands {
            // One that has just ended needs no telling.
            let _ = commands.send(Input::Declined).await;
        }
        Ok(())
    }

    /// Ends everything that goes on, and takes back what was announced. What is on its way to a peer
    /// is given a few seconds to arrive. What is in the journal can be gone on with later.
    pub async fn close(&self) {
        self.context.deliveries.close();
        let _ = tokio::time::timeout(FAREWELL, self.context.deliveries.wait()).await;
        self.context.over.cancel();
        self.context.tasks.close();
        self.context.tasks.wait().await;
        self.met.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn keys(&self) -> Option<handfast_ring::DeviceKeys> {
        self.device.as_ref().map(|device| device.keys())
    }

    fn member(&self, invite: &InviteHandle) -> Result<(Member, Row), Error> {
        let row = self.context.journal.get(Kind::Member, invite.id.as_bytes())?;
        let row = row.ok_or(Error::UnknownInvite)?;
        let now = self.context.clock.now();
        Ok((Member::resume(&row.session, self.keys(), now, &mut rng())?, row))
    }

    async fn answer(
        &self,
        invite: Invite,
        start: impl FnOnce(Invite) -> Result<Candidate, Failure>,
        store: Option<Arc<dyn WriterStore>>,
        person: Option<Arc<dyn Person>>,
    ) -> Result<Outcome, Error> {
        let (id, hash): (InviteId, Digest) = (invite.id(), invite.hash());
        let now = self.context.clock.now();
        let (candidate, row) = match self.context.journal.get(Kind::Candidate, hash.as_bytes())? {
            Some(row) => (Candidate::resume(&row.session, now, &mut rng())?, row),
            None => {
                let (session, terms) = Default::default();
                (start(invite)?, Row { id: *hash.as_bytes(), revision: 0, session, terms })
            }
        };
        if let Some(Some(failure)) = candidate.ended() {
            return Err(failure.into());
        }
        let (sender, outcome) = oneshot::channel();
        let device = self.device.clone();
        let app = CandidateApp { store, device, person, outcome: Mutex::new(Some(sender)) };
        let _inbox = self.drive(id, Machine::Candidate(candidate), Arc::new(app), row, None);
        Ok(outcome.await.map_err(|_| Error::Closed)??)
    }

    /// Carries a session out in the background.
    fn drive(
        &self,
        id: InviteId,
        machine: Machine,
        app: Arc<dyn App>,
        row: Row,
        joined: Option<Arc<dyn Joining>>,
    ) -> Inbox {
        let (inbox, told) = Inbox::new();
        let driver = Driver::new(self.context.clone(), machine, app, row, inbox.clone(), joined);
        let lock = || self.running.lock().unwrap_or_else(PoisonError::into_inner);
        lock().insert(id, inbox.clone());
        let running = self.running.clone();
        self.context.tasks.spawn(async move {
            if let Err(error) = driver.run(told).await {
                tracing::error!(%error, "a pairing cannot go on");
            }
            running.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
        inbox
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
