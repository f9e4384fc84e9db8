//! A conflict, as people and programs read it.

use handfast::{ConflictingField, ConflictingRecord, ConflictingValue};
use serde_json::{Value, json};

use crate::report::Report;
use crate::report::wording::{ago, line, moment, padded, value, widest};

/// How a deletion is called where fields are named.
pub const DELETED: &str = "$deleted";

/// A record in conflict, over several lines.
pub fn record(conflict: &ConflictingRecord, report: &Report) -> String {
    let ink = report.ink();
    let mut lines =
        vec![format!("{}  {}", ink.bold(line(&conflict.collection)), ink.dim(conflict.record.id))];
    lines.extend(conflict.fields.iter().map(|it| field(it, report)));
    lines.join("\n")
}

/// A field and its values, numbered as `--pick` takes them.
pub fn field(conflict: &ConflictingField, report: &Report) -> String {
    let ink = report.ink();
    let is_deletion = conflict.field == DELETED;
    let title = if is_deletion {
        "deleted on one device, changed on another".to_owned()
    } else {
        line(&conflict.field)
    };
    let shown: Vec<String> = conflict
        .values
        .iter()
        .map(|it| match (is_deletion, it.field == DELETED) {
            (true, true) => "deleted".to_owned(),
            (true, false) => format!("{} is now {}", line(&it.field), value(&it.value)),
            (false, _) => value(&it.value),
        })
        .collect();
    let width = widest(shown.iter().map(String::as_str)).min(report.width() / 2);
    let mut lines = vec![format!("  {}", ink.yellow(title))];
    for (number, (it, shown)) in (1..).zip(conflict.values.iter().zip(&shown)) {
        let facts = ink.dim(origin(it));
        lines.push(format!("    {number}  {}  {facts}", padded(shown, width)));
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
