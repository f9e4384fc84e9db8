//! A peer's snapshot of a collection: shown from the start, replaced by what the logs say.
//!
//! While the logs behind a snapshot come in, two states are kept of each record: the replayed one,
//! and the provisional one, which is the snapshot's with every mutation applied that is not in it.
//! Reads see the provisional one. Once all that the snapshot includes was replayed, both must be
//! equal: the snapshot is dropped, and if they are not, its publisher is named.

use handfast_ledger::{LogId, Mutation, RecordState, Snapshot, SnapshotRow};
use handfast_ring::DeviceId;
use rusqlite::{Connection, OptionalExtension, params};

use super::logs::{self, Log};
use super::records::{self, Rows};
use super::{replay, sql};
use crate::error::{Error, Result};

/// What came of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It said what the logs say.
    Right,
    /// It did not.
    Wrong,
}

/// Adds rows of a snapshot that is being read. They are not shown yet.
pub fn add(connection: &Connection, collection: i64, rows: &[SnapshotRow]) -> Result<()> {
    for SnapshotRow { record, state, row } in rows {
        let policy = handfast_ledger::Policy::Ask;
        let (visible, conflicts) = (state.is_visible(policy), state.conflicts(policy).len());
        records::store(connection, Rows::Provisional, collection, record, row, visible, conflicts)?;
    }
    Ok(())
}

/// Shows a snapshot whose rows were all added and verified, with what is known beyond it.
pub fn show(
    connection: &Connection,
    collection: i64,
    publisher: &DeviceId,
    snapshot: &Snapshot,
) -> Result<()> {
    for log in logs::of_collection(connection, collection)? {
        let first = last_of(snapshot, &log.log) + 1;
        replay::each_mutation(connection, &log, first, |mutation| {
            apply(connection, &log, &mutation)
        })?;
    }
    connection.execute(
        "INSERT INTO provisional (collection, publisher, head) VALUES (?1, ?2, ?3)",
        params![collection, publisher.as_ref(), snapshot.encode()],
    )?;
    Ok(())
}

/// Applies a mutation that the snapshot does not include.
pub fn apply(connection: &Connection, log: &Log, mutation: &Mutation) -> Result<()> {
    let (rows, record) = (Rows::Provisional, mutation.record());
    let mut state = records::state(connection, rows, log.collection, &record)?.unwrap_or_default();
    state.apply(&log.log.writer, mutation);
    records::set_state(connection, rows, log.collection, &record, &state)?;
    Ok(())
}

/// Up to which mutation a log is in the snapshot that its collection shows, if it shows one.
pub fn included(connection: &Connection, log: &Log) -> Result<Option<u64>> {
    let found = find(connection, log.collection)?;
    Ok(found.map(|(_, snapshot)| last_of(&snapshot, &log.log)))
}

/// Compares, and drops, every snapshot behind which all logs are here now.
pub fn settle(connection: &Connection) -> Result<Vec<(String, DeviceId, Verdict)>> {
    let mut settled = Vec::new();
    for (collection, namespace) in records::collections(connection)? {
        let Some((publisher, snapshot)) = find(connection, collection)? else { continue };
        let ends = logs::ends(connection, collection)?;
        let complete = snapshot
            .logs()
            .iter()
            .all(|log| ends.get(&log.tip.log.writer).is_some_and(|end| *end >= log.id));
        if complete {
            let verdict = compare(connection, collection)?;
            drop(connection, collection)?;
            settled.push((namespace.as_str().to_owned(), publisher, verdict));
        }
    }
    Ok(settled)
}

/// Drops a snapshot; what the logs say so far is shown.
pub fn drop(connection: &Connection, collection: i64) -> Result<()> {
    connection.execute("DELETE FROM provisional WHERE collection = ?1", [collection])?;
    connection.execute("DELETE FROM provisional_record WHERE collection = ?1", [collection])?;
    Ok(())
}

fn compare(connection: &Connection, collection: i64) -> Result<Verdict> {
    let count = |rows: Rows| -> Result<i64> {
        let text = format!("SELECT count(*) FROM {} WHERE collection = ?1", rows.table());
        Ok(connection.query_row(&text, [collection], |row| row.get(0))?)
    };
    if count(Rows::Replayed)? != count(Rows::Provisional)? {
        return Ok(Verdict::Wrong);
    }
    let ends = logs::ends(connection, collection)?;
    let mut statement = connection.prepare_cached(
        "SELECT provisional_record.state, record.state FROM provisional_record \
         LEFT JOIN record USING (collection, id) \
         WHERE provisional_record.collection = ?1 AND record.state IS NOT provisional_record.state",
    )?;
    let mut rows = statement.query([collection])?;
    while let Some(row) = rows.next()? {
        let state = |index| -> Result<Option<RecordState>> {
            let Some(bytes) = row.get::<_, Option<Vec<u8>>>(index)? else { return Ok(None) };
            let mut state = RecordState::decode(&bytes).map_err(|_| Error::Damaged("record"))?;
            // Which replaced dots are still remembered depends on the order of arrival.
            state.prune(|dot| records::is_applied(&ends, dot));
            Ok(Some(state))
        };
        if state(0)? != state(1)? {
            return Ok(Verdict::Wrong);
        }
    }
    Ok(Verdict::Right)
}

