//! `handfast conflicts resolve` with arguments: decides about one conflict, or about all.

use handfast::{Choice, ConflictingField, ConflictingRecord, Device, Edited, Error, Pick};
use handfast_ledger::EditError;
use serde_json::json;

use super::find;
use super::show::DELETED;
use crate::commands::records::edit;
use crate::report::wording::{count, line};
use crate::report::{CliError, Exit, Report};

/// What is decided.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without arguments it walks through all of them. With --all it decides about all at once and leaves \
those open where the answer is not one value, as --mine is not where two other devices disagree.

Examples:
  handfast conflicts resolve
  handfast conflicts resolve 1f3a name --mine
  handfast conflicts resolve 1f3a name --pick 2
  handfast conflicts resolve 1f3a name --value '\"Kennedy\"'
  handfast conflicts resolve 1f3a --delete
  handfast conflicts resolve --all --latest
  handfast conflicts resolve --all --theirs --of airports")]
pub struct Args {
    /// The record, or the beginning of its id
    #[arg(conflicts_with = "all")]
    id: Option<String>,
    /// The field; not needed with --delete and --keep
    field: Option<String>,
    /// All conflicts at once, with --mine, --theirs or --latest
    #[arg(long)]
    all: bool,
    /// Of this collection only
    #[arg(long, value_name = "NAME", requires = "all")]
    of: Option<String>,
    #[command(flatten)]
    decision: Decision,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Decision {
    /// The value of this device
    #[arg(long)]
    mine: bool,
    /// The value of the other device
    #[arg(long)]
    theirs: bool,
    /// The value that was written last
    #[arg(long)]
    latest: bool,
    /// Another value: JSON if it reads as JSON, else a text
    #[arg(long, value_name = "JSON", requires = "field")]
    value: Option<String>,
    /// The value with this number in the list
    #[arg(long, value_name = "N", requires = "field")]
    pick: Option<usize>,
    /// Delete the record after all
    #[arg(long, requires = "id")]
    delete: bool,
    /// Keep the record that another device deleted
    #[arg(long, requires = "id")]
    keep: bool,
}

/// Whose value is kept, where nobody says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// This device's.
    Mine,
    /// The other device's.
    Theirs,
    /// Of who wrote last.
    Latest,
}

impl Args {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && !self.all && self.decision.whose().is_none()
    }
}

impl Decision {
    fn whose(&self) -> Option<Whose> {
        match (self.mine, self.theirs, self.latest) {
            (true, ..) => Some(Whose::Mine),
            (_, true, _) => Some(Whose::Theirs),
            (.., true) => Some(Whose::Latest),
            _ => None,
        }
    }
}

/// Runs it.
pub fn run(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
    if args.all {
        return all(args, device, report);
    }
    if args.id.is_none() {
        return Err(CliError::usage("which conflict? Name the record and the field, or say --all"));
    }
    let conflict = find(args.id.as_deref().unwrap_or_default(), device)?;
    let of_deletion = args.decision.delete || args.decision.keep;
    let name = match &args.field {
        Some(field) if of_deletion && field != DELETED => {
            return Err(CliError::usage("--delete and --keep decide about a record, not a field"));
        }
        _ if of_deletion => DELETED,
        Some(field) => field,
        None => return Err(CliError::usage("which field? Name it, and what is decided about it")),
    };
    let missing = || {
        let message = format!("the field {name:?} of {} is not in conflict", conflict.record.id);
        CliError::new("no_conflict", Exit::NotFound, message)
            .hint(format!("In conflict: {}", fields(&conflict)))
    };
    let field = conflict.fields.iter().find(|it| it.field == name).ok_or_else(missing)?;
    let choice = choice(&args.decision, field)?;
    if !apply(device, &conflict, field, choice)? {
        return Err(missing());
    }
    let left = device.conflict_count()?;
    report.say(format_args!("Decided. {}", left_over(left)))?;
    report.json(json!({
        "collection": conflict.collection,
        "id": conflict.record.id.to_string(),
        "field": name,
        "resolved": true,
        "left": left,
    }))
}

