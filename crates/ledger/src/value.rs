//! What a field holds: one JSON value.

use alloc::string::String;
use core::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;
use smol_str::SmolStr;

use crate::json::{self, Comparing, Output, Scanner};

/// One JSON value, held as canonical text.
///
/// The text is RFC 8785's canonical form, except that object keys are sorted by their UTF-8 bytes
/// and that a number keeps every digit it was written with: `12345678901234567890`, `0.1` and
/// `1e+400` survive, while `1`, `1.0` and `1e0` are the same value, `1`. So two values are equal
/// exactly when their texts are. Negative zero is `0`, as in RFC 8785.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(SmolStr);

/// A text that is not a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not JSON.
    #[error("not JSON at byte {at}")]
    Syntax {
        /// How many bytes before the fault.
        at: usize,
    },
    /// A string with one half of a surrogate pair, as `\\ud83d` alone, which stands for no text.
    #[error("a text has half a surrogate pair")]
    HalfSurrogate {
        /// How many bytes before the fault, behind the half.
        at: usize,
    },
    /// An object that says one thing twice.
    #[error("an object has the same key twice")]
    DuplicateKey,
    /// More than [`Value::MAX_DEPTH`] arrays and objects inside each other.
    #[error("arrays and objects nest deeper than {max} levels", max = Value::MAX_DEPTH)]
    TooDeep,
    /// Longer than [`Value::MAX`] bytes.
    #[error("a value has at most {max} bytes of JSON, not {len}", max = Value::MAX)]
    TooLong {
        /// How many bytes it has.
        len: usize,
    },
    /// An exponent beyond a thousand million.
    #[error("a number's exponent is out of range")]
    NumberOutOfRange,
    /// The right JSON, but not in its canonical form, where nothing else may be.
    #[error("the JSON is not in canonical form")]
    NotCanonical,
}

impl Value {
    /// The longest canonical text, in bytes.
    pub const MAX: usize = 192 * 1024;

    /// How deep arrays and objects may nest.
    pub const MAX_DEPTH: usize = json::MAX_DEPTH;

    /// Reads any JSON text of one value, with blanks wherever JSON allows them.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut scanner = Scanner::new(text);
        let value = Self::scan(&mut scanner, 0)?;
        scanner.end()?;
        Ok(value)
    }

    /// Takes a text that must already be canonical: one pass, one allocation.
    pub fn from_canonical(text: &str) -> Result<Self, ValueError> {
        within_max(text.len())?;
        json::check(text)?;
        Ok(Self(text.into()))
    }

    /// Takes a tree over.
    pub fn from_json(tree: &Json) -> Result<Self, ValueError> {
        let mut text = String::new();
        print(tree, 0, &mut text)?;
        // Sorting, number forms and bounds are the scanner's business.
        Self::parse(&text)
    }

    /// The JSON string that stands for `text`.
    pub fn string(text: &str) -> Result<Self, ValueError> {
        let mut quoted = String::with_capacity(text.len() + 2);
        json::quote_into(text, &mut quoted);
        within_max(quoted.len())?;
        Ok(Self(quoted.into()))
    }

    /// `true` or `false`.
    pub fn bool(value: bool) -> Self {
        Self(SmolStr::new_static(if value { "true" } else { "false" }))
    }

    /// `null`.
    pub fn null() -> Self {
        Self(SmolStr::new_static("null"))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a JSON string stands for; `None` for every other kind of value.
    pub fn as_text(&self) -> Option<String> {
        if self.0.starts_with('"') { json::unquote(&self.0).ok() } else { None }
    }

    /// The truth of `true` and `false`; `None` for every other value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The value as a tree. Its numbers keep all their digits.
    pub fn to_json(&self) -> Json {
        // The text is canonical, or it would not be here: there is nothing to go wrong.
        json::tree(&self.0).unwrap_or_default()
    }

    /// Reads the next value of a text, inside of `depth` arrays and objects.
    pub(crate) fn scan(scanner: &mut Scanner<'_>, depth: usize) -> Result<Self, ValueError> {
        scanner.blanks();
        let start = scanner.at();
        // Most texts are canonical already; then they are copied in one go.
        let mut ahead = scanner.clone();
        let mut expected = Comparing::new(scanner.all(), start);
        let canonical = match ahead.value(&mut expected, depth) {
            Ok(()) if expected.position() == ahead.at() => {
                *scanner = ahead;
                SmolStr::new(scanner.slice(start, scanner.at()))
            }
            Ok(()) | Err(ValueError::NotCanonical) => {
                let mut text = String::new();
                scanner.value(&mut text, depth)?;
                SmolStr::from(text)
            }
            Err(error) => {
                // The caller sees from the scanner where the fault is.
                *scanner = ahead;
                return Err(error);
            }
        };
        within_max(canonical.len())?;
        Ok(Self(canonical))
    }
}

