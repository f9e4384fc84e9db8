//! What can be said on the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    conflicts, demo, devices, dht, doctor, host, init, invite, invites, join, pair, provider,
    records, status, sync,
};
use crate::report::{CliError, EXIT_CODES, Exit, Report, styles};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "handfast",
    version,
    about = "Introduces your devices to each other and keeps their data in step",
    long_about = "Introduces your devices to each other and keeps their data in step, with no \
                  account and no server in the middle.",
    after_help = after_help(),
    max_term_width = 100,
    arg_required_else_help = true,
    styles = styles()
)]
pub struct Cli {
    /// The folder that the device lives in [default: $XDG_DATA_HOME/handfast or ~/.handfast]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "HANDFAST_HOME",
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    pub home: Option<PathBuf>,

    /// Print JSON: one object, or one a line where a command goes on for a while
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,

    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Set this device up
    Init(init::Args),
    /// Show a code for another device to scan
    Pair(pair::Args),
    /// Answer the code that another device shows, or an invite
    Join(join::Args),
    /// Make an invite that another device joins with from anywhere
    Invite(invite::Args),
    /// List the invites that were made here, and revoke them
    Invites(invites::Args),
    /// List the devices that belong together
    Devices(devices::Args),
    /// Set, show or test where devices leave data for each other
    Provider(provider::Args),
    /// Import, read, change and export records
    Records(records::Args),
    /// List conflicts and decide about them
    Conflicts(conflicts::Args),
    /// Take in what the other devices have, and publish what is new here
    Sync(sync::Args),
    /// Say how this device is
    Status(status::Args),
    /// Run a self-hosted provider
    Host(host::Args),
    /// Run a node of a network of one's own, on which devices meet
    Dht(dht::Args),
    /// Check that everything in this device's store is what it should be
    Doctor(doctor::Args),
    /// See two devices, and a third one, meet on this machine
    Demo(demo::Args),
}

/// Reads the command line; or prints help, or what is wrong with it, and says how to end.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") {
            Report::new(true).fail(&usage(&error.to_string()));
            return Exit::Usage.into();
        }
        // With a home from the environment the command line is not empty to clap, but it is to people.
        let error = match error.kind() {
            ErrorKind::MissingSubcommand => {
                let bare = Cli::command().mut_arg("home", |home| home.env(Resettable::Reset));
                bare.try_get_matches().err().unwrap_or(error)
            }
            _ => error,
        };
        // Nobody is left to hear that this can't be printed.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS }
    })
}

/// What clap says over several lines as one error: what is wrong, up to the first blank line, and
/// how the command is used.
fn usage(text: &str) -> CliError {
    let message: Vec<&str> = text.lines().map(str::trim).take_while(|it| !it.is_empty()).collect();
    let message = message.join(" ");
    let usage = text.lines().find(|line| line.starts_with("Usage: "));
    CliError::usage(message.strip_prefix("error: ").unwrap_or(&message))
        .hint(usage.unwrap_or("See `handfast --help`."))
}

fn after_help() -> String {
    format!(
        "\
Begin:
  handfast init --name laptop                     on one device
  handfast host --data ~/handfast-host --listen 0.0.0.0:4590
                                                  on a machine that is always on
  handfast provider set self-hosted --endpoint http://192.168.1.5:4590 --auth-token-file token
                                                  with the file `token` of that folder
  handfast pair                                   shows a code
  handfast join --image photo.png                 on the other device
  handfast invite                                 or this, for a device that is far away
  handfast sync --watch                           on both

{EXIT_CODES}

Environment:
  HANDFAST_HOME        the folder of the device, as --home
  HANDFAST_AUTH_TOKEN  the provider's token; `handfast provider set --help` has more
  HANDFAST_DHT         the network on which devices meet, as --dht
  HANDFAST_BOOTSTRAP   nodes of that network, separated by commas
  HANDFAST_RELAY       the key of a relay, as --relay
  HANDFAST_KEYS        `file` keeps a new device's keys in a file, not the keyring
  NO_COLOR             set to anything, for output without colours"
    )
}
