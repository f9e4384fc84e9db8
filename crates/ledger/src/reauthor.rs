//! Writing lost mutations again under a new key.
//!
//! When a writer's log has forked, what lies beyond the common prefix counts for nobody. Whoever
//! holds the writer's key takes a new one and writes those mutations again under it, of every
//! version that it knows and in their order, so that no edit is lost.
//!
//! What was never signed nobody else can have. So it is no version of the log: one's own mutations
//! beyond one's last tip give way to a version that somebody else has signed with the key, and are
//! written again in the same way; without a signed contradiction the log has not forked.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use handfast_keys::WriterPublic;

use crate::log::{Author, LogEntry};
use crate::mutation::{Change, Dot, Mutation, MutationError, Op};

/// Writes one branch of `old`'s log, all its mutations beyond the common prefix in their order,
/// again as `author`.
///
/// Times and values stay. Where one of these mutations names another of them, the new one names
/// the new one; what it names of other logs, or of the common prefix, it still names.
///
/// Several devices may hold the key (one of them a restored copy), so `find` looks for a mutation
/// that [says the same](Mutation::says_the_same) in the applied part of any other log; one that is
/// found is not written again. With several branches, call this for each and apply what it returns
/// before the next.
pub fn reauthor<'a>(
    author: &mut Author<'_>,
    old: &WriterPublic,
    branch: impl IntoIterator<Item = &'a Mutation>,
    find: impl Fn(&Mutation) -> Option<Dot>,
) -> Result<Vec<LogEntry>, MutationError> {
    let mut renamed: BTreeMap<u64, Dot> = BTreeMap::new();
    let mut entries = Vec::new();
    for mutation in branch {
        if let Some(found) = find(mutation) {
            renamed.insert(mutation.id(), found);
            continue;
        }
        let rename = |dot: &Dot| match renamed.get(&dot.id) {
            Some(new) if dot.writer == *old => *new,
            _ => *dot,
        };
        let op = with_dots(mutation.op(), rename);
        let entry = author.append(mutation.record(), mutation.timestamp(), op)?;
        renamed.insert(mutation.id(), Dot { writer: author.log().writer, id: entry.mutation.id() });
        entries.push(entry);
    }
    Ok(entries)
}

/// The same operation with other dots.
fn with_dots(op: &Op, rename: impl Fn(&Dot) -> Dot) -> Op {
    let renamed = |dots: &[Dot]| {
        let mut dots: Vec<Dot> = dots.iter().map(&rename).collect();
        dots.sort_unstable();
        dots.dedup();
        dots
    };
    match op {
        Op::Create { fields } => Op::Create { fields: fields.clone() },
        Op::Update { changes, seen } => Op::Update {
            changes: changes
                .iter()
                .map(|Change { field, value, supersedes }| Change {
                    field: field.clone(),
                    value: value.clone(),
                    supersedes: renamed(supersedes),
                })
                .collect(),
            seen: seen.as_deref().map(renamed),
        },
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::{Timestamp, WriterSecret};

    use super::*;
    use crate::edit::create;
    use crate::field::{FieldName, Fields};
    use crate::namespace::Namespace;
    use crate::record::RecordId;
    use crate::state::RecordState;
    use crate::value::Value;

    #[test]
    fn a_branch_lives_on_under_another_key() {
        let namespace = Namespace::new("notes").unwrap();
        let record = RecordId::from_bytes([3; 16]);
        let [old, new] = [1, 2].map(|byte| WriterSecret::from_seed([byte; 32]));
        let mut author = Author::new(&namespace, &old, None);
        let mut state = RecordState::default();
        let mut write = |state: &mut RecordState, op: Option<Op>| {
            let entry = author.append(record, Timestamp(7), op.unwrap()).unwrap();
            state.apply(&old.public(), &entry.mutation);
            entry.mutation
        };
        let fields = Fields::parse(r#"{"a":0,"b":0}"#).unwrap();
        write(&mut state, create(None, fields).unwrap());
        let prefix = state.clone();
        let mut branch = Vec::new();
        for value in ["1", "2"] {
            let name = FieldName::new("a").unwrap();
            let op = state.set(name, Value::parse(value).unwrap()).unwrap();
            branch.push(write(&mut state, op));
        }
        let delete = state.delete().unwrap();
        branch.push(write(&mut state, delete));

        let mut author = Author::new(&namespace, &new, None);
        let entries = reauthor(&mut author, &old.public(), &branch, |_| None).unwrap();
        assert_eq!(entries.len(), 3);
        let mut again = prefix;
        for entry in &entries {
            again.apply(&new.public(), &entry.mutation);
        }
        assert_eq!(again.winners_text(), state.winners_text());
        assert!(!again.is_visible(Default::default()));
        assert_eq!(again.field("a").unwrap().entries().len(), 1);

        // Whoever comes second finds it all written already.
        let find = |mutation: &Mutation| {
            let same = entries.iter().find(|entry| entry.mutation.says_the_same(mutation))?;
            Some(Dot { writer: new.public(), id: same.mutation.id() })
        };
        let third = WriterSecret::from_seed([3; 32]);
        let mut author = Author::new(&namespace, &third, None);
        assert_eq!(reauthor(&mut author, &old.public(), &branch, find), Ok(Vec::new()));
    }
}
