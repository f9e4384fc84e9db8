//! The multi-value register: which values a field has.
//!
//! A field's values are those that no update has replaced. An update names the dots that it
//! replaces; one that has not arrived yet is remembered and dropped on arrival, so the order of
//! arrival never matters and nothing waits. One value is the normal case, several are a conflict
//! that every device sees alike until somebody replaces them all.

use alloc::vec::Vec;
use core::cmp::Reverse;

use handfast_keys::Timestamp;

use crate::mutation::Dot;
use crate::value::Value;

/// A value that one mutation wrote and none has replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The mutation that wrote it.
    pub dot: Dot,
    /// That mutation's time.
    pub timestamp: Timestamp,
    /// The value.
    pub value: Value,
}

impl Entry {
    /// By what the favourite is chosen: latest time, then writer key, then id.
    pub(crate) fn rank(&self) -> (Timestamp, Dot) {
        (self.timestamp, self.dot)
    }
}

/// One of a field's values as it is shown: the same value from several writers is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate<'a> {
    /// The latest entry that holds the value.
    pub entry: &'a Entry,
    /// The dots of all entries that hold it, sorted.
    pub dots: Vec<Dot>,
}

/// The values of one field.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Register {
    /// Sorted by dot.
    entries: Vec<Entry>,
    /// Replaced dots, sorted: those that have not arrived must be known, the others may be.
    superseded: Vec<Dot>,
}

impl Register {
    /// A field that one mutation wrote first.
    pub(crate) fn written(entry: Entry) -> Self {
        Self { entries: Vec::from([entry]), superseded: Vec::new() }
    }

    /// Puts a stored register together again. Both lists are sorted by dot.
    pub(crate) fn restore(entries: Vec<Entry>, superseded: Vec<Dot>) -> Self {
        Self { entries, superseded }
    }

    /// Takes in what a mutation wrote and what it replaces; tells whether anything changed.
    pub fn apply(&mut self, entry: &Entry, supersedes: &[Dot]) -> bool {
        let mut changed = false;
        for dot in supersedes {
            if let Err(at) = self.superseded.binary_search(dot) {
                self.superseded.insert(at, *dot);
                changed = true;
            }
            if let Ok(at) = self.position(dot) {
                self.entries.remove(at);
            }
        }
        if self.superseded.binary_search(&entry.dot).is_err()
            && let Err(at) = self.position(&entry.dot)
        {
            if self.entries.is_empty() {
                // One value is the normal case: not room for four.
                self.entries.reserve_exact(1);
            }
            self.entries.insert(at, entry.clone());
            changed = true;
        }
        changed
    }

    /// Forgets replaced dots that were applied, so that they can never arrive again. The caller
    /// answers for that: a log is applied in order and each mutation of it once.
    pub fn prune(&mut self, applied: &impl Fn(&Dot) -> bool) {
        self.superseded.retain(|dot| !applied(dot));
    }

    /// The entries, sorted by dot.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The replaced dots that are remembered, sorted.
    pub fn superseded(&self) -> &[Dot] {
        &self.superseded
    }

    /// The value that reads return. For display: a conflict stays one until it is resolved.
    pub fn favourite(&self) -> Option<&Entry> {
        self.entries.iter().max_by_key(|entry| entry.rank())
    }

    /// Tells whether the field has values that differ.
    pub fn is_conflict(&self) -> bool {
        self.entries.windows(2).any(|pair| match pair {
            [a, b] => a.value != b.value,
            _ => false,
        })
    }

