//! From canonical text to trees, for callers that want them.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::{Map, Number, Value as Json};

use super::scanner::Scanner;
use crate::value::ValueError;

/// The tree of a canonical text.
///
/// Not serde_json's own parser, because that reads an object with one magic key as a number.
pub(crate) fn tree(canonical: &str) -> Result<Json, ValueError> {
    read(&mut Scanner::new(canonical))
}

/// What a quoted canonical string stands for.
pub(crate) fn unquote(quoted: &str) -> Result<String, ValueError> {
    Scanner::new(quoted).text().map(Cow::into_owned)
}

fn read(scanner: &mut Scanner<'_>) -> Result<Json, ValueError> {
    match scanner.peek() {
        Some(b'"') => Ok(Json::String(scanner.text()?.into_owned())),
        Some(b'{') => {
            scanner.expect(b'{')?;
            let mut map = Map::new();
            while !scanner.take(b'}') {
                let key = scanner.text()?;
                scanner.expect(b':')?;
                map.insert(key.into_owned(), read(scanner)?);
                scanner.take(b',');
            }
            Ok(Json::Object(map))
        }
        Some(b'[') => {
            scanner.expect(b'[')?;
            let mut list = Vec::new();
            while !scanner.take(b']') {
                list.push(read(scanner)?);
                scanner.take(b',');
            }
            Ok(Json::Array(list))
        }
        Some(b't' | b'f' | b'n') => {
            let mut word = String::new();
            scanner.value(&mut word, 0)?;
            Ok(match word.as_str() {
                "true" => Json::Bool(true),
                "false" => Json::Bool(false),
                _ => Json::Null,
            })
        }
        _ => {
            let at = scanner.at();
            scanner.number()?;
            let literal = scanner.slice(at, scanner.at());
            serde_json::from_str::<Number>(literal)
                .map(Json::Number)
                .map_err(|_| ValueError::Syntax { at })
        }
    }
}
