//! What a received segment means for the log that is already here.
//!
//! Segments overlap, because whoever passes a log on may cut it anew. Since each hash of a chain
//! covers everything before it, two logs that agree at an id agree everywhere before it, and two
//! that differ at an id differ for ever: the comparison is a binary search.
//!
//! A **fork** is a log of which its writer signed two versions. Everybody applies exactly the
//! common prefix of all the versions they know, keeps the rest as evidence and tells the person.

use serde::{Deserialize, Serialize};

use crate::log::{ChainHash, LogId, Tip};
use crate::segment::Verified;

/// What to do with a verified segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Graft {
    /// It holds nothing new.
    Known,
    /// Its entries from index `skip` on continue the local log.
    Extends {
        /// How many of its entries are here already.
        skip: usize,
    },
    /// It begins later than the local log ends: the mutations from `from` on are missing.
    Gap {
        /// The first id that is missing.
        from: u64,
    },
    /// It is another version of the log. Both are the same up to `common`.
    Forks {
        /// The last id of the common prefix; 0 if there is none.
        common: u64,
    },
    /// It is another version of the log and differs already before its own first mutation: the
    /// same publisher's segments before it tell where.
    ForksBefore {
        /// Its first id.
        first: u64,
    },
}

impl Graft {
    /// Compares a segment with the local log, which ends at id `end` and whose hash at an id
    /// from 0 to `end` is what `hash_at` returns. A hash that the caller cannot produce counts
    /// as different.
    pub fn of(segment: &Verified, end: u64, hash_at: impl Fn(u64) -> Option<ChainHash>) -> Self {
        let before = segment.first() - 1;
        if before > end {
            return Self::Gap { from: end + 1 };
        }
        if hash_at(before) != Some(segment.before()) {
            return Self::ForksBefore { first: segment.first() };
        }
        let known = usize::try_from(end - before).unwrap_or(usize::MAX);
        let overlap = segment.entries().get(..known).unwrap_or(segment.entries());
        let agrees =
            |entry: &crate::log::LogEntry| hash_at(entry.mutation.id()) == Some(entry.hash);
        if !overlap.last().is_none_or(agrees) {
            let same = overlap.partition_point(agrees);
            return Self::Forks { common: before + same as u64 };
        }
        if overlap.len() == segment.entries().len() {
            Self::Known
        } else {
            Self::Extends { skip: overlap.len() }
        }
    }
}

/// A log of which its writer signed two versions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "(u64, Tip, Tip)", into = "(u64, Tip, Tip)")]
pub struct Fork {
    /// The last id up to which both versions are the same; 0 if there is none.
    pub common: u64,
    /// A tip of each, beyond `common`. They prove the fork together with the mutations between
    /// `common` and them.
    pub evidence: [Tip; 2],
}

impl Fork {
    /// Puts a fork down: where the versions part and a tip of each.
    pub fn new(common: u64, one: Tip, other: Tip) -> Self {
        let swap = one.position.hash > other.position.hash;
        Self { common, evidence: if swap { [other, one] } else { [one, other] } }
    }

    /// Which log.
    pub fn log(&self) -> &LogId {
        let [one, _] = &self.evidence;
        &one.log
    }

    /// Of two forks of one log, the one that parts earlier: the one that counts.
    pub fn earlier(self, other: Fork) -> Fork {
        let rank = |fork: &Fork| {
            let [one, two] = &fork.evidence;
            (fork.common, one.position.hash, two.position.hash)
        };
        if rank(&other) < rank(&self) { other } else { self }
    }
}

impl From<(u64, Tip, Tip)> for Fork {
    fn from((common, one, other): (u64, Tip, Tip)) -> Self {
        Self::new(common, one, other)
    }
}

