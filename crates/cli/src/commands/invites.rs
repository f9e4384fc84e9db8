//! `handfast invites`: the invites that this device has made.

use clap::Subcommand;
use handfast::{InviteId, InviteInfo, InviteState};
use serde_json::{Value, json};

use crate::home::Home;
use crate::report::wording::{count, moment, until};
use crate::report::{CliError, Exit, Report};

/// What to do with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Invites are made with `handfast invite`. One that is over is listed for two days.

Examples:
  handfast invites
  handfast invites revoke 5e1f")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them
    List,
    /// End one: whoever answers it from now on is turned away
    Revoke {
        /// Its id, or the first digits of it
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    let invites = device.invites()?;
    match args.command {
        None | Some(Command::List) => list(&invites, report),
        Some(Command::Revoke { id }) => {
            let invite = find(&invites, &id)?;
            if matches!(invite.state, InviteState::Used | InviteState::Failed(_)) {
                let message = format!("the invite {} is over already", short(&invite.id));
                return Err(CliError::new("invite_over", Exit::NotFound, message));
            }
            device.revoke_invite(&invite.id).await?;
            report.say(format_args!("The invite {} is revoked.", short(&invite.id)))?;
            report.json(json!({ "revoked": invite.id.to_string() }))
        }
    }
}

fn list(invites: &[InviteInfo], report: &Report) -> Result<(), CliError> {
    let ink = report.ink();
    for invite in invites {
        report.say(format_args!("{}  {}", ink.bold(short(&invite.id)), state(&invite.state)))?;
        if let InviteState::Open { code, .. } = &invite.state {
            report.say(format_args!("  {code}"))?;
        }
    }
    if invites.is_empty() {
        report.say("No invites.")?;
        report.hint("`handfast invite` makes one.");
    } else {
        report.say(format_args!("\n{}", count(invites.len() as u64, "invite")))?;
    }
    report.json(json!({ "invites": invites.iter().map(to_json).collect::<Vec<_>>() }))
}

fn state(state: &InviteState) -> String {
    match state {
        InviteState::Open { expires: Some(expires), .. } => {
            format!("open, ends {}", until(*expires))
        }
        InviteState::Open { expires: None, .. } => "open".to_owned(),
        InviteState::Answered => "answered, the pairing is not over".to_owned(),
        InviteState::Used => "used".to_owned(),
        InviteState::Failed(failure) => {
            let text = failure.to_string();
            let sentence = text.split_once(". ").map_or(text.as_str(), |(first, _)| first);
            format!("over: {}", sentence.trim_end_matches('.'))
        }
    }
}

fn to_json(invite: &InviteInfo) -> Value {
    let (state, code, expires, failure) = match &invite.state {
        InviteState::Open { code, expires } => ("open", Some(code), *expires, None),
        InviteState::Answered => ("answered", None, None, None),
        InviteState::Used => ("used", None, None, None),
        InviteState::Failed(failure) => ("failed", None, None, Some(failure.to_string())),
    };
    json!({
        "id": invite.id.to_string(),
        "state": state,
        "code": code,
        "expires": expires.map(moment),
        "failure": failure,
    })
}

/// The invite whose id begins like this.
fn find<'a>(invites: &'a [InviteInfo], id: &str) -> Result<&'a InviteInfo, CliError> {
    let id = id.trim().to_lowercase();
    let mut found = invites.iter().filter(|invite| invite.id.to_string().starts_with(&id));
    match (found.next(), found.next()) {
        (Some(one), None) if !id.is_empty() => Ok(one),
        (Some(_), Some(_)) => {
            Err(CliError::usage(format!("more than one invite begins with {id:?}")))
        }
        _ => Err(CliError::new("no_invite", Exit::NotFound, format!("there is no invite {id:?}"))
            .hint("`handfast invites` lists those that there are.")),
    }
}

/// Enough of an id to tell invites apart.
fn short(id: &InviteId) -> String {
    id.to_string().chars().take(8).collect()
}
