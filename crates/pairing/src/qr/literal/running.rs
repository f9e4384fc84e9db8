//! What both sides do in a session of version 1 that is not over.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use core::time::Duration;

use handfast_ipfs::{Name, Record, record};
use handfast_keys::{Digest, Fingerprint, Label, Timestamp};
use handfast_ring::{DeviceKeys, Identity, Role, SignedIdentity};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::code::{LiteralCode, parse_response, response_json};
use crate::qr::initiator::GATHER;
use crate::qr::line::{carried, carry};
use crate::qr::message::ProviderGrant;
use crate::qr::session::{
    COMPARE_TIME, Consent, DEFAULT_LIFETIME, Deadline, Effect, Effects, Failure, Input,
    Introduction, PeerKeys, Setup,
};

/// The nonce of identities in a version that has none.
const NO_NONCE: Digest = Digest::from_bytes([0; 32]);

/// A session that is not over, on either side.
#[derive(Serialize, Deserialize)]
pub struct Running {
    role: Role,
    code: LiteralCode,
    own: SignedIdentity,
    /// Whether nobody looks.
    unseen: bool,
    /// The provider config from the code, where the joiner has none of its own.
    provider: Option<ProviderGrant>,
    /// The joiner's response: what the emojis hash.
    response: Option<ByteBuf>,
    /// The record in which the joiner published it.
    record: Option<ByteBuf>,
    sequence: u64,
    deadline: Deadline,
    stage: Stage,
}

#[derive(Serialize, Deserialize)]
enum Stage {
    /// The initiator waits for a response.
    Open {
        /// The first one. After a restart it is looked for again.
        #[serde(skip)]
        candidate: Option<Candidate>,
    },
    /// The person compares.
    Asking,
    /// The peer's feed is looked for.
    Finding,
    /// The peer was found; the own feed is being published.
    Admitting(Box<SignedIdentity>),
    /// The peer's data is being imported.
    Importing,
}

/// A response, which routers have answered since it came, and when the others are waited for no
/// longer.
struct Candidate {
    response: ByteBuf,
    answered: BTreeSet<usize>,
    until: Deadline,
}

impl Running {
    /// The initiator's.
    pub fn shows(
        setup: Setup,
        code: LiteralCode,
        deadline: Deadline,
        effects: &mut Effects,
    ) -> Running {
        let stage = Stage::Open { candidate: None };
        let running = Running::new(setup, Role::Initiator, code, deadline, stage);
        effects.push_back(Effect::Store);
        running.watch(effects);
        running
    }

    /// The joiner's.
    pub fn answers(
        setup: Setup,
        code: LiteralCode,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<Running, Failure> {
        let response = response_json(&setup.keys);
        let deadline = Deadline::after(now, DEFAULT_LIFETIME);
        let mut running = Running::new(setup, Role::Joiner, code, deadline, Stage::Asking);
        running.response = Some(ByteBuf::from(response));
        running.publish(1, now, effects)?;
        running.watch(effects);
        running.ask(effects);
        Ok(running)
    }

    fn new(
        setup: Setup,
        role: Role,
        code: LiteralCode,
        deadline: Deadline,
        stage: Stage,
    ) -> Running {
        let identity = Identity::new(&setup.keys, setup.name, role, code.hash(), NO_NONCE);
        let provider =
            code.provider.clone().filter(|_| role == Role::Joiner && setup.provider.is_none());
        Running {
            role,
            own: SignedIdentity::sign(identity, &setup.keys),
            code,
            unseen: setup.consent == Consent::Unseen,
            provider,
            response: None,
            record: None,
            sequence: 0,
            deadline,
            stage,
        }
    }

    /// The code, while nobody has answered it.
    pub fn open_code(&self) -> Option<&LiteralCode> {
        matches!(self.stage, Stage::Open { .. }).then_some(&self.code)
    }

    /// The deadline, while it is running.
    pub fn deadline(&mut self) -> Option<&mut Deadline> {
        (!self.has_confirmed()).then_some(&mut self.deadline)
    }

    /// When something is to be done even if nothing happens.
    pub fn timeout(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Open { candidate: Some(candidate) } => Some(candidate.until.at()),
            Stage::Open { .. } | Stage::Asking => Some(self.deadline.at()),
            Stage::Finding | Stage::Admitting(_) | Stage::Importing => None,
        }
    }

