//! `handfast conflicts resolve` without arguments: one conflict after the other, with the person.

use handfast::{Choice, ConflictingField, ConflictingRecord, Device, Pick};
use serde_json::{Value, json};

use super::decide::{apply, picked};
use super::show::{self, DELETED};
use crate::commands::records::edit;
use crate::prompt::Input;
use crate::report::wording::{count, line};
use crate::report::{CliError, Report};

/// What the person has decided about one field.
enum Decision {
    Choice(Choice),
    Skip,
    Stop,
}

/// Runs it.
pub async fn run(device: &Device, report: &Report) -> Result<(), CliError> {
    let mut input = Input::default();
    let mut decided = 0;
    'all: for conflict in &device.conflicts()? {
        let (name, id) = (line(&conflict.collection), conflict.record.id);
        report.say(format_args!("\n{}  {}", report.ink().bold(name), report.ink().dim(id)))?;
        let fields = crate::report::wording::fields(
            &conflict.record.fields,
            report.width().saturating_sub(2),
        );
        report.say(format_args!("  {}", report.ink().dim(fields)))?;
        for field in &conflict.fields {
            match ask(conflict, field, &mut input, report).await? {
                Decision::Choice(choice) => {
                    apply(device, conflict, field, choice)?;
                    decided += 1;
                    report.json(json!({
                        "type": "resolved",
                        "id": id.to_string(),
                        "field": field.field,
                    }))?;
                }
                Decision::Skip => {}
                Decision::Stop => break 'all,
            }
        }
    }
    let left = device.conflicts()?.len() as u64;
    let decisions = count(decided, "decision");
    report.say(match left {
        0 => format!("\n{decisions} made. Nothing is left in conflict."),
        left => format!("\n{decisions} made. {} in conflict.", count(left, "record")),
    })?;
    report.json(json!({ "type": "finished", "resolved": decided, "left": left }))
}

async fn ask(
    conflict: &ConflictingRecord,
    field: &ConflictingField,
    input: &mut Input,
    report: &Report,
) -> Result<Decision, CliError> {
    report.say(show::field(field, report))?;
    report.json(question(conflict, field))?;
    loop {
        report.ask(match field.values.len() {
            _ if field.field == DELETED => "(d)elete it, (k)eep it, (s)kip, (q)uit: ".to_owned(),
            last => format!("Keep 1 to {last}, another (v)alue, (s)kip, (q)uit: "),
        })?;
        let Some(line) = input.line().await else { return Ok(Decision::Stop) };
        match (line.trim().to_lowercase().as_str(), field.field == DELETED) {
            ("q" | "quit", _) => return Ok(Decision::Stop),
            ("s" | "skip", _) => return Ok(Decision::Skip),
            ("d" | "delete", true) => return Ok(Decision::Choice(Choice::Delete)),
            ("k" | "keep", true) => return Ok(Decision::Choice(Choice::Keep)),
            ("v" | "value", false) => {
                report.ask("The value (JSON, or a text): ")?;
                let Some(text) = input.line().await else { return Ok(Decision::Stop) };
                let value = edit::value(text.trim())?;
                return Ok(Decision::Choice(Choice::Value(Pick::Value(value))));
            }
            (number, false) => {
                if let Some(Ok(choice)) = number.parse().ok().map(|number| picked(field, number)) {
                    return Ok(Decision::Choice(choice));
                }
            }
            _ => {}
        }
    }
}

fn question(conflict: &ConflictingRecord, field: &ConflictingField) -> Value {
    json!({
        "type": "question",
        "question": "resolve",
        "collection": conflict.collection,
        "id": conflict.record.id.to_string(),
        "conflict": show::field_json(field),
    })
}
