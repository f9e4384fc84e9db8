//! `handfast demo`: three devices on this machine do all that Handfast is for.

mod cast;
mod story;
mod summary;

use std::path::PathBuf;

use serde_json::json;

use crate::report::{CliError, Exit, Report};
use cast::Stage;

/// What to do besides.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It starts a provider of its own on a free port of this machine and leaves nothing behind. Real data \
from data.gov and the USGS, both in the public domain, comes with the program.

Examples:
  handfast demo
  handfast demo --invite          no provider: a network of its own, and an invite instead of a code
  handfast demo --keep ./demo     then: handfast --home ./demo/laptop devices
  handfast demo --interactive")]
pub struct Args {
    /// Leave the devices in this folder, which must not exist yet.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Compare the emojis yourself.
    #[arg(long)]
    interactive: bool,
    /// Pair by invite over a network of its own, and without any provider.
    #[arg(long)]
    invite: bool,
}

/// Runs it. Whatever goes otherwise than it should is an error.
pub async fn run(args: Args, report: &Report) -> Result<(), CliError> {
    let failed = |error: anyhow::Error| {
        CliError::new("demo", Exit::Other, format!("the demo failed: {error:#}"))
    };
    let temporary;
    let dir = match &args.keep {
        Some(dir) if dir.exists() => {
            let message = format!("{} exists already", dir.display());
            return Err(CliError::usage(message).hint("Name a folder that does not exist yet."));
        }
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|error| CliError::unwritable(dir, &error))?;
            dir.as_path()
        }
        None => {
            temporary = tempfile::tempdir().map_err(|error| failed(error.into()))?;
            temporary.path()
        }
    };
    let tell = |line: &str| {
        if report.is_json() {
            report.json(json!({ "type": "progress", "message": line.trim() }))
        } else {
            report.explain(line)
        }
        .map_err(|_| anyhow::anyhow!("the output is closed"))
    };
    let stage = match args.invite {
        true => Stage::with_network().await,
        false => Stage::with_provider(dir).await,
    };
    let played = story::play(dir, stage.map_err(failed)?, args.interactive, &tell);
    let summary = played.await.map_err(failed)?;
    report.say(summary.to_text())?;
    if let Some(dir) = &args.keep {
        report.hint(format!("The devices are in {}; look at one with --home.", dir.display()));
    }
    report.json(summary.to_json())?;
    if summary.equal() { Ok(()) } else { Err(failed(anyhow::anyhow!("the devices differ"))) }
}
