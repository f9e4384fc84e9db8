//! `handfast invite`: makes an invite code, and lets in who answers it.

mod device;

use std::time::Duration;

use clap::ValueEnum;

use crate::commands::pair::lifetime;
use crate::commands::raw;
use crate::home::Home;
use crate::network::Network;
use crate::report::{CliError, Report};

/// For whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The other side finds this one by the code alone, over the network that --dht names. It may be
anywhere, and come later. One invite lets in one: whoever has it and is first; so both people compare
four emojis, as with `handfast pair`, before anything is handed over. No provider is needed, but
without one data move only while both are online.

With --profile raw the other side is an app, and whoever has the invite can read what it hands over,
at any time later. A key on the command line can be read by other users of this machine while the
command runs: in a file, or in the environment (HANDFAST_STRUCTURE_KEY, HANDFAST_ENCRYPTION_KEY), it
cannot. With --json the first line is {invite_code, invite_id, discovery_key}, and {user_data}, hex,
follows once somebody is let in.

Examples:
  handfast invite
  handfast invite --lifetime 24h --compare
  handfast invite --resume
  handfast invite --profile raw --key-file vault.key --encryption-key-file vault.secret --json
  handfast invite --profile raw --key 5e1f… --lifetime 10m --journal invite.journal")]
pub struct Args {
    /// Whom it is for: another device, or (raw) an app on JavaScript's blind-pairing, for which no
    /// device is needed here
    #[arg(long, value_name = "PROFILE", default_value = "device")]
    profile: Profile,
    /// How long the invite lives, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    lifetime: Duration,
    #[command(flatten)]
    device: device::Args,
    #[command(flatten)]
    raw: raw::member::Args,
    #[command(flatten)]
    network: Network,
}

/// What the two sides of an invite expect of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    // Two devices, with all their data. (A doc comment would make the help twice as long.)
    Device,
    // One structure's key for one writer key, as apps on blind-pairing do.
    Raw,
}

impl Args {
    /// Whether an app is invited, not a device.
    pub fn is_raw(&self) -> bool {
        self.profile == Profile::Raw
    }
}

/// Runs it for a device.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    if args.raw.is_said() {
        return Err(CliError::usage("keys, --additional and --journal are for --profile raw"));
    }
    device::run(&args.device, args.lifetime, &args.network, home, report).await
}

/// Runs it for an app.
pub async fn run_raw(args: Args, report: &Report) -> Result<(), CliError> {
    if args.device.is_said() {
        return Err(CliError::usage(
            "--no-verify, --compare and --resume are for another device, not for --profile raw",
        ));
    }
    raw::member::run(&args.raw, args.lifetime, &args.network, report).await
}
