//! `handfast records set` and `delete`.

use handfast::{Collection, Device, Edited, FieldName, Fields, RecordId, Value};
use serde_json::json;

use super::Named;
use super::import::ID;
use crate::report::wording::line;
use crate::report::{CliError, Report};

/// What to change.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "handfast records set NAME ID FIELD=VALUE...\n       \
                      handfast records set NAME --key KEY FIELD=VALUE...\n       \
                      handfast records set NAME --new FIELD=VALUE...",
    after_help = "\
A VALUE that reads as JSON is that: 4, true, null, [1,2], \"4\". Everything else is a text. Fields \
that are not named stay as they are. A record that has a key comes into being with it.

Examples:
  handfast records set airports --key JFK runways=4 name=Kennedy
  handfast records set notes --new text='buy milk' done=false
  handfast records set notes 01890a5d-ac96-774b-bcce-b302099a8057 done=true"
)]
pub struct SetArgs {
    /// The collection
    name: String,
    /// The record's id, then what its fields are to be
    #[arg(value_name = "ID FIELD=VALUE", required = true)]
    words: Vec<String>,
    /// The record's key, instead of its id
    #[arg(long)]
    key: Option<String>,
    /// Create a record with a new id
    #[arg(long, conflicts_with = "key")]
    new: bool,
}

/// What to delete.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast records delete airports --key JFK
  handfast records delete notes 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct DeleteArgs {
    /// The collection
    name: String,
    /// The record's id
    #[arg(required_unless_present = "key")]
    id: Option<String>,
    /// The record's key, instead of its id
    #[arg(long, conflicts_with = "id")]
    key: Option<String>,
}

/// Changes or creates a record.
pub fn set(args: &SetArgs, device: &Device, report: &Report) -> Result<(), CliError> {
    let records = device.records(&args.name)?;
    if args.new {
        let id = records.insert(fields(&args.words)?)?;
        return tell(&records, id, "created", true, report);
    }
    let (named, words) = match (&args.key, args.words.split_first()) {
        (Some(key), _) => (Named::by_key(key, &records)?, args.words.as_slice()),
        (None, Some((id, words))) => (Named::by_id(id)?, words),
        (None, None) => {
            return Err(CliError::usage("which record? Name it by its ID or with --key"));
        }
    };
    let fields = fields(words)?;
    let exists = records.get(&named.id)?.is_some();
    if !exists && args.key.is_none() {
        let missing = named.find(&records).err();
        return missing.map_or(Ok(()), |error| Err(error.hint("--new creates a record.")));
    }
    let changed = records.put(&named.id, fields)? == Edited::Changed;
    let what = match (exists, changed) {
        (false, _) => "created",
        (true, true) => "changed",
        (true, false) => "was like that already",
    };
    tell(&records, named.id, what, changed, report)
}

/// Deletes a record.
pub fn delete(args: &DeleteArgs, device: &Device, report: &Report) -> Result<(), CliError> {
    let records = device.records(&args.name)?;
    let named = Named::by_either(args.id.as_deref(), args.key.as_deref(), &records)?;
    named.find(&records)?;
    let changed = records.delete(&named.id)? == Edited::Changed;
    tell(&records, named.id, "deleted", changed, report)
}

fn tell(
    records: &Collection,
    id: RecordId,
    what: &str,
    changed: bool,
    report: &Report,
) -> Result<(), CliError> {
    report.say(format_args!("{id} in {}: {what}", line(records.name())))?;
    let (collection, id) = (records.name(), id.to_string());
    let what = if changed { what } else { "unchanged" };
    report.json(json!({ "collection": collection, "id": id, "changed": changed, "did": what }))
}

fn fields(words: &[String]) -> Result<Fields, CliError> {
    if words.is_empty() {
        return Err(CliError::usage("what is to be set? Add FIELD=VALUE"));
    }
    let mut fields = Fields::new();
    for word in words {
        let (name, text) = word
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| CliError::usage(format!("{word:?} is not FIELD=VALUE")))?;
        if name == ID {
            return Err(CliError::usage(format!("{ID} is the record's id and cannot be set")));
        }
        let name = FieldName::new(name).map_err(handfast::Error::from)?;
        let before = fields.insert(name, value(text)?).map_err(handfast::Error::from)?;
        if before.is_some() {
            return Err(CliError::usage(format!("{word:?} sets a field for the second time")));
        }
    }
    Ok(fields)
}

/// What somebody typed as a value: JSON if it reads as JSON, else a text.
pub fn value(text: &str) -> Result<Value, CliError> {
    Value::parse(text)
        .or_else(|_| Value::string(text))
        .map_err(|error| CliError::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &[&str]) -> Result<String, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        fields(&words).map(|it| it.to_text()).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn values_are_json_or_else_texts() {
        let words = ["a=4", "b=true", "c=milk and bread", "d=", "e=[1, 2]", "f=\"4\"", "g=x=y"];
        let text = r#"{"a":4,"b":true,"c":"milk and bread","d":"","e":[1,2],"f":"4","g":"x=y"}"#;
        assert_eq!(set(&words), Ok(text.to_owned()));
        assert!(set(&["plain"]).is_err());
        assert!(set(&["=1"]).is_err());
        assert!(set(&[]).is_err());
        assert!(set(&["a=1", "a=2"]).is_err());
        assert!(set(&["$deleted=true"]).is_err());
        assert!(set(&["$id=01890a5d-ac96-774b-bcce-b302099a8057"]).is_err());
    }
}
