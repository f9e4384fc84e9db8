//! The candidate's side: what it brings, and what it comes to.

mod answering;

use std::collections::BTreeMap;
use std::sync::Arc;

use handfast_keys::Secret;
use handfast_pairing::invite::{Structure, StructureKey};
use handfast_pairing::qr::Consent;
use handfast_ring::DeviceName;

use crate::app::Person;
use crate::structures::WriterStore;

/// What [`PairingManager::join_with_invite`](crate::PairingManager::join_with_invite) takes.
pub struct Join {
    /// The code that the other device's person sent.
    pub invite_code: String,
    /// Makes this device's writers. See [`SeedStore`](crate::SeedStore).
    pub store: Arc<dyn WriterStore>,
    /// What this device calls itself.
    pub username: DeviceName,
    /// Who compares, if the other side asks for that; then how.
    pub person: Option<(Arc<dyn Person>, Consent)>,
    /// Whether to join only where both compare.
    pub insist: bool,
}

/// What a candidate has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The member's own writer key for each structure.
    pub all_structure_keys: BTreeMap<String, StructureKey>,
    /// What the member calls itself.
    pub username: DeviceName,
    /// The own writer key for each structure, which the member has added.
    pub writers: BTreeMap<String, StructureKey>,
    /// Every structure with its config.
    pub structures: Vec<Structure>,
    /// The group's key.
    pub primary_autobase_key: Option<StructureKey>,
    /// What the group's blocks are encrypted under.
    pub encryption_key: Option<Secret<32>>,
}

impl Joined {
    /// The keys as the seed names them: `{ metadata_key, drive_key, … }`.
    pub fn named_keys(&self) -> BTreeMap<String, StructureKey> {
        let keys = self.all_structure_keys.iter();
        keys.map(|(namespace, key)| (format!("{namespace}_key"), *key)).collect()
    }
}
