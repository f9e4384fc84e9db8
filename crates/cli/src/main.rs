//! The `handfast` command: introduces a person's devices to each other and keeps their data in
//! step.
//!
//! `args` says what can be asked for, `commands` does it, one file a verb, and `report` is the only
//! place that writes to the terminal.

mod args;
mod commands;
mod conversation;
mod hex;
mod home;
mod network;
mod prompt;
mod report;

use std::process::ExitCode;

use crate::report::{CliError, Report};

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let report = Report::new(cli.json);
    match run(cli, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report.fail(&error);
            error.exit().into()
        }
    }
}

fn run(cli: args::Cli, report: &Report) -> Result<(), CliError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let done = runtime.block_on(commands::run(cli, report));
    // A thread that waits for the keyboard must not keep the program.
    runtime.shutdown_background();
    done
}
