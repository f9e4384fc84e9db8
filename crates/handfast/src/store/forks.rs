//! Logs that contradict themselves, and stores that were copied or restored.
//!
//! Two stores that write one log make a fork. Of a forked log everybody keeps exactly the common
//! prefix. The device whose log it is goes on under new writer keys, and writes what is lost again.

use std::collections::{BTreeMap, BTreeSet};

use handfast_ledger::{Author, Dot, Fork, Mutation, Position, RecordId, Tip, Verified, reauthor};
use handfast_ring::{DeviceKeys, Incarnation};
use rand::Rng;
use rusqlite::{Connection, params};
use serde_bytes::ByteBuf;

use super::logs::{self, Log};
use super::records::{self, Rows};
use super::replay::{self, Applied, Outcome};
use super::{meta, provisional, sql};
use crate::error::{Error, Result};

/// Puts down that a log has forked: the version kept here and that of `segment` part after
/// `common`. What lies beyond is taken back; if this device wrote it, it is written again.
pub fn part(
    connection: &Connection,
    keys: &DeviceKeys,
    log: &Log,
    common: u64,
    segment: &Verified,
) -> Result<Outcome> {
    let own = log.device == keys.device_id();
    let mut branches = Vec::new();
    if own {
        branches.push(tail(connection, log, common + 1)?);
    }
    let signed = log.tip.clone().filter(|tip| tip.position.id > common);
    let applied = match signed {
        Some(tip) => {
            let theirs = segment.entries().iter().map(|entry| &entry.mutation);
            branches.push(theirs.filter(|m| own && m.id() > common).cloned().collect());
            record(connection, log, Fork::new(common, tip, segment.tip().clone()))?
        }
        // Nobody but this store knows its version: the other one is the log.
        None => {
            let applied = take_back(connection, log, common)?;
            let Some(log) = logs::find(connection, &log.log)? else { return Ok(Outcome::Known) };
            let log = Log { secret: None, ..log };
            match replay::apply(connection, keys, &log, segment.clone())? {
                Outcome::Applied(more) => applied.and(more),
                _ => applied,
            }
        }
    };
    if own {
        if log.secret.is_some() {
            retire(connection, keys)?;
        }
        for branch in branches.iter().filter(|branch| !branch.is_empty()) {
            write_again(connection, keys, log, branch)?;
        }
    }
    Ok(Outcome::Forked(applied))
}

/// Takes in a fork that a peer tells of. It counts if the evidence proves it: two signed tips of
/// which one is not in the log as it is known here.
pub fn learn(connection: &Connection, fork: Fork) -> Result<Outcome> {
    let Some(log) = logs::find(connection, fork.log())? else { return Ok(Outcome::Known) };
    let [one, two] = &fork.evidence;
    let signed = [one, two].iter().all(|tip| tip.verify().is_ok() && tip.log == log.log);
    let beyond = [one, two].iter().all(|tip| tip.position.id > fork.common);
    let foreign = |tip: &Tip| -> Result<bool> {
        let hash = logs::hash_at(connection, &log, tip.position.id)?;
        Ok(hash.is_some_and(|hash| hash != tip.position.hash))
    };
    if !signed || !beyond || !(one.contradicts(two) || foreign(one)? || foreign(two)?) {
        return Ok(Outcome::Known);
    }
    if let Some(known) = known(&log)?
        && known.clone().earlier(fork.clone()) == known
    {
        return Ok(Outcome::Known);
    }
    Ok(Outcome::Forked(record(connection, &log, fork)?))
}

/// The fork that counts for a log.
pub fn known(log: &Log) -> Result<Option<Fork>> {
    log.fork.as_ref().map(|fork| sql::decode(fork, "fork")).transpose()
}

