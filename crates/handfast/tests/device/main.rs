//! Devices in folders of their own, over real services on loopback.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod files;
mod home;
mod invite;
mod newcomer;
mod online;
mod pairing;
mod services;
