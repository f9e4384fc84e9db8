//! Pairing by QR code.
//!
//! ```text
//! Initiator                       name routers                          Joiner
//!    │ draws the code, stores it                                          │
//!    │ ───────────────── code, shown and scanned ──────────────────────►  │
//!    │                      temp name                                     │
//!    │ ◄──────────────────────  S  ─────────────────────────────────────  │ R, sealed
//!    │ locks H(S)           A's line                                      │
//!    │ ─────────────────────  Reveal  ──────────────────────────────────► │ opens the commitment
//!    │                                                                    │
//!    ╞═══════════════ both compare H("check-code", …) ═════════════════════╡
//!    │                      both lines                                    │
//!    │ ────────────────────  Confirmed  ─────────────────────────────────►│
//!    │ ◄───────────────────  Confirmed  ───────────────────────────────── │
//!    │ seals, publishes     both lines              seals, publishes      │
//!    │ ────────────────────  Published  ─────────────────────────────────►│
//!    │ ◄───────────────────  Published  ───────────────────────────────── │
//!    │ imports                                                  imports   │
//! ```
//!
//! The code commits the initiator to a nonce that it reveals only after it has locked exactly one
//! response; what both compare hashes everything that was fixed by then. So whoever saw the code,
//! or put one of his own in its place, has one blind try in 2^32 (Vaudenay, CRYPTO 2005; Pasini and
//! Vaudenay, PKC 2006). Nothing that identifies the joiner, and no key of anybody, is readable by
//! who photographed the code.
//!
//! [`literal`] is version 1 of the protocol, which has none of this and is refused unless asked
//! for.

pub mod code;
mod handover;
mod initiator;
mod joiner;
mod line;
pub mod literal;
pub mod message;
pub mod session;

pub use code::{Code, CodeError, ScannedCode};
pub use initiator::Initiator;
pub use joiner::Joiner;
pub use session::{Consent, Effect, Failure, Input, Introduction, Question, Setup};
