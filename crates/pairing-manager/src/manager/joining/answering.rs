//! Answering an invite.

use std::sync::{Arc, Mutex};

use handfast_keys::canonical;
use handfast_pairing::invite::{
    Candidate, CandidateSetup, Failure, Grant, Input, Invite, Joined as Outcome, Machine, Profile,
    StructureKey, Unreadable,
};
use handfast_pairing::qr::Consent;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Join, Joined};
use crate::app::{CandidateApp, Person};
use crate::clock::rng;
use crate::error::Error;
use crate::journal::{Kind, Row};
use crate::manager::PairingManager;
use crate::structures::WriterStore;

/// The most that the terms of an answer take.
const MAX_TERMS: usize = 1 << 10;

/// What is stored besides the session: what may not be another when it is gone on with.
#[derive(Serialize, Deserialize)]
struct CandidateTerms {
    /// The writer key that is let in, in the raw profile.
    writer_key: Option<StructureKey>,
    insist: bool,
}

/// Who makes the writers, and who compares.
#[derive(Default)]
struct Behind {
    store: Option<Arc<dyn WriterStore>>,
    person: Option<Arc<dyn Person>>,
}

impl PairingManager {
    /// Answers an invite, and returns once the member has added a writer for every structure. Called
    /// again with the same code, after a restart or not, it goes on where it was, in place of who
    /// called before; for two days after success it returns the same once more. What it insists on
    /// must be the same, and the name and the way of comparing stay as they were at first.
    ///
    /// The pairing goes on even if nobody waits for what this returns any more: until the member has
    /// answered, the manager is closed, or it is [left](Self::leave).
    pub async fn join_with_invite(&self, join: Join) -> Result<Joined, Error> {
        let invite = Invite::parse(&join.invite_code)?;
        if invite.profile() != Profile::Envelope {
            return Err(Failure::WrongProfile.into());
        }
        let (person, consent) = match join.person {
            Some((person, consent)) => (Some(person), consent),
            None => (None, Consent::Compare),
        };
        let (insist, device) = (join.insist, self.keys());
        let setup = CandidateSetup { name: join.username, device, consent, insist };
        let now = self.context.clock.now();
        let start = |invite| Candidate::start(setup, invite, now, &mut rng());
        let terms = CandidateTerms { writer_key: None, insist };
        let behind = Behind { store: Some(join.store), person };
        let Outcome::Envelope(offer, writers) = self.answer(invite, terms, start, behind).await?
        else {
            return Err(Failure::WrongProfile.into());
        };
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
            self.meetings.join(key.discovery_key().topic()).keep();
        }
        Ok(joined)
    }

    /// Answers an invite of an app on JavaScript's blind-pairing with the one writer key that goes
    /// with it. It goes on like [`join_with_invite`](Self::join_with_invite), with the same key.
    pub async fn join_raw(
        &self,
        invite_code: &str,
        writer_key: &StructureKey,
    ) -> Result<Grant, Error> {
        let invite = Invite::parse(invite_code)?;
        let now = self.context.clock.now();
        let start = |invite| Candidate::start_raw(invite, writer_key, now);
        let terms = CandidateTerms { writer_key: Some(*writer_key), insist: false };
        match self.answer(invite, terms, start, Behind::default()).await? {
            Outcome::Raw(grant) => Ok(grant),
            Outcome::Envelope(..) => Err(Failure::WrongProfile.into()),
        }
    }

    /// Stops answering an invite: the person does not want to join any more. What
    /// [`join_with_invite`](Self::join_with_invite) or [`join_raw`](Self::join_raw) has begun ends as
    /// declined; as [`Failure::Left`] where the member may have the writers already.
    pub async fn leave(&self, invite_code: &str) -> Result<(), Error> {
        let hash = Invite::parse(invite_code)?.hash();
        if let Some(inbox) = self.sessions.inbox(&(Kind::Candidate, *hash.as_bytes())) {
            // One that has just ended needs no telling.
            let _ = inbox.send(Input::Declined).await;
        }
        Ok(())
    }

    async fn answer(
        &self,
        invite: Invite,
        terms: CandidateTerms,
        start: impl FnOnce(Invite) -> Result<Candidate, Failure>,
        behind: Behind,
    ) -> Result<Outcome, Error> {
        let id = *invite.hash().as_bytes();
        let seat = self.sessions.take((Kind::Candidate, id), &self.context).await?;
        let (candidate, row) = match self.context.journal.get(Kind::Candidate, &id)? {
            Some(row) => {
                terms.must_be_those_of(&row)?;
                let now = self.context.clock.now();
                (Candidate::resume(&row.session, now, &mut rng())?, row)
            }
            None => {
                let terms = canonical::encode(&terms);
                (start(invite)?, Row { id, revision: 0, session: Vec::new(), terms })
            }
        };
        if let Some(Some(failure)) = candidate.ended() {
            return Err(failure.into());
        }
        let (sender, outcome) = oneshot::channel();
        let (Behind { store, person }, device) = (behind, self.device.clone());
        let app = CandidateApp { store, device, person, outcome: Mutex::new(Some(sender)) };
        self.drive(seat, Machine::Candidate(candidate), Arc::new(app), row, None);
        outcome.await.map_err(|_| Error::Closed)?
    }
}

impl CandidateTerms {
    fn must_be_those_of(&self, row: &Row) -> Result<(), Error> {
        let first: CandidateTerms =
            canonical::decode(&row.terms, MAX_TERMS).map_err(|_| Unreadable)?;
        if self.writer_key != first.writer_key {
            return Err(Error::OtherTerms("writer key"));
        }
        if self.insist != first.insist {
            return Err(Error::OtherTerms("wish about comparing"));
        }
        Ok(())
    }
}
