//! The device that answers the invite.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::mem::{discriminant, replace};

use handfast_keys::{Digest, ExchangeSecret, MailboxSecret, Timestamp};
use handfast_ring::{DeviceKeys, DeviceName, Identity, SignedIdentity};
use rand_core::CryptoRng;
use serde_bytes::ByteBuf;

mod state;

use self::state::{Ended, Own, Session, State, Step, Talking, Waiting};
use super::code::{Invite, Profile};
use super::derive::{DiscoveryKey, StructureKey};
use super::exchange::{Answered, Exchange, LastWord};
use super::line::Conversation;
use super::message::{Answer, Envelope, Message, Side};
use super::request::Request;
use super::response::{Grant, Verdict};
use super::session::{
    self, Effect, Effects, Failure, Input, Joined, LIVE_GRACE, MAILBOX_GRACE, PATIENCE, Unreadable,
    Via,
};
use crate::qr::Consent;
use crate::stored::{self, Deadline, Stored};

/// The device that joins.
#[derive(Debug, Clone)]
pub struct CandidateSetup {
    /// What it calls itself.
    pub name: DeviceName,
    /// The device behind it, if there is one: then both sides exchange signed identities.
    pub device: Option<DeviceKeys>,
    /// How its person confirms, where the member asks for that.
    pub consent: Consent,
    /// Whether it joins only where both compare.
    pub insist: bool,
}

/// The machine of the device that answers an invite. Driven like the [`Member`](super::Member).
pub struct Candidate {
    session: Session,
    effects: Effects,
}

impl Candidate {
    /// Answers an invite of the envelope profile.
    pub fn start<R: CryptoRng>(
        setup: CandidateSetup,
        invite: Invite,
        now: Timestamp,
        rng: &mut R,
    ) -> Result<Candidate, Failure> {
        match (invite.profile(), setup.device.is_some()) {
            (Profile::Raw, _) => return Err(Failure::WrongProfile),
            (Profile::Envelope, true) if invite.is_app() => return Err(Failure::ForApps),
            (Profile::Envelope, false) if !invite.is_app() => return Err(Failure::ForDevices),
            (Profile::Envelope, _) => {}
        }
        let hash = invite.hash();
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let nonce = Digest::from_bytes(nonce);
        let line = MailboxSecret::generate(rng);
        let exchange = match &setup.device {
            Some(device) => device.exchange.clone(),
            None => ExchangeSecret::generate(rng),
        };
        let identity = setup.device.as_ref().map(|keys| {
            let role = Side::Candidate.role();
            let identity = Identity::new(keys, setup.name.clone(), role, hash, nonce);
            SignedIdentity::sign(identity, keys)
        });
        let envelope =
            Envelope::new(exchange.public(), nonce, line.public(), setup.name, identity).encode();
        let own = Own { exchange, line, consent: setup.consent, insist: setup.insist };
        Self::ask(invite, envelope, Some(own), now)
    }

    /// Answers an invite of the raw profile with the one writer key that goes with it. (An app on
    /// blind-pairing may expect something else; it is up to
    /// [`MAX_USER_DATA`](super::request::MAX_USER_DATA) bytes.)
    pub fn start_raw(
        invite: Invite,
        writer: &StructureKey,
        now: Timestamp,
    ) -> Result<Candidate, Failure> {
        match invite.profile() {
            Profile::Raw => {}
            Profile::Envelope if invite.is_app() => return Err(Failure::ForApps),
            Profile::Envelope => return Err(Failure::NotRaw),
        }
        Self::ask(invite, writer.as_bytes().to_vec(), None, now)
    }

    fn ask(
        invite: Invite,
        user_data: Vec<u8>,
        own: Option<Own>,
        now: Timestamp,
    ) -> Result<Candidate, Failure> {
        let discovery_key = invite.discovery_key.ok_or(Failure::NoDiscoveryKey)?;
        let waiting = Waiting {
            invite,
            user_data: ByteBuf::from(user_data),
            own,
            deadline: Deadline::after(now, PATIENCE),
            denial: None,
        };
        let asking = waiting.asking(discovery_key);
        let effects = Effects::from([Effect::Store, Effect::Ask(Box::new(asking))]);
        let session = Session { discovery_key, state: State::Asking(Box::new(waiting)) };
        Ok(Candidate { session, effects })
    }

    /// Goes on with a session that was [stored](Self::to_bytes).
    pub fn resume<R: CryptoRng>(
        bytes: &[u8],
        now: Timestamp,
        rng: &mut R,
    ) -> Result<Candidate, Unreadable> {
        let session = stored::resume(bytes, now)?;
        let mut machine = Candidate { session, effects: Effects::new() };
        machine.take_up(rng);
        Ok(machine)
    }

