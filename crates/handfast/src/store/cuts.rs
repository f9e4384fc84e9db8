//! How logs are cut into segments, and where the segments are.

use handfast_ipfs::{Block, Cid};
use handfast_keys::{ContentKey, WriterSecret};
use handfast_ledger::{Position, Sealed, Segment, Tip, recut};
use rusqlite::{Connection, params};
use serde_bytes::ByteBuf;

use super::logs::{self, Log};
use super::{blocks, meta, reach, sql};
use crate::error::{Error, Result};
use crate::feed::{Body, INLINE, Listing, SegmentRef};

/// One segment of a log.
#[derive(Debug, Clone)]
pub struct Cut {
    pub log: i64,
    pub first: u64,
    pub last: u64,
    pub size: u64,
    pub key: ContentKey,
    pub cids: Vec<Cid>,
    /// The body: of an own segment until it is uploaded, of an inline one for good.
    pub body: Option<Vec<u8>>,
    /// Whether its blocks are where other devices can read them, as far as this one can see to that:
    /// own ones and those of devices without a provider at its provider, all others wherever their
    /// writer publishes.
    pub uploaded: bool,
    /// Whether neither it nor what lies before it is ever merged.
    pub is_full: bool,
}

impl Cut {
    /// What the index says of it.
    fn listed(&self) -> SegmentRef {
        let body = match &self.body {
            Some(body) if self.cids.is_empty() => Body::Inline(ByteBuf::from(body.clone())),
            _ => Body::Blocks(self.key.clone(), self.cids.clone()),
        };
        SegmentRef { first: self.first, last: self.last, body }
    }

    /// Its blocks, to be uploaded.
    pub fn blocks(&self) -> Result<Vec<Block>> {
        let body = self.body.clone().ok_or(Error::Damaged("cut"))?;
        Sealed::restore(self.key.clone(), body)
            .blocks()
            .into_iter()
            .map(|bytes| Block::new(bytes).map_err(|_| Error::Damaged("cut")))
            .collect()
    }
}

/// Adds a segment that this device cut.
pub fn add_own(
    connection: &Connection,
    log: i64,
    segment: &Segment,
    sealed: &Sealed,
) -> Result<()> {
    let (first, last) = (segment.first(), segment.last());
    let is_full = recut::Cut { first, last, size: segment.size() }.is_full();
    // What is no tail is uploaded once, not with every edit.
    let inline = sealed.body().len() < INLINE && last - first + 1 < recut::TAIL;
    let cids = if inline { Vec::new() } else { cids(sealed) };
    insert(
        connection,
        &Cut {
            log,
            first,
            last,
            size: segment.size() as u64,
            key: sealed.key().clone(),
            cids,
            body: Some(sealed.body().to_vec()),
            uploaded: inline,
            is_full,
        },
    )
}

fn cids(sealed: &Sealed) -> Vec<Cid> {
    sealed.blocks().iter().map(|block| Cid::of(block)).collect()
}

/// Whether a peer lists a log better than this device does: further, or in fewer segments. Were
/// either as good, two devices could take over each other's list for ever.
pub fn is_better(connection: &Connection, log: &Log, listing: &Listing) -> Result<bool> {
    let known = of_log(connection, log.id)?;
    let end = known.last().map_or(0, |cut| cut.last);
    Ok(end != listing.tip.position.id || listing.segments.len() < known.len())
}

/// Takes over how a peer lists a log that was applied up to the listing's end.
pub fn replace(connection: &Connection, log: &Log, listing: &Listing) -> Result<()> {
    connection.execute("DELETE FROM cut WHERE log = ?1", [log.id])?;
    let needs_us = meta::provider(connection)?.is_some() && needs_others(connection, log)?;
    for segment in &listing.segments {
        let (key, cids, body) = match &segment.body {
            Body::Inline(body) => {
                // A key that is never used: the index seals what travels inside of it.
                (ContentKey::from_bytes([0; 32]), Vec::new(), Some(body.to_vec()))
            }
            Body::Blocks(key, cids) => (key.clone(), cids.clone(), None),
        };
        let (log, first, last) = (log.id, segment.first, segment.last);
        // Its writer knows.
        let is_full = last <= listing.archived;
        let uploaded = cids.is_empty() || !needs_us;
        let cut = Cut { log, first, last, size: 0, key, cids, body, uploaded, is_full };
        insert(connection, &cut)?;
    }
    Ok(())
}

