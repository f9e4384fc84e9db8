//! Pairs devices by invite code, so that they share writer keys for all of an app's data
//! structures: one device makes a code, a person sends it, the other device joins with it, and each
//! ends up with every writer key of the other. Over [`Hyperswarm`], live when both are online and
//! through the DHT when they are not; blind, one-time, and compatible with npm's `blind-pairing`.
//!
//! What the structures are and where they are kept is the app's business: it implements
//! [`DataStructures`].
//!
//! | `pairing-manager` in JavaScript | here |
//! |---|---|
//! | `pairing_manager(ds_manager_interface, swarm)` | [`PairingManager::new`] |
//! | `create_invite(primary_key, primary_autobase_key)` → `{ invite_code, invite }` | [`PairingManager::create_invite`] → [`Invitation`] |
//! | `setup_member({ primary_discovery_key, invite, username, on_paired })` | [`PairingManager::setup_member`] |
//! | `join_with_invite({ invite_code, store })` → `{ all_structure_keys, username }` | [`PairingManager::join_with_invite`] → [`Joined`] |
//! | `{ metadata_key, drive_key, … }` | [`Joined::named_keys`] |
//! | `close()` | [`PairingManager::close`] |
//! | `get_names`, `get_all_writer_keys`, `get_config`, `add_writer` | [`DataStructures`] |
//!
//! # Device 1 (member)
//!
//! ```js
//! const manager = pairing_manager(ds_manager_interface, swarm)
//! const { invite_code, invite } = await manager.create_invite(driveKey, autobaseKey)
//! console.log('Share this code:', invite_code)
//! await manager.setup_member({
//!   primary_discovery_key: drive.discoveryKey,
//!   invite,
//!   username: 'alice-laptop',
//!   on_paired: () => console.log('New device paired!')
//! })
//! ```
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use handfast_pairing_manager::*;
//! # async fn member(
//! #     structures: Arc<dyn DataStructures>, swarm: handfast_swarm::Swarm,
//! #     drive_key: StructureKey, autobase_key: StructureKey,
//! #     show: impl Fn(&str), greet: impl Fn() + Clone + Send + Sync + 'static,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let manager = PairingManager::new(structures, Arc::new(Hyperswarm::new(swarm)))?
//!     .journal("pairing.journal")?;
//! let invitation = manager.create_invite(drive_key, autobase_key).await?;
//! show(&invitation.invite_code);
//! let member = manager
//!     .setup_member(MemberSetup {
//!         primary_discovery_key: drive_key.discovery_key(),
//!         invite: invitation.invite,
//!         username: DeviceName::new("alice-laptop")?,
//!         on_paired: on_paired(move |_writer_keys| {
//!             let greet = greet.clone();
//!             async move { greet() }
//!         }),
//!         person: None,
//!     })
//!     .await?;
//! member.finished().await?;
//! # Ok(()) }
//! ```
//!
//! # Device 2 (candidate)
//!
//! ```js
//! const result = await manager.join_with_invite({ invite_code, store: my_corestore })
//! console.log('Keys:', result.all_structure_keys)
//! ```
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use handfast_pairing_manager::*;
//! # async fn candidate(
//! #     manager: PairingManager, invite_code: String, seed: handfast_keys::Secret<32>,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let result = manager
//!     .join_with_invite(Join {
//!         invite_code,
//!         store: Arc::new(SeedStore::new(seed)),
//!         username: DeviceName::new("alice-phone")?,
//!         person: None,
//!         insist: false,
//!     })
//!     .await?;
//! let keys = result.all_structure_keys;
//! # Ok(()) }
//! ```
//!
//! # What to know
//!
//! - **An invite is a bearer token until it is used**: whoever has it, and is first, gets in. With
//!   [`InviteRequest::verify`] both people compare a check code first, and only who sits in front of
//!   both screens can say yes.
//! - One invite lets one candidate in, even across crashes: who it is is stored before anything else
//!   is done. Invites live for an hour by this device's clock, can be [listed](PairingManager::invites)
//!   and [revoked](PairingManager::revoke).
//! - **Without a [journal](PairingManager::journal) invites die with the process.** With one, both
//!   sides go on after a restart: call `setup_member`, or `join_with_invite`, again.
//! - `on_paired` is called once, and a second time only if the process dies before that is stored, or
//!   `setup_member` is called again in the meantime.
//! - Of each pairing only the last call goes on: whoever called before is told so
//!   ([`JournalError::Overtaken`]).
//! - An invite says whether a [`Device`] stands behind it. Where one does, only devices join, and
//!   elsewhere none.
//! - A structure that the app registers later goes with another invite; what both sides have already
//!   stays as it is. (No keys of a pairing are kept for longer than two days after its end, if a
//!   manager is there then; else they go when the journal is next opened.)
//! - An app that can add all writers in one transaction, or make all of its own, does so in
//!   [`DataStructures::add_writers`] and [`WriterStore::writers`].
//! - The [raw profile](InviteRequest::raw) is what JavaScript apps on `blind-pairing` speak: one key
//!   for one writer. There the invite leads to whoever can name the key that it hands over, so
//!   `primary_key` and `primary_autobase_key` are one.
mod app;
mod clock;
mod driver;
mod error;
mod hub;
mod hyperswarm;
mod inbox;
mod journal;
mod mail;
mod manager;
pub mod memory;
pub mod network;
mod nowhere;
mod structures;

pub use app::{Answer, OnPaired, Person, on_paired};
pub use error::Error;
pub use handfast_pairing::invite::message::{
    DoesNotFit, MAX_CONFIG, MAX_NAMESPACE, MAX_STRUCTURES, Map,
};
pub use handfast_pairing::invite::{
    Denial, DiscoveryKey, Failure, Grant, Invite, InviteError, InviteId, InviteOptions, Peer,
    Profile, Question, Structure, StructureKey,
};
pub use handfast_pairing::qr::Consent;
pub use handfast_ring::DeviceName;
pub use hyperswarm::Hyperswarm;
pub use journal::JournalError;
pub use manager::{
    DEFAULT_LIFETIME, Invitation, InviteHandle, InviteInfo, InviteRequest, Join, Joined,
    MemberHandle, MemberSetup, PairingManager,
};
pub use nowhere::Nowhere;
pub use structures::{
    AddWriterError, DataStructures, Device, NoStructures, NotAdded, SeedStore, WriterStore,
};
