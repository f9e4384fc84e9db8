//! What an app says about its structures, in JSON: which there are, and which writers it has for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::path::Path;

use handfast_pairing_manager::{
    MAX_CONFIG, MAX_NAMESPACE, MAX_STRUCTURES, Map, Structure, StructureKey,
};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::report::wording::line;
use crate::report::{CliError, Exit, Report};
use crate::{hex, prompt};

/// Beyond what is read: the largest map has 512 KiB, and hex and JSON make more of it.
const MAX_FILE: u64 = 4 << 20;

/// Values by name, of which no name is there twice.
struct Named<T>(BTreeMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the name of each structure")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut values = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let of = |error| A::Error::custom(format!("{}: {error}", named(&name)));
                    let value = map.next_value().map_err(of)?;
                    if values.contains_key(&name) {
                        return Err(A::Error::custom(format!("{} is there twice", named(&name))));
                    }
                    values.insert(name, value);
                }
                Ok(Named(values))
            }
        }

        deserializer.deserialize_map(Names(PhantomData))
    }
}

/// A structure as the app describes it: a key, or a key and a config.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    key: String,
    #[serde(default)]
    config: String,
}

/// A [`Described`] in either form.
struct Entry(Described);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key of 64 hex digits, or {\"key\": HEX, \"config\": HEX}")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Entry, E> {
                Ok(Entry(Described { key: text.to_owned(), config: String::new() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                Described::deserialize(MapAccessDeserializer::new(map)).map(Entry)
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

/// The structures in a file, or with `-` on standard input.
pub fn read(path: &Path, report: &Report) -> Result<Vec<Structure>, CliError> {
    let mut bytes = Vec::new();
    let source: io::Result<Box<dyn Read>> = match path == Path::new("-") {
        true => Ok(Box::new(io::stdin())),
        false => File::open(path).map(|file| Box::new(file) as Box<dyn Read>),
    };
    if source.is_ok() && path != Path::new("-") {
        prompt::warn_of_readers(path, report)?;
    }
    let read = source.and_then(|source| source.take(MAX_FILE + 1).read_to_end(&mut bytes));
    let read = read.map_err(|error| CliError::unreadable(path, &error))?;
    let structures = match read as u64 > MAX_FILE {
        true => Err(format!("it has more than {MAX_FILE} bytes")),
        false => parse(&bytes),
    };
    structures.map_err(|why| {
        let message = format!("{} does not say which structures there are: {why}", path.display());
        CliError::new("structures", Exit::BadInput, message).hint(
            "It is one JSON object: {\"NAME\": {\"key\": HEX, \"config\": HEX}, …}; a config may be \
             left out, and {\"NAME\": HEX} stands for a key alone.",
        )
    })
}

fn parse(json: &[u8]) -> Result<Vec<Structure>, String> {
    let Named(entries) =
        serde_json::from_slice::<Named<Entry>>(json).map_err(|error| error.to_string())?;
    if entries.is_empty() {
        return Err("there is none in it".to_owned());
    }
    if entries.len() > MAX_STRUCTURES {
        return Err(format!("there are {}, and at most {MAX_STRUCTURES} can be", entries.len()));
    }
    let structures: Vec<Structure> =
        entries.into_iter().map(structure).collect::<Result<_, _>>()?;
    let map = Map { structures, ..Map::default() };
    map.check().map_err(|error| error.to_string())?;
    Ok(map.structures)
}

fn structure((namespace, Entry(described)): (String, Entry)) -> Result<Structure, String> {
    let of = |why: &str| Err(format!("{}: {why}", named(&namespace)));
    if namespace.is_empty() || namespace.len() > MAX_NAMESPACE {
        return of(&format!("a name has 1 to {MAX_NAMESPACE} bytes"));
    }
    let Some(key) = hex::key(&described.key) else {
        return of("its key is not one: a key is 64 hex digits");
    };
    let config = match hex::bytes(&described.config) {
        Some(config) if config.len() <= MAX_CONFIG => config.to_vec(),
        Some(_) => return of(&format!("its config has more than {MAX_CONFIG} bytes")),
        None => return of("its config is not in hex"),
    };
    Ok(Structure { namespace, key: StructureKey::from_bytes(key), config: config.into() })
}

/// The answer of a candidate's app: `{"writers": {"NAME": HEX}}`, one for each of these structures.
pub fn writers(json: &str, structures: &[Structure]) -> Result<Vec<StructureKey>, String> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Answer {
        writers: Named<String>,
    }

    let answer: Answer = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let Named(mut given) = answer.writers;
    let mut keys = Vec::with_capacity(structures.len());
    let mut missing = BTreeSet::new();
    for Structure { namespace, .. } in structures {
        match given.remove(namespace) {
            Some(text) => match hex::key(&text) {
                Some(key) => keys.push(StructureKey::from_bytes(key)),
                None => return Err(format!("{}: a writer is 64 hex digits", named(namespace))),
            },
            None => _ = missing.insert(namespace.as_str()),
        }
    }
    if let Some(first) = missing.first() {
        return Err(format!("there is no writer for {}{}", named(first), others(missing.len())));
    }
    if let Some(foreign) = given.keys().next() {
        return Err(format!("there is no {}{}", named(foreign), others(given.len())));
    }
    Ok(keys)
}

/// A structure's name as a message has it.
fn named(namespace: &str) -> String {
    format!("structure “{}”", line(namespace))
}

fn others(count: usize) -> String {
    if count > 1 { format!(", nor for {} more", count - 1) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f5e1f";

    fn refused(json: &str) -> String {
        parse(json.as_bytes()).unwrap_err()
    }

    #[test]
    fn both_forms_are_read() {
        let json =
            format!(r#"{{"b":"{KEY}","a":{{"key":"{KEY}","config":"00ff"}},"Ü 共有":"{KEY}"}}"#);
        let read = parse(json.as_bytes()).unwrap();
        let names: Vec<&str> = read.iter().map(|it| it.namespace.as_str()).collect();
        assert_eq!(names, ["a", "b", "Ü 共有"]);
        let configs: Vec<&[u8]> = read.iter().map(|it| it.config.as_slice()).collect();
        assert_eq!(configs, [&[0, 255][..], &[], &[]]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, says) in [
            ("", "EOF"),
            ("[]", "an object with the name of each structure"),
            ("{}", "there is none in it"),
            (r#"{"a":1}"#, "structure “a”: invalid type: integer `1`, expected a key of 64"),
            (r#"{"a":{"key":"00","kind":1}}"#, "structure “a”: unknown field `kind`"),
            (r#"{"a":{}}"#, "structure “a”: missing field `key`"),
            (r#"{"a":"00"}"#, "structure “a”: its key is not one"),
            (r#"{"a":"00","a":"00"}"#, "structure “a” is there twice"),
            (&format!(r#"{{"":"{KEY}"}}"#), "structure “”: a name has 1 to 255 bytes"),
            (&format!(r#"{{"{}":"{KEY}"}}"#, "ü".repeat(128)), "a name has 1 to 255 bytes"),
            (&format!(r#"{{"a":{{"key":"{KEY}","config":"0"}}}}"#), "its config is not in hex"),
            (
                &format!(r#"{{"a":{{"key":"{KEY}","config":"{}"}}}}"#, "00".repeat(4_097)),
                "structure “a”: its config has more than 4096 bytes",
            ),
            (&format!(r#"{{"a":"{KEY}"}} more"#), "trailing characters"),
        ] {
            let why = refused(json);
            assert!(why.contains(says), "{json}: {why}");
        }
    }

    #[test]
    fn too_many_or_too_much_is_refused() {
        let many = |count: usize, config: usize| {
            let entries = (0..count).map(|number| {
                format!(r#""{number}":{{"key":"{KEY}","config":"{}"}}"#, "0a".repeat(config))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        };
        assert_eq!(parse(many(4_096, 0).as_bytes()).unwrap().len(), 4_096);
        assert!(refused(&many(4_097, 0)).contains("at most 4096"));
        assert!(refused(&many(200, 4_096)).contains("do not fit"));
    }

    #[test]
    fn an_answer_has_a_writer_for_each() {
        let structures = parse(format!(r#"{{"a":"{KEY}","b":"{KEY}"}}"#).as_bytes()).unwrap();
        let (one, two) = ("11".repeat(32), "22".repeat(32));
        let answer = |json: &str| writers(json, &structures);
        let both = format!(r#"{{"writers":{{"b":"{two}","a":"{one}"}}}}"#);
        let keys = [[0x11; 32], [0x22; 32]].map(StructureKey::from_bytes);
        assert_eq!(answer(&both), Ok(keys.to_vec()));
        for (json, says) in [
            ("yes".to_owned(), "expected value"),
            ("{}".to_owned(), "missing field `writers`"),
            (r#"{"writers":{}}"#.to_owned(), "no writer for structure “a”, nor for 1 more"),
            (format!(r#"{{"writers":{{"a":"{one}"}}}}"#), "no writer for structure “b”"),
            (format!(r#"{{"writers":{{"a":"{one}","b":"22"}}}}"#), "structure “b”: a writer is 64"),
            (both.replace("\"b\"", "\"c\""), "no writer for structure “b”"),
            (both.replace("\"b\"", "\"b\":\"00\",\"b\""), "structure “b” is there twice"),
            (both.replace("\"b\"", &format!("\"c\":\"{one}\",\"b\"")), "there is no structure “c”"),
        ] {
            let why = answer(&json).unwrap_err();
            assert!(why.contains(says), "{json}: {why}");
        }
    }
}
