//! `handfast invite` for another device of one's own.

use std::time::Duration;

use handfast::{Consent, Device, InviteOptions};
use serde_json::json;

use crate::conversation::{Conversation, resumed};
use crate::home::Home;
use crate::network::Network;
use crate::prompt::Input;
use crate::report::{CliError, Report};

/// How the device is invited.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Another device")]
#[group(id = "device")]
pub struct Args {
    /// Let in whoever answers first, without comparing the check code
    #[arg(long, conflicts_with = "compare")]
    no_verify: bool,
    /// Show the emojis on both devices and ask yes or no on both, instead of typing them
    #[arg(long)]
    compare: bool,
    /// Wait again for who has the invite that was made last
    #[arg(long, conflicts_with_all = ["no_verify", "compare"])]
    resume: bool,
}

impl Args {
    /// Whether anything of it is on the command line.
    pub fn is_said(&self) -> bool {
        self.no_verify || self.compare || self.resume
    }

    /// Whether both people are to see the emojis.
    pub fn compares(&self) -> bool {
        self.compare
    }

    fn consent(&self) -> Option<Consent> {
        match (self.no_verify, self.compare) {
            (true, _) => None,
            (_, true) => Some(Consent::Compare),
            _ => Some(Consent::Typed),
        }
    }
}

/// Runs it, until the other device is paired.
pub async fn run(
    args: &Args,
    lifetime: Duration,
    network: &Network,
    home: &Home,
    report: &Report,
) -> Result<(), CliError> {
    let device = home.open()?;
    let online = network.go_online(&device, report).await?;
    let held = hold(args, lifetime, &device, report).await;
    online.close().await;
    held
}

async fn hold(
    args: &Args,
    lifetime: Duration,
    device: &Device,
    report: &Report,
) -> Result<(), CliError> {
    if args.no_verify {
        report.warn(
            "nobody looks whether this is the right device (--no-verify): whoever reads the invite \
             on its way, and is first, gets everything",
        );
    }
    let (pairing, lifetime) = if args.resume {
        (resumed(device).await?, None)
    } else {
        let options = InviteOptions { lifetime, consent: args.consent() };
        (device.invite(options).await?, Some(lifetime))
    };
    if let Some(code) = pairing.code() {
        show(code, lifetime, report)?;
    }
    let conversation =
        Conversation::new(pairing, device, report, Input::default())?.lasting("invite");
    match lifetime {
        Some(lifetime) => conversation.expiring(lifetime).hold().await,
        None => conversation.hold().await,
    }
}

fn show(code: &str, lifetime: Option<Duration>, report: &Report) -> Result<(), CliError> {
    report.say(format_args!("Run on the other device, which may be anywhere:\n"))?;
    report.say(format_args!("handfast join {code}\n"))?;
    let ink = report.ink();
    report.say(ink.dim(
        "Whoever has the invite can answer it. Ctrl-C keeps it open; `handfast invite --resume` \
         waits again.",
    ))?;
    report.json(json!({
        "type": "invite",
        "code": code,
        "lifetime_seconds": lifetime.map(|lifetime| lifetime.as_secs()),
    }))
}
