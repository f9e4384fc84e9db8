//! What an app, or a person, is told and asked.

use handfast_keys::CheckCode;
use handfast_pairing_manager::{DeviceName, Structure};
use serde_json::{Map, Value, json};

use super::desk::Writers;
use crate::conversation::{shown_json, words};
use crate::report::wording::{count, emojis, hex, line, padded, widest};
use crate::report::{CliError, Report};

/// The member's app is to add these writers. (Only programs are asked.)
pub fn add_writers(writers: &Writers, report: &Report) -> Result<(), CliError> {
    report.json(json!({ "type": "add_writers", "writer_keys": keys(writers) }))
}

/// Whether they are added: `{"added": true}`.
pub fn added(line: &str) -> Result<bool, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Answer {
        added: bool,
    }

    let answer: Result<Answer, _> = serde_json::from_str(line);
    answer.map(|answer| answer.added).map_err(|error| error.to_string())
}

/// The candidate's app is to name its writers for these. (Only programs are asked.)
pub fn structures(structures: &[Structure], report: &Report) -> Result<(), CliError> {
    let described = |it: &Structure| {
        json!({
            "namespace": it.namespace,
            "key": it.key.to_string(),
            "config": hex(&it.config),
        })
    };
    let structures: Vec<Value> = structures.iter().map(described).collect();
    report.json(json!({ "type": "structures", "structures": structures }))
}

/// A line was no answer; the question stands.
pub fn not_taken(why: &str, report: &Report) -> Result<(), CliError> {
    report.json(json!({ "type": "not_taken", "message": why }))?;
    report.ask(words::prompt(None))
}

/// Both people are to compare.
pub fn compare(name: &DeviceName, code: &CheckCode, report: &Report) -> Result<(), CliError> {
    let ink = report.ink();
    report.explain(format_args!(
        "\nOn the other side is {}, if it shows the same:\n\n    {}\n\n  or, as digits, {}\n",
        ink.bold(name),
        ink.bold(emojis(&code.emojis())),
        words::spaced(&code.digits()),
    ))?;
    report.json(shown_json(code, false))?;
    report.json(json!({
        "type": "question", "question": "compare", "peer": { "name": name.as_str() },
    }))?;
    report.ask(words::prompt(None))
}

/// This side has confirmed.
pub fn confirmed(code: &CheckCode, report: &Report) -> Result<(), CliError> {
    report.explain(words::shown(code, Some(words::Asked::YesOrNo), report.ink()))?;
    report.json(shown_json(code, true))
}

/// Somebody is let in.
pub fn paired(writers: &Writers, report: &Report) -> Result<(), CliError> {
    report.say(format_args!(
        "Paired. The other side has {}:\n{}",
        count(writers.len() as u64, "writer"),
        listed(writers)
    ))?;
    report.json(json!({ "type": "paired", "writer_keys": keys(writers) }))
}

/// Keys by structure, for programs.
pub fn keys(keys: &Writers) -> Value {
    let keys = keys.iter().map(|(name, key)| (name.clone(), key.to_string().into()));
    Value::Object(Map::from_iter(keys))
}

/// Keys by structure, for people: a line for each.
pub fn listed(keys: &Writers) -> String {
    let names: Vec<String> = keys.keys().map(|name| line(name)).collect();
    let columns = widest(names.iter().map(String::as_str));
    let lines = names.iter().zip(keys.values());
    let lines = lines.map(|(name, key)| format!("  {}  {key}", padded(name, columns)));
    lines.collect::<Vec<_>>().join("\n")
}
