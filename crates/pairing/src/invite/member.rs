//! The device that made the invite.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use handfast_keys::{Digest, ExchangeSecret, InviteSecret, Timestamp};
use handfast_ring::{DeviceKeys, DeviceName};
use rand_core::CryptoRng;

mod door;
mod state;
mod talk;
mod terms;

use self::state::{Closed, Open, Plan, Session, State, Talk};
pub use self::terms::{InviteOptions, Terms};
use super::code::{Invite, Profile};
use super::derive::{DiscoveryKey, InviteId, SessionToken, StructureKey};
use super::exchange::LastWord;
use super::line::Conversation;
use super::message::{Message, suffix};
use super::response::{Additional, Grant};
use super::session::{self, Effect, Effects, Failure, Input, PATIENCE, Unreadable, Via};
use crate::stored::{self, Deadline, Stored};

/// How often the same candidate is told no, and how many are told in that time.
const DENIAL_PAUSE: Duration = Duration::from_secs(10);
const MAX_DENIALS: usize = 16;

/// The machine of the device that made the invite: one machine for each invite.
///
/// Tell it what happened with [`handle`](Self::handle), do what [`poll`](Self::poll) says, and call
/// `handle` with [`Input::Elapsed`] at [`poll_timeout`](Self::poll_timeout). The clock may be
/// wrong, but it must not jump while the process lives.
pub struct Member {
    device: Option<DeviceKeys>,
    session: Session,
    effects: Effects,
    /// Whom it has told no lately.
    denied: VecDeque<(SessionToken, Timestamp)>,
    /// How the candidate asked that waits for its answer.
    asked: Vec<Via>,
}

impl Member {
    /// Draws an invite. `device` is the device that stands behind it, if one does: then both sides
    /// exchange signed identities.
    pub fn start<R: CryptoRng>(
        terms: Terms,
        options: InviteOptions,
        device: Option<DeviceKeys>,
        now: Timestamp,
        rng: &mut R,
    ) -> Member {
        let key = InviteSecret::generate(rng);
        let public = key.public();
        let id = InviteId::of(&public);
        let (discovery_key, suffix, plan) = match terms {
            Terms::Raw { namespace, key: structure, encryption_key, additional } => {
                let additional = additional.map(|data| Additional::sign(&key, &data));
                let grant = Grant { key: structure, encryption_key, additional };
                (structure.discovery_key(), None, Plan::Raw { namespace, grant })
            }
            Terms::Envelope { verify } => {
                // Whoever has the invite can read this key: it must lead nowhere.
                let throwaway = StructureKey::from_bytes(drawn(rng));
                let exchange = match &device {
                    Some(device) => device.exchange.clone(),
                    None => ExchangeSecret::generate(rng),
                };
                let nonce = Digest::from_bytes(drawn(rng));
                let suffix = suffix(&id, &exchange.public(), &nonce, device.is_none());
                let plan = Plan::Envelope { key: throwaway, exchange, nonce, verify };
                (throwaway.discovery_key(), Some(suffix), plan)
            }
        };
        let expires = (now + options.lifetime).0.div_ceil(1_000);
        let invite = Invite {
            key,
            discovery_key: Some(discovery_key),
            expires: u32::try_from(expires).unwrap_or(u32::MAX),
            sensitive: options.sensitive,
            test: options.test,
            nodes: options.nodes,
            suffix,
        };
        let deadline = Deadline::after(now, options.lifetime);
        let open = Open { invite, plan, name: None, deadline };
        Member {
            device,
            session: Session { key: public, discovery_key, state: State::Open(Box::new(open)) },
            effects: Effects::from([Effect::Store]),
            denied: VecDeque::new(),
            asked: Vec::new(),
        }
    }

    /// Goes on with a session that was [stored](Self::to_bytes).
    pub fn resume<R: CryptoRng>(
        bytes: &[u8],
        device: Option<DeviceKeys>,
        now: Timestamp,
        rng: &mut R,
    ) -> Result<Member, Unreadable> {
        let session = stored::resume(bytes, now)?;
        let (effects, denied, asked) = Default::default();
        let mut machine = Member { device, session, effects, denied, asked };
        machine.take_up(rng);
        Ok(machine)
    }

