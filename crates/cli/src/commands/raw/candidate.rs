//! `handfast join --profile raw`: answers the invite of an app on blind-pairing.

use std::path::PathBuf;
use std::time::Duration;

use handfast_keys::{Secret, WriterSecret};
use handfast_pairing_manager::{Grant, StructureKey};
use serde_json::json;
use tokio::time;

use super::key;
use super::session::{Session, interrupted};
use crate::commands::pair::lifetime;
use crate::network::Network;
use crate::prompt::Interrupt;
use crate::report::wording::{hex, safe};
use crate::report::{Bars, CliError, Exit, Report};

const SECOND: Duration = Duration::from_secs(1);

/// With what to join.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "To join an app (--profile raw)")]
#[group(id = "brought")]
pub struct Args {
    /// The writer key to be let in, 64 hex digits; without it one is drawn, and its seed is printed
    #[arg(long, value_name = "HEX")]
    user_data: Option<String>,
    /// Keep the request in this file, which holds secrets. Run again with it, the command goes on
    /// waiting where it was
    #[arg(long, value_name = "FILE", requires = "user_data")]
    journal: Option<PathBuf>,
    /// How long to wait for the answer, such as 90s, 10m or 2h; without it, two days
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    wait: Option<Duration>,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        self.user_data.is_some() || self.wait.is_some()
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
    network: &Network,
    report: &Report,
) -> Result<(), CliError> {
    let mut interrupt = Interrupt::listen()?;
    let writer = Writer::of(args)?;
    handfast_pairing_manager::Invite::parse(code)?;
    network.needed()?;
    let session = Session::open(network, args.journal.as_deref(), report).await?;
    let answered = tokio::select! {
        answered = answer(&session, code, &writer, args.wait, report) => answered,
        () = interrupt.next() => Err(interrupted()),
    };
    let told = answered.and_then(|grant| show(&grant, &writer, report));
    session.close().await;
    told
}

async fn answer(
    session: &Session,
    code: &str,
    writer: &Writer,
    wait: Option<Duration>,
    report: &Report,
) -> Result<Grant, CliError> {
    let joined = session.manager.join_raw(code, &writer.key);
    tokio::pin!(joined);
    let mut bars = Bars::new(report);
    let mut seconds = time::interval(SECOND);
    let over = time::sleep(wait.unwrap_or(Duration::MAX));
    tokio::pin!(over);
    loop {
        tokio::select! {
            grant = &mut joined => {
                bars.clear();
                return Ok(grant?);
            }
            () = &mut over => {
                bars.clear();
                return Err(CliError::new("no_answer", Exit::Pairing, "nobody has answered so far")
                    .hint(
                        "Look whether the other side is online, waits for this invite, and meets on \
                         the same network (--dht, --bootstrap). Then join once more.",
                    ));
            }
            _ = seconds.tick() => bars.wait("Waiting for the other side".to_owned()),
        }
    }
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
