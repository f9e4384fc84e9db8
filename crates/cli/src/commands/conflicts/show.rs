//! A conflict, as people and programs read it.

use console::truncate_str;
use handfast::{ConflictingField, ConflictingRecord, ConflictingValue};
use serde_json::{Value, json};

use crate::report::Report;
use crate::report::wording::{ago, line, moment, padded, value, widest};

/// How a deletion is called where fields are named.
pub const DELETED: &str = "$deleted";

/// How much of a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As much as the line has room for.
    Cut,
    /// All of it.
    Whole,
}

/// The least that is shown of a value, in columns, however narrow the terminal is.
const LEAST: usize = 16;

/// A record in conflict, over several lines.
pub fn record(conflict: &ConflictingRecord, report: &Report, length: Length) -> String {
    let ink = report.ink();
    let mut lines =
        vec![format!("{}  {}", ink.bold(line(&conflict.collection)), ink.dim(conflict.record.id))];
    lines.extend(conflict.fields.iter().map(|it| field(it, report, length)));
    lines.join("\n")
}

/// A field and its values, numbered as `--pick` takes them.
pub fn field(conflict: &ConflictingField, report: &Report, length: Length) -> String {
    let ink = report.ink();
    let is_deletion = conflict.field == DELETED;
    let title = if is_deletion {
        "deleted on one device, changed on another".to_owned()
    } else {
        line(&conflict.field)
    };
    let origins: Vec<String> = conflict.values.iter().map(origin).collect();
    let numbers = conflict.values.len().to_string().len();
    // Four columns before the number, two behind it and two behind the value.
    let taken = 8 + numbers + widest(origins.iter().map(String::as_str));
    let room = report.width().saturating_sub(taken).max(LEAST);
    let shown: Vec<String> = conflict
        .values
        .iter()
        .map(|it| match (is_deletion, it.field == DELETED) {
            (true, true) => "deleted".to_owned(),
            (true, false) => format!("{} is now {}", line(&it.field), value(&it.value)),
            (false, _) => value(&it.value),
        })
        .map(|text| match length {
            Length::Cut => truncate_str(&text, room, "…").into_owned(),
            Length::Whole => text,
        })
        .collect();
    let width = widest(shown.iter().map(String::as_str)).min(room);
    let mut lines = vec![format!("  {}", ink.yellow(title))];
    for (number, (origin, shown)) in (1..).zip(origins.iter().zip(&shown)) {
        let (value, origin) = (padded(shown, width), ink.dim(origin));
        lines.push(format!("    {number:>numbers$}  {value}  {origin}"));
    }
    lines.join("\n")
}

/// Who wrote a value, and when.
fn origin(of: &ConflictingValue) -> String {
    let who = match &of.device {
        Some((_, name)) if of.is_own => format!("{name}, this device"),
        Some((_, name)) => name.to_string(),
        None => "a device that is not known any more".to_owned(),
    };
    format!("{who}, {}", ago(of.written))
}

/// A record in conflict, for programs.
pub fn to_json(conflict: &ConflictingRecord) -> Value {
    json!({
        "collection": conflict.collection,
        "id": conflict.record.id.to_string(),
        "record": conflict.record.fields.to_json(),
        "fields": conflict.fields.iter().map(field_json).collect::<Vec<_>>(),
    })
}

/// A field in conflict, for programs.
pub fn field_json(conflict: &ConflictingField) -> Value {
    let values = (1_u64..).zip(&conflict.values).map(|(number, it)| {
        json!({
            "pick": number,
            "field": it.field,
            "value": it.value.to_json(),
            "device": it.device.as_ref().map(|(id, name)| json!({
                "id": id.to_string(),
                "name": name.as_str(),
            })),
            "is_own": it.is_own,
            "written": moment(it.written),
        })
    });
    json!({ "field": conflict.field, "values": values.collect::<Vec<_>>() })
}
