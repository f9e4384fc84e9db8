//! What is fuzzed: every decoder, and the pairing machines as sequences of operations.
//!
//! A target takes any bytes and panics if something that must hold does not. `fuzz/` runs the
//! targets with libFuzzer; the tests of this crate replay the corpora that are committed there, so
//! whatever was found once is looked for ever after. `docs/fuzzing.md` says how to run them.
//!
//! The same holds of all decoders: what is accepted encodes to the bytes that it was decoded from.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a target panics when something that must hold does not"
)]

mod decoders;
mod files;
mod invites;
mod machines;
mod mux;
pub mod seeds;

/// A target: any bytes may go in, and nothing may go wrong.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("code", decoders::code),
    ("name", decoders::name),
    ("record", decoders::record),
    ("identity", decoders::identity),
    ("manifest", decoders::manifest),
    ("directory", decoders::directory),
    ("ring", decoders::ring),
    ("index", decoders::index),
    ("mutation", decoders::mutation),
    ("segment", decoders::segment),
    ("state", decoders::state),
    ("snapshot", decoders::snapshot),
    ("json", decoders::json),
    ("message", decoders::message),
    ("session", machines::session),
    ("line", machines::line),
    ("pairing", machines::pairing),
    ("literal", machines::literal),
    ("csv", files::csv),
    ("files", files::json),
    ("database", decoders::database),
    ("live", decoders::live),
    ("mux", mux::mux),
    ("invite", invites::invite),
    ("invited", invites::invited),
    ("exchange", invites::exchange),
];

/// Runs the target of this name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a known target");
    target(data);
}