    /// The field's values, the favourite first.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        let mut candidates: Vec<Candidate<'_>> = Vec::new();
        for entry in &self.entries {
            match candidates.iter_mut().find(|known| known.entry.value == entry.value) {
                Some(known) => {
                    known.dots.push(entry.dot);
                    if entry.rank() > known.entry.rank() {
                        known.entry = entry;
                    }
                }
                None => candidates.push(Candidate { entry, dots: Vec::from([entry.dot]) }),
            }
        }
        candidates.sort_by_key(|candidate| Reverse(candidate.entry.rank()));
        candidates
    }

    /// The dots of the entries, sorted: what an update has to replace.
    pub fn dots(&self) -> impl ExactSizeIterator<Item = Dot> {
        self.entries.iter().map(|entry| entry.dot)
    }

    fn position(&self, dot: &Dot) -> Result<usize, usize> {
        self.entries.binary_search_by_key(dot, |entry| entry.dot)
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::WriterPublic;
    use proptest::prelude::*;

    use super::*;

    fn dot(writer: u8, id: u64) -> Dot {
        Dot { writer: WriterPublic::from_bytes([writer; 32]), id }
    }

    fn entry(writer: u8, id: u64, timestamp: u64, value: i64) -> Entry {
        let value = Value::parse(&value.to_string()).unwrap();
        Entry { dot: dot(writer, id), timestamp: Timestamp(timestamp), value }
    }

    fn values(register: &Register) -> Vec<String> {
        register.candidates().iter().map(|c| c.entry.value.to_string()).collect()
    }

    #[test]
    fn several_values_until_somebody_replaces_them() {
        let mut register = Register::default();
        assert!(register.apply(&entry(1, 1, 10, 100), &[]));
        assert!(register.apply(&entry(2, 1, 20, 200), &[]));
        assert!(register.apply(&entry(3, 1, 20, 300), &[]));
        assert!(register.is_conflict());
        assert_eq!(values(&register), ["300", "200", "100"]);
        assert!(register.apply(&entry(1, 2, 30, 200), &[dot(1, 1), dot(2, 1)]));
        assert_eq!(values(&register), ["200", "300"]);
        assert!(register.apply(&entry(2, 2, 5, 7), &[dot(1, 2), dot(3, 1)]));
        assert!(!register.is_conflict());
        assert_eq!(values(&register), ["7"]);
        assert!(!register.apply(&entry(1, 1, 10, 100), &[]));
        assert!(!register.apply(&entry(2, 2, 5, 7), &[dot(1, 2), dot(3, 1)]));
    }

    #[test]
    fn equal_values_are_one_value_with_all_its_dots() {
        let mut register = Register::default();
        register.apply(&entry(1, 1, 30, 5), &[]);
        register.apply(&entry(2, 1, 20, 5), &[]);
        assert!(!register.is_conflict());
        let candidates = register.candidates();
        assert_eq!(candidates.len(), 1);
        assert_eq!(candidates[0].dots, [dot(1, 1), dot(2, 1)]);
        assert_eq!(candidates[0].entry.timestamp, Timestamp(30));
        register.apply(&entry(3, 1, 40, 6), &[dot(1, 1)]);
        assert!(register.is_conflict());
    }

    #[test]
    fn what_arrives_after_its_replacement_is_dropped() {
        let mut register = Register::default();
        register.apply(&entry(2, 1, 20, 2), &[dot(1, 1)]);
        assert_eq!(register.superseded(), [dot(1, 1)]);
        assert!(!register.apply(&entry(1, 1, 99, 1), &[]));
        assert_eq!(values(&register), ["2"]);
        register.prune(&|dot| dot.id == 1);
        assert!(register.superseded().is_empty());
    }

    proptest! {
        /// Any writes, naming any dots: the order never matters, nor do repetitions.
        #[test]
        fn order_and_repetition_do_not_matter(
            writes in prop::collection::btree_map(
                (0u8..4, 1u64..5),
                (0u64..4, 0i64..3, prop::collection::btree_set((0u8..4, 1u64..5), 0..4)),
                1..16,
            ),
            order in prop::collection::vec(any::<prop::sample::Index>(), 40),
        ) {
            let writes: Vec<(Entry, Vec<Dot>)> = writes
                .into_iter()
                .map(|((writer, id), (time, value, dots))| {
                    let dots = dots.into_iter().map(|(writer, id)| dot(writer, id)).collect();
                    (entry(writer, id, time, value), dots)
                })
                .collect();
            let mut straight = Register::default();
            for (entry, supersedes) in &writes {
                straight.apply(entry, supersedes);
            }
            let mut shuffled = Register::default();
            for index in order {
                let (entry, supersedes) = index.get(&writes);
                shuffled.apply(entry, supersedes);
            }
            for (entry, supersedes) in writes.iter().rev() {
                shuffled.apply(entry, supersedes);
            }
            prop_assert_eq!(&straight, &shuffled);
            let replaced = |dot: &Dot| writes.iter().any(|(_, dots)| dots.contains(dot));
            let live = writes.iter().filter(|(entry, _)| !replaced(&entry.dot)).count();
            prop_assert_eq!(straight.entries().len(), live);
        }
    }
}
