//! The built binary, run as people and programs run it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and one that counts says so"
)]

mod app;
mod conflicts;
mod demo;
mod dirty;
mod help;
mod homes;
mod invites;
mod kills;
mod network;
mod output;
mod pairing;
mod providers;
mod raw;
mod records;
mod world;
