//! A collection: records under one name.

use std::sync::Arc;

use handfast_ledger::{FieldName, Fields, Namespace, Policy, RecordId, Value};
use rusqlite::Connection;

use crate::device::Inner;
use crate::error::{Error, Result};
use crate::store::edits::{Edit, Editor};
use crate::store::imports::{Importer, Row, Sorter};
use crate::store::records::{self, Rows};
use crate::store::{meta, solo};

/// Records under one name. What is written here is durable when the call returns, and reaches the
/// other devices at the next round of synchronisation.
#[derive(Clone)]
pub struct Collection {
    device: Arc<Inner>,
    namespace: Namespace,
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: RecordId,
    /// Its fields; of a field in conflict, the latest value.
    pub fields: Fields,
    /// The fields that are in conflict; `$deleted` where a deletion is.
    pub conflicts: Vec<String>,
}

/// What an edit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited {
    /// The record changed.
    Changed,
    /// It was like that already.
    Unchanged,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Import {
    /// Records that were created or changed.
    pub written: u64,
    /// Records that were like that already.
    pub unchanged: u64,
}

/// A row of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Its record.
    pub id: RecordId,
    /// What it says.
    pub fields: Fields,
    /// Where it stands, a line and a column or whatever the caller counts: it is handed back with a
    /// row that is refused.
    pub place: (u64, u64),
}

impl From<(RecordId, Fields)> for ImportRow {
    fn from((id, fields): (RecordId, Fields)) -> ImportRow {
        ImportRow { id, fields, place: (0, 0) }
    }
}

/// What an import tells while it goes on.
#[derive(Debug)]
pub enum Importing {
    /// So many rows have been read.
    Read(u64),
    /// All were read. Of so many rows, this many were written or refused. When it is all of them,
    /// then nothing is durable yet: an error is the last chance to leave everything as it was.
    Written {
        /// How many were.
        done: u64,
        /// How many there are.
        total: u64,
    },
    /// A row can't be taken in: it would make its record too large, or an earlier row has another
    /// value for one of its fields ([`Error::Repeated`]). Rows are refused in no order.
    Refused {
        /// Where it stands.
        place: (u64, u64),
        /// Why.
        error: Error,
    },
}

/// How many records are read at a time.
const PAGE: usize = 256;

/// After how many rows of an import progress is reported.
const REPORT_EVERY: u64 = 2_000;

impl Collection {
    pub(crate) fn new(device: Arc<Inner>, namespace: Namespace) -> Collection {
        Collection { device, namespace }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.namespace.as_str()
    }

    /// The id of the record with a natural key in this collection: the same on every device.
    pub fn id_of_key(&self, key: &Value) -> Result<RecordId> {
        Ok(RecordId::natural(&self.namespace, key)?)
    }

    /// Creates a record with a new id.
    pub fn insert(&self, fields: Fields) -> Result<RecordId> {
        let id = RecordId::generate(self.device.clock.now(), &mut rand::rng());
        self.put(&id, fields)?;
        Ok(id)
    }

    /// Creates a record, or changes these fields of it; others stay.
    pub fn put(&self, id: &RecordId, fields: Fields) -> Result<Edited> {
        self.edit(id, Edit::Put(fields))
    }

    /// Creates or changes the record with a natural key, with fields that are texts.
    pub fn put_key<'a>(
        &self,
        key: &str,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<RecordId> {
        let invalid = |error| Error::Fields(handfast_ledger::FieldsError::Value(error));
        let id = self.id_of_key(&Value::string(key).map_err(invalid)?)?;
        let mut record = Fields::new();
        for (name, value) in fields {
            record.insert(FieldName::new(name)?, Value::string(value).map_err(invalid)?)?;
        }
        self.put(&id, record)?;
        Ok(id)
    }

    /// Sets one field of a record, which comes into being if there is none.
    pub fn set(&self, id: &RecordId, field: &str, value: Value) -> Result<Edited> {
        let mut fields = Fields::new();
        fields.insert(FieldName::new(field)?, value)?;
        self.put(id, fields)
    }

    /// Deletes a record.
    pub fn delete(&self, id: &RecordId) -> Result<Edited> {
        self.edit(id, Edit::Delete)
    }

    /// Brings a deleted record back, or keeps one whose deletion is in conflict.
    pub fn restore(&self, id: &RecordId) -> Result<Edited> {
        self.edit(id, Edit::Restore)
    }

    /// Resolves the conflict of a field.
    pub fn resolve(&self, id: &RecordId, field: &str, pick: crate::Pick) -> Result<Edited> {
        self.edit(id, Edit::Resolve(field.to_owned(), pick))
    }

    /// A record; `None` if there is none or it is deleted.
    pub fn get(&self, id: &RecordId) -> Result<Option<Record>> {
        self.device.store.read(|tx| {
            let Some(collection) = records::find_collection(tx, &self.namespace)? else {
                return Ok(None);
            };
            if !is_sealed(tx)? {
                let found = solo::get(tx, collection, id)?;
                return Ok(found.map(|(_, fields)| Record {
                    id: *id,
                    fields,
                    conflicts: Vec::new(),
                }));
            }
            let rows = Rows::shown(tx, collection)?;
            let state = records::state(tx, rows, collection, id)?;
            Ok(state.filter(|state| state.is_visible(Policy::Ask)).map(|state| read(*id, &state)))
        })
    }