fn find(connection: &Connection, collection: i64) -> Result<Option<(DeviceId, Snapshot)>> {
    let found: Option<(Vec<u8>, Vec<u8>)> = connection
        .prepare_cached("SELECT publisher, head FROM provisional WHERE collection = ?1")?
        .query_row([collection], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((publisher, head)) = found else { return Ok(None) };
    let publisher = DeviceId::from_bytes(sql::array(&publisher, "provisional")?);
    let snapshot = Snapshot::decode(&head).map_err(|_| Error::Damaged("provisional"))?;
    Ok(Some((publisher, snapshot)))
}

/// The last mutation of a log that a snapshot includes; 0 if it includes none.
pub fn last_of(snapshot: &Snapshot, log: &LogId) -> u64 {
    let logs = snapshot.logs();
    let found = logs.binary_search_by(|included| included.tip.log.writer.cmp(&log.writer));
    found.ok().and_then(|index| logs.get(index)).map_or(0, |included| included.id)
}

#[cfg(test)]
mod tests {
    use handfast_keys::Timestamp;
    use handfast_ledger::{
        Fields, Included, Namespace, Policy, RecordId, Segment, SnapshotReader, SnapshotWriter,
    };
    use handfast_ring::{DeviceKeys, Incarnation};

    use super::super::edits::{Edit, Editor};
    use super::super::replay::Outcome;
    use super::super::{Store, cuts, meta, snapshots};
    use super::*;

    struct Party {
        keys: DeviceKeys,
        store: Store,
        _dir: tempfile::TempDir,
    }

    fn notes() -> Namespace {
        Namespace::new("notes").unwrap()
    }

    fn id(number: u8) -> RecordId {
        RecordId::from_bytes([number; 16])
    }

    impl Party {
        fn new() -> Party {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::create(&dir.path().join("db"), |tx| {
                meta::SEALED.set(tx, &true)?;
                meta::INCARNATION.set(tx, &Incarnation::from_bytes([1; 16]))
            })
            .unwrap();
            Party { keys: DeviceKeys::generate(&mut rand::rng()), store, _dir: dir }
        }

        fn put(&self, number: u8, text: &str) {
            let fields = Fields::parse(&format!(r#"{{"text":"{text}"}}"#)).unwrap();
            self.store
                .write(|tx| {
                    let (edit, now) = (Edit::Put(fields), Timestamp(5));
                    Editor::open(tx, &self.keys, &notes())?.edit(&id(number), edit, now)
                })
                .unwrap();
        }

        /// The values of a record's text, as they are shown.
        fn texts(&self, number: u8) -> Vec<String> {
            self.store
                .read(|tx| {
                    let collection = records::find_collection(tx, &notes())?.unwrap();
                    let rows = Rows::shown(tx, collection)?;
                    let Some(state) = records::state(tx, rows, collection, &id(number))? else {
                        return Ok(Vec::new());
                    };
                    let field = state.field("text").unwrap();
                    Ok(field.entries().iter().filter_map(|entry| entry.value.as_text()).collect())
                })
                .unwrap()
        }

        fn conflicts(&self) -> usize {
            let all = self.store.read(super::super::conflicts::all).unwrap();
            all.iter().filter(|(_, _, state)| !state.conflicts(Policy::Ask).is_empty()).count()
        }

        /// The own log: everything from behind `after` on, in one segment.
        fn segments(&self) -> (Log, Vec<Segment>) {
            self.store
                .write(|tx| {
                    cuts::cut_own(tx)?;
                    let log = logs::own(tx, &self.keys, &notes())?;
                    let cuts = cuts::of_log(tx, log.id)?;
                    let body = |cut: &cuts::Cut| cut.body.clone().unwrap();
                    let segments = cuts.iter().map(|cut| Segment::from_body(&body(cut)).unwrap());
                    Ok((log, segments.collect()))
                })
                .unwrap()
        }

        /// Takes in another one's log.
        fn replay(&self, other: &Party) {
            let (theirs, segments) = other.segments();
            self.enter(&theirs);
            for segment in segments {
                let segment = segment.verify().unwrap();
                let outcome = self
                    .store
                    .write(|tx| {
                        let log = logs::find(tx, &theirs.log)?.unwrap();
                        replay::apply(tx, &self.keys, &log, segment)
                    })
                    .unwrap();
                assert!(matches!(outcome, Outcome::Applied(_) | Outcome::Known));
            }
        }

        fn enter(&self, log: &Log) {
            self.store
                .write(|tx| match logs::find(tx, &log.log)? {
                    Some(_) => Ok(()),
                    None => logs::begin(tx, &log.certificate).map(|_| ()),
                })
                .unwrap();
        }

        /// Shows a snapshot of another one's collection, in which record 1 says `claim`, if any.
        fn show(&self, other: &Party, claim: Option<&str>) {
            let (log, _) = other.segments();
            let snapshot = other.store.read(|tx| {
                let log = logs::find(tx, &log.log)?.unwrap();
                let included = Included { tip: log.tip.clone().unwrap(), id: log.end.id };
                let mut writer = SnapshotWriter::new(&notes(), vec![included]);
                records::every(tx, log.collection, |record, state| {
                    let mut state = state;
                    if let Some(claim) = claim.filter(|_| record == id(1)) {
                        let dot = handfast_ledger::Dot { writer: log.log.writer, id: 1 };
                        let fields = Fields::parse(&format!(r#"{{"text":"{claim}"}}"#)).unwrap();
                        state = RecordState::created(dot, Timestamp(5), fields);
                    }
                    assert_eq!(writer.push(record, &state).unwrap(), None);
                    Ok(())
                })?;
                Ok(writer.finish(&other.keys.auth))
            });
            let (last, snapshot) = snapshot.unwrap();
            self.enter(&log);
            let mut reader = SnapshotReader::new(snapshot, &other.keys.auth.public()).unwrap();
            let rows = reader.read(&last.unwrap()).unwrap();
            let snapshot = reader.finish().unwrap();
            self.store
                .write(|tx| {
                    let collection = records::collection(tx, &notes())?;
                    add(tx, collection, &rows)?;
                    show(tx, collection, &other.keys.device_id(), &snapshot)
                })
                .unwrap();
        }

        fn settle(&self) -> Vec<Verdict> {
            let settled = self.store.write(|tx| settle(tx)).unwrap();
            settled.into_iter().map(|(_, _, verdict)| verdict).collect()
        }
    }

    #[test]
    fn a_snapshot_is_shown_until_the_logs_have_said_the_same() {
        let (publisher, newcomer) = (Party::new(), Party::new());
        publisher.put(1, "old");
        publisher.put(1, "milk");
        publisher.put(2, "bread");
        newcomer.put(2, "butter");
        newcomer.show(&publisher, None);
        assert_eq!(newcomer.texts(1), ["milk"]);
        assert_eq!(newcomer.texts(2).len(), 2, "its own record meets the other's");
        assert_eq!(newcomer.conflicts(), 1);
        assert_eq!(newcomer.settle(), [], "nothing was replayed yet");

        // What is edited on what is shown replaces it, also in what is replayed later.
        newcomer.put(1, "oat milk");
        assert_eq!(newcomer.texts(1), ["oat milk"]);
        // What the publisher writes meanwhile is not in its snapshot.
        publisher.put(3, "tea");
        newcomer.replay(&publisher);
        assert_eq!(newcomer.texts(3), ["tea"]);

        let shown: Vec<_> = (1..=3).map(|number| newcomer.texts(number)).collect();
        assert_eq!(newcomer.settle(), [Verdict::Right]);
        let replayed: Vec<_> = (1..=3).map(|number| newcomer.texts(number)).collect();
        assert_eq!(shown, replayed);
        assert_eq!(newcomer.conflicts(), 1);
        assert_eq!(newcomer.settle(), [], "settled once");
    }

    #[test]
    fn a_snapshot_that_says_something_else_is_found_out() {
        let (publisher, newcomer) = (Party::new(), Party::new());
        publisher.put(1, "milk");
        publisher.put(2, "bread");
        newcomer.show(&publisher, Some("poison"));
        assert_eq!(newcomer.texts(1), ["poison"]);
        newcomer.replay(&publisher);
        assert_eq!(newcomer.settle(), [Verdict::Wrong]);
        assert_eq!(newcomer.texts(1), ["milk"]);
    }

    #[test]
    fn small_collections_have_no_snapshot() {
        let publisher = Party::new();
        publisher.put(1, "milk");
        publisher.segments();
        let renewed = publisher.store.write(|tx| snapshots::renew(tx, &publisher.keys)).unwrap();
        assert!(!renewed);
    }
}
