//! The device that shows the code.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use handfast_ipfs::Name;
use handfast_keys::{Digest, ExchangeSecret, IpnsSecret, Timestamp};
use handfast_ring::{DeviceKeys, DeviceName, Identity, Role, SignedIdentity};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::code::{Code, CodeOptions};
use super::handover::{Fixed, Handover};
use super::line::{OwnLine, PeerLine, carried};
use super::message::{
    Message, ProviderGrant, Response, Reveal, SealedResponse, check_code, transcript,
};
use super::session::{
    self, COMPARE_TIME, Consent, Deadline, Effect, Effects, Ended, Failure, Input, MAX_LIFETIME,
    REFRESH, Setup, Stored, Unreadable,
};

/// How long to wait for the routers that have not answered since the first valid response came.
pub(super) const GATHER: Duration = Duration::from_secs(2);

/// The machine of the device that shows the code.
///
/// Tell it what happened with [`handle`](Self::handle), do what [`poll`](Self::poll) says, and call
/// `handle` with [`Input::Elapsed`] at [`poll_timeout`](Self::poll_timeout). The clock may be
/// wrong, but it must not jump between `start` or `resume` and the end of the process: the wall
/// clock as it was then and, from there on, a monotonic one.
pub struct Initiator {
    keys: DeviceKeys,
    state: State,
    effects: Effects,
    refresh: Timestamp,
}

#[derive(Serialize, Deserialize)]
enum State {
    /// The code is shown; nobody is locked.
    Open(Box<Open>),
    /// Exactly one response is locked.
    Locked(Box<Locked>),
    Ended(Ended),
}

#[derive(Serialize, Deserialize)]
struct Open {
    code: Code,
    ephemeral: ExchangeSecret,
    reply: IpnsSecret,
    nonce: Digest,
    name: DeviceName,
    records: u64,
    provider: Option<ProviderGrant>,
    reach: Option<ProviderGrant>,
    consent: Consent,
    deadline: Deadline,
    /// The first valid response, which routers have answered since it came, and when the others
    /// are waited for no longer. Not stored: after a restart it is looked for again.
    #[serde(skip)]
    candidate: Option<(SealedResponse, BTreeSet<usize>, Deadline)>,
}

#[derive(Serialize, Deserialize)]
struct Locked {
    locked: SealedResponse,
    /// What opens a second response, until the person has confirmed the first.
    gate: Option<(Code, ExchangeSecret)>,
    handover: Handover,
}

impl Stored for State {
    fn deadline(&mut self) -> Option<&mut Deadline> {
        match self {
            State::Open(open) => Some(&mut open.deadline),
            State::Locked(locked) => locked.handover.deadline(),
            State::Ended(_) => None,
        }
    }
}

impl Initiator {
    /// Draws a code and opens a session for it. `provider` in `options` puts the provider config
    /// into the code, where everybody who sees the code can read it.
    pub fn start<R: CryptoRng>(
        setup: Setup,
        mut options: CodeOptions,
        now: Timestamp,
        rng: &mut R,
    ) -> Initiator {
        let ephemeral = ExchangeSecret::generate(rng);
        let reply = IpnsSecret::generate(rng);
        let temp = IpnsSecret::generate(rng);
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let nonce = Digest::from_bytes(nonce);
        options.lifetime = options.lifetime.min(MAX_LIFETIME.as_secs());
        let deadline = Deadline::after(now, Duration::from_secs(options.lifetime));
        let code = Code::new(
            setup.keys.ipns.public(),
            setup.keys.auth.public(),
            temp,
            reply.public(),
            ephemeral.public(),
            &nonce,
            options,
        );
        let open = Open {
            code,
            ephemeral,
            reply,
            nonce,
            name: setup.name,
            records: setup.records,
            provider: setup.provider,
            reach: setup.reach,
            consent: setup.consent,
            deadline,
            candidate: None,
        };
        let mut machine = Initiator {
            keys: setup.keys,
            effects: Effects::from([Effect::Store]),
            refresh: now + REFRESH,
            state: State::Open(Box::new(open)),
        };
        machine.watch();
        machine
    }

    /// Goes on with a session that was [stored](Self::to_bytes).
    pub fn resume<R: CryptoRng>(
        bytes: &[u8],
        keys: DeviceKeys,
        now: Timestamp,
        rng: &mut R,
    ) -> Result<Initiator, Unreadable> {
        let state = session::resume(bytes, now)?;
        let mut machine =
            Initiator { keys, state, effects: Effects::new(), refresh: now + REFRESH };
        machine.watch();
        match &mut machine.state {
            State::Open(_) => (),
            State::Locked(locked) => {
                machine.effects.extend(locked.handover.own_record().map(Effect::Publish));
                locked.handover.resume(&machine.keys, now, rng, &mut machine.effects);
            }
            State::Ended(ended) => ended.resume(&mut machine.effects),
        }
        Ok(machine)
    }

