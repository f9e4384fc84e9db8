//! Taking in other devices' mutations.

use std::collections::btree_map::Entry as MapEntry;
use std::collections::{BTreeMap, BTreeSet};

use handfast_ledger::{Graft, LogEntry, Mutation, RecordId, RecordState, Verified};
use handfast_ring::DeviceKeys;
use rusqlite::Connection;

use super::logs::{self, Log};
use super::records::{self, Rows};
use super::{forks, provisional, sql};
use crate::error::{Error, Result};

/// What came of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It held nothing new.
    Known,
    /// It was taken in.
    Applied(Applied),
    /// The log's segments before it are needed first.
    NeedsEarlier,
    /// The log contradicts itself; what lies beyond the common prefix is gone.
    Forked(Applied),
}

/// How much changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Mutations that were taken in.
    pub mutations: u64,
    /// Records that changed.
    pub records: u64,
    /// How many of these are in conflict now.
    pub conflicts: u64,
}

impl Applied {
    /// The sum of both.
    pub fn and(self, other: Applied) -> Applied {
        Applied {
            mutations: self.mutations + other.mutations,
            records: self.records + other.records,
            conflicts: self.conflicts + other.conflicts,
        }
    }
}

/// Takes in a segment of a log, in the transaction of the caller. Doing it twice changes nothing.
///
/// If it continues a log that this device writes itself, another copy of this store has written
/// there: from now on this one writes elsewhere.
pub fn apply(
    connection: &Connection,
    keys: &DeviceKeys,
    log: &Log,
    segment: Verified,
) -> Result<Outcome> {
    let graft = Graft::of(&segment, log.end.id, |id| {
        logs::hash_at(connection, log, id).unwrap_or_default()
    });
    match graft {
        Graft::Known => Ok(Outcome::Known),
        Graft::Gap { .. } if log.fork.is_some() => Ok(Outcome::Known),
        Graft::Gap { .. } => Ok(Outcome::NeedsEarlier),
        Graft::Extends { .. } if log.fork.is_some() => Ok(Outcome::Known),
        Graft::Extends { skip } => {
            let tip = segment.tip().clone();
            let entries = segment.entries().get(skip..).unwrap_or_default();
            let applied = extend(connection, log, entries)?;
            logs::set_end(connection, log.id, tip.position)?;
            logs::set_tip(connection, log.id, &tip)?;
            if log.secret.is_some() {
                forks::retire(connection, keys)?;
            }
            Ok(Outcome::Applied(applied))
        }
        Graft::ForksBefore { .. } if log.fork.is_some() => Ok(Outcome::Known),
        Graft::ForksBefore { .. } => Ok(Outcome::NeedsEarlier),
        Graft::Forks { common } => forks::part(connection, keys, log, common, &segment),
    }
}

fn extend(connection: &Connection, log: &Log, entries: &[LogEntry]) -> Result<Applied> {
    let mut ends = logs::ends(connection, log.collection)?;
    if let Some(last) = entries.last() {
        ends.insert(log.log.writer, last.mutation.id());
    }
    let included = provisional::included(connection, log)?;
    let mut changed: BTreeMap<RecordId, RecordState> = BTreeMap::new();
    for entry in entries {
        logs::append(connection, log.id, entry)?;
        if included.is_some_and(|last| entry.mutation.id() > last) {
            provisional::apply(connection, log, &entry.mutation)?;
        }
        let record = entry.mutation.record();
        let state = match changed.entry(record) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(unknown) => {
                let state = records::state(connection, Rows::Replayed, log.collection, &record)?;
                unknown.insert(state.unwrap_or_default())
            }
        };
        state.apply(&log.log.writer, &entry.mutation);
    }
    let mut applied = Applied { mutations: entries.len() as u64, ..Applied::default() };
    for (record, state) in &mut changed {
        state.prune(|dot| records::is_applied(&ends, dot));
        applied.records += 1;
        applied.conflicts += u64::from(records::set_state(
            connection,
            Rows::Replayed,
            log.collection,
            record,
            state,
        )?);
    }
    Ok(applied)
}

/// Makes the states of some records again, from all logs of their collection: after mutations were
/// taken back.
pub fn rebuild(
    connection: &Connection,
    collection: i64,
    affected: &BTreeSet<RecordId>,
) -> Result<Applied> {
    let mut states: BTreeMap<RecordId, RecordState> =
        affected.iter().map(|record| (*record, RecordState::default())).collect();
    for log in logs::of_collection(connection, collection)? {
        each_mutation(connection, &log, 1, |mutation| {
            if let Some(state) = states.get_mut(&mutation.record()) {
                state.apply(&log.log.writer, &mutation);
            }
            Ok(())
        })?;
    }
    let ends = logs::ends(connection, collection)?;
    let mut applied = Applied::default();
    for (record, state) in &mut states {
        state.prune(|dot| records::is_applied(&ends, dot));
        applied.records += 1;
        if state.registers().next().is_none() {
            connection.execute(
                "DELETE FROM record WHERE collection = ?1 AND id = ?2",
                rusqlite::params![collection, record.as_bytes()],
            )?;
        } else {
            applied.conflicts += u64::from(records::set_state(
                connection,
                Rows::Replayed,
                collection,
                record,
                state,
            )?);
        }
    }
    Ok(applied)
}

/// Calls `each` with the mutations of a log from `first` on.
pub fn each_mutation(
    connection: &Connection,
    log: &Log,
    first: u64,
    mut each: impl FnMut(Mutation) -> Result<()>,
) -> Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT bytes FROM mutation WHERE log = ?1 AND id >= ?2 ORDER BY id")?;
    let mut rows = statement.query(rusqlite::params![log.id, sql::signed(first)])?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob().map_err(|_| Error::Damaged("mutation"))?;
        each(Mutation::decode(bytes).map_err(|_| Error::Damaged("mutation"))?)?;
    }
    Ok(())
}
