//! The pairing protocols, as state machines without I/O.
//!
//! A machine is told what happened ([`handle`](qr::Initiator::handle)) and says what is to be done
//! ([`poll`](qr::Initiator::poll)): store this, publish that, ask the person. Its caller performs
//! the effects in order and reads the clock; see [`qr`] for the protocol itself.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod invite;
pub mod qr;
mod stored;
