//! `handfast records`: importing, reading, changing and exporting records.

pub mod edit;
mod export;
mod import;
mod list;

use clap::Subcommand;
use handfast::{Collection, Record, RecordId, Value};

use crate::home::Home;
use crate::report::{CliError, Report};

/// What about records.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A collection comes into being with its first record. A record has an id; where records have a key \
of their own, such as an airport's code, import them with --key and name them by it.

Examples:
  handfast records import airports.csv --into airports --key iata
  handfast records list airports
  handfast records get airports --key JFK
  handfast records set airports --key JFK runways=4 name=Kennedy
  handfast records export airports > airports.jsonl")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take records in from a CSV, JSON or JSON Lines file
    Import(import::Args),
    /// List the records of a collection
    List(list::Args),
    /// Show a record
    Get(list::GetArgs),
    /// Change fields of a record, or create one
    Set(edit::SetArgs),
    /// Delete a record
    Delete(edit::DeleteArgs),
    /// Write the records of a collection as JSON Lines, in an order that never changes
    Export(export::Args),
}

/// Runs it.
pub fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    match args.command {
        Command::Import(args) => import::run(&args, &device, report),
        Command::List(args) => list::run(&args, &device, report),
        Command::Get(args) => list::get(&args, &device, report),
        Command::Set(args) => edit::set(&args, &device, report),
        Command::Delete(args) => edit::delete(&args, &device, report),
        Command::Export(args) => export::run(&args, &device, report),
    }
}

/// Which record somebody means: by its id, or by its key.
struct Named<'a> {
    id: RecordId,
    said: &'a str,
}

impl<'a> Named<'a> {
    fn by_id(said: &'a str) -> Result<Named<'a>, CliError> {
        let id = said.parse().map_err(|error| {
            CliError::usage(format!("{said:?} is {error}"))
                .hint("`handfast records list` shows the ids; --key names a record by its key.")
        })?;
        Ok(Named { id, said })
    }

    fn by_key(said: &'a str, collection: &Collection) -> Result<Named<'a>, CliError> {
        let key = Value::string(said).map_err(|error| CliError::usage(error.to_string()))?;
        Ok(Named { id: collection.id_of_key(&key)?, said })
    }

    fn by_either(
        id: Option<&'a str>,
        key: Option<&'a str>,
        collection: &Collection,
    ) -> Result<Named<'a>, CliError> {
        match (id, key) {
            (Some(id), _) => Named::by_id(id),
            (None, Some(key)) => Named::by_key(key, collection),
            (None, None) => Err(CliError::usage("which record? Name it by its ID or with --key")),
        }
    }

    /// The record, which must be there.
    fn find(&self, collection: &Collection) -> Result<Record, CliError> {
        let found = collection.get(&self.id)?;
        Ok(found.ok_or_else(|| handfast::Error::NoRecord {
            collection: collection.name().to_owned(),
            id: self.said.to_owned(),
        })?)
    }
}
