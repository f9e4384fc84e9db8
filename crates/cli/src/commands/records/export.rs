//! `handfast records export`.

use handfast::{Device, Record};

use super::import::ID;
use crate::report::{CliError, Report};

/// What to write.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is an object: first $id, then the fields by name. Equal records give equal bytes, on every \
device. Importing such a file restores the ids; what is in conflict is written with its latest value.

Examples:
  handfast records export airports > airports.jsonl
  handfast records import airports.jsonl --into airports")]
pub struct Args {
    /// The collection
    name: String,
}

/// Runs it.
pub fn run(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
    let records = device.records(&args.name)?;
    report.write(|out| {
        let mut written = Ok(());
        records.each(|mut record| {
            // A program may have given a record such a field: its name is taken here.
            if record.fields.remove(ID).is_some() {
                report.warn(&format!("the field {ID} of the record {} is left out", record.id));
            }
            written = writeln!(out, "{}", exported(&record));
            written.is_ok()
        })?;
        Ok(written?)
    })
}

/// The same text for the same record, always.
fn exported(record: &Record) -> String {
    let fields = record.fields.to_text();
    let members = fields.strip_prefix('{').unwrap_or_default();
    let comma = if members.starts_with('}') { "" } else { "," };
    format!(r#"{{"{ID}":"{}"{comma}{members}"#, record.id)
}
