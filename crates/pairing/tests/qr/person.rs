//! The people in front of the devices.

use handfast_keys::{CheckCode, Fingerprint};
use handfast_pairing::qr::{Input, Question};

/// What one device shows.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// The pairing code.
    pub code: Option<String>,
    /// The question that waits for an answer.
    pub question: Option<Question>,
    /// Version 1's emojis, and whether there is still an answer to be given.
    pub literal: Option<(Fingerprint, bool)>,
    /// The check code, where it is shown.
    pub check: Option<CheckCode>,
    /// Whether the two digits beside it are shown, too.
    pub digits: bool,
}

/// What a person does.
#[derive(Debug, Clone)]
pub enum Person {
    /// Looks at both devices, and says yes only to what is the same on both.
    Careful,
    /// The same, but looks at the first two of four emojis only.
    Hasty,
    /// Says no when asked.
    Declines,
    /// Says no before there is anything to be asked.
    Cancels,
    /// Is not there.
    Absent,
}

/// The four words for a check code.
pub fn words(code: &CheckCode) -> String {
    code.emojis().emojis().map(|emoji| emoji.word).join(" ")
}

impl Person {
    /// What the person does about the own device's question, looking at both screens.
    pub fn answers(&mut self, own: &mut Screen, other: &Screen) -> Option<Input> {
        if let Person::Cancels = self {
            return Some(Input::Declined);
        }
        let asked = own.question.is_some() || own.literal.is_some_and(|(_, open)| open);
        if !asked {
            return None;
        }
        let answer = match self {
            Person::Careful => looks(own, other, 4),
            Person::Hasty => looks(own, other, 2),
            Person::Declines => Some(Input::Declined),
            Person::Cancels | Person::Absent => None,
        };
        if answer.is_some() {
            own.question = None;
            own.literal = own.literal.map(|(fingerprint, _)| (fingerprint, false));
        }
        answer
    }
}

fn looks(own: &Screen, other: &Screen, emojis: usize) -> Option<Input> {
    let same = |a: Fingerprint, b: Fingerprint| {
        let same = a.indices()[..emojis] == b.indices()[..emojis];
        Some(if same { Input::Agreed } else { Input::Declined })
    };
    if let Some((fingerprint, true)) = own.literal {
        return same(fingerprint, other.literal?.0);
    }
    match (&own.question, own.check) {
        (Some(Question::Compare(_, code)), _) => same(code.emojis(), other.check?.emojis()),
        (Some(Question::TypeBackDigits(..)), _) | (_, Some(_)) => {
            let shown = other.check.filter(|_| other.digits)?;
            // Two digits alone would be worth little: the emojis are above them on both devices.
            match same(shown.emojis(), own.check?.emojis()) {
                Some(Input::Agreed) => Some(Input::Typed(shown.back_digits())),
                no => no,
            }
        }
        _ => Some(Input::Typed(words(&other.check?))),
    }
}