    /// Calls `each` with every record, sorted by id, until it says no. It may use the device as it
    /// likes; what changes meanwhile is seen as it was or as it is.
    pub fn each(&self, mut each: impl FnMut(Record) -> bool) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.page(after.as_ref())?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            if !page.into_iter().all(&mut each) {
                return Ok(());
            }
        }
    }

    /// The first records behind `after`.
    fn page(&self, after: Option<&RecordId>) -> Result<Vec<Record>> {
        let mut page = Vec::new();
        let mut add = |record| {
            page.push(record);
            Ok(page.len() < PAGE)
        };
        self.device.store.read(|tx| {
            let Some(collection) = records::find_collection(tx, &self.namespace)? else {
                return Ok(());
            };
            if !is_sealed(tx)? {
                return solo::each(tx, collection, after, |solo| {
                    let (id, fields) = (solo.record, solo.fields);
                    add(Record { id, fields, conflicts: Vec::new() })
                });
            }
            records::each(tx, collection, after, |id, state| add(read(id, &state)))
        })?;
        Ok(page)
    }

    /// How many records there are.
    pub fn len(&self) -> Result<u64> {
        self.device.store.read(|tx| match records::find_collection(tx, &self.namespace)? {
            Some(collection) => Ok(records::count(tx, collection)?.0),
            None => Ok(0),
        })
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Writes many records, with flat memory; what doesn't fit is meanwhile in a nameless file in
    /// the device's home. All rows are read before any is written: others may use the store as long
    /// as that takes. `tell` hears how far it is, and of every row that can't be taken in; the
    /// others are. If a row, or `tell`, is an error, or if no row at all can be taken in, then
    /// everything stays as it was.
    pub fn import<R: Into<ImportRow>, E: From<Error>>(
        &self,
        rows: impl IntoIterator<Item = Result<R, E>>,
        mut tell: impl FnMut(Importing) -> Result<(), E>,
    ) -> Result<Import, E> {
        let mut sorter = Sorter::new(self.device.home.path());
        for row in rows {
            let ImportRow { id, fields, place } = row?.into();
            sorter.push(&Row::new(id, place, &fields))?;
            if sorter.count().is_multiple_of(REPORT_EVERY) {
                tell(Importing::Read(sorter.count()))?;
            }
        }
        let mut import = Import::default();
        let mut stopped = None;
        // Any error rolls everything back; the caller gets its own.
        let mut stop = |error| {
            stopped = Some(error);
            Error::Stopped
        };
        let written = self.device.store.write(|tx| {
            let mut importer = Importer::open(tx, &self.device.keys, &self.namespace)?;
            let (mut done, total) = (0, sorter.count());
            for row in sorter.sorted()? {
                let row = row?;
                let place = row.place;
                match importer.put(row, self.device.clock.now()) {
                    Ok(true) => import.written += 1,
                    Ok(false) => import.unchanged += 1,
                    Err(
                        error @ (Error::Fields(_)
                        | Error::Edit(_)
                        | Error::Mutation(_)
                        | Error::Repeated),
                    ) => tell(Importing::Refused { place, error }).map_err(&mut stop)?,
                    Err(error) => return Err(error),
                }
                done += 1;
                if done == total || done.is_multiple_of(REPORT_EVERY) {
                    tell(Importing::Written { done, total }).map_err(&mut stop)?;
                }
            }
            if import == Import::default() { Err(Error::Stopped) } else { Ok(()) }
        });
        if let Some(stopped) = stopped {
            return Err(stopped);
        }
        match written {
            Err(Error::Stopped) => return Ok(import),
            written => written?,
        }
        self.device.edited.notify_one();
        Ok(import)
    }

    fn edit(&self, id: &RecordId, edit: Edit) -> Result<Edited> {
        let now = self.device.clock.now();
        let changed = self.device.store.write(|tx| {
            Editor::open(tx, &self.device.keys, &self.namespace)?.edit(id, edit, now)
        })?;
        if changed {
            self.device.edited.notify_one();
        }
        Ok(if changed { Edited::Changed } else { Edited::Unchanged })
    }
}

fn is_sealed(connection: &Connection) -> Result<bool> {
    Ok(meta::SEALED.find(connection)?.unwrap_or(false))
}

pub(crate) fn read(id: RecordId, state: &handfast_ledger::RecordState) -> Record {
    let mut fields = Fields::new();
    for (name, value) in state.winners() {
        // The fields of a state are valid fields.
        let _ = fields.insert(name.clone(), value.clone());
    }
    let conflicts = state
        .conflicts(Policy::Ask)
        .iter()
        .map(|conflict| match conflict {
            handfast_ledger::Conflict::Field { field, .. } => field.as_str().to_owned(),
            handfast_ledger::Conflict::Deletion { .. } => crate::conflict::DELETED.to_owned(),
        })
        .collect();
    Record { id, fields, conflicts }
}
