//! Introduces a person's devices to each other and keeps their data in step, with no account and no
//! server in the middle.
//!
//! Two nouns and a promise: a [`Device`] is what an app embeds, a [`Pairing`] is the act of
//! introducing it to another one, and [`Pairing::finished`] is the promise that it is done.
//!
//! ```no_run
//! # async fn example() -> handfast::Result<()> {
//! use handfast::{Device, PairOptions};
//!
//! let device = Device::open("/home/me/.app")?;
//! device.records("notes")?.put_key("shopping", [("text", "milk")])?;
//!
//! let pairing = device.pair(PairOptions::default()).await?;
//! println!("scan this with the other device: {}", pairing.code().unwrap_or_default());
//! let peer = pairing.finished().await?;
//! println!("paired with {}", peer.name);
//!
//! let _in_step = device.watch()?;
//! # Ok(())
//! # }
//! ```

mod clock;
mod collection;
mod conflict;
mod device;
mod doctor;
#[cfg(test)]
mod empty_router;
mod error;
mod events;
mod feed;
mod home;
mod invite;
mod key_store;
mod live;
mod pairing;
mod provider_test;
mod status;
mod store;
mod sync;
#[cfg(test)]
mod trials;

pub use clock::Clock;
pub use collection::{Collection, Edited, Import, ImportRow, Importing, Record};
pub use conflict::{Choice, ConflictingField, ConflictingRecord, ConflictingValue};
pub use device::{Device, DeviceInfo, DeviceOptions};
pub use doctor::{Finding, Health};
pub use error::{Error, Result};
pub use events::{Event, Events, Progress, Work};
pub use invite::{InviteInfo, InviteOptions, InviteState, is_invite};
pub use key_store::KeyStore;
pub use live::Online;
pub use pairing::{Answer, JoinOptions, PairOptions, Paired, Pairing, Step};
pub use provider_test::{Operation, Trial};
pub use status::{CollectionInfo, Status, content_hash};
pub use store::edits::OwnedPick as Pick;
pub use sync::{Migrated, SyncReport, Watch};

pub use handfast_keys::Digest;
pub use handfast_keys::check_code::{CheckCode, Fingerprint};
pub use handfast_ledger::{Dot, FieldName, Fields, Namespace, RecordId, Value};
pub use handfast_pairing::qr::session::{Consent, Failure, Peer, Question};
pub use handfast_pairing::qr::{Code, CodeError, ScannedCode};
pub use handfast_pairing_manager::{Error as ManagerError, Failure as InviteFailure, InviteId};
pub use handfast_providers::{
    ConfigError, ErrorKind, Http, ProviderConfig, ProviderError, SecretText, Totals,
};
pub use handfast_ring::{DeviceId, DeviceName};
pub use handfast_swarm::{Bootstrap, SwarmOptions};

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
