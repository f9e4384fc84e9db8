//! The 256 emojis of which people compare four, each with a word to read aloud.
//!
//! `table` is written by `scripts/emoji.py`, which also says how the emojis were chosen and why the
//! others were not: single code points that every system since 2017 shows as a picture, no people,
//! faces, flags, clocks, hearts, arrows or keycaps, one of every group of look-alikes. The words
//! differ in their first four letters, none begins another, and no two are one letter apart.
//!
//! The table is part of the pairing protocol: two devices with different tables show their people
//! different emojis for one check code. It never changes.

mod table;

pub use table::{EMOJIS, EMOJIS_SHA256};

/// An emoji of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Emoji {
    /// The emoji itself, one code point. Two columns wide in a terminal.
    pub symbol: &'static str,
    /// Its English name: one word of lowercase ASCII letters, at least three.
    pub word: &'static str,
}

const fn e(symbol: &'static str, word: &'static str) -> Emoji {
    Emoji { symbol, word }
}

/// The emoji that stands for a byte.
pub fn emoji(index: u8) -> &'static Emoji {
    let [first, ..] = &EMOJIS;
    EMOJIS.get(usize::from(index)).unwrap_or(first)
}

/// The byte that somebody means: by an emoji's word, by the word's beginning of four letters or
/// more, or by the emoji itself. Letter case and surrounding blanks don't matter. `None` if it is
/// no word of the table: ask again, nothing was compared.
pub fn index_of_word(input: &str) -> Option<u8> {
    // Keyboards like to add the variation selector that asks for a picture.
    let input = input.trim().trim_end_matches('\u{fe0f}');
    let meant = |emoji: &Emoji| {
        let beginning = emoji.word.as_bytes().get(..input.len());
        emoji.symbol == input
            || emoji.word.eq_ignore_ascii_case(input)
            || input.len() >= 4
                && beginning.is_some_and(|it| it.eq_ignore_ascii_case(input.as_bytes()))
    };
    EMOJIS.iter().position(meant).and_then(|index| u8::try_from(index).ok())
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "the words are ASCII")]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::String;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_table_is_the_one_of_the_protocol() {
        let line = |it: &Emoji| {
            let mut points = it.symbol.chars();
            let (point, end) = (points.next().unwrap(), points.next());
            assert_eq!(end, None, "{} is one code point", it.word);
            format!("{:04X} {}\n", u32::from(point), it.word)
        };
        let listing: String = EMOJIS.iter().map(line).collect();
        assert_eq!(Sha256::digest(listing)[..], EMOJIS_SHA256);
        // Said twice on purpose: a table that was written anew comes with a new constant.
        let known =
            hex_literal::hex!("ed9d9ee95b8c33a73a3acd01e1406427fa5b9bf08fb9829a26621c5bbae1ebb7");
        assert_eq!(EMOJIS_SHA256, known);
    }

    #[test]
    fn emojis_and_words_are_told_apart() {
        assert!(EMOJIS.is_sorted_by(|a, b| a.symbol < b.symbol));
        let mut fours = BTreeSet::new();
        for Emoji { word, .. } in &EMOJIS {
            assert!(word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(fours.insert(&word[..word.len().min(4)]), "{word}");
            let begins = |other: &&Emoji| other.word != *word && other.word.starts_with(word);
            assert_eq!(EMOJIS.iter().find(begins), None, "{word} begins another");
        }
    }

    #[test]
    fn every_index_is_found_by_all_that_means_it() {
        for index in 0..=u8::MAX {
            let Emoji { symbol, word } = *emoji(index);
            assert_eq!(emoji(index), &EMOJIS[usize::from(index)]);
            assert_eq!(index_of_word(word), Some(index));
            assert_eq!(index_of_word(&format!(" {}\n", word.to_uppercase())), Some(index));
            assert_eq!(index_of_word(symbol), Some(index));
            assert_eq!(index_of_word(&format!("{symbol}\u{fe0f}")), Some(index));
            for end in 4..word.len() {
                assert_eq!(index_of_word(&word[..end]), Some(index));
            }
            if word.len() > 3 {
                assert_eq!(index_of_word(&word[..3]), None, "three letters of {word}");
            }
            assert_eq!(index_of_word(&format!("{word}x")), None);
        }
        for other in ["", " ", "\u{fe0f}", "zzzz", "über", "🙂", "cat dog", "🐱🐶"] {
            assert_eq!(index_of_word(other), None, "{other:?}");
        }
    }
}
