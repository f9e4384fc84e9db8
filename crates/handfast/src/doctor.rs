//! Checking a device: that everything in its store is what it should be.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use handfast_ledger::{Mutation, RecordId, RecordState};

use crate::device::Device;
use crate::error::Result;
use crate::store::records::{self, Rows};
use crate::store::{logs, meta, replay};

/// Of how many mutations the records are compared at a time.
const PART: u64 = 200_000;

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Logs that were checked.
    pub logs: u64,
    /// Mutations that were checked.
    pub mutations: u64,
    /// Records that were checked.
    pub records: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: String,
    /// What.
    pub problem: String,
}

impl Device {
    /// Checks the chain of every log, the signatures over them, and that the records are what the
    /// logs say. Changes nothing.
    pub fn check(&self) -> Result<Health> {
        let mut health = Health { logs: 0, mutations: 0, records: 0, findings: Vec::new() };
        self.0.store.read(|tx| {
            let integrity: String = tx.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
            if integrity != "ok" {
                health.found("database", &integrity);
            }
            for log in logs::all(tx)? {
                check_log(tx, &log, &mut health)?;
            }
            if meta::SEALED.find(tx)?.unwrap_or(false) {
                for (collection, namespace) in records::collections(tx)? {
                    check_records(tx, collection, namespace.as_str(), &mut health)?;
                }
            }
            Ok(())
        })?;
        Ok(health)
    }
}

impl Health {
    fn found(&mut self, place: &str, problem: &str) {
        self.findings.push(Finding { place: place.to_owned(), problem: problem.to_owned() });
    }
}

fn check_log(tx: &rusqlite::Connection, log: &logs::Log, health: &mut Health) -> Result<()> {
    let place = format!("log {} of {}", log.log.writer, log.log.namespace.as_str());
    health.logs += 1;
    let mut position = log.log.start();
    let mut statement =
        tx.prepare("SELECT hash, bytes FROM mutation WHERE log = ?1 ORDER BY id")?;
    let mut rows = statement.query([log.id])?;
    while let Some(row) = rows.next()? {
        let (hash, bytes): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        position = position.next(&bytes);
        health.mutations += 1;
        if hash != position.hash.as_ref() || Mutation::decode(&bytes).is_err() {
            health.found(&place, &format!("the chain breaks at mutation {}", position.id));
            return Ok(());
        }
        if let Some(tip) = log.tip.as_ref().filter(|tip| tip.position.id == position.id)
            && (tip.verify().is_err() || tip.position != position)
        {
            health.found(&place, &format!("the signature over mutation {} is wrong", position.id));
        }
    }
    if position != log.end {
        health.found(&place, "it does not end where it should");
    }
    Ok(())
}

/// Replays every log of a collection and compares: some of its records at a time, so that their states
/// fit into memory however many there are.
fn check_records(
    tx: &rusqlite::Connection,
    collection: i64,
    name: &str,
    health: &mut Health,
) -> Result<()> {
    let logs = logs::of_collection(tx, collection)?;
    let mutations: u64 = logs.iter().map(|log| log.end.id).sum();
    let parts = mutations / PART + 1;
    let mut accounted = 0;
    for part in 0..parts {
        let is_in = |record: &RecordId| {
            let mut hasher = DefaultHasher::new();
            record.hash(&mut hasher);
            hasher.finish() % parts == part
        };
        accounted += check_part(tx, &logs, (collection, name), is_in, health)?;
    }
    let strays = records::count_rows(tx, Rows::Replayed, collection)?.saturating_sub(accounted);
    if strays > 0 {
        health.found(&format!("records of {name}"), &format!("{strays} stand in no log"));
    }
    Ok(())
}

/// Returns how many records there are of which the logs tell.
fn check_part(
    tx: &rusqlite::Connection,
    logs: &[logs::Log],
    (collection, name): (i64, &str),
    is_in: impl Fn(&RecordId) -> bool,
    health: &mut Health,
) -> Result<u64> {
    let mut states = BTreeMap::new();
    for log in logs {
        replay::each_mutation(tx, log, 1, |mutation| {
            if is_in(&mutation.record()) {
                let state: &mut RecordState = states.entry(mutation.record()).or_default();
                state.apply(&log.log.writer, &mutation);
            }
            Ok(())
        })?;
    }
    let ends = logs::ends(tx, collection)?;
    let mut found = 0;
    for (record, state) in &mut states {
        health.records += 1;
        state.prune(|dot| records::is_applied(&ends, dot));
        let stored = records::state(tx, Rows::Replayed, collection, record)?;
        found += u64::from(stored.is_some());
        let mut stored = stored.unwrap_or_default();
        stored.prune(|dot| records::is_applied(&ends, dot));
        if stored != *state {
            health.found(&format!("record {record} of {name}"), "it is not what the logs say");
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceName, DeviceOptions, KeyStore};

    #[test]
    fn a_record_that_stands_in_no_log_is_found() {
        let dir = tempfile::TempDir::new().unwrap();
        let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
        let device = Device::create(dir.path(), DeviceName::new("a").unwrap(), options).unwrap();
        device.0.store.write(|tx| meta::SEALED.set(tx, &true)).unwrap();
        device.records("notes").unwrap().put_key("milk", [("text", "milk")]).unwrap();
        assert_eq!(device.check().unwrap().findings, []);
        let copy = "INSERT INTO record SELECT collection, zeroblob(16), state, visible, conflicts \
                    FROM record";
        device.0.store.write(|tx| Ok(tx.execute(copy, [])?)).unwrap();
        let problem = "1 stand in no log".to_owned();
        let stray = Finding { place: "records of notes".to_owned(), problem };
        assert_eq!(device.check().unwrap().findings, [stray]);
    }
}
