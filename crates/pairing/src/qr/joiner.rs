//! The device that scans the code.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use handfast_ipfs::{Name, Record, record};
use handfast_keys::{Digest, IpnsSecret, Timestamp};
use handfast_ring::{DeviceKeys, Identity, Role, SignedIdentity};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::code::Code;
use super::handover::{Fixed, Handover};
use super::line::{OwnLine, PeerLine, carried, carry};
use super::message::{
    Message, ProviderGrant, Response, Reveal, SealedResponse, check_code, transcript,
};
use super::session::{
    self, COMPARE_TIME, Consent, Deadline, Effect, Effects, Ended, Failure, Input, MAX_LIFETIME,
    REFRESH, Setup, Stored, Unreadable,
};

/// How long the joiner waits for an answer, at least.
const MIN_WAIT: Duration = Duration::from_secs(60);

/// The machine of the device that scans the code. See [`Initiator`](super::Initiator) for how it is
/// driven.
pub struct Joiner {
    keys: DeviceKeys,
    state: State,
    effects: Effects,
    refresh: Timestamp,
}

#[derive(Serialize, Deserialize)]
enum State {
    /// The response is out; the Reveal is awaited.
    Answering(Box<Answering>),
    /// The Reveal was opened.
    Revealed(Box<Handover>),
    Ended(Ended),
}

#[derive(Serialize, Deserialize)]
struct Answering {
    code: Code,
    response: Response,
    /// A scan makes one S for ever.
    sealed: SealedResponse,
    /// The record that carries S, and its sequence.
    record: ByteBuf,
    sequence: u64,
    line: IpnsSecret,
    reply: PeerLine,
    provider: Option<ProviderGrant>,
    reach: Option<ProviderGrant>,
    consent: Consent,
    deadline: Deadline,
}

impl Stored for State {
    fn deadline(&mut self) -> Option<&mut Deadline> {
        match self {
            State::Answering(answering) => Some(&mut answering.deadline),
            State::Revealed(handover) => handover.deadline(),
            State::Ended(_) => None,
        }
    }
}

impl Joiner {
    /// Answers a scanned code. Fails with [`Failure::OwnCode`] or [`Failure::AlreadyPaired`] before
    /// anything is sent.
    pub fn start<R: CryptoRng>(
        setup: Setup,
        code: Code,
        now: Timestamp,
        rng: &mut R,
    ) -> Result<Joiner, Failure> {
        if code.auth == setup.keys.auth.public() || code.ipns == setup.keys.ipns.public() {
            return Err(Failure::OwnCode);
        }
        if setup.members.contains(&code.auth) && !setup.again {
            return Err(Failure::AlreadyPaired);
        }
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let nonce = Digest::from_bytes(nonce);
        let identity = Identity::new(&setup.keys, setup.name, Role::Joiner, code.hash(), nonce);
        let line = IpnsSecret::generate(rng);
        let response = Response {
            identity: SignedIdentity::sign(identity, &setup.keys),
            line: line.public(),
            has_provider: setup.provider.is_some(),
            records: setup.records,
        };
        let sealed = response.seal(&code, rng);
        let wait = Duration::from_secs(code.lifetime).clamp(MIN_WAIT, MAX_LIFETIME);
        let mut answering = Box::new(Answering {
            response,
            sealed,
            record: ByteBuf::new(),
            sequence: 0,
            line,
            reply: PeerLine::new(Name::of(code.reply)),
            provider: setup.provider,
            reach: setup.reach,
            consent: setup.consent,
            deadline: Deadline::after(now, wait),
            code,
        });
        let mut effects = Effects::new();
        answering.publish(1, now, &mut effects)?;
        let mut machine = Joiner {
            keys: setup.keys,
            state: State::Answering(answering),
            effects,
            refresh: now + REFRESH,
        };
        machine.watch();
        Ok(machine)
    }

