//! `handfast invite --profile raw`: hands a structure's key to whoever answers the invite first, and
//! says with which writer key it came.

use std::path::{Path, PathBuf};
use std::time::Duration;

use handfast_keys::Secret;
use handfast_pairing_manager::{
    DeviceName, InviteHandle, InviteInfo, InviteOptions, InviteRequest, MemberHandle, MemberSetup,
    StructureKey, on_paired,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};

use super::key;
use super::session::{Session, interrupted};
use crate::hex;
use crate::network::Network;
use crate::prompt::{self, Interrupt};
use crate::report::{Bars, CliError, Report};

const SECOND: Duration = Duration::from_secs(1);
/// Additional data has to fit into a record of the DHT together with the keys.
const MAX_ADDITIONAL: usize = 512;

/// What is handed over.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Handed over (--profile raw)")]
#[group(id = "handed_over")]
pub struct Args {
    /// The key of the structure, 64 hex digits; it tells whoever has it where to read
    #[arg(
        long,
        value_name = "HEX",
        env = "HANDFAST_STRUCTURE_KEY",
        hide_env_values = true,
        conflicts_with = "key_file"
    )]
    key: Option<String>,
    /// The file that the key stands in: its first line that is neither empty nor begins with #;
    /// - reads standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// What the structure's blocks are encrypted under, 64 hex digits
    #[arg(
        long,
        value_name = "HEX",
        env = "HANDFAST_ENCRYPTION_KEY",
        hide_env_values = true,
        conflicts_with = "encryption_key_file"
    )]
    encryption_key: Option<String>,
    /// The file that the encryption key stands in
    #[arg(long, value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
    /// More, for the app at the other end: bytes in hex, at most 512
    #[arg(long, value_name = "HEX")]
    additional: Option<String>,
    /// Keep the invite in this file, which holds secrets. Run again with it, the command goes on
    /// with the invite that is open; without it, the invite ends with the command
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        let Args { key, key_file, encryption_key, encryption_key_file, additional, journal } = self;
        let texts = [key, encryption_key, additional];
        let files = [key_file, encryption_key_file, journal];
        texts.iter().any(|it| it.is_some()) || files.iter().any(|it| it.is_some())
    }

    fn request(&self, lifetime: Duration, report: &Report) -> Result<InviteRequest, CliError> {
        let read = |given: &Option<String>, file: &Option<PathBuf>, flag| match (given, file) {
            (Some(hex), _) => key(flag, hex.trim()).map(Some),
            (None, Some(path)) => secret_key(path, flag, report).map(Some),
            (None, None) => Ok(None),
        };
        let additional = match self.additional.as_deref().map(hex::bytes) {
            None => None,
            Some(Some(bytes)) if bytes.len() <= MAX_ADDITIONAL => Some(bytes.to_vec()),
            Some(_) => {
                return Err(CliError::usage(format!(
                    "--additional is at most {MAX_ADDITIONAL} bytes in hex"
                )));
            }
        };
        let encryption_key =
            read(&self.encryption_key, &self.encryption_key_file, "--encryption-key")?;
        Ok(InviteRequest {
            primary_key: read(&self.key, &self.key_file, "--key")?,
            encryption_key: encryption_key.map(|key| Secret::from_bytes(*key.as_bytes())),
            raw: true,
            additional,
            options: InviteOptions { lifetime, ..InviteOptions::default() },
            ..InviteRequest::default()
        })
    }
}

fn secret_key(path: &Path, flag: &str, report: &Report) -> Result<StructureKey, CliError> {
    key(&format!("what stands in {flag}-file"), prompt::secret_in(path, "key", report)?.expose())
}

/// Runs it, until somebody is let in.
pub async fn run(
    args: &Args,
    lifetime: Duration,
    network: &Network,
    report: &Report,
) -> Result<(), CliError> {
    let mut interrupt = Interrupt::listen()?;
    let request = args.request(lifetime, report)?;
    let Some(key) = request.primary_key else {
        return Err(CliError::usage("--profile raw needs --key or --key-file"));
    };
    network.needed()?;
    let session = Session::open(network, args.journal.as_deref(), report).await?;
    let ended = tokio::select! {
        ended = invite(&session, request, key, report) => ended,
        () = interrupt.next() => Err(interrupted()),
    };
    session.close().await;
    ended
}

