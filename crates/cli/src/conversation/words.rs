//! The sentences of a pairing.

use handfast::{Answer, CheckCode, Fingerprint};

pub use handfast::Peer;

use crate::report::Ink;
use crate::report::wording::{count, emojis};

/// What the person was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The words that the other device shows.
    Words,
    /// The two digits that the other device shows.
    Digits,
    /// Whether both devices show the same.
    YesOrNo,
}

/// What to mark the place with where the person types.
pub fn prompt(asked: Option<Asked>) -> &'static str {
    match asked {
        Some(Asked::Words) => "Four words, or ten digits (or no): ",
        Some(Asked::Digits) => "Two digits (or no): ",
        _ => "The same on both devices? yes or no: ",
    }
}

/// What a line means; `None` if nothing.
pub fn answered(line: &str, asked: Option<Asked>) -> Option<Answer> {
    let word = line.trim().to_lowercase();
    match (word.as_str(), asked) {
        ("n" | "no", _) => Some(Answer::No),
        ("y" | "yes", Some(Asked::YesOrNo)) => Some(Answer::Yes),
        (_, Some(Asked::YesOrNo) | None) | ("", _) => None,
        _ => Some(Answer::Typed(line.to_owned())),
    }
}

/// What the other device brings: by invite it does not say how much.
fn brings(peer: &Peer) -> String {
    peer.records.map_or_else(|| "its records".to_owned(), |records| count(records, "record"))
}

/// The initiator's question.
pub fn type_check_code(peer: &Peer, own_records: u64, ink: Ink) -> String {
    format!(
        "\nA device that calls itself {} has answered. You would get {} and send it {}.\n\
         To be sure that it is the right one, look at it: it shows four emojis with their words.\n\
         Type the words here; four letters of each are enough.",
        ink.bold(&peer.name),
        brings(peer),
        count(own_records, "record"),
    )
}

/// The joiner's question.
pub fn type_back_digits(peer: &Peer, own_records: u64, code: &CheckCode, ink: Ink) -> String {
    format!(
        "\nYou are about to join {}: send {}, get {}.\n\nType this there:\n\n    {}\n\n  or, as \
         digits, {}\n\nIt then shows the same emojis and two digits. If it does not, type no here.",
        ink.bold(&peer.name),
        count(own_records, "record"),
        brings(peer),
        ink.bold(emojis(&code.emojis())),
        spaced(&code.digits()),
    )
}

/// The question where both devices show everything.
pub fn compare(peer: &Peer, own_records: u64, code: &CheckCode, ink: Ink) -> String {
    format!(
        "\nThis pairs with {}: send {}, get {}.\n\n    {}\n\n  or, as digits, {}\n",
        ink.bold(&peer.name),
        count(own_records, "record"),
        brings(peer),
        ink.bold(emojis(&code.emojis())),
        spaced(&code.digits()),
    )
}

/// The question of version 1.
pub fn compare_literal(fingerprint: &Fingerprint, ink: Ink) -> String {
    format!(
        "\nThe device that joins shows these emojis:\n\n    {}\n",
        ink.bold(emojis(fingerprint))
    )
}

/// What was typed costs no try.
pub fn not_a_check_code(asked: Option<Asked>) -> &'static str {
    match asked {
        Some(Asked::Digits) => "That is not two digits. Once more; it costs nothing.",
        _ => "That is not four words of the list, nor ten digits. Once more; it costs nothing.",
    }
}

/// What was typed is something else.
pub fn wrong(left: u8) -> String {
    let left = count(left.into(), "more try").replace("trys", "tries");
    format!("That is not what this device expects. {left}.")
}

/// This device has confirmed: what the other one needs, or that it is waited for.
pub fn shown(code: &CheckCode, asked: Option<Asked>, ink: Ink) -> String {
    match asked {
        Some(Asked::Words) => format!(
            "\nThat is right. The other device asks for these two digits:\n\n    {}\n\n  under the \
             same emojis: {}",
            ink.bold(code.back_digits()),
            emojis(&code.emojis()),
        ),
        Some(_) => "\nConfirmed here. Waiting for the other device …".to_owned(),
        // Nobody was asked: because of --yes, or in a part of the pairing before a restart.
        None => format!(
            "\nConfirmed here. The check code is\n\n    {}\n\n  two digits: {}",
            emojis(&code.emojis()),
            code.back_digits(),
        ),
    }
}

/// Ten digits in groups, easier to read aloud.
pub fn spaced(digits: &str) -> String {
    let ends = |at: &usize| matches!(at, 3 | 6);
    let digits = digits.chars().enumerate();
    digits.flat_map(|(at, digit)| ends(&at).then_some(' ').into_iter().chain([digit])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_they_should() {
        let typed = |text: &str| Some(Answer::Typed(text.to_owned()));
        assert_eq!(
            answered("crab cact anch lemo", Some(Asked::Words)),
            typed("crab cact anch lemo")
        );
        assert_eq!(answered("No", Some(Asked::Words)), Some(Answer::No));
        assert_eq!(answered("42", Some(Asked::Digits)), typed("42"));
        assert_eq!(answered(" ", Some(Asked::Digits)), None);
        assert_eq!(answered("Y", Some(Asked::YesOrNo)), Some(Answer::Yes));
        assert_eq!(answered("yep", Some(Asked::YesOrNo)), None);
        // Yes is no answer where something is to be typed.
        assert_eq!(answered("yes", Some(Asked::Words)), typed("yes"));
    }

    #[test]
    fn digits_are_grouped_and_tries_counted() {
        assert_eq!(spaced("0123456789"), "012 345 6789");
        assert_eq!(wrong(1), "That is not what this device expects. 1 more try.");
        assert_eq!(wrong(2), "That is not what this device expects. 2 more tries.");
    }
}
