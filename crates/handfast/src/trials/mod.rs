//! Devices under trial: a small world of several devices and the services between them, in one
//! process, one thread and virtual time, in which anything can be made to fail at any moment.
//!
//! | module | |
//! |---|---|
//! | [`power`] | what a device does to the world, counted, and cut off before the n-th time |
//! | [`net`] | the network: carries requests to services, goes wrong as told, remembers records |
//! | [`world`] | homes on disk, devices that open and die, and what must hold in the end |
//! | [`people`] | two people who pair their devices, patiently |
//! | [`story`] | what the devices live through |
//!
//! The trials: [`crashes`], [`copies`], [`services`], [`routers`], [`clocks`], [`homes`], [`losses`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

mod clocks;
mod copies;
mod crashes;
mod homes;
mod losses;
mod net;
mod people;
mod power;
mod routers;
mod services;
mod story;
mod world;
