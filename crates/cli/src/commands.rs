//! What the command can do, one file a verb.

pub mod app;
pub mod conflicts;
pub mod demo;
pub mod devices;
pub mod dht;
pub mod doctor;
pub mod host;
pub mod init;
pub mod invite;
pub mod invites;
pub mod join;
pub mod pair;
pub mod provider;
pub mod raw;
pub mod records;
pub mod status;
pub mod sync;

use crate::args::{Cli, Command};
use crate::home::Home;
use crate::report::{CliError, Report};

/// Does what was asked for.
pub async fn run(cli: Cli, report: &Report) -> Result<(), CliError> {
    let command = match cli.command {
        // These need no device.
        Command::Host(args) => return host::run(args, report).await,
        Command::Dht(args) => return dht::run(args, report).await,
        Command::Demo(args) => return demo::run(args, report).await,
        Command::Invite(args) if args.is_for_apps() => return invite::run_app(args, report).await,
        Command::Join(args) if args.is_for_apps() => return join::run_app(args, report).await,
        command => command,
    };
    let home = Home::choose(cli.home)?;
    match command {
        Command::Init(args) => init::run(args, &home, report),
        Command::Pair(args) => pair::run(args, &home, report).await,
        Command::Join(args) => join::run(args, &home, report).await,
        Command::Invite(args) => invite::run(args, &home, report).await,
        Command::Invites(args) => invites::run(args, &home, report).await,
        Command::Devices(args) => devices::run(args, &home, report),
        Command::Provider(args) => provider::run(args, &home, report).await,
        Command::Records(args) => records::run(args, &home, report),
        Command::Conflicts(args) => conflicts::run(args, &home, report).await,
        Command::Sync(args) => sync::run(args, &home, report).await,
        Command::Status(args) => status::run(args, &home, report).await,
        Command::Doctor(args) => doctor::run(args, &home, report).await,
        Command::Host(_) | Command::Dht(_) | Command::Demo(_) => Ok(()),
    }
}
