//! `handfast records import`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use handfast::{Clock, Collection, Device, ImportRow, Importing, RecordId, Value};
use handfast_import::{Format, Place, Reason, Row, RowError, Source, rows};
use serde_json::json;

use crate::report::wording::{count, line, number};
use crate::report::{CliError, Exit, FileBar, Report};

/// How many refused rows are listed; all are counted.
const MAX_LISTED: usize = 100;

/// The field that carries a record's id in an export.
pub const ID: &str = "$id";

/// What to take in.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --key the record's id follows from that field, on every device alike: importing a file again \
changes what has changed, and devices that never met give the same thing the same id. A record that \
has a field $id, as exports do, gets that id. Every other record gets a new one.

A row that cannot be read is refused and listed with its line and column; the others are taken in.

Examples:
  handfast records import airports.csv --into airports --key iata
  handfast records import quakes.jsonl --into quakes --key id --strict
  curl https://example.org/x | handfast records import - --into x --format json")]
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
    place: Place,
    reason: String,
    /// Whether nothing behind it can be read.
    is_last: bool,
    /// Whether it isn't the row's fault.
    is_fatal: bool,
}

/// Runs it.
pub fn run(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
    let records = device.records(&args.into)?;
    let name = shown(&args.file);
    let bar = FileBar::new(report, length(&args.file));
    let source = Source::new(open(&args.file, &bar)?)
        .map_err(|error| CliError::unreadable(&args.file, &error))?;
    let format = match args.format {
        Some(FormatArg::Csv) => Format::Csv,
        Some(FormatArg::Json) => Format::Json,
        Some(FormatArg::Jsonl) => Format::JsonLines,
        None => Format::detect(&args.file, &source),
    };
    let refusals = Refusals::new(args.strict, &name);
    let ids = Ids { records: &records, key: args.key.as_deref(), clock: Clock::start() };
    let accepted = rows(source, format).filter_map(|row| {
        match row.map_err(Refusal::from).and_then(|row| ids.of(row)) {
            Ok(row) => Some(Ok(row)),
            Err(refusal) => refusals.take(refusal).err().map(Err),
        }
    });
    let imported = records.import(accepted, |told| match told {
        Importing::Read(_) => {
            bar.tick();
            Ok(())
        }
        Importing::Written { done, total } => {
            bar.written(done, total);
            if done == total { refusals.end() } else { Ok(()) }
        }
        Importing::Refused { place: (line, column), error } => {
            refusals.note(Refusal::new(Place::new(line, column), error));
            Ok(())
        }
    });
    bar.clear();
    let imported = imported?;
    let refused = refusals.count.get();
    let listed: Vec<Refusal> = refusals.listed.take().into_values().collect();
    // Programs have them in the object.
    for refusal in listed.iter().filter(|_| !report.is_json()) {
        report.warn(&refusal.sentence(&name));
    }
    if refused > listed.len() as u64 && !report.is_json() {
        report.warn(&format!("and {} more", number(refused - listed.len() as u64)));
    }
    let taken = imported.written + imported.unchanged;
    if taken > 0 || refused == 0 {
        let mut facts = vec![format!(
            "{} written into {}",
            count(imported.written, "record"),
            line(&args.into)
        )];
        if imported.unchanged > 0 {
            facts.push(format!("{} there already", number(imported.unchanged)));
        }
        if refused > 0 {
            facts.push(format!("{} refused", count(refused, "row")));
        }
        report.say(format_args!("{}.", facts.join(", ")))?;
    }
    let broken_off = refusals.broken_off.get();
    report.json(json!({
        "collection": args.into,
        "written": imported.written,
        "unchanged": imported.unchanged,
        "refused": refused,
        "read_to_the_end": broken_off.is_none(),
        "refusals": listed.iter().map(|refusal| json!({
            "line": refusal.place.line,
            "column": refusal.place.column,
            "reason": refusal.reason,
        })).collect::<Vec<_>>(),
    }))?;
    if taken == 0 && refused > 0 {
        let refused = count(refused, "row");
        let message = format!("{name}: no row could be taken in, {refused} refused");
        return Err(CliError::new("bad_input", Exit::BadInput, message));
    }
    if let Some(place) = broken_off {
        let message = format!("{name}: nothing behind line {} could be read", place.line);
        return Err(CliError::new("bad_input", Exit::BadInput, message).hint(
            "What stands before it is imported. Mend the file, and import it with --key or $id.",
        ));
    }
    Ok(())
}

/// The rows that were not taken in.
struct Refusals<'a> {
    file: &'a str,
    strict: bool,
    count: Cell<u64>,
    /// The first of them in the file, by where they are. (Each is counted; that keeps two that begin
    /// at one place apart.)
    listed: RefCell<BTreeMap<(u64, u64, u64), Refusal>>,
    broken_off: Cell<Option<Place>>,
}

impl<'a> Refusals<'a> {
    fn new(strict: bool, file: &'a str) -> Refusals<'a> {
        Refusals {
            file,
            strict,
            count: Cell::new(0),
            listed: RefCell::default(),
            broken_off: Cell::new(None),
        }
    }

    /// Takes one that was found while reading; or it is the end of the import.
    fn take(&self, refusal: Refusal) -> Result<(), CliError> {
        if self.strict || refusal.is_fatal {
            return Err(refusal.fatal(self.file));
        }
        self.note(refusal);
        Ok(())
    }

    /// Takes note of one.
    fn note(&self, refusal: Refusal) {
        if refusal.is_last {
            self.broken_off.set(Some(refusal.place));
        }
        self.count.update(|count| count + 1);
        let Place { line, column, .. } = refusal.place;
        let mut listed = self.listed.borrow_mut();
        listed.insert((line, column, self.count.get()), refusal);
        if listed.len() > MAX_LISTED {
            listed.pop_last();
        }
    }

    /// Every row was looked at: the first that was refused may be the end of the import.
    fn end(&self) -> Result<(), CliError> {
        match self.listed.borrow().values().next() {
            Some(refusal) if self.strict => Err(refusal.fatal(self.file)),
            _ => Ok(()),
        }
    }
}

/// Where records get their ids from.
struct Ids<'a> {
    records: &'a Collection,
    key: Option<&'a str>,
    clock: Clock,
}

impl Ids<'_> {
    fn of(&self, row: Row) -> Result<ImportRow, Refusal> {
        let Row { place, mut fields } = row;
        let refusal = |reason: String| Refusal::new(place, reason);
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
        Ok(ImportRow { id, fields, place: (place.line, place.column) })
    }
}

impl From<RowError> for Refusal {
    fn from(error: RowError) -> Refusal {
        let RowError { place, reason, is_last } = error;
        let is_fatal = matches!(reason, Reason::Read(_));
        let cause = match &reason {
            Reason::Read(cause) => format!(": {cause}"),
            _ => String::new(),
        };
        Refusal { place, reason: format!("{reason}{cause}"), is_last, is_fatal }
    }
}

impl Refusal {
    fn new(place: Place, reason: impl ToString) -> Refusal {
        Refusal { place, reason: reason.to_string(), is_last: false, is_fatal: false }
    }

    fn sentence(&self, file: &str) -> String {
        let Place { line, column, .. } = self.place;
        format!("{file}: line {line}, column {column}: {}", self.reason)
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
