//! When to merge segments.
//!
//! Every edit that is published makes a segment, so they must merge as they age: what is below 100
//! mutations merges into one tail (it travels inside of the index), 100 and more merge when
//! they reach 1 000 together, those when they reach 10 000; then they are full and stay. A mutation
//! is uploaded at most four times, and beside full segments a log has only a few dozen others,
//! however long it is.

use alloc::vec::Vec;
use core::ops::Range;

/// At how many mutations a segment moves up.
const TIERS: [u64; 3] = [TAIL, 1_000, 10_000];

/// Below how many mutations a segment is the tail: it is made anew at every edit, so it travels
/// inside of the index.
pub const TAIL: u64 = 100;

/// How many bytes make a segment full, however few mutations they are. (Full segments are thus
/// below four times this, well within [`MAX_PLAINTEXT`](crate::packing::MAX_PLAINTEXT).)
pub const FULL: usize = 3 * 1024 * 1024;

/// How many mutations make a segment full.
pub const FULL_COUNT: usize = 10_000;

/// What the policy must know of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The id of its first mutation.
    pub first: u64,
    /// The id of its last mutation.
    pub last: u64,
    /// How many bytes its mutations have, uncompressed.
    pub size: usize,
}

impl Cut {
    /// Whether it is never merged any more, and neither is what lies before it: only what lies behind
    /// the last full segment changes.
    pub fn is_full(&self) -> bool {
        self.size >= FULL || (self.last + 1).saturating_sub(self.first) >= FULL_COUNT as u64
    }
}

/// Segments that are, or will be, one.
struct Group {
    members: Range<usize>,
    count: u64,
    size: usize,
}

impl Group {
    /// How far it moved up: 0 for the tail, 3 for full.
    fn tier(&self) -> usize {
        if self.size >= FULL {
            return TIERS.len();
        }
        TIERS.iter().filter(|tier| self.count >= **tier).count()
    }
}

/// Tells which of a log's segments to merge now: ranges of indices into `cuts`, in order, each of
/// two segments or more. `cuts` are the segments of one log, each beginning where the one before
/// it ends; where one does not, nothing is merged across the gap. After the merges the answer is
/// empty until the log grows.
pub fn plan(cuts: &[Cut]) -> Vec<Range<usize>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut done = Vec::new();
    let mut end = None;
    for (index, cut) in cuts.iter().enumerate() {
        if end.is_some_and(|end| cut.first != end + 1) {
            finish(&mut groups, &mut done);
        }
        end = Some(cut.last);
        let count = (cut.last + 1).saturating_sub(cut.first);
        groups.push(Group { members: index..index + 1, count, size: cut.size });
        while move_up(&mut groups) {}
    }
    finish(&mut groups, &mut done);
    done
}

/// Merges the newest groups if together they reach the next tier.
fn move_up(groups: &mut Vec<Group>) -> bool {
    let Some(tier) = groups.last().map(Group::tier) else {
        return false;
    };
    let Some(wanted) = TIERS.get(tier) else {
        return false;
    };
    let run = groups.iter().rev().take_while(|group| group.tier() <= tier).count();
    let tail = groups.get(groups.len() - run..).unwrap_or_default();
    let count: u64 = tail.iter().map(|group| group.count).sum();
    let size: usize = tail.iter().map(|group| group.size).sum();
    run > 1 && (count >= *wanted || size >= FULL) && merge(groups, run)
}

/// Merges the newest `run` groups into one.
fn merge(groups: &mut Vec<Group>, run: usize) -> bool {
    let tail = groups.split_off(groups.len() - run.min(groups.len()));
    let merged = tail.into_iter().reduce(|a, b| Group {
        members: a.members.start..b.members.end,
        count: a.count + b.count,
        size: a.size + b.size,
    });
    groups.extend(merged);
    true
}

/// Ends a stretch without gaps: its tail becomes one.
fn finish(groups: &mut Vec<Group>, done: &mut Vec<Range<usize>>) {
    let tail = groups.iter().rev().take_while(|group| group.tier() == 0).count();
    merge(groups, tail);
    let merged = groups.drain(..).map(|group| group.members);
    done.extend(merged.filter(|members| members.len() > 1));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutation::Mutation;
    use crate::packing::MAX_PLAINTEXT;
    use crate::segment::Segment;

    fn apply(cuts: &mut Vec<Cut>, plan: &[Range<usize>]) -> u64 {
        let mut moved = 0;
        for range in plan.iter().rev() {
            let merged = Cut {
                first: cuts[range.start].first,
                last: cuts[range.end - 1].last,
                size: cuts[range.clone()].iter().map(|cut| cut.size).sum(),
            };
            assert!(merged.size < MAX_PLAINTEXT - 1024 * 1024);
            assert!(merged.last - merged.first < Segment::MAX_MUTATIONS as u64);
            if merged.last - merged.first >= 99 {
                moved += merged.last - merged.first + 1;
            }
            cuts.splice(range.clone(), [merged]);
        }
        moved
    }

    #[test]
    fn the_index_stays_short_and_uploads_few() {
        let (mut cuts, mut moved) = (Vec::new(), 0);
        for id in 1..=60_000 {
            cuts.push(Cut { first: id, last: id, size: 200 });
            let merges = plan(&cuts);
            moved += apply(&mut cuts, &merges);
            assert!(cuts.len() <= 6 + 1 + 9 + 9, "{} segments", cuts.len());
        }
        assert_eq!(cuts.len(), 6);
        assert!(moved <= 3 * 60_000, "{moved} uploads");
    }

    #[test]
    fn gaps_are_left_alone() {
        let cut = |first, last| Cut { first, last, size: 9 };
        assert_eq!(plan(&[cut(1, 10), cut(11, 20), cut(31, 40), cut(41, 50)]), [0..2, 2..4]);
        assert_eq!(plan(&[cut(1, 10), cut(31, 40)]), []);
        assert_eq!(plan(&[cut(1, 20_000), cut(20_001, 40_000)]), []);
        assert_eq!(plan(&[]), []);
    }

    proptest! {
        #[test]
        fn stable_and_within_bounds(
            steps in prop::collection::vec((1u64..3000, 1usize..1_000_000), 1..120)
        ) {
            let (mut cuts, mut end): (Vec<Cut>, u64) = (Vec::new(), 0);
            for (count, size) in steps {
                let size = size.min(count as usize * Mutation::MAX);
                let settled = cuts.iter().rposition(Cut::is_full).map_or(0, |last| last + 1);
                let before = cuts[..settled].to_vec();
                cuts.push(Cut { first: end + 1, last: end + count, size });
                end += count;
                let merges = plan(&cuts);
                apply(&mut cuts, &merges);
                prop_assert_eq!(&cuts[..settled], &before);
                prop_assert_eq!(plan(&cuts), []);
                prop_assert!(cuts.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
                let full = cuts.iter().filter(|cut| cut.is_full());
                prop_assert!(cuts.len() - full.count() <= 60);
            }
        }
    }
}
