//! Pairing by invite code: the bytes of blind-pairing, and two machines on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::large_enum_variant,
    reason = "clippy allows these only inside the test functions themselves"
)]

mod network;
mod party;
mod world;

mod codes;
mod crowd;
mod forger;
mod golden;
mod honest;
mod kills;
mod leaving;
mod middle;
mod requests;
