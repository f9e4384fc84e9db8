//! The manager over a network in memory, on a paused clock, and over Hyperswarm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy allows these only inside the test functions themselves"
)]

mod app;
mod at_once;
mod leaving;
mod listing;
mod mail;
mod pairing;
mod restarts;
mod sessions;
mod strangers;
mod swarm;