    /// The session, to be stored when [`Effect::Store`] says so. Secret.
    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        stored::store(&self.session, now)
    }

    /// The invite to share, while nobody has answered it.
    pub fn invite(&self) -> Option<&Invite> {
        match &self.session.state {
            State::Open(open) => Some(&open.invite),
            _ => None,
        }
    }

    /// Which exchange it leads to, until it is over.
    pub fn profile(&self) -> Option<Profile> {
        match &self.session.state {
            State::Open(open) => Some(open.invite.profile()),
            State::Locked(locked) => Some(match locked.talk {
                Talk::Raw(_) => Profile::Raw,
                Talk::Envelope(..) => Profile::Envelope,
            }),
            State::Closed(_) => None,
        }
    }

    /// Whether both people are to compare, while nobody has answered.
    pub fn verifies(&self) -> Option<bool> {
        match &self.session.state {
            State::Open(open) => Some(matches!(open.plan, Plan::Envelope { verify: Some(_), .. })),
            _ => None,
        }
    }

    /// The invite's id.
    pub fn id(&self) -> InviteId {
        InviteId::of(&self.session.key)
    }

    /// What the two sides find each other by.
    pub fn discovery_key(&self) -> DiscoveryKey {
        self.session.discovery_key
    }

    /// Whether somebody is locked and not yet paired.
    pub fn is_pairing(&self) -> bool {
        matches!(self.session.state, State::Locked(_))
    }

    /// Whether the machine has come to its end, and the failure if it was one.
    pub fn ended(&self) -> Option<Option<Failure>> {
        match &self.session.state {
            State::Closed(closed) => Some(closed.failure),
            _ => None,
        }
    }

    /// Whether nothing of it is needed any more: the session may be deleted.
    pub fn is_forgotten(&self) -> bool {
        matches!(&self.session.state, State::Closed(closed) if closed.forgotten)
    }

    /// The conversation, from [`Effect::Converse`] to [`Effect::Retire`].
    pub fn conversation(&self) -> Option<Conversation<'_>> {
        match &self.session.state {
            State::Locked(locked) => match &locked.talk {
                Talk::Envelope(exchange, _) => Some(exchange.conversation()),
                Talk::Raw(_) => None,
            },
            State::Closed(closed) => closed.last_word.as_ref().map(LastWord::conversation),
            State::Open(_) => None,
        }
    }

    /// Takes in what happened. An error says that the session has just ended without success.
    pub fn handle<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        let mut result = self.check_time(now);
        if result.is_ok() {
            result = match input {
                Input::Request(via, ref request) => self.answer(now, rng, via, request),
                _ if matches!(self.session.state, State::Locked(_)) => self.go_on(now, rng, &input),
                Input::Ready(name) => {
                    self.set_name(name);
                    Ok(())
                }
                Input::Declined if matches!(self.session.state, State::Open(_)) => {
                    Err(Failure::Revoked)
                }
                _ => Ok(()),
            };
            if let Err(failure) = result {
                self.fail(failure, now, rng);
            }
        } else if let Err(failure) = result {
            self.fail(failure, now, rng);
            // The candidate hears that it has come too late.
            if let Input::Request(via, request) = input {
                let _ = self.answer(now, rng, via, &request);
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
        let rests = match &self.session.state {
            State::Open(_) => false,
            State::Locked(locked) => locked.step.is_final(),
            State::Closed(closed) => closed.forgotten,
        };
        if rests {
            return None;
        }
        self.session.deadline().map(|deadline| deadline.at())
    }

    fn check_time(&mut self, now: Timestamp) -> Result<(), Failure> {
        match &mut self.session.state {
            State::Open(open) if open.deadline.is_over(now) => Err(Failure::Expired),
            State::Locked(locked) if locked.deadline.is_over(now) && !locked.step.is_final() => {
                Err(Failure::PeerSilent)
            }
            State::Closed(closed) if closed.until.is_over(now) && !closed.forgotten => {
                closed.forgotten = true;
                closed.lock = None;
                closed.last_word = None;
                self.effects.extend([Effect::Store, Effect::Retire]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set_name(&mut self, name: DeviceName) {
        if let State::Open(open) = &mut self.session.state
            && open.name.as_ref() != Some(&name)
        {
            open.name = Some(name);
            self.effects.push_back(Effect::Store);
        }
    }

    fn fail<R: CryptoRng>(&mut self, failure: Failure, now: Timestamp, rng: &mut R) {
        if let State::Locked(locked) = &mut self.session.state
            && let Talk::Envelope(exchange, _) = &mut locked.talk
        {
            exchange.say(&Message::Closed(failure.to_closed()), rng, &mut self.effects);
        }
        self.close(Some(failure), now);
        session::give_up(&mut self.effects);
    }

    /// Ends the session: what is left is what it said last, for the candidate to hear.
    fn close(&mut self, failure: Option<Failure>, now: Timestamp) {
        let until = Deadline::after(now, PATIENCE);
        let open = State::Closed(Box::new(Closed {
            failure,
            lock: None,
            last_word: None,
            until,
            forgotten: false,
        }));
        let before = core::mem::replace(&mut self.session.state, open);
        if let (State::Locked(locked), State::Closed(closed)) = (before, &mut self.session.state) {
            closed.lock = Some(locked.lock);
            if let Talk::Envelope(exchange, _) = locked.talk {
                closed.last_word = Some(LastWord::of(*exchange));
                self.effects.push_back(Effect::Hush);
            }
        }
        self.asked.clear();
        self.effects.push_front(Effect::Store);
    }

    /// After a restart.
    fn take_up<R: CryptoRng>(&mut self, rng: &mut R) {
        match &self.session.state {
            State::Open(_) => (),
            State::Locked(locked) => {
                // It may have died before it could answer.
                if let Some(response) = &locked.lock.response {
                    let (response, mailbox) = (response.clone(), locked.lock.mailbox.clone());
                    self.effects.push_back(Effect::Respond(Via::Mailbox, response, mailbox));
                } else {
                    self.asked.push(Via::Mailbox);
                }
                if let Talk::Envelope(exchange, _) = &locked.talk {
                    exchange.resume(&mut self.effects);
                }
                self.pursue(rng);
            }
            State::Closed(closed) => {
                if closed.last_word.is_some() {
                    self.effects.extend([Effect::Converse, Effect::Say, Effect::Hush]);
                }
            }
        }
    }
}

fn drawn<R: CryptoRng>(rng: &mut R) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// Nothing of the keys or the invite.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.session.state {
            State::Open(_) => "Open",
            State::Locked(_) => "Locked",
            State::Closed(_) => "Closed",
        };
        f.debug_struct("Member").field("state", &state).finish_non_exhaustive()
    }
}
