//! `handfast invite`: makes an invite code, and lets in who answers it.

mod device;

use std::time::Duration;

use clap::ValueEnum;
use handfast_pairing_manager::{Failure, Invite};

use crate::commands::pair::lifetime;
use crate::commands::{app, raw};
use crate::home::Home;
use crate::network::Network;
use crate::report::{CliError, Report};

/// For whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The other side finds this one by the code alone, over the network that --dht names. It may be
anywhere, and come later. One invite lets in one: whoever has it and is first; so both people
compare four emojis, as with `handfast pair`, before anything is handed over. No provider is needed,
but without one data move only while both are online.

With --profile app or raw the other side is an app, and nobody compares unless --compare (app) says
so: whoever has the invite, and is first, gets in. A key on the command line can be read by other
users of this machine while the command runs: in a file, or in the environment
(HANDFAST_STRUCTURE_KEY, HANDFAST_ENCRYPTION_KEY), it cannot. With --json the first line is
{invite_code, invite_id, discovery_key}.

--profile app hands over all structures of an app for a writer to each. --structures is JSON:
  {\"notes\": {\"key\": HEX, \"config\": HEX}, \"photos\": HEX}
With --json, {type: \"paired\", writer_keys: {NAME: HEX}} follows, and then the other side is told
that it is in; with --confirm-writers, {type: \"add_writers\", writer_keys} comes first, and nobody is
told anything before {\"added\": true} is answered.

--profile raw hands over one key, to apps on JavaScript's blind-pairing; whoever has the invite can
read it at any time later. {user_data}, hex, follows once somebody is let in.

Examples:
  handfast invite
  handfast invite --lifetime 24h --compare
  handfast invite --resume
  handfast invite --profile app --structures structures.json --primary notes --json
  handfast invite --profile app --structures - --journal invite.journal --json < structures.json
  handfast invite --profile raw --key-file vault.key --encryption-key-file vault.secret --json
  handfast invite --profile raw --key 5e1f… --lifetime 10m --journal invite.journal")]
pub struct Args {
    /// Whom it is for: another device, an app that shares its structures, or (raw) an app on
    /// JavaScript's blind-pairing. For apps no device is needed here
    #[arg(long, value_name = "PROFILE", default_value = "device")]
    profile: Profile,
    /// How long the invite lives, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    lifetime: Duration,
    #[command(flatten)]
    device: device::Args,
    #[command(flatten)]
    app: app::member::Args,
    #[command(flatten)]
    raw: raw::member::Args,
    #[command(flatten)]
    handed_over: app::keys::Args,
    #[command(flatten)]
    network: Network,
}

/// What the two sides of an invite expect of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    // Two devices, with all their data. (A doc comment would make the help twice as long.)
    Device,
    // Two apps, with all structures of the one that invites.
    App,
    // One structure's key for one writer key, as apps on blind-pairing do.
    Raw,
}

impl Profile {
    /// Refuses an invite of another profile, before anybody is asked.
    pub fn check(self, invite: &Invite) -> Result<(), Failure> {
        let is_raw = invite.profile() == handfast_pairing_manager::Profile::Raw;
        match self {
            Profile::Raw if is_raw => Ok(()),
            Profile::App if invite.is_app() => Ok(()),
            Profile::Device if !is_raw && !invite.is_app() => Ok(()),
            _ if is_raw => Err(Failure::WrongProfile),
            _ if invite.is_app() => Err(Failure::ForApps),
            Profile::App => Err(Failure::ForDevices),
            _ => Err(Failure::NotRaw),
        }
    }
}

impl Args {
    /// Whether an app is invited, not a device.
    pub fn is_for_apps(&self) -> bool {
        self.profile != Profile::Device
    }
}

/// Runs it for a device.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    if args.app.is_said() {
        return Err(CliError::usage(
            "--structures, --primary, --name and --confirm-writers are for --profile app: another \
             device gets all collections",
        ));
    }
    if args.raw.is_said() || args.handed_over.is_said() {
        return Err(CliError::usage(
            "keys, --additional and --journal are for --profile app and --profile raw",
        ));
    }
    device::run(&args.device, args.lifetime, &args.network, home, report).await
}

/// Runs it for an app.
pub async fn run_app(args: Args, report: &Report) -> Result<(), CliError> {
    let Args { profile, lifetime, device, app, raw, handed_over, network } = &args;
    let compare = device.compares();
    if *profile == Profile::App {
        if raw.is_said() {
            return Err(CliError::usage("--additional is for --profile raw"));
        }
        if device.is_said() && !compare {
            return Err(CliError::usage("--no-verify and --resume are for another device"));
        }
        return app::member::run(app, handed_over, compare, *lifetime, network, report).await;
    }
    if device.is_said() {
        return Err(CliError::usage(
            "--no-verify, --compare and --resume are for another device, not for --profile raw",
        ));
    }
    if app.is_said() {
        return Err(CliError::usage(
            "--structures, --primary, --name and --confirm-writers are for --profile app",
        ));
    }
    raw::member::run(raw, handed_over, *lifetime, network, report).await
}