/// The segments of a log.
pub fn of_log(connection: &Connection, log: i64) -> Result<Vec<Cut>> {
    query(connection, "WHERE log = ?1 ORDER BY first", [log])
}

/// Some of the segments that are not at the provider yet; a few at a time, for they hold their
/// bytes.
pub fn to_upload(connection: &Connection) -> Result<Vec<Cut>> {
    loop {
        let found = query(connection, "WHERE uploaded = 0 ORDER BY log, first LIMIT 4", [])?;
        let (any, mut cuts) = (!found.is_empty(), Vec::new());
        for mut cut in found {
            let there = cut.body.is_some() || find_body(connection, &mut cut)?;
            match there {
                true => cuts.push(cut),
                // Its writer has it.
                false => set_uploaded(connection, &cut)?,
            }
        }
        if !any || !cuts.is_empty() {
            return Ok(cuts);
        }
    }
}

/// Makes the bytes of a segment anew, or looks on the shelf for them. Whether they are there.
fn find_body(connection: &Connection, cut: &mut Cut) -> Result<bool> {
    let logs = logs::all(connection)?.into_iter();
    match logs.filter(|log| log.id == cut.log).find_map(|log| Some((log.clone(), log.secret?))) {
        Some((log, secret)) => remake(connection, &log, &secret, cut).map(|()| true),
        None => {
            let blocks = cut.cids.iter().map(|cid| blocks::get(connection, cid));
            let Some(blocks) = blocks.collect::<Result<Option<Vec<_>>>>()? else {
                return Ok(false);
            };
            let sealed = Sealed::open(cut.key.clone(), &blocks);
            cut.body = Some(sealed.map_err(|_| Error::Damaged("block"))?.body().to_vec());
            Ok(true)
        }
    }
}

/// Makes the bytes of an own segment again that was uploaded before. They are the same as then, or
/// get another key.
fn remake(connection: &Connection, log: &Log, secret: &WriterSecret, cut: &mut Cut) -> Result<()> {
    let body = segment(connection, log, secret, cut.first, cut.last)?.to_body();
    let mut sealed = Sealed::restore(cut.key.clone(), body);
    if cids(&sealed) != cut.cids {
        sealed = Sealed::new(sealed.body().to_vec(), &mut rand::rng());
        (cut.key, cut.cids) = (sealed.key().clone(), cids(&sealed));
    }
    cut.body = Some(sealed.body().to_vec());
    connection.execute(
        "UPDATE cut SET key = ?3, cids = ?4, body = ?5 WHERE log = ?1 AND first = ?2",
        params![
            cut.log,
            sql::signed(cut.first),
            sql::encode(&cut.key),
            sql::encode(&cut.cids),
            cut.body,
        ],
    )?;
    Ok(())
}

/// Notes that nothing of what this device sees to is at the provider: it is another one now.
pub fn forget_uploads(connection: &Connection) -> Result<()> {
    for log in logs::all(connection)? {
        if log.secret.is_none() && !needs_others(connection, &log)? {
            continue;
        }
        for cut in of_log(connection, log.id)?.iter().filter(|cut| !cut.cids.is_empty()) {
            connection.execute(
                "UPDATE cut SET uploaded = 0 WHERE log = ?1 AND first = ?2",
                params![log.id, sql::signed(cut.first)],
            )?;
        }
    }
    Ok(())
}

/// Whether nobody can read a log but from the devices that have it: its writer has told of no place
/// where it publishes.
fn needs_others(connection: &Connection, log: &Log) -> Result<bool> {
    Ok(log.secret.is_none()
        && log.device != meta::DEVICE.get(connection)?
        && reach::all(connection)?.iter().all(|(device, _)| *device != log.device))
}

/// How many segments are not at the provider yet.
pub fn count_to_upload(connection: &Connection) -> Result<u64> {
    let count = connection
        .query_row("SELECT count(*) FROM cut WHERE uploaded = 0", [], |row| row.get(0))?;
    Ok(sql::unsigned(count))
}

/// Notes that a segment's blocks are at the provider. Their bytes can be made again.
pub fn set_uploaded(connection: &Connection, cut: &Cut) -> Result<()> {
    connection.execute(
        "UPDATE cut SET uploaded = 1, body = NULL WHERE log = ?1 AND first = ?2 AND last = ?3",
        params![cut.log, sql::signed(cut.first), sql::signed(cut.last)],
    )?;
    Ok(())
}