async fn invite(
    session: &Session,
    request: InviteRequest,
    key: StructureKey,
    report: &Report,
) -> Result<(), CliError> {
    let lifetime = request.options.lifetime;
    let known: Vec<InviteInfo> = session.manager.invites()?;
    let mut current = None;
    for info in known.into_iter().filter(|info| info.discovery_key == key.discovery_key()) {
        match info.ended {
            // Who comes late, or has not heard the answer, is still told.
            Some(_) => _ = setup(session, &info.invite, key, None).await?,
            None => current = Some(info),
        }
    }
    let (handle, code, expires) = match current {
        Some(info) => (info.invite, info.invite_code, None),
        None => {
            let made = session.manager.create_invite_with(request).await?;
            (made.invite, Some(made.invite_code), Some(Instant::now() + lifetime))
        }
    };
    let (sender, mut accepted) = mpsc::unbounded_channel();
    let member = setup(session, &handle, key, Some(sender)).await?;
    show(&handle, key, code.as_deref(), lifetime, expires.is_some(), report)?;

    let mut bars = Bars::new(report);
    let mut seconds = time::interval(SECOND);
    loop {
        tokio::select! {
            // Who is let in is told before the end is.
            biased;
            Some(writer) = accepted.recv() => {
                bars.clear();
                report.say(format_args!("Let in: the writer\n  {}", report.ink().bold(writer)))?;
                report.json(json!({ "type": "accepted", "user_data": writer.to_string() }))?;
            }
            ended = member.finished() => {
                bars.clear();
                return Ok(ended?);
            }
            _ = seconds.tick() => bars.wait(match expires {
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now()).as_secs();
                    format!("Waiting for an answer ({}:{:02} left)", left / 60, left % 60)
                }
                None => "Waiting for an answer".to_owned(),
            }),
        }
    }
}

/// Lets candidates answer an invite; the writer of who is let in is told.
async fn setup(
    session: &Session,
    invite: &InviteHandle,
    key: StructureKey,
    accepted: Option<mpsc::UnboundedSender<StructureKey>>,
) -> Result<MemberHandle, CliError> {
    // (In the raw profile nobody hears the name.)
    let name = DeviceName::new("handfast").map_err(|it| CliError::usage(it.to_string()))?;
    let setup = MemberSetup {
        primary_discovery_key: key.discovery_key(),
        invite: invite.clone(),
        username: name,
        on_paired: on_paired(move |writers| {
            let accepted = accepted.clone();
            async move {
                for writer in writers.into_values() {
                    let _ = accepted.as_ref().map(|accepted| accepted.send(writer));
                }
            }
        }),
        person: None,
    };
    Ok(session.manager.setup_member(setup).await?)
}

fn show(
    invite: &InviteHandle,
    key: StructureKey,
    code: Option<&str>,
    lifetime: Duration,
    is_new: bool,
    report: &Report,
) -> Result<(), CliError> {
    let ink = report.ink();
    match code {
        Some(code) => report.say(format_args!(
            "Give this invite to the app that is to join, or to `handfast join --profile raw`:\n\n\
             {}\n",
            ink.bold(code)
        ))?,
        None => report.say("Going on with somebody who has answered the invite.")?,
    }
    if is_new {
        report.say(ink.dim(format_args!(
            "It lives for {} and lets in one: whoever has it, and is first. Ctrl-C ends it.",
            lasting(lifetime)
        )))?;
    }
    report.json(json!({
        "type": "invite",
        "invite_code": code,
        "invite_id": invite.id().to_string(),
        "discovery_key": key.discovery_key().to_string(),
    }))
}

/// A time in words: `10 minutes`.
fn lasting(time: Duration) -> String {
    use crate::report::wording::count;
    match time.as_secs() {
        seconds if seconds % 3_600 == 0 => count(seconds / 3_600, "hour"),
        seconds if seconds % 60 == 0 => count(seconds / 60, "minute"),
        seconds => count(seconds, "second"),
    }
}