    /// The session, to be stored when [`Effect::Store`] says so. Secret.
    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        session::store(&self.state, now)
    }

    /// The code to show, while nobody has answered it.
    pub fn code(&self) -> Option<&Code> {
        match &self.state {
            State::Open(open) => Some(&open.code),
            _ => None,
        }
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
        matches!(&self.state, State::Locked(locked) if !locked.handover.is_asking())
    }

    /// Takes in what happened. An error ends the session.
    pub fn handle<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        let result = match &self.state {
            State::Open(_) => self.handle_open(now, rng, input),
            State::Locked(_) => self.handle_locked(now, rng, input),
            State::Ended(ended) => return ended.result(),
        };
        match result {
            Err(failure) => self.fail(failure, now),
            Ok(()) => self.republish(now),
        }
        result
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle`](Self::handle) is to be called even if nothing happens.
    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        match &mut self.state {
            State::Open(open) => Some(match &open.candidate {
                Some((_, _, until)) => until.at(),
                None => open.deadline.at(),
            }),
            State::Locked(locked) => {
                let deadline = locked.handover.deadline().map(|deadline| deadline.at());
                deadline.into_iter().chain([self.refresh]).min()
            }
            State::Ended(_) => None,
        }
    }

    fn handle_open<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        let State::Open(open) = &mut self.state else { return Ok(()) };
        if open.candidate.is_none() && open.deadline.is_over(now) {
            return Err(Failure::Expired);
        }
        match input {
            Input::Declined => return Err(Failure::Declined),
            Input::Answer { router, routers, name, record } if name == open.temp_name() => {
                let answer = record.as_ref().and_then(carried).map(SealedResponse::from_bytes);
                if open.gather(router, routers, answer, &self.keys, now)? {
                    return self.lock(now, rng);
                }
            }
            _ => (),
        }
        let State::Open(open) = &self.state else { return Ok(()) };
        match &open.candidate {
            Some((_, _, until)) if until.is_over(now) => self.lock(now, rng),
            _ => Ok(()),
        }
    }

    /// Locks the one response: from here on there is no other. The Reveal leaves only after that
    /// is stored.
    fn lock<R: CryptoRng>(&mut self, now: Timestamp, rng: &mut R) -> Result<(), Failure> {
        let State::Open(open) = &self.state else { return Ok(()) };
        let Some((sealed, _, _)) = open.candidate.clone() else { return Ok(()) };
        let Some(response) = open.valid(&sealed, &self.keys) else { return Ok(()) };
        let session = open.code.hash();
        let has_provider = open.provider.is_some() || open.code.provider.is_some();
        if !has_provider && !response.has_provider {
            return Err(Failure::NoProvider);
        }
        let identity =
            Identity::new(&self.keys, open.name.clone(), Role::Initiator, session, open.nonce);
        let own = SignedIdentity::sign(identity, &self.keys);
        let reveal = Reveal {
            locked: sealed.hash(),
            identity: own.clone(),
            has_provider,
            records: open.records,
        };
        let mut line = OwnLine::new(open.reply.clone());
        let exchange = response.identity.identity().exchange;
        line.say(Message::Reveal(ByteBuf::from(reveal.seal(&session, &exchange, rng))), now);
        let fixed = Fixed {
            role: Role::Initiator,
            transcript: transcript(&session, &response, &reveal),
            check_code: check_code(&session, &response, &open.nonce),
            own,
            peer: response.identity,
            peer_records: response.records,
            peer_has_provider: response.has_provider,
            provider: open.provider.clone(),
            provider_in_code: None,
            reach: open.reach.clone(),
            consent: open.consent,
        };
        let deadline = open.deadline.at_least(now, COMPARE_TIME);
        let peer_line = PeerLine::new(Name::of(response.line));
        let handover = Handover::new(fixed, line, peer_line, deadline);
        let gate = Some((open.code.clone(), open.ephemeral.clone()));
        self.effects.push_back(Effect::Store);
        self.effects.extend(handover.own_record().map(Effect::Publish));
        self.effects.push_back(Effect::Watch(handover.peer_name()));
        let mut locked = Box::new(Locked { locked: sealed, gate, handover });
        locked.handover.resume(&self.keys, now, rng, &mut self.effects);
        self.state = State::Locked(locked);
        self.after_locked();
        Ok(())
    }

    fn handle_locked<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        let State::Locked(locked) = &mut self.state else { return Ok(()) };
        locked.handover.check_time(now)?;
        if let (Some((code, ephemeral)), Input::Answer { name, record: Some(record), .. }) =
            (&locked.gate, &input)
            && *name == Name::of(code.temp.public())
        {
            let other = carried(record).map(SealedResponse::from_bytes);
            let second = other.filter(|sealed| *sealed != locked.locked).is_some_and(|sealed| {
                valid_response(code, ephemeral, &sealed, &self.keys).is_some()
            });
            return if second { Err(Failure::Equivocation) } else { Ok(()) };
        }
        locked.handover.handle(&self.keys, now, rng, input, &mut self.effects)?;
        self.after_locked();
        Ok(())
    }

    /// Shuts the gate once the person has confirmed, and wipes everything once it is done.
    fn after_locked(&mut self) {
        let State::Locked(locked) = &mut self.state else { return };
        if !locked.handover.is_asking()
            && let Some((code, _)) = locked.gate.take()
        {
            self.effects.push_back(Effect::Unwatch(Name::of(code.temp.public())));
        }
        if locked.handover.is_finished() {
            self.state = State::Ended(Ended::new(None, locked.handover.own_record()));
            // Before the caller hears that it is finished, the secrets are gone from its store.
            self.effects.push_front(Effect::Store);
        }
    }

    fn fail(&mut self, failure: Failure, now: Timestamp) {
        let last_word = match &mut self.state {
            State::Open(open) => {
                self.effects.push_back(Effect::Unwatch(open.temp_name()));
                let mut line = OwnLine::new(open.reply.clone());
                if let Some(closed) = failure.to_closed() {
                    line.say(Message::Closed(closed), now);
                }
                self.effects.extend(line.record().map(Effect::Publish));
                line.record()
            }
            State::Locked(locked) => {
                if let Some((code, _)) = &locked.gate {
                    self.effects.push_back(Effect::Unwatch(Name::of(code.temp.public())));
                }
                locked.handover.close(failure, now, &mut self.effects)
            }
            State::Ended(_) => return,
        };
        self.state = State::Ended(Ended::new(Some(failure), last_word));
        session::give_up(&mut self.effects);
    }

    fn watch(&mut self) {
        match &self.state {
            State::Open(open) => self.effects.push_back(Effect::Watch(open.temp_name())),
            State::Locked(locked) => {
                if let Some((code, _)) = &locked.gate {
                    self.effects.push_back(Effect::Watch(Name::of(code.temp.public())));
                }
                self.effects.push_back(Effect::Watch(locked.handover.peer_name()));
            }
            State::Ended(_) => (),
        }
    }

    fn republish(&mut self, now: Timestamp) {
        if let State::Locked(locked) = &mut self.state
            && now >= self.refresh
        {
            locked.handover.refresh(&mut self.effects);
            self.refresh = now + REFRESH;
        }
    }
}

/// Nothing of the keys, the nonce or the check code.
impl fmt::Debug for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Open(_) => "Open",
            State::Locked(_) => "Locked",
            State::Ended(_) => "Ended",
        };
        f.debug_struct("Initiator").field("state", &state).finish_non_exhaustive()
    }
}

impl Open {
    fn temp_name(&self) -> Name {
        Name::of(self.code.temp.public())
    }

    fn valid(&self, sealed: &SealedResponse, keys: &DeviceKeys) -> Option<Response> {
        valid_response(&self.code, &self.ephemeral, sealed, keys)
    }

    /// Takes in what a router holds at the temp name. Returns whether it is time to lock: every
    /// router has answered since the first valid response came.
    fn gather(
        &mut self,
        router: usize,
        routers: usize,
        answer: Option<SealedResponse>,
        keys: &DeviceKeys,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let known = self.candidate.as_ref().map(|(sealed, _, _)| sealed);
        let answer =
            answer.filter(|sealed| known == Some(sealed) || self.valid(sealed, keys).is_some());
        match (&mut self.candidate, answer) {
            (None, None) => return Ok(false),
            (Some((first, _, _)), Some(other)) if *first != other => {
                return Err(Failure::Equivocation);
            }
            (Some(_), _) => (),
            (None, Some(first)) => {
                self.candidate = Some((first, BTreeSet::new(), Deadline::after(now, GATHER)));
            }
        }
        let Some((_, answered, until)) = &mut self.candidate else { return Ok(false) };
        answered.insert(router);
        Ok(answered.len() >= routers || until.is_over(now))
    }
}

/// The response in `sealed`, if it is one: it opens, everything in it is signed for this pairing,
/// and it is nobody reflecting the initiator's own keys.
fn valid_response(
    code: &Code,
    ephemeral: &ExchangeSecret,
    sealed: &SealedResponse,
    keys: &DeviceKeys,
) -> Option<Response> {
    let response = sealed.open(code, ephemeral)?;
    let identity = response.identity.identity();
    let reflected = identity.auth == keys.auth.public()
        || identity.exchange == keys.exchange.public()
        || identity.ipns == keys.ipns.public()
        || identity.swarm == keys.swarm.public()
        || [keys.ipns.public(), code.reply, code.temp.public()].contains(&response.line);
    let ours = identity.role == Role::Joiner && identity.session == code.hash();
    (ours && !reflected && response.line.check().is_ok()).then_some(response)
}
