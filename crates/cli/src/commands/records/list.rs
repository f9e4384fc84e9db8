//! `handfast records list` and `get`.

use handfast::{Device, Record};
use serde_json::{Value, json};

use super::Named;
use crate::report::wording::{self, count, line, number, padded, widest};
use crate::report::{CliError, Report};

/// How many records people see at once.
const ENOUGH: u64 = 50;

/// What to list.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast records list airports
  handfast records list airports --limit 0      all of them
  handfast records list airports --json | jq '.records[].fields.name'")]
pub struct Args {
    /// The collection
    name: String,
    /// How many to show, 0 for all [default: 50, with --json all]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// What to show.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast records get airports --key JFK
  handfast records get notes 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct GetArgs {
    /// The collection
    name: String,
    /// The record's id
    #[arg(required_unless_present = "key")]
    id: Option<String>,
    /// The record's key, instead of its id
    #[arg(long, conflicts_with = "id")]
    key: Option<String>,
}

/// Lists a collection.
pub fn run(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
    let records = device.records(&args.name)?;
    let total = records.len()?;
    let limit = args.limit.unwrap_or(if report.is_json() { 0 } else { ENOUGH });
    let limit = if limit == 0 { total } else { limit.min(total) };
    let mut shown = 0;
    report.write(|out| {
        if report.is_json() {
            let name = Value::from(args.name.as_str());
            write!(out, r#"{{"collection":{name},"total":{total},"records":["#)?;
        }
        let mut written = Ok(());
        records.each(|record| {
            if shown == limit {
                return false;
            }
            written = if report.is_json() {
                let comma = if shown > 0 { "," } else { "" };
                write!(out, "{comma}{}", to_json(&record))
            } else {
                writeln!(out, "{}", entry(&record, report))
            };
            shown += 1;
            written.is_ok()
        })?;
        written?;
        if report.is_json() {
            writeln!(out, "]}}")?;
        }
        Ok(())
    })?;
    match total {
        0 => {
            report.say(format_args!("There are no records in {}.", line(&args.name)))?;
            let others = device.collections()?.into_iter().filter(|it| it.records > 0);
            let others: Vec<String> = others.map(|it| line(&it.name)).collect();
            if !others.is_empty() {
                report.hint(format_args!("There are some in {}.", others.join(", ")));
            }
        }
        _ if shown < total => {
            report.say(format_args!("{} of {}", number(shown), count(total, "record")))?;
            report.hint("--limit 0 lists all, `handfast records export` writes them as JSON.");
        }
        _ => report.say(count(total, "record"))?,
    }
    Ok(())
}

/// Shows one record.
pub fn get(args: &GetArgs, device: &Device, report: &Report) -> Result<(), CliError> {
    let records = device.records(&args.name)?;
    let named = Named::by_either(args.id.as_deref(), args.key.as_deref(), &records)?;
    let record = named.find(&records)?;
    report.say(report.ink().dim(record.id))?;
    let names: Vec<String> = record.fields.iter().map(|(name, _)| line(name.as_str())).collect();
    let width = widest(names.iter().map(String::as_str));
    for ((name, value), shown) in record.fields.iter().zip(&names) {
        let open = record.conflicts.iter().any(|field| field == name.as_str());
        let mark = if open { report.ink().yellow("  in conflict") } else { String::new() };
        let value = wording::value(value);
        report.say(format_args!("{}  {value}{mark}", padded(shown, width)))?;
    }
    if !record.conflicts.is_empty() {
        report.hint(format_args!("`handfast conflicts show {}` has all values.", record.id));
    }
    let mut object = to_json(&record);
    if let Some(members) = object.as_object_mut() {
        members.insert("collection".to_owned(), args.name.as_str().into());
    }
    report.json(object)
}

/// A record in two lines.
fn entry(record: &Record, report: &Report) -> String {
    let ink = report.ink();
    let conflicts = match record.conflicts.as_slice() {
        [] => String::new(),
        fields => {
            let fields: Vec<String> = fields.iter().map(|field| line(field)).collect();
            ink.yellow(format_args!("  in conflict: {}", fields.join(", ")))
        }
    };
    let fields = wording::fields(&record.fields, report.width().saturating_sub(2));
    format!("{}{conflicts}\n  {fields}", ink.dim(record.id))
}

/// A record, for programs.
fn to_json(record: &Record) -> Value {
    json!({
        "id": record.id.to_string(),
        "fields": record.fields.to_json(),
        "conflicts": record.conflicts,
    })
}
