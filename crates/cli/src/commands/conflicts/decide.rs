//! `handfast conflicts resolve ID FIELD`: decides about one conflict.

use handfast::{Choice, ConflictingField, ConflictingRecord, Device, Pick};
use serde_json::json;

use super::find;
use super::show::DELETED;
use crate::commands::records::edit;
use crate::report::wording::{count, line};
use crate::report::{CliError, Exit, Report};

/// What is decided.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast conflicts resolve
  handfast conflicts resolve 1f3a name --mine
  handfast conflicts resolve 1f3a name --pick 2
  handfast conflicts resolve 1f3a name --value '\"Kennedy\"'
  handfast conflicts resolve 1f3a --delete")]
pub struct Args {
    /// The record, or the beginning of its id
    id: Option<String>,
    /// The field; not needed with --delete and --keep
    field: Option<String>,
    #[command(flatten)]
    decision: Decision,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Decision {
    /// The value of this device
    #[arg(long, requires = "field")]
    mine: bool,
    /// The value of the other device
    #[arg(long, requires = "field")]
    theirs: bool,
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

impl Args {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.id.is_none()
    }
}

/// Runs it.
pub fn run(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
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
    apply(device, &conflict, field, choice)?;
    let left = device.conflicts()?.len() as u64;
    let left_over = if left == 0 {
        "Nothing is left in conflict.".to_owned()
    } else {
        format!("{} in conflict.", count(left, "record"))
    };
    report.say(format_args!("Decided. {left_over}"))?;
    report.json(json!({
        "collection": conflict.collection,
        "id": conflict.record.id.to_string(),
        "field": name,
        "resolved": true,
        "left": left,
    }))
}

/// Decides about a field.
pub fn apply(
    device: &Device,
    conflict: &ConflictingRecord,
    field: &ConflictingField,
    choice: Choice,
) -> Result<(), CliError> {
    device.resolve(&conflict.collection, &conflict.record.id, &field.field, choice)?;
    Ok(())
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
    // Which value `--mine` and `--theirs` mean must be told apart by who wrote it.
    let one = |own: bool| {
        let mut numbers =
            (1..).zip(&field.values).filter(|(_, it)| it.is_own == own).map(|(number, _)| number);
        match (numbers.next(), numbers.next()) {
            (Some(number), None) => picked(field, number),
            (None, _) => Err(CliError::usage("no value is of that device").hint("Use --pick N.")),
            _ => Err(CliError::usage("several values could be meant").hint("Use --pick N.")),
        }
    };
    match (decision.mine, decision.theirs, &decision.value, decision.pick) {
        (true, ..) => one(true),
        (_, true, ..) => one(false),
        (_, _, Some(value), _) => Ok(Choice::Value(Pick::Value(edit::value(value)?))),
        (_, _, _, Some(number)) => picked(field, number),
        _ => Err(CliError::usage("what is decided?")
            .hint("Add --mine, --theirs, --value JSON or --pick N.")),
    }
}

fn fields(conflict: &ConflictingRecord) -> String {
    let names: Vec<String> = conflict.fields.iter().map(|it| line(&it.field)).collect();
    names.join(", ")
}