/// Prints a tree as JSON in no particular form.
fn print(tree: &Json, depth: usize, out: &mut String) -> Result<(), ValueError> {
    if depth > Value::MAX_DEPTH {
        return Err(ValueError::TooDeep);
    }
    match tree {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => out.push_str(number.as_str()),
        Json::String(text) => json::quote_into(text, out),
        Json::Array(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                print(item, depth + 1, out)?;
            }
            out.push(']');
        }
        Json::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json::quote_into(key, out);
                out.push(':');
                print(item, depth + 1, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn within_max(len: usize) -> Result<(), ValueError> {
    if len <= Value::MAX { Ok(()) } else { Err(ValueError::TooLong { len }) }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Canonical;

        impl Visitor<'_> for Canonical {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("canonical JSON text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
                Value::from_canonical(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Canonical)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn canonical(text: &str) -> String {
        Value::parse(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn one_form_for_one_value() {
        assert_eq!(canonical(" { \"b\" : 1.0 , \"a\" : [ ] } "), r#"{"a":[],"b":1}"#);
        assert_eq!(canonical(r#""\u0041\/\u00e9\u001F\t\ud83d\ude00""#), "\"A/é\\u001f\\t😀\"");
        assert_eq!(
            canonical(r#"{"":0,"!":1," ":2,"\"":3,"\n":4}"#),
            r#"{"":0,"\n":4," ":2,"!":1,"\"":3}"#
        );
        assert_eq!(
            canonical(r#"{"z":{"d":[{"y":1,"x":2}],"c":1},"a":0}"#),
            r#"{"a":0,"z":{"c":1,"d":[{"x":2,"y":1}]}}"#
        );
        // By UTF-8 bytes, not by UTF-16 units as in RFC 8785.
        assert_eq!(
            canonical("{\"\u{10000}\":1,\"\u{ffff}\":2}"),
            "{\"\u{ffff}\":2,\"\u{10000}\":1}"
        );
    }

    #[test]
    fn refuses_what_is_no_value() {
        for (text, expected) in [
            ("", ValueError::Syntax { at: 0 }),
            ("01", ValueError::Syntax { at: 2 }),
            ("1 2", ValueError::Syntax { at: 2 }),
            ("+1", ValueError::Syntax { at: 0 }),
            ("1.", ValueError::Syntax { at: 2 }),
            ("nul", ValueError::Syntax { at: 0 }),
            ("[1,]", ValueError::Syntax { at: 3 }),
            ("{\"a\":1,}", ValueError::Syntax { at: 7 }),
            ("{\"a\" 1}", ValueError::Syntax { at: 5 }),
            ("\"a", ValueError::Syntax { at: 1 }),
            ("\"\n\"", ValueError::Syntax { at: 1 }),
            (r#""\x""#, ValueError::Syntax { at: 3 }),
            (r#""\ud800""#, ValueError::HalfSurrogate { at: 7 }),
            (r#""\ud800\n""#, ValueError::HalfSurrogate { at: 7 }),
            (r#""\ud800\ud800""#, ValueError::HalfSurrogate { at: 7 }),
            (r#""\udc00""#, ValueError::HalfSurrogate { at: 7 }),
            (r#""\ud80""#, ValueError::Syntax { at: 3 }),
            (r#""\ud800\uzzzz""#, ValueError::HalfSurrogate { at: 7 }),
            (r#"{"a":1,"a":1}"#, ValueError::DuplicateKey),
            (r#"{"b":1,"a":1,"\u0061":1}"#, ValueError::DuplicateKey),
        ] {
            assert_eq!(Value::parse(text).map(|value| value.to_string()), Err(expected), "{text}");
        }
        let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Value::parse(&deep(64)).is_ok());
        assert_eq!(Value::parse(&deep(65)), Err(ValueError::TooDeep));
        assert_eq!(Value::parse(&deep(100_000)), Err(ValueError::TooDeep));
        let long = "x".repeat(Value::MAX - 2);
        assert!(Value::string(&long).is_ok());
        let longer = format!("\"{long}y\"");
        assert!(Value::parse(&longer) == Err(ValueError::TooLong { len: Value::MAX + 1 }));
    }

    #[test]
    fn only_the_canonical_form_is_decoded() {
        for text in
            [" 1", "1 ", "1.0", "-0", r#"{"b":1,"a":2}"#, r#""\u0041""#, r#""\/""#, "[1, 2]"]
        {
            assert!(Value::parse(text).is_ok());
            let refused = Value::from_canonical(text);
            assert_eq!(refused, Err(ValueError::NotCanonical), "{text}");
        }
    }

    #[test]
    fn a_magic_key_is_an_ordinary_key() {
        let text = r#"{"$serde_json::private::Number":"x"}"#;
        let value = Value::parse(text).unwrap();
        assert!(value.to_json().is_object());
        assert_eq!(Value::from_json(&value.to_json()).unwrap(), value);
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<i64>().prop_map(|n| json!(n)),
            any::<f64>().prop_map(|n| json!(n)),
            any::<String>().prop_map(Json::String),
            "[\u{0}-\u{30}\"\\\\]{0,6}".prop_map(Json::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                prop::collection::btree_map("[\u{0}-\u{30}\"\\\\é\u{ffff}]{0,3}", inner, 0..6)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn trees_and_texts_agree(tree in any_json()) {
            let value = Value::from_json(&tree).unwrap();
            prop_assert_eq!(&Value::parse(&serde_json::to_string_pretty(&tree).unwrap()).unwrap(), &value);
            prop_assert_eq!(&Value::from_canonical(value.as_str()).unwrap(), &value);
            prop_assert_eq!(&Value::from_json(&value.to_json()).unwrap(), &value);
            // serde_json reads the same from it.
            prop_assert_eq!(&Value::from_json(&serde_json::from_str(value.as_str()).unwrap()).unwrap(), &value);
        }

        #[test]
        fn strings_come_back(text: String) {
            prop_assert_eq!(Value::string(&text).unwrap().as_text().unwrap(), text);
        }

        #[test]
        fn rubbish_is_refused_quietly(text in "[\\[\\]{}:,\"\\\\0-9eE.+\\- tfnu]{0,24}") {
            if let Ok(value) = Value::parse(&text) {
                // What we accept, serde_json accepts.
                let tree: Json = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(Value::from_json(&tree).unwrap(), value);
            }
            if let Ok(value) = Value::from_canonical(&text) {
                prop_assert_eq!(Value::parse(&text).unwrap(), value);
            }
        }
    }
}
