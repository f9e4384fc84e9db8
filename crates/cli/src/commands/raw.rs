//! `--profile raw`: pairing with apps on JavaScript's blind-pairing, without a device. What it has in
//! common with `--profile app` is in [`app`](super::app).

pub mod candidate;
pub mod member;
