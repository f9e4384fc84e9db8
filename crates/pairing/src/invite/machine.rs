//! Either side, for whoever drives both alike.

use alloc::vec::Vec;

use handfast_keys::Timestamp;
use rand_core::CryptoRng;

use super::candidate::Candidate;
use super::derive::DiscoveryKey;
use super::line::Conversation;
use super::member::Member;
use super::session::{Effect, Failure, Input};

/// One side of a pairing. Its methods are those of [`Member`] and [`Candidate`].
#[derive(Debug)]
pub enum Machine {
    /// The device that made the invite.
    Member(Member),
    /// The device that answers it.
    Candidate(Candidate),
}

/// Calls a method that both sides have.
macro_rules! either {
    ($machine:expr, $name:ident($($argument:expr),*)) => {
        match $machine {
            Machine::Member(machine) => machine.$name($($argument),*),
            Machine::Candidate(machine) => machine.$name($($argument),*),
        }
    };
}

impl Machine {
    /// Takes in what happened. An error ends the session without success.
    pub fn handle<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: Input,
    ) -> Result<(), Failure> {
        either!(self, handle(now, rng, input))
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Effect> {
        either!(self, poll())
    }

    /// When [`handle`](Self::handle) is to be called even if nothing happens.
    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        either!(self, poll_timeout())
    }

    /// Whether it has come to its end, and the failure if it was one.
    pub fn ended(&self) -> Option<Option<Failure>> {
        either!(self, ended())
    }

    /// The conversation, from [`Effect::Converse`] to [`Effect::Retire`].
    pub fn conversation(&self) -> Option<Conversation<'_>> {
        either!(self, conversation())
    }

    /// What the two sides find each other by.
    pub fn discovery_key(&self) -> DiscoveryKey {
        either!(self, discovery_key())
    }

    /// The session, to be stored when [`Effect::Store`] says so. Secret.
    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        either!(self, to_bytes(now))
    }
}
