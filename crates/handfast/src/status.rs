//! How a device is.

use std::collections::BTreeMap;

use handfast_keys::{Digest, Label, Timestamp};
use handfast_ledger::Namespace;
use handfast_ring::{DeviceId, DeviceName};

use rusqlite::Connection;

use crate::device::Device;
use crate::error::Result;
use crate::store::{meta, records, solo};
use crate::sync;

/// How a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its id.
    pub id: DeviceId,
    /// Its name.
    pub name: DeviceName,
    /// Its provider, by name and address, if it has one.
    pub provider: Option<(String, Option<String>)>,
    /// Its collections.
    pub collections: Vec<CollectionInfo>,
    /// How many other devices it knows.
    pub peers: u64,
    /// Whether a pairing is not finished, by QR code or by invite.
    pub pairing_pending: bool,
    /// The sequence of what it has published last.
    pub sequence: Option<u64>,
    /// How many edits no router has heard of yet.
    pub unpublished: u64,
    /// When news came last.
    pub last_news: Option<Timestamp>,
    /// What did not work at the last round, as a sentence, and since when something has not.
    pub trouble: Option<(Timestamp, String)>,
}

/// How a collection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// How many records it has.
    pub records: u64,
    /// How many of them are in conflict.
    pub conflicts: u64,
}

impl Device {
    /// How it is.
    pub fn status(&self) -> Result<Status> {
        let inner = &self.0;
        let collections = self.collections()?;
        let unpublished = sync::unpublished(inner)?;
        let last_news = self.devices()?.into_iter().filter_map(|device| device.last_seen).max();
        inner.store.read(|tx| {
            let config = meta::provider(tx)?;
            Ok(Status {
                id: inner.keys.device_id(),
                name: meta::NAME.get(tx)?,
                provider: config.map(|config| {
                    (config.service_name().to_owned(), config.endpoint().map(str::to_owned))
                }),
                collections,
                peers: meta::RING.get(tx)?.members(&inner.keys.device_id()).len() as u64,
                pairing_pending: meta::SESSION.find(tx)?.is_some()
                    || meta::INVITE.find(tx)?.is_some(),
                sequence: meta::SEQUENCE.find(tx)?,
                unpublished,
                last_news,
                trouble: meta::TROUBLE.find(tx)?,
            })
        })
    }

    /// Its collections, by name.
    pub fn collections(&self) -> Result<Vec<CollectionInfo>> {
        self.0.store.read(|tx| {
            let mut infos = Vec::new();
            for (collection, namespace) in records::collections(tx)? {
                let (records, conflicts) = records::count(tx, collection)?;
                let name = namespace.as_str().to_owned();
                infos.push(CollectionInfo { name, records, conflicts });
            }
            Ok(infos)
        })
    }

    /// The hash of the records of each collection that has any: equal on devices that are in step.
    /// Reads every record.
    pub fn hashes(&self) -> Result<BTreeMap<String, Digest>> {
        self.0.store.read(|tx| {
            let mut hashes = BTreeMap::new();
            for (collection, namespace) in records::collections(tx)? {
                if records::count(tx, collection)?.0 > 0 {
                    let name = namespace.as_str().to_owned();
                    hashes.insert(name, hash(tx, collection, &namespace)?);
                }
            }
            Ok(hashes)
        })
    }

    /// The hash of all its records: equal on devices that are in step. Reads every record.
    pub fn content_hash(&self) -> Result<Digest> {
        Ok(content_hash(&self.hashes()?))
    }
}

/// The hash of all records, of those of each collection.
pub fn content_hash(hashes: &BTreeMap<String, Digest>) -> Digest {
    let fields = hashes.iter().flat_map(|(name, hash)| [name.as_bytes(), hash.as_ref()]);
    Label::STATE.hash_all(fields)
}

fn hash(connection: &Connection, collection: i64, namespace: &Namespace) -> Result<Digest> {
    if meta::SEALED.find(connection)?.unwrap_or(false) {
        let hash = records::hash(connection, collection, namespace)?;
        return Ok(Digest::from_bytes(*hash.as_bytes()));
    }
    let mut hash = Label::STATE.hash([namespace.as_bytes()]);
    solo::each(connection, collection, None, |solo| {
        let fields = solo.fields.to_text();
        let id = solo.record.as_bytes();
        hash = Label::STATE.hash([hash.as_ref(), id, fields.as_bytes()]);
        Ok(true)
    })?;
    Ok(hash)
}
