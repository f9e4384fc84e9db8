//! How numbers, times, names and values are put into words.

use console::{measure_text_width, truncate_str};
use handfast::{Clock, Fields, Fingerprint, Value};
use handfast_keys::Timestamp;
use serde_json::json;

/// A number with its thousands apart: `12 000`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something: `1 record`, `12 000 records`.
pub fn count(how_many: u64, what: &str) -> String {
    format!("{} {what}{}", number(how_many), if how_many == 1 { "" } else { "s" })
}

/// How long ago something was.
pub fn ago(moment: Timestamp) -> String {
    let seconds = Clock::start().now().since(moment).as_secs();
    match seconds {
        0..10 => "just now".to_owned(),
        10..60 => format!("{seconds} seconds ago"),
        60..3_600 => format!("{} ago", count(seconds / 60, "minute")),
        3_600..86_400 => format!("{} ago", count(seconds / 3_600, "hour")),
        _ => format!("{} ago", count(seconds / 86_400, "day")),
    }
}

/// How soon something will be.
pub fn until(moment: Timestamp) -> String {
    let seconds = moment.since(Clock::start().now()).as_secs();
    match seconds {
        0..60 => "within a minute".to_owned(),
        60..3_600 => format!("in {}", count(seconds.div_ceil(60), "minute")),
        _ => format!("in {}", count(seconds.div_ceil(3_600), "hour")),
    }
}

/// A moment for programs, as RFC 3339.
pub fn moment(moment: Timestamp) -> serde_json::Value {
    let millis = i64::try_from(moment.0).ok();
    match millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()) {
        Some(moment) => moment.to_string().into(),
        None => serde_json::Value::Null,
    }
}

/// Four emojis with their words, for people.
pub fn emojis(of: &Fingerprint) -> String {
    of.emojis().map(|emoji| format!("{} {}", emoji.symbol, emoji.word)).join("   ")
}

/// Four emojis with their words and indices, for programs.
pub fn emojis_json(of: &Fingerprint) -> serde_json::Value {
    let emojis = of.indices().into_iter().zip(of.emojis());
    emojis
        .map(|(index, emoji)| json!({ "index": index, "emoji": emoji.symbol, "word": emoji.word }))
        .collect()
}

/// Bytes in lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text that others may have written, without what would repaint the terminal.
pub fn safe(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            char::REPLACEMENT_CHARACTER
        }
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// A text in one line.
pub fn line(text: &str) -> String {
    safe(&text.replace('\n', "⏎"))
}

/// A value in one line: texts as they stand, unless they would be taken for something else.
pub fn value(value: &Value) -> String {
    line(&handfast_import::cell(value))
}

/// Fields in one line of at most so many columns.
pub fn fields(fields: &Fields, columns: usize) -> String {
    let mut text = String::new();
    for (name, held) in fields.iter() {
        if measure_text_width(&text) > columns {
            break;
        }
        if !text.is_empty() {
            text.push_str(" · ");
        }
        text.push_str(&line(name.as_str()));
        text.push(' ');
        text.push_str(&value(held));
    }
    truncate_str(&text, columns, "…").into_owned()
}

/// A text in lines of at most so many columns that end between words; a word that is longer has a
/// line of its own. Lines behind the first are indented.
pub fn wrapped(text: &str, columns: usize) -> String {
    const INDENT: &str = "  ";
    let mut lines = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let width = measure_text_width(word);
        if used > 0 && used + 1 + width > columns {
            lines.push('\n');
            lines.push_str(INDENT);
            used = INDENT.len();
        } else if !lines.is_empty() {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += width;
    }
    lines
}

/// A text, filled up with blanks to so many columns.
pub fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(measure_text_width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The columns of the widest of these texts.
pub fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(measure_text_width).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 7, 999, 1_000, 12_000, 1_234_567].map(number);
        assert_eq!(shown, ["0", "7", "999", "1 000", "12 000", "1 234 567"]);
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(count(3_201, "record"), "3 201 records");
    }

    #[test]
    fn moments_are_told() {
        let now = Clock::start().now();
        let before = |seconds: u64| ago(Timestamp(now.0 - seconds * 1_000));
        assert_eq!(before(0), "just now");
        assert_eq!(before(61), "1 minute ago");
        assert_eq!(before(3 * 86_400 + 5), "3 days ago");
        assert_eq!(moment(Timestamp(1_517_365_101_235)), "2018-01-31T02:18:21.235Z");
    }

    #[test]
    fn what_others_wrote_cannot_repaint_the_terminal() {
        assert_eq!(safe("a\x1b[2Jb\u{9b}c\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(line("two\nlines"), "two⏎lines");
        let hostile = Value::string("\x1b]0;owned\x07").unwrap();
        assert!(!value(&hostile).contains('\x1b'));
    }

    #[test]
    fn fields_are_cut_to_the_terminal() {
        let record = Fields::parse(r#"{"city":"Oslo","iata":"OSL","n":"42","zip":42}"#).unwrap();
        assert_eq!(fields(&record, 80), "city Oslo · iata OSL · n \"42\" · zip 42");
        assert_eq!(fields(&record, 12), "city Oslo ·…");
        assert_eq!(padded("🦀", 4), "🦀  ");
    }

    #[test]
    fn sentences_end_their_lines_between_words() {
        assert_eq!(wrapped("hint: one two three", 80), "hint: one two three");
        assert_eq!(wrapped("hint: one two three", 14), "hint: one two\n  three");
        assert_eq!(
            wrapped("\x1b[1ma\x1b[0m b /a/long/path c", 6),
            "\x1b[1ma\x1b[0m b\n  /a/long/path\n  c"
        );
        assert_eq!(wrapped("", 5), "");
    }
}
