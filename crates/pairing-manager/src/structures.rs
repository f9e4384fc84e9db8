//! What an app's storage must be able to do.

use std::collections::BTreeMap;

use async_trait::async_trait;
use handfast_keys::{Label, Secret, WriterSecret};
use handfast_pairing::invite::{Peer, Structure, StructureKey};
use handfast_ring::DeviceKeys;

/// An app's data structures: the seed's `ds_manager_interface`. What they are and where they are
/// kept is the app's business.
#[async_trait]
#[doc(alias = "ds_manager_interface")]
pub trait DataStructures: Send + Sync + 'static {
    /// The names of all structures: `["metadata", "drive", …]`. Each must have a
    /// [writer key](Self::writer_keys), or nobody is paired.
    #[doc(alias = "get_names")]
    async fn names(&self) -> Vec<String>;

    /// This device's writer key for each structure.
    #[doc(alias = "get_all_writer_keys")]
    async fn writer_keys(&self) -> BTreeMap<String, StructureKey>;

    /// What else it takes to open a structure; at most 4 KiB.
    #[doc(alias = "get_config")]
    async fn config(&self, namespace: &str) -> Vec<u8>;

    /// Lets a writer write to a structure, durably. Doing it twice must be the same as doing it
    /// once. It is tried again until it succeeds, or fails for good.
    async fn add_writer(&self, namespace: &str, key: &StructureKey) -> Result<(), AddWriterError>;

    /// Lets a candidate's writers write, each to its structure. An app that can store all of them in
    /// one go does so here; else each is [added](Self::add_writer) by itself. What fails for now is
    /// tried again with all of them.
    async fn add_writers(&self, writers: &BTreeMap<String, StructureKey>) -> Result<(), NotAdded> {
        for (namespace, key) in writers {
            let added = self.add_writer(namespace, key).await;
            added.map_err(|error| NotAdded { namespace: namespace.clone(), error })?;
        }
        Ok(())
    }
}

/// Which structure's writer could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the writer of “{namespace}”: {error}")]
pub struct NotAdded {
    /// The structure.
    pub namespace: String,
    /// Why not.
    pub error: AddWriterError,
}

/// No structures: for the [raw profile](crate::InviteRequest::raw), where the app hears of the one
/// writer in `on_paired` and adds it itself.
#[derive(Debug, Clone, Copy)]
pub struct NoStructures;

#[async_trait]
impl DataStructures for NoStructures {
    async fn names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn writer_keys(&self) -> BTreeMap<String, StructureKey> {
        BTreeMap::new()
    }

    async fn config(&self, _: &str) -> Vec<u8> {
        Vec::new()
    }

    async fn add_writer(&self, _: &str, _: &StructureKey) -> Result<(), AddWriterError> {
        Ok(())
    }
}

/// Why a writer could not be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddWriterError {
    /// Not now; worth another try.
    #[error("not now: {0}")]
    Later(String),
    /// Not at all. The pairing stays incomplete until the app has mended that and calls
    /// `setup_member` again.
    #[error("not at all: {0}")]
    Never(String),
}

/// Where a candidate's writer keys come from: the seed's `store`.
#[async_trait]
#[doc(alias = "corestore")]
pub trait WriterStore: Send + Sync + 'static {
    /// The own writer key for a structure that the member described: made and stored durably the
    /// first time, the same ever after.
    async fn writer(&self, structure: &Structure) -> Result<StructureKey, AddWriterError>;

    /// The own writer keys for all of these structures, in their order. A store that can make all of
    /// them in one go does so here; else each is [made](Self::writer) by itself.
    async fn writers(&self, structures: &[Structure]) -> Result<Vec<StructureKey>, AddWriterError> {
        let mut keys = Vec::with_capacity(structures.len());
        for structure in structures {
            keys.push(self.writer(structure).await?);
        }
        Ok(keys)
    }
}

/// The device behind a manager, where there is one: then both sides exchange signed identities, and
/// whoever has no device behind him is turned away.
#[async_trait]
pub trait Device: Send + Sync + 'static {
    /// Its keys.
    fn keys(&self) -> DeviceKeys;

    /// What the peer is to get along with the structures, for instance the entry for it in the
    /// device's directory. Some kilobytes.
    async fn attach(&self, peer: &Peer) -> Vec<u8>;

    /// Takes the peer into the ring, with what it sent along, durably. Doing it twice must be the
    /// same as doing it once.
    async fn admit(&self, peer: &Peer, attachment: &[u8]) -> Result<(), AddWriterError>;
}

/// Writer keys that all follow from one secret: Ed25519, each from
/// `H("writer seed", seed, namespace)`.
#[derive(Debug, Clone)]
pub struct SeedStore(Secret<32>);

impl SeedStore {
    /// The writers of this seed, which the caller has stored.
    pub fn new(seed: Secret<32>) -> SeedStore {
        SeedStore(seed)
    }

    /// The secret half of the writer for a structure.
    pub fn secret(&self, namespace: &str) -> WriterSecret {
        let seed = Label::WRITER_SEED.hash([self.0.expose(), namespace.as_bytes()]);
        WriterSecret::from_seed(*seed.as_bytes())
    }
}

#[async_trait]
impl WriterStore for SeedStore {
    async fn writer(&self, structure: &Structure) -> Result<StructureKey, AddWriterError> {
        let public = self.secret(&structure.namespace).public();
        Ok(StructureKey::from_bytes(*public.as_bytes()))
    }
}