    /// The session, to be stored when [`Effect::Store`] says so. Secret.
    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        stored::store(&self.session, now)
    }

    /// What the two sides find each other by.
    pub fn discovery_key(&self) -> DiscoveryKey {
        self.session.discovery_key
    }

    /// Whether the machine has come to its end, and the failure if it was one.
    pub fn ended(&self) -> Option<Option<Failure>> {
        match &self.session.state {
            State::Ended(ended) => Some(ended.failure),
            _ => None,
        }
    }

    /// Whether nothing of it is needed any more: the session may be deleted.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        matches!(&self.session.state, State::Ended(ended) if ended.until.is_over(now))
    }

    /// The conversation, from [`Effect::Converse`] to [`Effect::Retire`].
    pub fn conversation(&self) -> Option<Conversation<'_>> {
        match &self.session.state {
            State::Asking(_) => None,
            State::Talking(talking) => Some(talking.exchange.conversation()),
            State::Ended(ended) => ended.last_word.as_ref().map(LastWord::conversation),
        }
    }

    /// Takes in what happened. An error ends the session.
    pub fn handle<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        let result = match &mut self.session.state {
            State::Asking(waiting) if waiting.deadline.is_over(now) => {
                Err(waiting.denial.map_or(Failure::PeerSilent, Failure::Denied))
            }
            State::Talking(talking) if talking.deadline.is_over(now) && !talking.is_final() => {
                Err(Failure::PeerSilent)
            }
            State::Asking(_) => self.wait(now, input),
            State::Talking(_) => self.go_on(now, rng, &input),
            State::Ended(ended) => {
                if ended.until.is_over(now) && ended.last_word.take().is_some() {
                    self.effects.extend([Effect::Store, Effect::Retire]);
                }
                return ended.failure.map_or(Ok(()), Err);
            }
        };
        if let Err(failure) = result {
            self.fail(failure, now, rng);
        }
        result
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle`](Self::handle) is to be called even if nothing happens.
    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        let rests = match &self.session.state {
            State::Asking(_) => false,
            State::Talking(talking) => talking.is_final(),
            State::Ended(ended) => ended.last_word.is_none(),
        };
        if rests { None } else { self.session.deadline().map(|deadline| deadline.at()) }
    }

    fn wait(&mut self, now: Timestamp, input: Input) -> Result<(), Failure> {
        let State::Asking(waiting) = &mut self.session.state else { return Ok(()) };
        let (via, response) = match input {
            Input::Declined => return Err(Failure::Declined),
            Input::Response(via, response) => (via, response),
            _ => return Ok(()),
        };
        let key = waiting.invite.key.public();
        let session = Request::session_of(&key, &waiting.user_data);
        let verdict = response.open(&key, &session, &self.session.discovery_key);
        match verdict {
            // Another holder of the invite may have written it; the member's own is still to come.
            Err(_) => Ok(()),
            Ok(Verdict::Denied(denial)) => {
                let grace = match via {
                    Via::Live(_) => LIVE_GRACE,
                    Via::Mailbox => MAILBOX_GRACE,
                };
                let until = Deadline::after(now, grace);
                if waiting.denial != Some(denial) || until.at() < waiting.deadline.at() {
                    waiting.denial = Some(denial);
                    waiting.deadline = waiting.deadline.at_most(until);
                    self.effects.extend([Effect::Store, Effect::Denied(denial)]);
                }
                Ok(())
            }
            Ok(Verdict::Confirmed(grant)) => {
                match waiting.own.clone() {
                    None => self.joined(now, Joined::Raw(grant)),
                    Some(own) => self.meet(now, &grant, own),
                }
                Ok(())
            }
        }
    }

    /// The member has answered: the conversation begins. What only somebody else could have
    /// answered changes nothing.
    fn meet(&mut self, now: Timestamp, grant: &Grant, own: Own) {
        let State::Asking(waiting) = &self.session.state else { return };
        let (Some(additional), Some(suffix)) = (&grant.additional, &waiting.invite.suffix) else {
            return;
        };
        let invite = waiting.invite.hash();
        let envelope = &waiting.user_data;
        let opened = Answer::open(additional.data(), suffix, &invite, envelope, &own.exchange);
        let Some(peer) = opened else { return };
        let keys = (own.exchange, own.line);
        let exchange = Exchange::new(Side::Candidate, invite, envelope, keys, peer);
        self.session.state = State::Talking(Box::new(Talking {
            invite: waiting.invite.clone(),
            consent: own.consent,
            insist: own.insist,
            exchange,
            deadline: Deadline::after(now, PATIENCE),
            step: Step::Met,
        }));
        self.effects.extend([Effect::Store, Effect::Withdraw, Effect::Converse]);
    }

    fn go_on<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: &Input,
    ) -> Result<(), Failure> {
        let State::Talking(talking) = &mut self.session.state else { return Ok(()) };
        let effects = &mut self.effects;
        if let Some(message) = talking.exchange.hear(input, effects) {
            talking.exchange.took(effects);
            effects.push_back(Effect::Store);
            let before = discriminant(&talking.step);
            if let Some(joined) = talking.hear(message)? {
                self.joined(now, joined);
            } else if discriminant(&talking.step) != before {
                self.pursue(rng);
            }
            return Ok(());
        }
        match (input, &mut talking.step) {
            (_, Step::Comparing(comparison, peer)) => {
                if let Answered::Confirmed = comparison.answer(input, effects)? {
                    comparison.own = true;
                    talking.exchange.say(&Message::Confirmed, rng, effects);
                    if comparison.is_over() {
                        effects.push_back(Effect::Show(comparison.code()));
                        talking.step = Step::Ready(peer.clone());
                    }
                    self.pursue(rng);
                }
            }
            (Input::Writers(writers), Step::Making(offer)) => {
                talking.exchange.say(&Message::Writers(writers.as_ref().clone()), rng, effects);
                talking.step = Step::Sent(offer.clone(), writers.as_ref().clone());
            }
            (Input::Declined, Step::Met | Step::Ready(_) | Step::Making(_)) => {
                return Err(Failure::Declined);
            }
            (Input::Declined, Step::Sent(..)) => return Err(Failure::Left),
            _ => (),
        }
        Ok(())
    }

    /// What is to be done in this step, when it is reached or taken up again.
    fn pursue<R: CryptoRng>(&mut self, rng: &mut R) {
        let State::Talking(talking) = &mut self.session.state else { return };
        match &mut talking.step {
            Step::Comparing(comparison, peer) => match comparison.question() {
                Some(question) if !comparison.own => {
                    self.effects.push_back(Effect::Question(question));
                }
                None if !comparison.own => {
                    comparison.own = true;
                    talking.exchange.say(&Message::Confirmed, rng, &mut self.effects);
                    if comparison.is_over() {
                        talking.step = Step::Ready(peer.clone());
                    }
                }
                _ => self.effects.push_back(Effect::Show(comparison.code())),
            },
            Step::Making(offer) => {
                self.effects.push_back(Effect::MakeWriters(Box::new(offer.clone())));
            }
            Step::Met | Step::Ready(_) | Step::Sent(..) => (),
        }
    }

    fn joined(&mut self, now: Timestamp, joined: Joined) {
        let asked = matches!(self.session.state, State::Asking(_));
        self.session.state = State::Ended(Box::new(Ended {
            failure: None,
            joined: Some(joined.clone()),
            last_word: None,
            until: Deadline::after(now, PATIENCE),
        }));
        self.effects.push_back(Effect::Store);
        self.effects.push_back(if asked { Effect::Withdraw } else { Effect::Retire });
        self.effects.push_back(Effect::Joined(Box::new(joined)));
    }

    fn fail<R: CryptoRng>(&mut self, failure: Failure, now: Timestamp, rng: &mut R) {
        let until = Deadline::after(now, PATIENCE);
        let ended = Ended { failure: Some(failure), joined: None, last_word: None, until };
        let state = State::Ended(Box::new(ended));
        let before = replace(&mut self.session.state, state);
        match (before, &mut self.session.state) {
            // The member heeds nothing behind the writers.
            (State::Talking(talking), _) if talking.is_final() => {
                self.effects.push_back(Effect::Retire);
            }
            (State::Talking(mut talking), State::Ended(ended)) => {
                let closed = Message::Closed(failure.to_closed());
                talking.exchange.say(&closed, rng, &mut self.effects);
                ended.last_word = Some(LastWord::of(talking.exchange));
                self.effects.push_back(Effect::Hush);
            }
            (State::Asking(_), _) => {
                self.effects.extend([Effect::Withdraw, Effect::Retire]);
            }
            _ => (),
        }
        session::give_up(&mut self.effects);
    }

    /// After a restart.
    fn take_up<R: CryptoRng>(&mut self, rng: &mut R) {
        match &self.session.state {
            State::Asking(waiting) => {
                let asking = waiting.asking(self.session.discovery_key);
                self.effects.push_back(Effect::Ask(Box::new(asking)));
            }
            State::Talking(talking) => {
                talking.exchange.resume(&mut self.effects);
                self.pursue(rng);
            }
            State::Ended(ended) => {
                if let Some(joined) = &ended.joined {
                    self.effects.push_back(Effect::Joined(Box::new(joined.clone())));
                } else if ended.last_word.is_some() {
                    self.effects.extend([Effect::Converse, Effect::Say, Effect::Hush]);
                } else {
                    self.effects.push_back(Effect::Retire);
                }
            }
        }
    }
}

/// Nothing of the keys or the invite.
impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.session.state {
            State::Asking(_) => "Asking",
            State::Talking(_) => "Talking",
            State::Ended(_) => "Ended",
        };
        f.debug_struct("Candidate").field("state", &state).finish_non_exhaustive()
    }
}
