//! Fields of records: names, and names with values.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;

use crate::json::{Scanner, quote_into};
use crate::value::{Value, ValueError};

/// The name of a field: up to 256 bytes of any text, as JSON has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "SmolStr")]
pub struct FieldName(SmolStr);

/// The fields of one record, sorted by name.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<(FieldName, Value)>")]
pub struct Fields(Vec<(FieldName, Value)>);

/// Something that cannot be the fields of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A record is a JSON object.
    #[error("a record is a JSON object")]
    NotAnObject,
    /// More than [`Fields::MAX`] fields.
    #[error("a record has at most {max} fields, not {count}", max = Fields::MAX)]
    TooMany {
        /// How many it has.
        count: usize,
    },
    /// A name of more than [`FieldName::MAX`] bytes.
    #[error("a field's name has at most {max} bytes, not {len}", max = FieldName::MAX)]
    NameTooLong {
        /// How many bytes it has.
        len: usize,
    },
    /// A field that the ledger itself uses.
    #[error("the field name {DELETED} is reserved")]
    Reserved,
    /// Names that are not unique and sorted where they have to be.
    #[error("the fields are not sorted by name")]
    NotSorted,
    /// A value that is none.
    #[error(transparent)]
    Value(#[from] ValueError),
}

const DELETED: &str = "$deleted";

impl FieldName {
    /// The longest name, in bytes of UTF-8.
    pub const MAX: usize = 256;

    /// Checks a name that a person or a program gives to a field.
    pub fn new(name: &str) -> Result<Self, FieldsError> {
        let name = Self::try_from(SmolStr::new(name))?;
        if name.is_deletion() { Err(FieldsError::Reserved) } else { Ok(name) }
    }

    /// The field that says whether a record is deleted: `true` or `false`.
    pub fn deletion() -> Self {
        Self(SmolStr::new_static(DELETED))
    }

