//! `handfast invite --profile raw`: hands a structure's key to whoever answers the invite first, and
//! says with which writer key it came.

use std::sync::Arc;
use std::time::Duration;

use handfast_pairing_manager::{
    InviteInfo, InviteOptions, InviteRequest, NoStructures, StructureKey,
};
use serde_json::json;

use crate::commands::app::desk::{Desk, Writers};
use crate::commands::app::dialogue::Dialogue;
use crate::commands::app::inviting::Inviting;
use crate::commands::app::session::Session;
use crate::commands::app::{keys, name};
use crate::hex;
use crate::network::Network;
use crate::prompt::{Input, Interrupt};
use crate::report::{CliError, Report};

/// Additional data has to fit into a record of the DHT together with the keys.
const MAX_ADDITIONAL: usize = 512;

/// What is handed over besides the keys.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "One structure (--profile raw)")]
#[group(id = "one_structure")]
pub struct Args {
    /// More, for the app at the other end: bytes in hex, at most 512
    #[arg(long, value_name = "HEX")]
    additional: Option<String>,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        self.additional.is_some()
    }

    fn additional(&self) -> Result<Option<Vec<u8>>, CliError> {
        match self.additional.as_deref().map(hex::bytes) {
            None => Ok(None),
            Some(Some(bytes)) if bytes.len() <= MAX_ADDITIONAL => Ok(Some(bytes.to_vec())),
            Some(_) => Err(CliError::usage(format!(
                "--additional is at most {MAX_ADDITIONAL} bytes in hex"
            ))),
        }
    }
}

/// Runs it, until somebody is let in.
pub async fn run(
    args: &Args,
    handed_over: &keys::Args,
    lifetime: Duration,
    network: &Network,
    report: &Report,
) -> Result<(), CliError> {
    let interrupt = Interrupt::listen()?;
    let additional = args.additional()?;
    let encryption_key = handed_over.encryption_key(report)?;
    let Some(key) = handed_over.key(report)? else {
        return Err(CliError::usage("--profile raw needs --key or --key-file"));
    };
    network.needed()?;
    let request = InviteRequest {
        primary_key: Some(key),
        encryption_key,
        raw: true,
        additional,
        options: InviteOptions { lifetime, ..InviteOptions::default() },
        ..InviteRequest::default()
    };
    let (desk, asked) = Desk::new();
    let is_own = |info: &InviteInfo| leads_to(info, key);
    let journal = handed_over.journal.as_deref();
    let inviting = Inviting {
        request,
        profile: "raw",
        is_own: &is_own,
        lasts: journal.is_some(),
        // (In the raw profile nobody hears the name.)
        name: name(Some("handfast"))?,
        desk,
    };
    let session = Session::open(network, journal, Arc::new(NoStructures), report).await?;
    let held = session.hold(interrupt, async |manager| {
        let mut dialogue =
            Dialogue::new(asked, Input::default(), accepted, journal.is_some(), report);
        inviting.hold(manager, &mut dialogue, report).await
    });
    held.await
}

fn leads_to(info: &InviteInfo, key: StructureKey) -> bool {
    info.discovery_key == key.discovery_key()
}

/// Somebody is let in, with the one writer of this profile.
fn accepted(writers: &Writers, report: &Report) -> Result<(), CliError> {
    for writer in writers.values() {
        report.say(format_args!("Let in: the writer\n  {}", report.ink().bold(writer)))?;
        report.json(json!({ "type": "accepted", "user_data": writer.to_string() }))?;
    }
    Ok(())
}
