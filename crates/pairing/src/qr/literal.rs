//! Version 1: the exchange as it was first written down, without commitment and without sealing.
//!
//! The joiner's keys stand at the temp name in the clear, and the emojis hash nothing but them. So
//! they commit to nothing: whoever saw the code holds the temp key and finds keys with the same
//! four emojis in about 2^32 tries, seconds on a graphics card. It is kept to speak with what
//! speaks nothing else, and both sides refuse it unless their person asks for it. Even here no key
//! is handed over before the person has said yes.
//!
//! ```text
//! Initiator                                                             Joiner
//!    │ announces its feed, shows the code ─────────────────────────────►  │
//!    │ ◄──────────────── {ipnsPubKey, authPubKey} at the temp name ─────  │
//!    ╞═══════════════ both compare sha256(ipnsPubKey ‖ authPubKey) ═══════╡
//!    │ looks for the other's feed, admits it, publishes         likewise  │
//!    │ imports                                                  imports   │
//! ```

mod code;
mod running;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use handfast_keys::{IpnsSecret, Timestamp};
use handfast_ring::DeviceKeys;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

pub use self::code::LiteralCode;
use self::running::Running;
use super::message::ProviderGrant;
use super::session::{
    self, Deadline, Effect, Effects, Ended, Failure, Input, MAX_LIFETIME, REFRESH, Setup, Stored,
    Unreadable,
};

/// The machine of either side. See [`Initiator`](super::Initiator) for how it is driven.
pub struct Literal {
    keys: DeviceKeys,
    state: State,
    effects: Effects,
    refresh: Timestamp,
}

#[derive(Serialize, Deserialize)]
enum State {
    Running(Box<Running>),
    Ended(Ended),
}

impl Stored for State {
    fn deadline(&mut self) -> Option<&mut Deadline> {
        match self {
            State::Running(running) => running.deadline(),
            State::Ended(_) => None,
        }
    }
}

impl Literal {
    /// Shows a code that lives for `lifetime`. The session has [ended](Self::ended) at once, with
    /// [`Failure::NoProvider`], where the device has no provider: this version has no way to get
    /// one from the joiner.
    pub fn initiate<R: CryptoRng>(
        setup: Setup,
        provider_in_code: Option<ProviderGrant>,
        lifetime: Duration,
        now: Timestamp,
        rng: &mut R,
    ) -> Literal {
        let has_provider = setup.provider.is_some() || provider_in_code.is_some();
        let code = LiteralCode::new(&setup.keys, IpnsSecret::generate(rng), provider_in_code);
        let deadline = Deadline::after(now, lifetime.min(MAX_LIFETIME));
        let keys = setup.keys.clone();
        let mut effects = Effects::new();
        let state = if has_provider {
            let running = Running::shows(setup, code, deadline, &mut effects);
            State::Running(Box::new(running))
        } else {
            State::Ended(Ended::new(Some(Failure::NoProvider), None))
        };
        Literal { keys, state, effects, refresh: now + REFRESH }
    }

    /// Answers a scanned code. Fails with [`Failure::OwnCode`], [`Failure::AlreadyPaired`] or
    /// [`Failure::NoProvider`] before anything is sent.
    pub fn join(setup: Setup, code: LiteralCode, now: Timestamp) -> Result<Literal, Failure> {
        if code.auth == setup.keys.auth.public() || code.ipns == setup.keys.ipns.public() {
            return Err(Failure::OwnCode);
        }
        if setup.members.contains(&code.auth) && !setup.again {
            return Err(Failure::AlreadyPaired);
        }
        if setup.provider.is_none() && code.provider.is_none() {
            return Err(Failure::NoProvider);
        }
        let keys = setup.keys.clone();
        let mut effects = Effects::new();
        let running = Running::answers(setup, code, now, &mut effects)?;
        let state = State::Running(Box::new(running));
        Ok(Literal { keys, state, effects, refresh: now + REFRESH })
    }

    /// Goes on with a session that was [stored](Self::to_bytes).
    pub fn resume(bytes: &[u8], keys: DeviceKeys, now: Timestamp) -> Result<Literal, Unreadable> {
        let mut state = session::resume(bytes, now)?;
        let mut effects = Effects::new();
        match &mut state {
            State::Running(running) => running.resume(&mut effects),
            State::Ended(ended) => ended.resume(&mut effects),
        }
        Ok(Literal { keys, state, effects, refresh: now + REFRESH })
    }

    /// The session, to be stored when [`Effect::Store`] says so. Secret.
    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        session::store(&self.state, now)
    }

    /// The code to show, while nobody has answered it.
    pub fn code(&self) -> Option<&LiteralCode> {
        match &self.state {
            State::Running(running) => running.open_code(),
            State::Ended(_) => None,
        }
    }

    /// Whether the machine has come to its end, and the failure if it was one.
    pub fn ended(&self) -> Option<Option<Failure>> {
        match &self.state {
            State::Ended(ended) => Some(ended.failure),
            State::Running(_) => None,
        }
    }

    /// Whether this device's own person has confirmed: from then on only success ends the session.
    pub fn has_confirmed(&self) -> bool {
        matches!(&self.state, State::Running(running) if running.has_confirmed())
    }

    /// Takes in what happened. An error ends the session.
    pub fn handle(&mut self, now: Timestamp, input: Input) -> Result<(), Failure> {
        let running = match &mut self.state {
            State::Running(running) => running,
            State::Ended(ended) => return ended.result(),
        };
        let finished = running.handle(&self.keys, now, input, &mut self.effects);
        match finished {
            Ok(false) => {
                if now >= self.refresh {
                    self.refresh = now + REFRESH;
                    self.effects.extend(running.record().map(Effect::Publish));
                }
                return Ok(());
            }
            Ok(true) => {
                let unwatch = Effect::Unwatch(running.temp_name());
                self.effects.extend([Effect::Store, unwatch, Effect::Finished]);
            }
            Err(_) => {
                session::give_up(&mut self.effects);
                self.effects.push_back(Effect::Unwatch(running.temp_name()));
            }
        }
        let last_word = running.record().filter(|_| finished.is_ok());
        self.state = State::Ended(Ended::new(finished.err(), last_word));
        finished.map(|_| ())
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`handle`](Self::handle) is to be called even if nothing happens.
    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        match &self.state {
            State::Running(running) => {
                let refresh = running.record().map(|_| self.refresh);
                running.timeout().into_iter().chain(refresh).min()
            }
            State::Ended(_) => None,
        }
    }
}

/// Nothing of the keys.
impl fmt::Debug for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Running(_) => "Running",
            State::Ended(_) => "Ended",
        };
        f.debug_struct("Literal").field("state", &state).finish_non_exhaustive()
    }
}