    /// Goes on with a session that was [stored](Self::to_bytes).
    pub fn resume<R: CryptoRng>(
        bytes: &[u8],
        keys: DeviceKeys,
        now: Timestamp,
        rng: &mut R,
    ) -> Result<Joiner, Unreadable> {
        let state = session::resume(bytes, now)?;
        let mut machine = Joiner { keys, state, effects: Effects::new(), refresh: now + REFRESH };
        machine.watch();
        match &mut machine.state {
            State::Answering(answering) => {
                machine.effects.extend(answering.record().map(Effect::Publish));
            }
            State::Revealed(handover) => {
                machine.effects.extend(handover.own_record().map(Effect::Publish));
                handover.resume(&machine.keys, now, rng, &mut machine.effects);
            }
            State::Ended(ended) => ended.resume(&mut machine.effects),
        }
        Ok(machine)
    }

    /// The session, to be stored when [`Effect::Store`] says so. Secret.
    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        session::store(&self.state, now)
    }

    /// Whether the machine has come to its end, and the failure if it was one.
    pub fn ended(&self) -> Option<Option<Failure>> {
        match &self.state {
            State::Ended(ended) => Some(ended.failure),
            _ => None,
        }
    }

    /// Whether this device's own confirmation is out: from then on only success ends the session.
    pub fn has_confirmed(&self) -> bool {
        matches!(&self.state, State::Revealed(handover) if !handover.is_asking())
    }

    /// Takes in what happened. An error ends the session.
    pub fn handle<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        let result = match &mut self.state {
            State::Answering(_) => self.handle_answering(now, rng, input),
            State::Revealed(handover) => {
                handover.handle(&self.keys, now, rng, input, &mut self.effects)
            }
            State::Ended(ended) => return ended.result(),
        };
        match result {
            Err(failure) => self.fail(failure, now),
            Ok(()) => {
                if let State::Revealed(handover) = &self.state
                    && handover.is_finished()
                {
                    self.state = State::Ended(Ended::new(None, handover.own_record()));
                    // Before the caller hears that it is finished, the secrets are gone from its
                    // store.
                    self.effects.push_front(Effect::Store);
                }
                self.republish(now);
            }
        }
        result
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle`](Self::handle) is to be called even if nothing happens.
    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        if matches!(self.state, State::Ended(_)) {
            return None;
        }
        let deadline = self.state.deadline().map(|deadline| deadline.at());
        [Some(self.refresh), deadline].into_iter().flatten().min()
    }

    fn handle_answering<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        let State::Answering(answering) = &mut self.state else { return Ok(()) };
        if answering.deadline.is_over(now) {
            return Err(Failure::PeerSilent);
        }
        match input {
            Input::Declined => Err(Failure::Declined),
            Input::Answer { name, record: Some(record), .. } if name == answering.temp_name() => {
                answering.defend(&record, now, &mut self.effects)
            }
            Input::Answer { name, record: Some(record), .. } if name == *answering.reply.name() => {
                let news = answering.reply.read(&record).map_err(|_| Failure::Equivocation)?;
                let mut news = news.into_iter();
                match news.next() {
                    Some(Message::Reveal(sealed)) => self.reveal(&sealed, news.collect(), now, rng),
                    Some(Message::Closed(closed)) => Err(closed.into()),
                    Some(_) => Err(Failure::Equivocation),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Opens the Reveal. One that does not open, or is for another response, means that the
    /// initiator has locked another device. One that opens but does not come from who made the
    /// code, or not with the nonce that the code committed to, is an attempt at fraud. `further`
    /// is what the initiator has said since; the person is asked only if that was not its end.
    fn reveal<R: CryptoRng>(
        &mut self,
        sealed: &[u8],
        further: Vec<Message>,
        now: Timestamp,
        rng: &mut R,
    ) -> Result<(), Failure> {
        let State::Answering(answering) = &self.state else { return Ok(()) };
        let (code, session) = (&answering.code, answering.code.hash());
        let locked = answering.sealed.hash();
        let reveal = Reveal::open(sealed, &session, &locked, &self.keys.exchange)
            .map_err(|_| Failure::CodeTaken)?;
        if reveal.locked != locked {
            return Err(Failure::CodeTaken);
        }
        let identity = reveal.identity.identity();
        let theirs = identity.role == Role::Initiator
            && identity.session == session
            && identity.ipns == code.ipns
            && identity.auth == code.auth
            && code.opens(&reveal.nonce());
        let reflected = identity.exchange == self.keys.exchange.public()
            || identity.swarm == self.keys.swarm.public();
        if !theirs || reflected {
            return Err(Failure::Mismatch);
        }
        let has_provider = answering.provider.is_some() || code.provider.is_some();
        if !has_provider && !reveal.has_provider {
            return Err(Failure::NoProvider);
        }
        let response = &answering.response;
        let fixed = Fixed {
            role: Role::Joiner,
            transcript: transcript(&session, response, &reveal),
            check_code: check_code(&session, response, &reveal.nonce()),
            own: response.identity.clone(),
            peer: reveal.identity,
            peer_records: reveal.records,
            peer_has_provider: reveal.has_provider,
            provider: answering.provider.clone(),
            provider_in_code: code.provider.clone(),
            reach: answering.reach.clone(),
            consent: answering.consent,
        };
        let deadline = answering.deadline.at_least(now, COMPARE_TIME);
        let reply = answering.reply.clone();
        let line = OwnLine::new(answering.line.clone());
        let mut handover = Box::new(Handover::new(fixed, line, reply, deadline));
        handover.take_in(&self.keys, further, &mut self.effects)?;
        self.effects.push_back(Effect::Store);
        self.effects.push_back(Effect::Unwatch(answering.temp_name()));
        handover.resume(&self.keys, now, rng, &mut self.effects);
        self.state = State::Revealed(handover);
        Ok(())
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) {
        let last_word = match &mut self.state {
            State::Answering(answering) => {
                self.effects.push_back(Effect::Unwatch(answering.temp_name()));
                self.effects.push_back(Effect::Unwatch(*answering.reply.name()));
                let mut line = OwnLine::new(answering.line.clone());
                if let Some(closed) = failure.to_closed() {
                    line.say(Message::Closed(closed), now);
                }
                self.effects.extend(line.record().map(Effect::Publish));
                line.record()
            }
            State::Revealed(handover) => handover.close(failure, now, &mut self.effects),
            State::Ended(_) => return,
        };
        self.state = State::Ended(Ended::new(Some(failure), last_word));
        session::give_up(&mut self.effects);
    }

    fn watch(&mut self) {
        match &self.state {
            State::Answering(answering) => {
                self.effects.push_back(Effect::Watch(answering.temp_name()));
                self.effects.push_back(Effect::Watch(*answering.reply.name()));
            }
            State::Revealed(handover) => {
                self.effects.push_back(Effect::Watch(handover.peer_name()));
            }
            State::Ended(_) => (),
        }
    }

    fn republish(&mut self, now: Timestamp) {
        if now < self.refresh {
            return;
        }
        self.refresh = now + REFRESH;
        match &mut self.state {
            State::Answering(answering) => {
                self.effects.extend(answering.record().map(Effect::Publish));
            }
            State::Revealed(handover) => handover.refresh(&mut self.effects),
            State::Ended(_) => (),
        }
    }
}

/// Nothing of the keys, the nonce or the check code.
impl fmt::Debug for Joiner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Answering(_) => "Answering",
            State::Revealed(_) => "Revealed",
            State::Ended(_) => "Ended",
        };
        f.debug_struct("Joiner").field("state", &state).finish_non_exhaustive()
    }
}

impl Answering {
    fn temp_name(&self) -> Name {
        Name::of(self.code.temp.public())
    }

    fn record(&self) -> Option<Record> {
        Record::parse(&self.temp_name(), &self.record, None).ok()
    }

    /// Publishes S with this sequence.
    fn publish(
        &mut self,
        sequence: u64,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        let bytes = self.sealed.as_bytes().to_vec();
        let record = carry(&self.code.temp, bytes, sequence, now).ok_or(Failure::CodeTaken)?;
        self.sequence = sequence;
        self.record = ByteBuf::from(record.as_bytes());
        effects.push_back(Effect::Store);
        effects.push_back(Effect::Publish(record));
        Ok(())
    }

    /// Puts S above whatever else somebody put at the temp name: everybody who saw the code can.
    fn defend(
        &mut self,
        found: &Record,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        if found.sequence() < self.sequence || carried(found) == Some(self.sealed.as_bytes()) {
            return Ok(());
        }
        if found.sequence() >= record::MAX_SEQUENCE {
            return Err(Failure::CodeTaken);
        }
        self.publish(found.sequence() + 1, now, effects)
    }
}
