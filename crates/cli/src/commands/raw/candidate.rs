//! `handfast join --profile raw`: answers the invite of an app on blind-pairing.

use std::sync::Arc;

use handfast_keys::{Secret, WriterSecret};
use handfast_pairing_manager::{Grant, Invite, NoStructures, StructureKey};
use serde_json::json;

use crate::commands::app::answering;
use crate::commands::app::dialogue::Dialogue;
use crate::commands::app::keys::key;
use crate::commands::app::session::Session;
use crate::commands::invite::Profile;
use crate::network::Network;
use crate::prompt::Interrupt;
use crate::report::wording::{hex, safe};
use crate::report::{CliError, Report};

/// With what to join.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "To join one structure (--profile raw)")]
#[group(id = "brought")]
pub struct Args {
    /// The writer key to be let in, 64 hex digits; without it one is drawn, and its seed is printed
    #[arg(long, value_name = "HEX")]
    user_data: Option<String>,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        self.user_data.is_some()
    }
}

/// The own writer; with its seed if it was drawn here.
struct Writer {
    key: StructureKey,
    seed: Option<Secret<32>>,
}

impl Writer {
    fn of(args: &Args) -> Result<Writer, CliError> {
        if let Some(given) = &args.user_data {
            return Ok(Writer { key: key("--user-data", given.trim())?, seed: None });
        }
        let seed = Secret::from_bytes(rand::random());
        let public = WriterSecret::from_seed(*seed.expose()).public();
        Ok(Writer { key: StructureKey::from_bytes(*public.as_bytes()), seed: Some(seed) })
    }
}

/// Runs it, until the member has answered.
pub async fn run(
    code: &str,
    args: &Args,
    answering: &answering::Args,
    network: &Network,
    report: &Report,
) -> Result<(), CliError> {
    let interrupt = Interrupt::listen()?;
    answering.check(args.user_data.is_some(), "--user-data")?;
    let writer = Writer::of(args)?;
    Profile::Raw.check(&Invite::parse(code)?)?;
    network.needed()?;
    let journal = answering.journal.as_deref();
    let session = Session::open(network, journal, Arc::new(NoStructures), report).await?;
    let held = session.hold(interrupt, async |manager| {
        let mut dialogue = Dialogue::silent(report);
        match answering.waited(manager.join_raw(code, &writer.key), &mut dialogue).await? {
            Some(grant) => show(&grant?, &writer, report),
            None => Err(answering::no_answer()),
        }
    });
    held.await
}

fn show(grant: &Grant, writer: &Writer, report: &Report) -> Result<(), CliError> {
    let encryption_key = grant.encryption_key.as_ref().map(|key| hex(key.expose()));
    let seed = writer.seed.as_ref().map(|seed| hex(seed.expose()));
    let additional = grant.additional.as_ref().map(|additional| additional.data());
    report.say(format_args!(
        "The other side has let this writer in.\n\nkey             {}",
        grant.key
    ))?;
    if let Some(key) = &encryption_key {
        report.say(format_args!("encryption key  {key}"))?;
    }
    report.say(format_args!("writer key      {}", writer.key))?;
    if let Some(seed) = &seed {
        report.say(format_args!("writer seed     {seed}"))?;
    }
    if let Some(data) = additional {
        let text = String::from_utf8(data.to_vec()).map_or_else(|_| hex(data), |text| safe(&text));
        report.say(format_args!("additional      {text}"))?;
    }
    let mut joined = json!({
        "type": "joined",
        "key": grant.key.to_string(),
        "encryption_key": encryption_key,
        "writer_key": writer.key.to_string(),
        "additional": additional.map(hex),
    });
    if let (Some(seed), Some(object)) = (seed, joined.as_object_mut()) {
        object.insert("writer_seed".to_owned(), seed.into());
    }
    report.json(joined)
}