/// Goes on under new writer keys: this store is a copy, was restored, or somebody knows more of
/// its logs than itself. What nobody has signed yet is written again.
pub fn retire(connection: &Connection, keys: &DeviceKeys) -> Result<()> {
    let mut incarnation = [0; 16];
    rand::rng().fill_bytes(&mut incarnation);
    meta::INCARNATION.set(connection, &Incarnation::from_bytes(incarnation))?;
    if meta::TWIN.find(connection)?.is_none() {
        meta::TWIN.set(connection, &ByteBuf::new())?;
    }
    let own: Vec<Log> =
        logs::all(connection)?.into_iter().filter(|log| log.secret.is_some()).collect();
    logs::retire_own(connection)?;
    for log in own {
        let signed = log.tip.as_ref().map_or(0, |tip| tip.position.id);
        let tail = tail(connection, &log, signed + 1)?;
        if !tail.is_empty() {
            take_back(connection, &log, signed)?;
            write_again(connection, keys, &log, &tail)?;
        }
    }
    Ok(())
}

/// Writes mutations of an own log again, under the present writer key.
pub fn write_again(
    connection: &Connection,
    keys: &DeviceKeys,
    old: &Log,
    branch: &[Mutation],
) -> Result<()> {
    let log = logs::own(connection, keys, &old.log.namespace)?;
    let Some(secret) = &log.secret else { return Err(Error::Damaged("log")) };
    let mut author = Author::new(&log.log.namespace, secret, Some(log.end));
    provisional::drop(connection, log.collection)?;
    let elsewhere = elsewhere(connection, old, branch)?;
    let entries = reauthor(&mut author, &old.log.writer, branch, |lost| {
        let said = elsewhere.get(&lost.record())?;
        said.iter().find(|(_, mutation)| lost.says_the_same(mutation)).map(|(dot, _)| *dot)
    })?;
    for entry in &entries {
        logs::append(connection, log.id, entry)?;
        let record = entry.mutation.record();
        let mut state = records::state(connection, Rows::Replayed, log.collection, &record)?
            .unwrap_or_default();
        state.apply(&log.log.writer, &entry.mutation);
        records::set_state(connection, Rows::Replayed, log.collection, &record, &state)?;
    }
    logs::set_end(connection, log.id, author.position())
}

/// What other logs say of the records of a branch: another copy of this store may have written the
/// branch again already.
fn elsewhere(
    connection: &Connection,
    old: &Log,
    branch: &[Mutation],
) -> Result<BTreeMap<RecordId, Vec<(Dot, Mutation)>>> {
    let mut said: BTreeMap<RecordId, Vec<(Dot, Mutation)>> =
        branch.iter().map(|mutation| (mutation.record(), Vec::new())).collect();
    for log in logs::of_collection(connection, old.collection)? {
        if log.id != old.id {
            replay::each_mutation(connection, &log, 1, |mutation| {
                if let Some(said) = said.get_mut(&mutation.record()) {
                    said.push((Dot { writer: log.log.writer, id: mutation.id() }, mutation));
                }
                Ok(())
            })?;
        }
    }
    Ok(said)
}

/// The mutations of a log from `first` on.
pub fn tail(connection: &Connection, log: &Log, first: u64) -> Result<Vec<Mutation>> {
    let mut tail = Vec::new();
    replay::each_mutation(connection, log, first, |mutation| {
        tail.push(mutation);
        Ok(())
    })?;
    Ok(tail)
}

fn record(connection: &Connection, log: &Log, fork: Fork) -> Result<Applied> {
    let fork = match known(log)? {
        Some(known) => known.earlier(fork),
        None => fork,
    };
    connection
        .execute("UPDATE log SET fork = ?2 WHERE id = ?1", params![log.id, sql::encode(&fork)])?;
    take_back(connection, log, fork.common)
}

/// Takes back what lies beyond `last` in a log.
fn take_back(connection: &Connection, log: &Log, last: u64) -> Result<Applied> {
    if last >= log.end.id {
        return Ok(Applied::default());
    }
    provisional::drop(connection, log.collection)?;
    let mut affected = BTreeSet::new();
    replay::each_mutation(connection, log, last + 1, |mutation| {
        affected.insert(mutation.record());
        Ok(())
    })?;
    let hash = logs::hash_at(connection, log, last)?.ok_or(Error::Damaged("mutation"))?;
    connection.execute(
        "DELETE FROM mutation WHERE log = ?1 AND id > ?2",
        params![log.id, sql::signed(last)],
    )?;
    logs::set_end(connection, log.id, Position { id: last, hash })?;
    replay::rebuild(connection, log.collection, &affected)
}
