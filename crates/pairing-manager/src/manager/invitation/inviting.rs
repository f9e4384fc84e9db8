//! Making invites, answering who comes with one, revoking them.

use std::sync::{Arc, Mutex};

use handfast_keys::{Secret, canonical};
use handfast_pairing::invite::{Failure, Input, Machine, Member, StructureKey, Terms, Unreadable};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use super::{Invitation, InviteHandle, InviteInfo, InviteRequest, MemberHandle, MemberSetup};
use crate::app::{MemberApp, MemberState};
use crate::clock::rng;
use crate::error::Error;
use crate::inbox::Told;
use crate::journal::{Kind, Row};
use crate::manager::{PairingManager, forgetting};
use crate::network::Joining;

/// The most that the terms of an invite take.
const MAX_TERMS: usize = 1 << 10;

/// What is stored besides the session.
#[derive(Default, Serialize, Deserialize)]
struct MemberTerms {
    primary_autobase_key: Option<StructureKey>,
    encryption_key: Option<Secret<32>>,
}

impl PairingManager {
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
            terms: canonical::encode(&terms),
        };
        self.context.journal.put(Kind::Member, &row)?;
        Ok(Invitation { invite_code, invite })
    }

    /// Lets candidates answer an invite, until one is paired. Called again, after a restart or not, it
    /// goes on where it was, in place of who called before.
    pub async fn setup_member(&self, setup: MemberSetup) -> Result<MemberHandle, Error> {
        let address = (Kind::Member, *setup.invite.id.as_bytes());
        let seat = self.sessions.take(address, &self.context).await?;
        let (member, row) = self.member(&setup.invite)?;
        let terms: MemberTerms =
            canonical::decode(&row.terms, MAX_TERMS).map_err(|_| Unreadable)?;
        let meet = || self.meetings.join(setup.primary_discovery_key.topic());
        let (state, meeting) = match member.ended() {
            None => (MemberState::Pending, Some(meet())),
            Some(None) => {
                meet().keep();
                (MemberState::Paired, None)
            }
            Some(Some(failure)) => (MemberState::Failed(failure), None),
        };
        let (state, states) = watch::channel(state);
        let app = MemberApp {
            structures: self.structures.clone(),
            device: self.device.clone(),
            primary: terms.primary_autobase_key,
            encryption_key: terms.encryption_key,
            on_paired: setup.on_paired,
            person: setup.person,
            state,
            meeting: Mutex::new(meeting),
            no_writer_key: Mutex::default(),
        };
        let topic = member.discovery_key().topic();
        let joined: Arc<dyn Joining> = self.context.network.join(topic, true, false).into();
        let handle = MemberHandle {
            state: states,
            joined: Arc::downgrade(&joined),
            over: self.context.over.clone(),
        };
        let inbox = seat.0.inbox.clone();
        self.drive(seat, Machine::Member(member), Arc::new(app), row, Some(joined));
        // (One that has just ended needs no telling.)
        let _ = inbox.send(Input::Ready(setup.username)).await;
        Ok(handle)
    }

    /// Every invite that was made here and is not forgotten: one that is over is for two days.
    pub fn invites(&self) -> Result<Vec<InviteInfo>, Error> {
        self.sweep();
        let (now, mut rng) = (self.context.clock.now(), rng());
        let mut infos = Vec::new();
        for row in self.context.journal.all(Kind::Member)? {
            let mut machine =
                Machine::Member(Member::resume(&row.session, self.keys(), now, &mut rng)?);
            forgetting::elapse(&mut machine, now, &mut rng);
            if let Machine::Member(member) = machine
                && !member.is_forgotten()
            {
                infos.push(InviteInfo {
                    invite: InviteHandle { id: member.id() },
                    discovery_key: member.discovery_key(),
                    invite_code: member.invite().map(ToString::to_string),
                    profile: member.profile(),
                    verifies: member.verifies(),
                    is_pairing: member.is_pairing(),
                    ended: member.ended().map(|failure| failure.map_or(Ok(()), Err)),
                });
            }
        }
        Ok(infos)
    }

    /// Revokes an invite: from now on who answers it is rejected, and who is being paired by it is
    /// told no. Once this returns that is stored. [`Error::Used`] says that it is too late.
    pub async fn revoke(&self, invite: &InviteHandle) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let inbox = self.sessions.inbox(&(Kind::Member, *invite.id.as_bytes()));
        if let Some(inbox) = inbox
            && inbox.tell(Told::Revoked(answer)).await.is_ok()
            && let Ok(is_over) = answered.await
        {
            return if is_over { Ok(()) } else { Err(Error::Used) };
        }
        let (mut member, mut row) = self.member(invite)?;
        let now = self.context.clock.now();
        if member.handle(now, &mut rng(), Input::Declined).is_err() {
            row.session = member.to_bytes(now);
            self.context.journal.put(Kind::Member, &row)?;
        }
        match member.ended() {
            Some(Some(_)) => Ok(()),
            _ => Err(Error::Used),
        }
    }

    fn member(&self, invite: &InviteHandle) -> Result<(Member, Row), Error> {
        let row = self.context.journal.get(Kind::Member, invite.id.as_bytes())?;
        let row = row.ok_or(Error::UnknownInvite)?;
        let now = self.context.clock.now();
        Ok((Member::resume(&row.session, self.keys(), now, &mut rng())?, row))
    }
}