    /// Whether the person has said yes: from then on only success ends the session.
    pub fn has_confirmed(&self) -> bool {
        matches!(self.stage, Stage::Finding | Stage::Admitting(_) | Stage::Importing)
    }

    /// The name at which the joiner answers.
    pub fn temp_name(&self) -> Name {
        Name::of(self.code.temp.public())
    }

    /// What is to be done, again, after a restart.
    pub fn resume(&mut self, effects: &mut Effects) {
        effects.extend(self.record().map(Effect::Publish));
        self.watch(effects);
        match &self.stage {
            Stage::Open { .. } => (),
            Stage::Asking => self.ask(effects),
            Stage::Finding => self.find(effects),
            Stage::Admitting(peer) => self.admit(peer, effects),
            Stage::Importing => effects.push_back(Effect::Import(None)),
        }
    }

    /// Takes in what happened. Returns whether everything is done.
    pub fn handle(
        &mut self,
        keys: &DeviceKeys,
        now: Timestamp,
        input: Input,
        effects: &mut Effects,
    ) -> Result<bool, Failure> {
        let waits = match &self.stage {
            Stage::Open { candidate } => candidate.is_none(),
            _ => !self.has_confirmed(),
        };
        if waits && self.deadline.is_over(now) {
            return Err(Failure::Expired);
        }
        match (input, &self.stage) {
            (Input::Answer { router, routers, name, record }, _) if name == self.temp_name() => {
                match self.role {
                    Role::Initiator => self.gather(router, routers, record.as_ref(), keys, now)?,
                    Role::Joiner => self.defend(record.as_ref(), now, effects)?,
                }
            }
            (Input::Declined, Stage::Open { .. } | Stage::Asking) => {
                return Err(Failure::Declined);
            }
            (Input::Agreed, Stage::Asking) => self.confirm(effects),
            (Input::Found(peer), Stage::Finding) if self.is_peer(&peer) => {
                effects.push_back(Effect::Store);
                self.admit(&peer, effects);
                self.stage = Stage::Admitting(peer);
            }
            (Input::Published(_), Stage::Admitting(_)) => {
                self.stage = Stage::Importing;
                effects.extend([Effect::Store, Effect::Import(None)]);
            }
            (Input::Imported, Stage::Importing) => return Ok(true),
            _ => (),
        }
        self.lock(now, effects);
        Ok(false)
    }

    /// Takes in what a router holds at the temp name. A second valid response before the person has
    /// confirmed ends the pairing.
    fn gather(
        &mut self,
        router: usize,
        routers: usize,
        record: Option<&Record>,
        keys: &DeviceKeys,
        now: Timestamp,
    ) -> Result<(), Failure> {
        if self.has_confirmed() {
            return Ok(());
        }
        let valid = record.and_then(carried).filter(|bytes| {
            parse_response(bytes).is_some_and(|(ipns, auth)| {
                ipns != keys.ipns.public() && auth != keys.auth.public()
            })
        });
        let Stage::Open { candidate } = &mut self.stage else {
            let second = valid.is_some_and(|other| self.response() != Some(other));
            return if second { Err(Failure::Equivocation) } else { Ok(()) };
        };
        if let Some(response) = valid {
            let first = candidate.get_or_insert_with(|| Candidate {
                response: ByteBuf::from(response),
                answered: BTreeSet::new(),
                until: Deadline::after(now, GATHER),
            });
            if first.response != response {
                return Err(Failure::Equivocation);
            }
        }
        if let Some(candidate) = candidate {
            candidate.answered.insert(router);
            if candidate.answered.len() >= routers {
                candidate.until = Deadline::after(now, Duration::ZERO);
            }
        }
        Ok(())
    }

