//! The device's collections, as the manager sees them.
//!
//! Who may write to a collection follows from the ring: whoever is admitted signs certificates for
//! his writers. So the keys that are exchanged here are for the other side's information, and that
//! both have the same collections.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use handfast_ledger::Namespace;
use handfast_pairing_manager::{
    AddWriterError, DataStructures, Structure, StructureKey, WriterStore,
};

use crate::device::Inner;
use crate::error::Result;
use crate::store::{logs, records};

pub struct Structures(pub Arc<Inner>);

impl Structures {
    fn collections(&self) -> Result<Vec<Namespace>> {
        let collections = self.0.store.read(records::collections)?;
        Ok(collections.into_iter().map(|(_, namespace)| namespace).collect())
    }

    fn own_writer(&self, namespace: &Namespace) -> Result<StructureKey> {
        let log = self.0.store.write(|tx| logs::own(tx, &self.0.keys, namespace))?;
        Ok(StructureKey::from_bytes(*log.log.writer.as_bytes()))
    }

    fn own_writers(&self) -> Result<BTreeMap<String, StructureKey>> {
        let own = |namespace: Namespace| {
            Ok((namespace.as_str().to_owned(), self.own_writer(&namespace)?))
        };
        self.collections()?.into_iter().map(own).collect()
    }
}

/// What the store says is not final: it may have been busy, or the disk full.
pub fn later(error: crate::Error) -> AddWriterError {
    AddWriterError::Later(error.to_string())
}

#[async_trait]
impl DataStructures for Structures {
    async fn names(&self) -> Vec<String> {
        let collections = self.collections().unwrap_or_default();
        collections.iter().map(|namespace| namespace.as_str().to_owned()).collect()
    }

    async fn writer_keys(&self) -> BTreeMap<String, StructureKey> {
        self.own_writers().unwrap_or_default()
    }

    async fn config(&self, _: &str) -> Vec<u8> {
        Vec::new()
    }

    async fn add_writer(&self, namespace: &str, _: &StructureKey) -> Result<(), AddWriterError> {
        let namespace =
            Namespace::new(namespace).map_err(|error| AddWriterError::Never(error.to_string()))?;
        self.0.store.write(|tx| records::collection(tx, &namespace)).map(|_| ()).map_err(later)
    }
}

#[async_trait]
impl WriterStore for Structures {
    async fn writer(&self, structure: &Structure) -> Result<StructureKey, AddWriterError> {
        let namespace = Namespace::new(&structure.namespace)
            .map_err(|error| AddWriterError::Never(error.to_string()))?;
        self.own_writer(&namespace).map_err(later)
    }
}
