//! Replays the corpora of `fuzz/`: what was found once stays mended.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use handfast_fuzz_targets::{TARGETS, seeds};

fn fuzz() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"))
}

#[test]
fn whatever_was_found_stays_mended() {
    let mut replayed = 0;
    for (name, target) in TARGETS {
        let corpus = fuzz().join("corpus").join(name);
        let mut files: Vec<PathBuf> =
            fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name}");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let held = std::panic::catch_unwind(|| target(&bytes));
            assert!(held.is_ok(), "{}", file.display());
            replayed += 1;
        }
    }
    assert!(replayed > 2 * TARGETS.len(), "{replayed}");
}

#[test]
fn every_target_begins_with_something_good() {
    for (name, target) in TARGETS {
        let good = seeds::of(name);
        assert!(!good.is_empty(), "{name}");
        for bytes in good {
            target(&bytes);
        }
        target(&[]);
    }
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let names = |dir: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(dir)).unwrap();
        let path = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_owned();
        entries.map(|entry| path(entry.unwrap()).into_string().unwrap()).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), targets);
    assert_eq!(names("corpus"), targets);
}
