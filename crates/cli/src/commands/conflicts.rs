//! `handfast conflicts`: fields that have more than one value, and deciding about them.

mod decide;
mod show;
mod walk;

use clap::Subcommand;
use handfast::{ConflictingRecord, Device};
use serde_json::json;

use crate::home::Home;
use crate::report::wording::{count, line};
use crate::report::{CliError, Exit, Report};

/// How many records people see at once.
const ENOUGH: u64 = 20;

/// What about conflicts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A conflict is nobody's fault: two devices changed one field while neither knew of the other's \
change. Both values are kept until somebody decides, on any device; meanwhile the latest one is \
shown. An ID may be shortened to its beginning.

Examples:
  handfast conflicts
  handfast conflicts resolve                        walks through all of them
  handfast conflicts resolve 1f3a name --theirs
  handfast conflicts resolve 1f3a name --value 'Kennedy'
  handfast conflicts resolve 1f3a --keep            where one device deleted it
  handfast conflicts resolve --all --latest         all at once")]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them (also without any word)
    List {
        /// How many records to show, 0 for all [default: 20, with --json all]
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Show one record with all its values
    Show {
        /// The record
        id: String,
    },
    /// Decide about one field; or, without arguments, about one after the other
    Resolve(decide::Args),
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    match args.command {
        None => list(None, &device, report),
        Some(Command::List { limit }) => list(limit, &device, report),
        Some(Command::Show { id }) => one(&id, &device, report),
        Some(Command::Resolve(args)) if args.is_empty() => walk::run(&device, report).await,
        Some(Command::Resolve(args)) => decide::run(&args, &device, report),
    }
}

fn list(limit: Option<u64>, device: &Device, report: &Report) -> Result<(), CliError> {
    let conflicts = device.conflicts()?;
    let total = conflicts.len() as u64;
    let limit = limit.unwrap_or(if report.is_json() { 0 } else { ENOUGH });
    let limit = if limit == 0 { total } else { limit.min(total) };
    let shown = conflicts.iter().take(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut objects = Vec::new();
    for conflict in shown {
        report.say(show::record(conflict, report, show::Length::Cut))?;
        report.say("")?;
        objects.push(show::to_json(conflict));
    }
    match total {
        0 => report.say("Nothing is in conflict.")?,
        total => {
            let of = if limit < total { format!("{limit} of ") } else { String::new() };
            report.say(format_args!("{of}{} in conflict", count(total, "record")))?;
            report.hint("`handfast conflicts resolve` walks through them.");
        }
    }
    report.json(json!({ "total": total, "conflicts": objects }))
}

fn one(id: &str, device: &Device, report: &Report) -> Result<(), CliError> {
    let conflict = find(id, device)?;
    report.say(show::record(&conflict, report, show::Length::Whole))?;
    report.say(report.ink().dim("all fields, as they are read meanwhile:"))?;
    for (name, value) in conflict.record.fields.iter() {
        let value = crate::report::wording::value(value);
        report.say(format_args!("  {}  {value}", line(name.as_str())))?;
    }
    report.json(show::to_json(&conflict))
}

/// The one record in conflict whose id begins like this.
fn find(id: &str, device: &Device) -> Result<ConflictingRecord, CliError> {
    let beginning = id.to_lowercase();
    let mut found = device.conflicts()?;
    found.retain(|it| !id.is_empty() && it.record.id.to_string().starts_with(&beginning));
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), _) => {
            Err(CliError::usage(format!("several records in conflict begin with {id}"))
                .hint("Write more of the id."))
        }
        (None, _) => {
            let message = format!("no record in conflict begins with {id:?}");
            Err(CliError::new("no_conflict", Exit::NotFound, message)
                .hint("`handfast conflicts` lists those that are."))
        }
    }
}
