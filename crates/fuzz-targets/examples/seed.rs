//! Writes what fuzzing begins with into the corpora: `cargo run -p handfast-fuzz-targets --example
//! seed`.

use std::{fs, io};

use handfast_fuzz_targets::{TARGETS, seeds};

fn main() -> io::Result<()> {
    for (name, _) in TARGETS {
        let corpus = format!("{}/../../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        fs::create_dir_all(&corpus)?;
        for (number, seed) in seeds::of(name).into_iter().enumerate() {
            fs::write(format!("{corpus}/good-{number}"), seed)?;
        }
    }
    Ok(())
}