    /// Tells whether this is [`deletion`](Self::deletion).
    pub fn is_deletion(&self) -> bool {
        self.0 == DELETED
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<SmolStr> for FieldName {
    type Error = FieldsError;

    fn try_from(name: SmolStr) -> Result<Self, FieldsError> {
        match name.len() {
            0..=Self::MAX => Ok(Self(name)),
            len => Err(FieldsError::NameTooLong { len }),
        }
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::borrow::Borrow<str> for FieldName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Fields {
    /// How many fields a record may have.
    pub const MAX: usize = 1024;

    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a record from the JSON text of an object.
    pub fn parse(text: &str) -> Result<Self, FieldsError> {
        Self::read(text).map_err(|(_, error)| error)
    }

    /// Reads a record like [`parse`](Self::parse); an error comes with how many bytes stand before
    /// the fault.
    pub fn read(text: &str) -> Result<Self, (usize, FieldsError)> {
        let mut scanner = Scanner::new(text);
        let members = members(&mut scanner).map_err(|error| (scanner.at(), error))?;
        Self::from_unsorted(members).map_err(|error| match error {
            FieldsError::Value(ValueError::DuplicateKey) => (second(text).unwrap_or(0), error),
            error => (text.len(), error),
        })
    }

    /// Takes a tree over.
    pub fn from_json(record: &Map<String, Json>) -> Result<Self, FieldsError> {
        let fields = record.iter().map(|(name, value)| {
            Ok::<_, FieldsError>((FieldName::new(name)?, Value::from_json(value)?))
        });
        Self::from_unsorted(fields.collect::<Result<_, _>>()?)
    }

    /// Sets a field and returns what it held.
    pub fn insert(&mut self, name: FieldName, value: Value) -> Result<Option<Value>, FieldsError> {
        if name.is_deletion() {
            return Err(FieldsError::Reserved);
        }
        match self.find(name.as_str()) {
            Ok(at) => Ok(self.0.get_mut(at).map(|(_, held)| core::mem::replace(held, value))),
            Err(_) if self.0.len() >= Self::MAX => {
                Err(FieldsError::TooMany { count: self.0.len() + 1 })
            }
            Err(at) => {
                self.0.insert(at, (name, value));
                Ok(None)
            }
        }
    }

    /// Removes a field and returns what it held.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.find(name).ok()?;
        Some(self.0.remove(at).1)
    }

    /// What a field holds.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.find(name).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The fields, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&FieldName, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The record as the canonical JSON text of an object.
    pub fn to_text(&self) -> String {
        object_text(self.iter().map(|(name, value)| (name.as_str(), value)))
    }

    /// The record as a tree.
    pub fn to_json(&self) -> Map<String, Json> {
        self.iter().map(|(name, value)| (name.as_str().into(), value.to_json())).collect()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.as_str().cmp(name))
    }

    fn from_unsorted(mut fields: Vec<(FieldName, Value)>) -> Result<Self, FieldsError> {
        if !fields.is_sorted_by(|(a, _), (b, _)| a < b) {
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        match Self::try_from(fields) {
            Err(FieldsError::NotSorted) => Err(ValueError::DuplicateKey.into()),
            result => result,
        }
    }
}

/// The members of an object, in the order of the text.
fn members(scanner: &mut Scanner<'_>) -> Result<Vec<(FieldName, Value)>, FieldsError> {
    let mut members = Vec::new();
    if !scanner.take(b'{') {
        return Err(FieldsError::NotAnObject);
    }
    if !scanner.take(b'}') {
        loop {
            let name = name(scanner)?;
            members.push((name, Value::scan(scanner, 1)?));
            if members.len() > Fields::MAX {
                return Err(FieldsError::TooMany { count: members.len() });
            }
            if !scanner.take(b',') {
                break;
            }
        }
        scanner.expect(b'}')?;
    }
    scanner.end()?;
    Ok(members)
}

/// The next name of an object, with its colon. The scanner stays before a name that is refused.
fn name(scanner: &mut Scanner<'_>) -> Result<FieldName, FieldsError> {
    scanner.blanks();
    let start = scanner.clone();
    let name = FieldName::new(&scanner.text()?).inspect_err(|_| *scanner = start)?;
    scanner.expect(b':')?;
    Ok(name)
}

/// Where the first name begins that an object of well-formed members has for the second time.
fn second(text: &str) -> Option<usize> {
    let mut scanner = Scanner::new(text);
    scanner.expect(b'{').ok()?;
    let mut names = BTreeSet::new();
    loop {
        scanner.blanks();
        let at = scanner.at();
        if !names.insert(name(&mut scanner).ok()?) {
            return Some(at);
        }
        Value::scan(&mut scanner, 1).ok()?;
        scanner.expect(b',').ok()?;
    }
}

/// The JSON text of an object whose members come in order.
pub(crate) fn object_text<'a>(members: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut text = String::from("{");
    for (name, value) in members {
        if text.len() > 1 {
            text.push(',');
        }
        quote_into(name, &mut text);
        text.push(':');
        text.push_str(value.as_str());
    }
    text.push('}');
    text
}

impl TryFrom<Vec<(FieldName, Value)>> for Fields {
    type Error = FieldsError;

    fn try_from(fields: Vec<(FieldName, Value)>) -> Result<Self, FieldsError> {
        if fields.len() > Self::MAX {
            return Err(FieldsError::TooMany { count: fields.len() });
        }
        if !fields.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(FieldsError::NotSorted);
        }
        if fields.iter().any(|(name, _)| name.is_deletion()) {
            return Err(FieldsError::Reserved);
        }
        Ok(Self(fields))
    }
}

impl IntoIterator for Fields {
    type Item = (FieldName, Value);
    type IntoIter = alloc::vec::IntoIter<(FieldName, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_written() {
        let fields = Fields::parse(r#" { "b" : 1.50, "a" : { "y":1, "x":2 }, "\u0063": null } "#);
        let fields = fields.unwrap();
        let text = r#"{"a":{"x":2,"y":1},"b":1.5,"c":null}"#;
        assert_eq!(fields.to_text(), text);
        assert_eq!(Fields::parse(text).unwrap(), fields);
        assert_eq!(Fields::from_json(&fields.to_json()).unwrap(), fields);
        assert_eq!(fields.get("b").unwrap().as_str(), "1.5");
        assert_eq!(Fields::parse("{}").unwrap(), Fields::new());
        assert_eq!(Value::parse(text).unwrap().as_str(), text);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (text, expected) in [
            ("[]", FieldsError::NotAnObject),
            (r#"{"a":1,"a":2}"#, ValueError::DuplicateKey.into()),
            (r#"{"a":1} x"#, ValueError::Syntax { at: 8 }.into()),
            (r#"{"a":1,}"#, ValueError::Syntax { at: 7 }.into()),
            (r#"{"$deleted":true}"#, FieldsError::Reserved),
        ] {
            assert_eq!(Fields::parse(text), Err(expected), "{text}");
        }
        let long = std::format!("{{{:?}:1}}", "x".repeat(257));
        assert_eq!(Fields::parse(&long), Err(FieldsError::NameTooLong { len: 257 }));
        let many: Vec<_> = (0..1025).map(|i| std::format!("\"{i}\":0")).collect();
        let many = std::format!("{{{}}}", many.join(","));
        assert_eq!(Fields::parse(&many), Err(FieldsError::TooMany { count: 1025 }));
        let deep = std::format!("{{\"a\":{}{}}}", "[".repeat(64), "]".repeat(64));
        assert_eq!(Fields::parse(&deep), Err(ValueError::TooDeep.into()));
    }

    #[test]
    fn faults_are_found_where_they_are() {
        for (before, after) in [
            (" ", "[1]"),
            ("{\"a\":1,\"b\":2,", "\"\\u0061\":3}"),
            ("{\"a\":1,", "\"$deleted\":true}"),
            ("{\"a\":1,\"b\":[1,", "}"),
            ("{\"a\":\"é\\ud800", "\"}"),
            ("{\"a\\udc00", "\":1}"),
            ("{\"a\" ", "1}"),
            ("{\"a\":1", "e9999999999}"),
            ("{\"a\":{\"b\":1,\"b\":2", "}}"),
            ("{\"a\":1} ", "x"),
        ] {
            let (at, error) = Fields::read(&std::format!("{before}{after}")).unwrap_err();
            let known = error == ValueError::NumberOutOfRange.into();
            let at = if known { at - "e9999999999".len() } else { at };
            assert_eq!(at, before.len(), "{before}{after}: {error}");
        }
    }

    #[test]
    fn fields_are_set_and_removed() {
        let mut fields = Fields::new();
        let name = FieldName::new("a").unwrap();
        assert_eq!(fields.insert(name.clone(), Value::null()), Ok(None));
        assert_eq!(fields.insert(name, Value::bool(true)), Ok(Some(Value::null())));
        assert_eq!(fields.insert(FieldName::deletion(), Value::null()), Err(FieldsError::Reserved));
        assert_eq!(fields.remove("a"), Some(Value::bool(true)));
        assert!(fields.is_empty());
    }
}
