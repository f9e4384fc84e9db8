//! Pairing by QR code: two machines, two people and whoever stands between them, on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "clippy allows these only inside the test functions themselves"
)]

mod network;
mod party;
mod person;
mod world;

mod cheat;
mod clocks;
mod codes;
mod failures;
mod golden;
mod honest;
mod intruder;
mod kills;
mod literal;
mod middle;
mod schedules;
mod stored;
