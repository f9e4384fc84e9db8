//! `handfast conflicts resolve` without arguments: one conflict after the other, with the person.

use handfast::{Choice, ConflictingField, ConflictingRecord, Device, Pick, RecordId};
use serde_json::{Value, json};

use super::decide::{Whose, apply, left_over, of_whom, picked};
use super::show::{self, DELETED};
use crate::commands::records::edit;
use crate::prompt::Input;
use crate::report::wording::{count, line, number};
use crate::report::{CliError, Report};

/// What the person wants.
enum Said {
    /// This, about the field that is asked about.
    Choice(Choice),
    /// This side's value, here and in all that are left.
    All(Whose),
    /// Something else, which needs words.
    Value,
    Skip,
    Quit,
    /// An answer that is not understood, or not here; and why.
    Again(&'static str),
}

/// A walk that goes on.
struct Walk<'a> {
    device: &'a Device,
    report: &'a Report,
    input: Input,
    total: usize,
    decided: u64,
    skipped: u64,
}

/// Runs it.
pub async fn run(device: &Device, report: &Report) -> Result<(), CliError> {
    let conflicts = device.conflicts()?;
    let questions: Vec<(&ConflictingRecord, &ConflictingField)> =
        conflicts.iter().flat_map(|it| it.fields.iter().map(move |field| (it, field))).collect();
    let total = questions.len();
    let mut walk = Walk { device, report, input: Input::default(), total, decided: 0, skipped: 0 };
    walk.go(&questions).await?;
    let left = device.conflict_count()?;
    let skipped = match walk.skipped {
        0 => String::new(),
        skipped => format!(" {} skipped.", number(skipped)),
    };
    let decisions = count(walk.decided, "decision");
    report.say(format_args!("\n{decisions} made.{skipped} {}", left_over(left)))?;
    report.json(json!({
        "type": "finished",
        "resolved": walk.decided,
        "skipped": walk.skipped,
        "left": left,
    }))
}

impl Walk<'_> {
    async fn go(
        &mut self,
        questions: &[(&ConflictingRecord, &ConflictingField)],
    ) -> Result<(), CliError> {
        let mut introduced: Option<RecordId> = None;
        for (index, (conflict, field)) in questions.iter().enumerate() {
            self.introduce(index + 1, conflict, introduced == Some(conflict.record.id))?;
            introduced = Some(conflict.record.id);
            self.report.say(show::field(field, self.report, show::Length::Cut))?;
            self.report.json(self.question(index + 1, conflict, field))?;
            match self.ask(field, questions.len() - index).await? {
                Said::Choice(choice) => self.decide(conflict, field, choice)?,
                Said::All(whose) => {
                    let left = questions.get(index..).unwrap_or_default();
                    return self.decide_all(left, whose);
                }
                Said::Quit => return Ok(()),
                _ => self.skipped += 1,
            }
        }
        Ok(())
    }

    /// Says how far it is, and which record it is about.
    fn introduce(
        &self,
        position: usize,
        conflict: &ConflictingRecord,
        again: bool,
    ) -> Result<(), CliError> {
        let ink = self.report.ink();
        let progress = format!("{} of {}", number(position as u64), number(self.total as u64));
        let (name, id) = (line(&conflict.collection), conflict.record.id);
        self.report.say(format_args!("\n{progress}  {}  {}", ink.bold(name), ink.dim(id)))?;
        if again {
            return Ok(());
        }
        let room = self.report.width().saturating_sub(2);
        let fields = crate::report::wording::fields(&conflict.record.fields, room);
        self.report.say(format_args!("  {}", ink.dim(fields)))
    }

    async fn ask(&mut self, field: &ConflictingField, left: usize) -> Result<Said, CliError> {
        loop {
            self.report.ask(prompt(field))?;
            let Some(line) = self.input.line().await else { return Ok(Said::Quit) };
            match understood(line.trim(), field) {
                Said::Again(why) => self.report.say(why)?,
                Said::Value => {
                    self.report.ask("The value (JSON, or a text; nothing to go back): ")?;
                    let Some(text) = self.input.line().await else { return Ok(Said::Quit) };
                    match edit::value(text.trim()) {
                        Ok(_) if text.trim().is_empty() => {}
                        Ok(value) => return Ok(Said::Choice(Choice::Value(Pick::Value(value)))),
                        Err(error) => self.report.say(error.message())?,
                    }
                }
                Said::All(whose) => {
                    let values = match whose {
                        Whose::Mine => "this device's value",
                        Whose::Theirs => "the other device's value",
                        Whose::Latest => "the latest value",
                    };
                    let which = match left {
                        1 => "here".to_owned(),
                        left => format!("in all {} that are left", number(left as u64)),
                    };
                    self.report.ask(format_args!("Keep {values} {which}? yes or no: "))?;
                    let Some(line) = self.input.line().await else { return Ok(Said::Quit) };
                    if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") {
                        return Ok(Said::All(whose));
                    }
                }
                said => return Ok(said),
            }
        }
    }

    fn decide(
        &mut self,
        conflict: &ConflictingRecord,
        field: &ConflictingField,
        choice: Choice,
    ) -> Result<(), CliError> {
        if !apply(self.device, conflict, field, choice)? {
            self.report.say("That was decided elsewhere meanwhile.")?;
            return Ok(());
        }
        self.decided += 1;
        self.report.json(json!({
            "type": "resolved",
            "id": conflict.record.id.to_string(),
            "field": field.field,
        }))
    }

    fn decide_all(
        &mut self,
        questions: &[(&ConflictingRecord, &ConflictingField)],
        whose: Whose,
    ) -> Result<(), CliError> {
        for (conflict, field) in questions {
            match of_whom(field, whose) {
                Some(choice) => self.decide(conflict, field, choice)?,
                None => self.skipped += 1,
            }
        }
        Ok(())
    }

    fn question(
        &self,
        position: usize,
        conflict: &ConflictingRecord,
        field: &ConflictingField,
    ) -> Value {
        json!({
            "type": "question",
            "question": "resolve",
            "number": position,
            "total": self.total,
            "collection": conflict.collection,
            "id": conflict.record.id.to_string(),
            "conflict": show::field_json(field),
        })
    }
}

