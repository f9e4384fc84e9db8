//! Pairing by invite code: the bytes of blind-pairing, and two machines on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "clippy allows these only inside the test functions themselves"
)]

mod codes;
mod golden;
mod requests;
