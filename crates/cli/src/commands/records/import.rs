//! `handfast records import`.

use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use handfast::{Clock, Collection, Device, Fields, RecordId, Value};
use serde_json::json;

use crate::import::{Format, Reason, Row, RowError, rows};
use crate::report::wording::{count, number};
use crate::report::{CliError, Exit, FileBar, Report};

/// How many refused rows are listed; all are counted.
const MAX_LISTED: usize = 100;

/// The field that carries a record's id in an export.
pub const ID: &str = "$id";

/// What to take in.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --key the record's id follows from that field, on every device alike: importing a file again
changes what has changed, and devices that never met give the same thing the same id. A record that
has a field $id, as exports do, gets that id. Every other record gets a new one.

A row that cannot be read is refused and listed with its line and column; the others are taken in.

Examples:
  handfast records import airports.csv --into airports --key iata
  handfast records import quakes.jsonl --into quakes --key id --strict
  curl https://example.org/data | handfast records import - --into data --format json")]
pub struct Args {
    /// The file; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The collection that the records go into
    #[arg(long, value_name = "NAME")]
    into: String,
    /// The field that is a record's key
    #[arg(long, value_name = "FIELD")]
    key: Option<String>,
    /// Comma-separated values with a header, one array of objects, or one object a line [default:
    /// what the file's name or its first character says]
    #[arg(long)]
    format: Option<FormatArg>,
    /// Refuse the whole file if any of its rows is refused
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatArg {
    Csv,
    Json,
    Jsonl,
}

/// A row that was not taken in.
struct Refusal {
    line: u64,
    column: u64,
    reason: String,
}

/// Runs it.
pub fn run(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
    let records = device.records(&args.into)?;
    let name = shown(&args.file);
    let bar = FileBar::new(report, length(&args.file));
    let mut input = open(&args.file, &bar)?;
    let format = match args.format {
        Some(FormatArg::Csv) => Format::Csv,
        Some(FormatArg::Json) => Format::Json,
        Some(FormatArg::Jsonl) => Format::JsonLines,
        None => Format::detect(&args.file, &mut input)
            .map_err(|error| CliError::unreadable(&args.file, &error))?,
    };
    let (mut refused, mut listed) = (0, Vec::new());
    let ids = Ids { records: &records, key: args.key.as_deref(), clock: Clock::start() };
    let accepted = rows(input, format).filter_map(|row| {
        let broken = matches!(&row, Err(RowError { reason: Reason::Read(_), .. }));
        match row.map_err(Refusal::from).and_then(|row| ids.of(row)) {
            Ok(row) => Some(Ok(row)),
            Err(refusal) if args.strict || broken => Some(Err(refusal.fatal(&name))),
            Err(refusal) => {
                refused += 1;
                if listed.len() < MAX_LISTED {
                    listed.push(refusal);
                }
                None
            }
        }
    });
    let imported = records.import(accepted, |_| bar.tick());
    bar.clear();
    let imported = imported?;
    for refusal in &listed {
        report.warn(&refusal.sentence(&name));
    }
    if refused > listed.len() as u64 {
        report.warn(&format!("and {} more", number(refused - listed.len() as u64)));
    }
    let taken = imported.written + imported.unchanged;
    if taken > 0 || refused == 0 {
        let written = count(imported.written, "record");
        report.say(format_args!("{written} written into {}.", args.into))?;
        if imported.unchanged > 0 {
            report.say(format_args!("{} were there already.", number(imported.unchanged)))?;
        }
        if refused > 0 {
            report.say(format_args!("{} refused.", count(refused, "row")))?;
        }
    }
    report.json(json!({
        "collection": args.into,
        "written": imported.written,
        "unchanged": imported.unchanged,
        "refused": refused,
        "refusals": listed.iter().map(|refusal| json!({
            "line": refusal.line,
            "column": refusal.column,
            "reason": refusal.reason,
        })).collect::<Vec<_>>(),
    }))?;
    if taken == 0 && refused > 0 {
        let message =
            format!("{name}: no row could be taken in, {}", count(refused, "row refused"));
        let message = message.replace("row refuseds", "rows refused");
        return Err(CliError::new("bad_input", Exit::BadInput, message));
    }
    Ok(())
}

/// Where records get their ids from.
struct Ids<'a> {
    records: &'a Collection,
    key: Option<&'a str>,
    clock: Clock,
}

impl Ids<'_> {
    fn of(&self, row: Row) -> Result<(RecordId, Fields), Refusal> {
        let Row { line, mut fields } = row;
        let refusal = |reason: String| Refusal { line, column: 1, reason };
        let own = fields.remove(ID);
        let id = match (&own, self.key) {
            (Some(id), _) => id
                .as_text()
                .and_then(|id| id.parse().ok())
                .ok_or_else(|| refusal(format!("{ID} is no record id")))?,
            (None, Some(field)) => {
                let key = fields.get(field).cloned().unwrap_or_else(Value::null);
                self.records
                    .id_of_key(&key)
                    .map_err(|error| refusal(format!("the field {field}: {error}")))?
            }
            (None, None) => RecordId::generate(self.clock.now(), &mut rand::rng()),
        };
        Ok((id, fields))
    }
}

impl From<RowError> for Refusal {
    fn from(error: RowError) -> Refusal {
        let RowError { line, column, reason } = error;
        let cause = match &reason {
            Reason::Read(cause) => format!(": {cause}"),
            _ => String::new(),
        };
        Refusal { line, column, reason: format!("{reason}{cause}") }
    }
}

impl Refusal {
    fn sentence(&self, file: &str) -> String {
        format!("{file}: line {}, column {}: {}", self.line, self.column, self.reason)
    }

    fn fatal(&self, file: &str) -> CliError {
        CliError::new("bad_input", Exit::BadInput, self.sentence(file))
            .hint("Nothing was imported.")
    }
}

fn shown(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn length(file: &Path) -> Option<u64> {
    std::fs::metadata(file).ok().filter(|file| file.is_file()).map(|file| file.len())
}

fn open<'a>(file: &Path, bar: &'a FileBar) -> Result<Box<dyn BufRead + 'a>, CliError> {
    if file == Path::new("-") {
        return Ok(Box::new(bar.read(io::stdin())));
    }
    let opened = File::open(file).and_then(|opened| match opened.metadata()?.is_dir() {
        true => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        false => Ok(opened),
    });
    match opened {
        Ok(opened) => Ok(Box::new(bar.read(opened))),
        Err(error) => Err(CliError::unreadable(file, &error)),
    }
}
