//! Conflicts, as a person decides about them.

use std::collections::BTreeMap;

use handfast_keys::{Timestamp, WriterPublic};
use handfast_ledger::{Conflict, Dot, Policy, RecordId, Value};
use handfast_ring::{DeviceId, DeviceName};

use crate::Pick;
use crate::collection::{Edited, Record, read};
use crate::device::Device;
use crate::error::Result;
use crate::store::{conflicts, logs};

/// How a deletion that is in conflict is called where fields are named.
pub(crate) const DELETED: &str = "$deleted";

/// A record about which somebody must decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictingRecord {
    /// Its collection.
    pub collection: String,
    /// The record as it is read meanwhile.
    pub record: Record,
    /// The fields in conflict.
    pub fields: Vec<ConflictingField>,
}

/// A field that has several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictingField {
    /// Which field; `$deleted` where one device deleted the record while another edited it.
    pub field: String,
    /// Its values, the one that is read meanwhile first.
    pub values: Vec<ConflictingValue>,
}

/// One of the values of a field in conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictingValue {
    /// The value. Of a deletion: `true` deletes, everything else keeps.
    pub value: Value,
    /// The field that it is the value of; of a deletion, what was edited.
    pub field: String,
    /// What wrote it.
    pub dot: Dot,
    /// The device that wrote it, if it is still known.
    pub device: Option<(DeviceId, DeviceName)>,
    /// Whether this device wrote it.
    pub is_own: bool,
    /// When, by that device's clock.
    pub written: Timestamp,
}

/// What is decided about a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Which value of a field.
    Value(Pick),
    /// Delete the record after all.
    Delete,
    /// Keep the record that another device deleted.
    Keep,
}

impl Device {
    /// Every record in conflict.
    pub fn conflicts(&self) -> Result<Vec<ConflictingRecord>> {
        let found = self.0.store.read(|tx| Ok((conflicts::all(tx)?, logs::all(tx)?)))?;
        let (found, logs) = found;
        let own = self.id();
        let names: BTreeMap<DeviceId, DeviceName> =
            self.devices()?.into_iter().map(|device| (device.id, device.name)).collect();
        let device_of = |writer: &WriterPublic| {
            logs.iter().find(|log| log.log.writer == *writer).map(|log| log.device)
        };
        let mut records = Vec::new();
        for (namespace, id, state) in found {
            let mut fields = Vec::new();
            for conflict in state.conflicts(Policy::Ask) {
                let (field, entries) = match &conflict {
                    Conflict::Field { field, candidates } => {
                        let entries =
                            candidates.iter().map(|c| (field.as_str(), c.entry)).collect();
                        (field.as_str(), entries)
                    }
                    Conflict::Deletion { deletes, keeps } => {
                        let mut entries: Vec<_> = deletes.iter().map(|e| (DELETED, *e)).collect();
                        entries.extend(keeps.iter().map(|(field, e)| (field.as_str(), *e)));
                        (DELETED, entries)
                    }
                };
                let mut values = Vec::new();
                for (name, entry) in entries {
                    let writer = device_of(&entry.dot.writer);
                    let device = writer.and_then(|id| Some((id, names.get(&id)?.clone())));
                    values.push(ConflictingValue {
                        value: entry.value.clone(),
                        field: name.to_owned(),
                        dot: entry.dot,
                        device,
                        is_own: writer == Some(own),
                        written: entry.timestamp,
                    });
                }
                fields.push(ConflictingField { field: field.to_owned(), values });
            }
            let collection = namespace.as_str().to_owned();
            records.push(ConflictingRecord { collection, record: read(id, &state), fields });
        }
        Ok(records)
    }

    /// How many records are in conflict.
    pub fn conflict_count(&self) -> Result<u64> {
        Ok(self.collections()?.iter().map(|collection| collection.conflicts).sum())
    }

    /// Decides about one field of a record in conflict.
    pub fn resolve(
        &self,
        collection: &str,
        id: &RecordId,
        field: &str,
        choice: Choice,
    ) -> Result<Edited> {
        let records = self.records(collection)?;
        match choice {
            Choice::Value(pick) => records.resolve(id, field, pick),
            Choice::Delete => records.delete(id),
            Choice::Keep => records.restore(id),
        }
    }
}
