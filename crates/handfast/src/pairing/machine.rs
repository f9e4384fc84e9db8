//! The machines behind one interface.

use handfast_keys::Timestamp;
use handfast_pairing::qr::literal::Literal;
use handfast_pairing::qr::{Effect, Failure, Initiator, Input, Joiner};
use handfast_ring::DeviceKeys;

use crate::error::{Error, Result};
use crate::store::meta::SessionKind;

/// Any of the machines.
pub enum Machine {
    Initiator(Initiator),
    Joiner(Joiner),
    Literal(Literal),
}

impl Machine {
    /// Goes on with a session that was stored.
    pub fn resume(
        kind: SessionKind,
        state: &[u8],
        keys: &DeviceKeys,
        now: Timestamp,
    ) -> Result<Machine> {
        let (keys, rng) = (keys.clone(), &mut rand::rng());
        let machine = match kind {
            SessionKind::Initiator => {
                Initiator::resume(state, keys, now, rng).map(Machine::Initiator)
            }
            SessionKind::Joiner => Joiner::resume(state, keys, now, rng).map(Machine::Joiner),
            SessionKind::Literal => Literal::resume(state, keys, now).map(Machine::Literal),
        };
        machine.map_err(|_| Error::Damaged("session"))
    }

    /// The code to show.
    pub fn code(&self) -> Option<String> {
        match self {
            Machine::Initiator(machine) => machine.code().map(ToString::to_string),
            Machine::Joiner(_) => None,
            Machine::Literal(machine) => machine.code().map(ToString::to_string),
        }
    }

    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        match self {
            Machine::Initiator(machine) => machine.to_bytes(now),
            Machine::Joiner(machine) => machine.to_bytes(now),
            Machine::Literal(machine) => machine.to_bytes(now),
        }
    }

    pub fn handle(&mut self, now: Timestamp, input: Input) -> Result<(), Failure> {
        let rng = &mut rand::rng();
        match self {
            Machine::Initiator(machine) => machine.handle(now, rng, input),
            Machine::Joiner(machine) => machine.handle(now, rng, input),
            Machine::Literal(machine) => machine.handle(now, input),
        }
    }

    pub fn poll(&mut self) -> Option<Effect> {
        match self {
            Machine::Initiator(machine) => machine.poll(),
            Machine::Joiner(machine) => machine.poll(),
            Machine::Literal(machine) => machine.poll(),
        }
    }

    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        match self {
            Machine::Initiator(machine) => machine.poll_timeout(),
            Machine::Joiner(machine) => machine.poll_timeout(),
            Machine::Literal(machine) => machine.poll_timeout(),
        }
    }

    pub fn ended(&self) -> Option<Option<Failure>> {
        match self {
            Machine::Initiator(machine) => machine.ended(),
            Machine::Joiner(machine) => machine.ended(),
            Machine::Literal(machine) => machine.ended(),
        }
    }

    pub fn has_confirmed(&self) -> bool {
        match self {
            Machine::Initiator(machine) => machine.has_confirmed(),
            Machine::Joiner(machine) => machine.has_confirmed(),
            Machine::Literal(machine) => machine.has_confirmed(),
        }
    }
}
