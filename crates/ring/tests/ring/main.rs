//! Who belongs together, and what a device publishes about it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "clippy allows these only inside the test functions themselves"
)]

mod admission;
mod device_ring;
mod directory;
mod household;
mod manifest;
mod sealed;
mod writer;