    /// Settles on the one response, once it is time.
    fn lock(&mut self, now: Timestamp, effects: &mut Effects) {
        if let Stage::Open { candidate: Some(candidate) } = &mut self.stage
            && candidate.until.is_over(now)
        {
            self.response = Some(core::mem::take(&mut candidate.response));
            self.stage = Stage::Asking;
            self.deadline = self.deadline.at_least(now, COMPARE_TIME);
            effects.push_back(Effect::Store);
            self.ask(effects);
        }
    }

    /// Asks the person; or, where nobody looks, confirms at once.
    fn ask(&mut self, effects: &mut Effects) {
        if self.unseen {
            return self.confirm(effects);
        }
        if let Some((ipns, auth)) = self.response().and_then(parse_response) {
            effects.push_back(Effect::AskLiteral(Fingerprint::of_device(&ipns, &auth)));
        }
    }

    fn confirm(&mut self, effects: &mut Effects) {
        self.stage = Stage::Finding;
        effects.push_back(Effect::Store);
        if self.role == Role::Initiator {
            effects.push_back(Effect::Unwatch(self.temp_name()));
        }
        self.find(effects);
    }

    fn find(&self, effects: &mut Effects) {
        effects.extend(self.provider.clone().map(Effect::UseProvider));
        effects.extend(self.peer_keys().map(Box::new).map(Effect::FindPeer));
    }

    fn admit(&self, peer: &SignedIdentity, effects: &mut Effects) {
        let response = self.response().unwrap_or_default();
        effects.push_back(Effect::Admit(Box::new(Introduction {
            reach: None,
            peer: peer.clone(),
            own: self.own.clone(),
            transcript: Label::TRANSCRIPT_V1.hash([self.code.hash().as_ref(), response]),
        })));
    }

    /// Puts the response above whatever else somebody put at the temp name.
    fn defend(
        &mut self,
        found: Option<&Record>,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let Some(found) = found else { return Ok(()) };
        let ours = carried(found) == self.response();
        if ours || found.sequence() < self.sequence {
            return Ok(());
        }
        match found.sequence().checked_add(1).filter(|next| *next <= record::MAX_SEQUENCE) {
            Some(next) => self.publish(next, now, effects),
            None if self.has_confirmed() => Ok(()),
            None => Err(Failure::CodeTaken),
        }
    }

    fn publish(
        &mut self,
        sequence: u64,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let response = self.response().unwrap_or_default().to_vec();
        let record = carry(&self.code.temp, response, sequence, now).ok_or(Failure::CodeTaken)?;
        self.sequence = sequence;
        self.record = Some(ByteBuf::from(record.as_bytes()));
        effects.extend([Effect::Store, Effect::Publish(record)]);
        Ok(())
    }

    fn response(&self) -> Option<&[u8]> {
        self.response.as_ref().map(|response| response.as_slice())
    }

    /// The record with the own response, which only a joiner has.
    pub fn record(&self) -> Option<Record> {
        Record::parse(&self.temp_name(), self.record.as_deref()?, None).ok()
    }

    /// Watches the temp name. The joiner defends its response there until it has found itself in
    /// the initiator's feed; the initiator looks for a second one until its person has confirmed.
    fn watch(&self, effects: &mut Effects) {
        if let Stage::Open { .. } = self.stage {
            effects.push_back(Effect::Announce(Box::new(self.own.clone())));
        }
        if self.role == Role::Joiner || !self.has_confirmed() {
            effects.push_back(Effect::Watch(self.temp_name()));
        }
    }

    fn is_peer(&self, signed: &SignedIdentity) -> bool {
        self.peer_keys().is_some_and(|keys| keys.matches(signed))
    }

    /// All that is known of the peer.
    fn peer_keys(&self) -> Option<PeerKeys> {
        let (ipns, auth) = match self.role {
            Role::Initiator => parse_response(self.response()?)?,
            Role::Joiner => (self.code.ipns, self.code.auth),
        };
        let (role, session) = (self.role.other(), self.code.hash());
        Some(PeerKeys { ipns, auth, role, session })
    }
}