fn prompt(field: &ConflictingField) -> String {
    match field.values.len() {
        _ if field.field == DELETED => {
            "(d)elete it, (k)eep it, (m)ine, (t)heirs, (s)kip, (q)uit, ? for more: ".to_owned()
        }
        last => format!(
            "Keep 1 to {last}, (m)ine, (t)heirs, another (v)alue, (s)kip, (q)uit, ? for more: "
        ),
    }
}

const HELP: &str = "  \
  1, 2 …      keep the value with this number
  m, t        keep the value of this device, of the other device
  d, k        delete the record, or keep it, where one device deleted it
  v           type another value
  s, q        skip this one; stop here and leave the rest open
  all mine, all theirs, all latest
              the same for this one and all that are left";

/// What an answer means.
fn understood(said: &str, field: &ConflictingField) -> Said {
    let deletion = field.field == DELETED;
    let of = |whose| {
        of_whom(field, whose)
            .map_or(Said::Again("Not exactly one value is of that device."), Said::Choice)
    };
    match said.to_lowercase().as_str() {
        "q" | "quit" => Said::Quit,
        "s" | "skip" => Said::Skip,
        "m" | "mine" => of(Whose::Mine),
        "t" | "theirs" => of(Whose::Theirs),
        "l" | "latest" => of(Whose::Latest),
        "d" | "delete" if deletion => Said::Choice(Choice::Delete),
        "k" | "keep" if deletion => Said::Choice(Choice::Keep),
        "v" | "value" if !deletion => Said::Value,
        "all mine" => Said::All(Whose::Mine),
        "all theirs" => Said::All(Whose::Theirs),
        "all latest" => Said::All(Whose::Latest),
        "?" | "h" | "help" => Said::Again(HELP),
        number if !deletion => match number.parse().ok().map(|number| picked(field, number)) {
            Some(Ok(choice)) => Said::Choice(choice),
            Some(Err(_)) => Said::Again("There is no value with this number."),
            None => Said::Again("Type a number or a letter; ? says which."),
        },
        _ => Said::Again("Type a letter; ? says which."),
    }
}