/// Decides about everything at once.
fn all(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
    let whose = args.decision.whose().ok_or_else(|| {
        CliError::usage("what is decided about all of them?")
            .hint("Add --mine, --theirs or --latest.")
    })?;
    let mut conflicts = device.conflicts()?;
    conflicts.retain(|it| args.of.as_ref().is_none_or(|of| it.collection == *of));
    let mut resolved = 0;
    for conflict in &conflicts {
        for field in &conflict.fields {
            if let Some(choice) = of_whom(field, whose) {
                resolved += u64::from(apply(device, conflict, field, choice)?);
            }
        }
    }
    let left = device.conflict_count()?;
    let decisions = count(resolved, "decision");
    report.say(format_args!("{decisions} made. {}", left_over(left)))?;
    if left > 0 {
        report.hint("`handfast conflicts resolve` walks through them.");
    }
    report.json(json!({ "resolved": resolved, "left": left }))
}

/// How much is still open.
pub fn left_over(left: u64) -> String {
    match left {
        0 => "Nothing is left in conflict.".to_owned(),
        left => format!("{} in conflict.", count(left, "record")),
    }
}

/// Decides about a field. Tells whether it was still in conflict: another process may have been
/// faster.
pub fn apply(
    device: &Device,
    conflict: &ConflictingRecord,
    field: &ConflictingField,
    choice: Choice,
) -> Result<bool, CliError> {
    match device.resolve(&conflict.collection, &conflict.record.id, &field.field, choice) {
        Ok(edited) => Ok(edited == Edited::Changed),
        Err(Error::Edit(EditError::NoConflict { .. } | EditError::NoSuchValue)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The decision for somebody's value; `None` where that is not one value.
pub fn of_whom(field: &ConflictingField, whose: Whose) -> Option<Choice> {
    let latest = field.values.iter().map(|it| it.written).max();
    let meant = field.values.iter().filter(|it| match whose {
        Whose::Mine => it.is_own,
        Whose::Theirs => !it.is_own,
        Whose::Latest if field.field == DELETED => Some(it.written) == latest,
        Whose::Latest => true,
    });
    if field.field == DELETED {
        let deletes: Vec<bool> = meant.map(|it| it.field == DELETED).collect();
        let all = |deletion| !deletes.is_empty() && deletes.iter().all(|it| *it == deletion);
        return match (all(true), all(false)) {
            (true, _) => Some(Choice::Delete),
            (_, true) => Some(Choice::Keep),
            _ => None,
        };
    }
    let mut meant = meant.map(|it| Choice::Value(Pick::Dot(it.dot)));
    match (meant.next(), meant.next()) {
        // The first is the one that is read meanwhile: the latest.
        (Some(first), _) if whose == Whose::Latest => Some(first),
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// The value with this number, counting from one.
pub fn picked(field: &ConflictingField, number: usize) -> Result<Choice, CliError> {
    let value = number.checked_sub(1).and_then(|index| field.values.get(index));
    let value = value.ok_or_else(|| {
        let last = field.values.len();
        CliError::usage(format!("there are values 1 to {last}, but no {number}"))
    })?;
    Ok(Choice::Value(Pick::Dot(value.dot)))
}

fn choice(decision: &Decision, field: &ConflictingField) -> Result<Choice, CliError> {
    if decision.delete {
        return Ok(Choice::Delete);
    }
    if decision.keep {
        return Ok(Choice::Keep);
    }
    if field.field == DELETED {
        return Err(CliError::usage("a deletion is decided with --delete or --keep"));
    }
    if let Some(whose) = decision.whose() {
        return of_whom(field, whose).ok_or_else(|| {
            CliError::usage("not exactly one value is of that device").hint("Use --pick N.")
        });
    }
    match (&decision.value, decision.pick) {
        (Some(value), _) => Ok(Choice::Value(Pick::Value(edit::value(value)?))),
        (_, Some(number)) => picked(field, number),
        _ => Err(CliError::usage("what is decided?")
            .hint("Add --mine, --theirs, --latest, --value JSON or --pick N.")),
    }
}

fn fields(conflict: &ConflictingRecord) -> String {
    let names: Vec<String> = conflict.fields.iter().map(|it| line(&it.field)).collect();
    names.join(", ")
}