impl From<Fork> for (u64, Tip, Tip) {
    fn from(Fork { common, evidence: [one, other] }: Fork) -> Self {
        (common, one, other)
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::{Timestamp, WriterSecret, canonical};

    use super::*;
    use crate::field::Fields;
    use crate::log::Author;
    use crate::mutation::Op;
    use crate::namespace::Namespace;
    use crate::record::RecordId;
    use crate::segment::Segment;

    /// A log of `count` mutations; from `differs` on those of version `version`.
    fn log(count: u64, differs: u64, version: u8) -> Vec<(ChainHash, Vec<u8>)> {
        let secret = WriterSecret::from_seed([1; 32]);
        let mut author = Author::new(&Namespace::new("n").unwrap(), &secret, None);
        (1..=count)
            .map(|id| {
                let record = RecordId::from_bytes([if id < differs { 0 } else { version }; 16]);
                let op = Op::Create { fields: Fields::new() };
                let entry = author.append(record, Timestamp(id), op).unwrap();
                (entry.hash, entry.bytes)
            })
            .collect()
    }

    fn hash(log: &[(ChainHash, Vec<u8>)], id: u64) -> Option<ChainHash> {
        let secret = WriterSecret::from_seed([1; 32]);
        let start = LogId { namespace: Namespace::new("n").unwrap(), writer: secret.public() };
        match id {
            0 => Some(start.start().hash),
            _ => log.get(id as usize - 1).map(|(hash, _)| *hash),
        }
    }

    fn cut(log: &[(ChainHash, Vec<u8>)], first: u64, last: u64) -> Verified {
        let secret = WriterSecret::from_seed([1; 32]);
        let position = crate::log::Position { id: last, hash: hash(log, last).unwrap() };
        let tip = Tip::sign(&Namespace::new("n").unwrap(), position, &secret);
        let bytes = log[first as usize - 1..last as usize].iter().map(|(_, bytes)| bytes.clone());
        let before = hash(log, first - 1).unwrap();
        Segment::new(before, bytes.collect(), tip).unwrap().verify().unwrap()
    }

    #[test]
    fn every_way_two_logs_can_meet() {
        let here = log(20, 99, 0);
        let same = log(40, 99, 0);
        let other = log(40, 13, 7);
        let graft = |segment: &Verified| Graft::of(segment, 20, |id| hash(&here, id));
        assert_eq!(graft(&cut(&same, 1, 20)), Graft::Known);
        assert_eq!(graft(&cut(&same, 5, 9)), Graft::Known);
        assert_eq!(graft(&cut(&same, 15, 30)), Graft::Extends { skip: 6 });
        assert_eq!(graft(&cut(&same, 21, 30)), Graft::Extends { skip: 0 });
        assert_eq!(graft(&cut(&same, 22, 30)), Graft::Gap { from: 21 });
        assert_eq!(graft(&cut(&other, 1, 12)), Graft::Known);
        assert_eq!(graft(&cut(&other, 1, 13)), Graft::Forks { common: 12 });
        assert_eq!(graft(&cut(&other, 10, 40)), Graft::Forks { common: 12 });
        assert_eq!(graft(&cut(&other, 13, 40)), Graft::Forks { common: 12 });
        assert_eq!(graft(&cut(&other, 14, 40)), Graft::ForksBefore { first: 14 });
        assert_eq!(graft(&cut(&other, 21, 40)), Graft::ForksBefore { first: 21 });
        assert_eq!(graft(&cut(&log(3, 1, 9), 1, 3)), Graft::Forks { common: 0 });
        let empty = Graft::of(&cut(&same, 1, 3), 0, |id| hash(&[], id));
        assert_eq!(empty, Graft::Extends { skip: 0 });
    }

    #[test]
    fn all_agree_which_fork_counts() {
        let (a, b, c) = (log(9, 99, 0), log(9, 4, 1), log(9, 6, 2));
        let tip = |log: &[_]| cut(log, 1, 9).tip().clone();
        let one = Fork::new(3, tip(&a), tip(&b));
        let two = Fork::new(5, tip(&c), tip(&a));
        assert_eq!(one, Fork::new(3, tip(&b), tip(&a)));
        assert_eq!(one.clone().earlier(two.clone()), one);
        assert_eq!(two.clone().earlier(one.clone()), one);
        assert_eq!(canonical::decode::<Fork>(&canonical::encode(&two), 1024), Ok(two));
    }
}
