//! `handfast invite --profile app`: hands over all structures of an app to whoever answers the invite
//! first, for a writer for each of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use handfast_pairing_manager::{
    Consent, Invite, InviteInfo, InviteOptions, InviteRequest, Profile, StructureKey,
};

use super::desk::{Desk, Given};
use super::dialogue::Dialogue;
use super::inviting::Inviting;
use super::session::Session;
use super::{keys, name, structures, words};
use crate::network::Network;
use crate::prompt::{Input, Interrupt};
use crate::report::{CliError, Exit, Report};

/// Which structures there are.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "An app's structures (--profile app)")]
#[group(id = "given")]
pub struct Args {
    /// The file that says which structures there are, as JSON; - reads standard input
    #[arg(long, value_name = "FILE")]
    structures: Option<PathBuf>,
    /// The structure around which the group meets: its key is the group's
    #[arg(long, value_name = "NAME")]
    primary: Option<String>,
    /// What this side calls itself [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only tell the other side that its writers are added once {"added": true} is answered on
    /// standard input (with --json); without this, they count as added once they are printed
    #[arg(long)]
    confirm_writers: bool,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        let texts = [&self.primary, &self.name];
        self.structures.is_some() || self.confirm_writers || texts.iter().any(|it| it.is_some())
    }
}

/// Runs it, until somebody is let in.
pub async fn run(
    args: &Args,
    handed_over: &keys::Args,
    compare: bool,
    lifetime: Duration,
    network: &Network,
    report: &Report,
) -> Result<(), CliError> {
    let interrupt = Interrupt::listen()?;
    let (desk, asked) = Desk::new();
    let given = given(args, handed_over, compare, &desk, report)?;
    let primary_key = match (&args.primary, handed_over.key(report)?) {
        (Some(_), Some(_)) => {
            return Err(CliError::usage("the group's key is either --primary's or --key"));
        }
        (Some(name), None) => Some(primary(&given, name)?),
        (None, key) => key,
    };
    let request = InviteRequest {
        primary_key,
        encryption_key: handed_over.encryption_key(report)?,
        verify: compare.then_some(Consent::Compare),
        options: InviteOptions { lifetime, ..InviteOptions::default() },
        ..InviteRequest::default()
    };
    let lasts = handed_over.journal.is_some();
    let inviting = Inviting {
        request,
        profile: "app",
        is_own: &is_an_app_s,
        lasts,
        name: name(args.name.as_deref())?,
        desk: desk.clone(),
    };
    let journal = handed_over.journal.as_deref();
    let session = Session::open(network, journal, given.clone(), report).await?;
    let held = session.hold(interrupt, async |manager| {
        let mut dialogue = Dialogue::new(asked, Input::default(), words::paired, lasts, report);
        inviting.hold(manager, &mut dialogue, report).await
    });
    held.await.map_err(|error| explained(error, &given, &desk, lasts))
}

fn given(
    args: &Args,
    handed_over: &keys::Args,
    compare: bool,
    desk: &Desk,
    report: &Report,
) -> Result<Arc<Given>, CliError> {
    let Some(path) = &args.structures else {
        return Err(CliError::usage("--profile app needs --structures"));
    };
    if args.confirm_writers && !report.is_json() {
        return Err(CliError::usage("--confirm-writers is for programs: it needs --json"));
    }
    let readers =
        [path == Path::new("-"), handed_over.reads_input(), args.confirm_writers || compare];
    if readers.into_iter().filter(|reads| *reads).count() > 1 {
        return Err(CliError::usage(
            "standard input can only be one of these: the structures, a key, answers",
        ));
    }
    Ok(Given::new(structures::read(path, report)?, desk.clone(), args.confirm_writers))
}

fn primary(given: &Given, name: &str) -> Result<StructureKey, CliError> {
    given.key(name).ok_or_else(|| {
        CliError::usage(format!("--primary names “{name}”, which is none of the structures"))
    })
}

/// Whether it can be an invite of this profile. (Of one that is over it does not matter.)
fn is_an_app_s(info: &InviteInfo) -> bool {
    let invite = info.invite_code.as_deref().map(Invite::parse);
    info.profile != Some(Profile::Raw)
        && invite.is_none_or(|invite| invite.is_ok_and(|invite| invite.is_app()))
}

/// What the error leaves open.
fn explained(error: CliError, given: &Given, desk: &Desk, lasts: bool) -> CliError {
    let again = match lasts {
        true => "Run this once more, with the same --journal, to go on.",
        false => "Without --journal this cannot be gone on with: make a new invite.",
    };
    match error.kind() {
        "incomplete" => {
            let message = "the writers were not added: the pairing is not complete";
            CliError::new("incomplete", Exit::Pairing, message).hint(again)
        }
        // By the person here.
        "declined" if desk.has_declined() => error,
        "declined" if given.are_handed_over() => {
            let message = "The other side has declined, after it was given the structures.";
            CliError::new("declined", Exit::Pairing, message)
        }
        // What it was given before this was started again nobody knows here.
        "declined" if lasts => {
            CliError::new("declined", Exit::Pairing, "The other side has declined.")
        }
        "interrupted" if lasts => error.hint(again),
        _ => error,
    }
}
