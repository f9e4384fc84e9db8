//! Who belongs together, and what a device publishes about it.
//!
//! Devices know each other by signed [`Identity`] statements. A device that was introduced to
//! another signs an [`Admission`] for it; the admissions that a device holds are its
//! [`DeviceRing`], and whom it trusts follows from them alone. What a device publishes hangs from
//! one signed [`DeviceManifest`]: a [`PeerDirectory`] that hands its keys to its peers, the ring,
//! and the index of its logs.
//!
//! The crate is pure: bytes, time and randomness are arguments.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod admission;
pub mod device_ring;
pub mod directory;
pub mod identity;
pub mod manifest;
pub mod sealed;
pub mod writer;

pub use admission::{Admission, AdmissionId};
pub use device_ring::DeviceRing;
pub use directory::{FeedKeys, PeerDirectory};
pub use identity::{DeviceId, DeviceKeys, DeviceName, Identity, Role, SignedIdentity};
pub use manifest::DeviceManifest;
pub use writer::{Incarnation, WriterCertificate};
