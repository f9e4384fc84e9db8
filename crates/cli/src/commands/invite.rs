//! `handfast invite`: makes an invite code, and lets in who answers it.

use std::time::Duration;

use clap::ValueEnum;

use crate::commands::pair::lifetime;
use crate::commands::raw;
use crate::network::Network;
use crate::report::{CliError, Report};

/// For whom.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The other side finds this one by the code alone, over the network that --dht names, whether or not
both are online at the same time. One invite lets in one: whoever has it and is first. With
--profile raw whoever has it can also read what it hands over, at any time later.

A key on the command line can be read by other users of this machine while the command runs: in a
file, or in the environment (HANDFAST_STRUCTURE_KEY, HANDFAST_ENCRYPTION_KEY), it cannot.

Examples:
  handfast invite --profile raw --key-file vault.key
  handfast invite --profile raw --key-file vault.key --encryption-key-file vault.secret --json
  handfast invite --profile raw --key 5e1f… --lifetime 10m --journal invite.journal

With --json the first line is {invite_code, invite_id, discovery_key}, and {user_data}, hex, follows
once somebody is let in.")]
pub struct Args {
    /// Whom it is for: raw is an app on JavaScript's blind-pairing; no device is needed for that
    #[arg(long, value_name = "PROFILE")]
    profile: Profile,
    /// How long the invite lives, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    lifetime: Duration,
    #[command(flatten)]
    raw: raw::member::Args,
    #[command(flatten)]
    network: Network,
}

/// What the two sides of an invite expect of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    Raw,
}

/// Runs it.
pub async fn run(args: Args, report: &Report) -> Result<(), CliError> {
    match args.profile {
        Profile::Raw => raw::member::run(&args.raw, args.lifetime, &args.network, report).await,
    }
}