/// What the index says of a log; nothing if it is empty or nobody has signed it yet.
pub fn listing(connection: &Connection, log: &Log) -> Result<Option<Listing>> {
    let cuts = of_log(connection, log.id)?;
    let (Some(last), Some(tip)) = (cuts.last(), &log.tip) else { return Ok(None) };
    if last.last != tip.position.id {
        return Ok(None);
    }
    let archived = cuts.iter().rfind(|cut| cut.is_full).map_or(0, |cut| cut.last);
    let segments = cuts.iter().map(Cut::listed).collect();
    Ok(Some(Listing { tip: tip.clone(), archived, segments }))
}

/// Cuts what this device has written since the last time, and merges segments that have aged.
pub fn cut_own(connection: &Connection) -> Result<()> {
    for log in logs::all(connection)? {
        let Some(secret) = &log.secret else { continue };
        let cut_until = of_log(connection, log.id)?.last().map_or(0, |cut| cut.last);
        if cut_until < log.end.id {
            let tip = Tip::sign(&log.log.namespace, log.end, secret);
            logs::set_tip(connection, log.id, &tip)?;
            let mut first = cut_until + 1;
            while first <= log.end.id {
                let last = full_at(connection, &log, first)?;
                cut(connection, &log, secret, first, last)?;
                first = last + 1;
            }
            merge(connection, &log)?;
        }
    }
    Ok(())
}

/// The last mutation of a segment that begins with `first` and ends when it is full, or the log's.
fn full_at(connection: &Connection, log: &Log, first: u64) -> Result<u64> {
    let mut statement = connection.prepare_cached(
        "SELECT id, length(bytes) FROM mutation WHERE log = ?1 AND id >= ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows =
        statement.query(params![log.id, sql::signed(first), recut::FULL_COUNT as i64])?;
    let (mut last, mut size) = (log.end.id, 0);
    while let Some(row) = rows.next()?
        && size < recut::FULL as u64
    {
        last = sql::unsigned(row.get(0)?);
        size += sql::unsigned(row.get(1)?);
    }
    Ok(last)
}

fn merge(connection: &Connection, log: &Log) -> Result<()> {
    let Some(secret) = &log.secret else { return Ok(()) };
    let cuts = of_log(connection, log.id)?;
    let known: Vec<recut::Cut> = cuts
        .iter()
        .map(|cut| recut::Cut { first: cut.first, last: cut.last, size: cut.size as usize })
        .collect();
    for range in recut::plan(&known) {
        let Some((first, last)) =
            cuts.get(range).and_then(|merged| Some((merged.first()?.first, merged.last()?.last)))
        else {
            continue;
        };
        connection.execute(
            "DELETE FROM cut WHERE log = ?1 AND first BETWEEN ?2 AND ?3",
            params![log.id, sql::signed(first), sql::signed(last)],
        )?;
        cut(connection, log, secret, first, last)?;
    }
    Ok(())
}

fn cut(
    connection: &Connection,
    log: &Log,
    secret: &WriterSecret,
    first: u64,
    last: u64,
) -> Result<()> {
    let segment = segment(connection, log, secret, first, last)?;
    let sealed = Sealed::new(segment.to_body(), &mut rand::rng());
    add_own(connection, log.id, &segment, &sealed)
}

/// A segment of an own log. Made twice, it is the same.
fn segment(
    connection: &Connection,
    log: &Log,
    secret: &WriterSecret,
    first: u64,
    last: u64,
) -> Result<Segment> {
    let hash_at = |id| logs::hash_at(connection, log, id)?.ok_or(Error::Damaged("mutation"));
    let position = Position { id: last, hash: hash_at(last)? };
    let tip = Tip::sign(&log.log.namespace, position, secret);
    let mutations = logs::mutations(connection, log.id, first, last)?;
    let before = hash_at(first.saturating_sub(1))?;
    Segment::new(before, mutations, tip).map_err(|_| Error::Damaged("mutation"))
}

fn insert(connection: &Connection, cut: &Cut) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO cut (log, first, last, size, key, cids, body, uploaded, is_full) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            cut.log,
            sql::signed(cut.first),
            sql::signed(cut.last),
            sql::signed(cut.size),
            sql::encode(&cut.key),
            sql::encode(&cut.cids),
            cut.body,
            cut.uploaded,
            cut.is_full,
        ])?;
    Ok(())
}

fn query(
    connection: &Connection,
    condition: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<Cut>> {
    let text = format!(
        "SELECT log, first, last, size, key, cids, body, uploaded, is_full FROM cut {condition}"
    );
    let mut statement = connection.prepare_cached(&text)?;
    let mut rows = statement.query(params)?;
    let mut cuts = Vec::new();
    while let Some(row) = rows.next()? {
        cuts.push(Cut {
            log: row.get(0)?,
            first: sql::unsigned(row.get(1)?),
            last: sql::unsigned(row.get(2)?),
            size: sql::unsigned(row.get(3)?),
            key: sql::decode(&row.get::<_, Vec<u8>>(4)?, "cut")?,
            cids: sql::decode(&row.get::<_, Vec<u8>>(5)?, "cut")?,
            body: row.get(6)?,
            uploaded: row.get(7)?,
            is_full: row.get(8)?,
        });
    }
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use handfast_keys::Timestamp;
    use handfast_ledger::{Fields, Namespace, RecordId};
    use handfast_ring::{DeviceKeys, Incarnation};

    use super::super::edits::{Edit, Editor};
    use super::super::{Store, meta};
    use super::*;
    use crate::feed::{Archive, Index};

    /// A device that was paired, and its notes.
    struct Notes {
        keys: DeviceKeys,
        store: Store,
        written: u64,
        _dir: tempfile::TempDir,
    }

    impl Notes {
        fn new() -> Notes {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::create(&dir.path().join("db"), |tx| {
                meta::SEALED.set(tx, &true)?;
                meta::INCARNATION.set(tx, &Incarnation::from_bytes([1; 16]))
            });
            let keys = DeviceKeys::generate(&mut rand::rng());
            Notes { keys, store: store.unwrap(), written: 0, _dir: dir }
        }

        /// Writes so many notes of that many bytes, and cuts the log.
        fn write(&mut self, count: u64, size: usize) -> Listing {
            let fields = format!(r#"{{"text":"{}"}}"#, "x".repeat(size));
            let (fields, namespace) =
                (Fields::parse(&fields).unwrap(), Namespace::new("notes").unwrap());
            let from = self.written;
            self.written += count;
            let listed = self.store.write(|tx| {
                let mut editor = Editor::open(tx, &self.keys, &namespace)?;
                for number in from..self.written {
                    let mut id = [0; 16];
                    id[8..].copy_from_slice(&number.to_be_bytes());
                    let edit = Edit::Put(fields.clone());
                    editor.edit(&RecordId::from_bytes(id), edit, Timestamp(5))?;
                }
                cut_own(tx)?;
                listing(tx, &logs::own(tx, &self.keys, &namespace)?)
            });
            listed.unwrap().unwrap()
        }
    }

    fn counts(segments: &[SegmentRef]) -> Vec<u64> {
        segments.iter().map(|segment| segment.last - segment.first + 1).collect()
    }

    #[test]
    fn what_is_written_at_once_is_cut_by_size_too() {
        // More than a segment can hold.
        let listing = Notes::new().write(100, 180_000);
        let counts = counts(&listing.segments);
        assert_eq!(counts.iter().sum::<u64>(), 100);
        assert_eq!(counts[0], recut::FULL as u64 / 180_000 + 1);
    }

    #[test]
    fn what_never_changes_goes_into_the_archive() {
        let mut notes = Notes::new();
        let index = |listing| Index { logs: vec![listing], ..Index::default() };
        let (few, none) = index(notes.write(5, 1)).part();
        assert_eq!((counts(&few.logs[0].segments), none), (vec![5], Archive::default()));
        let whole = index(notes.write(10_000, 1));
        let (ten, before) = whole.clone().part();
        // The five before stay what they are.
        assert_eq!((ten.logs[0].archived, &ten.logs[0].segments[..]), (10_005, &[][..]));
        assert_eq!(counts(&before.logs[0].segments), [5, 10_000]);
        assert_eq!(ten.clone().join(before.clone()), Some(whole));
        // What is written from then on doesn't touch it.
        let (more, after) = index(notes.write(150, 1)).part();
        assert_eq!((counts(&more.logs[0].segments), &after), (vec![150], &before));
        let (tail, after) = index(notes.write(3, 1)).part();
        assert_eq!((counts(&tail.logs[0].segments), &after), (vec![150, 3], &before));
        let inline: Vec<bool> = tail.logs[0]
            .segments
            .iter()
            .map(|segment| matches!(segment.body, Body::Inline(_)))
            .collect();
        assert_eq!(inline, [false, true]);
        // Another archive is none.
        let mut twice = before.clone();
        twice.logs.extend(before.logs.clone());
        for other in [Archive::default(), twice] {
            assert_eq!(ten.clone().join(other), None);
        }
        assert_eq!(few.join(before), None);
    }
}
