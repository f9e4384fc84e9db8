//! A QR code as text: two modules to a character, one above the other.

use crate::QrError;
use crate::symbol::Symbol;

/// The narrowest terminal that people still have.
const COLUMNS: usize = 80;

/// Black on white: first from the 16 colours that every terminal has and that people's themes
/// recolour, then exactly, from the 256.
const BLACK_ON_WHITE: &str = "\x1b[30;107m\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// How the modules get their colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Black and white are asked for with escape sequences, so that the code looks the same on a
    /// dark and on a light terminal. For a terminal whose person didn't set `NO_COLOR`.
    Coloured,
    /// Blocks and blanks only. The blocks are the *light* modules: on a dark terminal the code
    /// looks as it should, on a light one it is a negative, border included. Handfast reads
    /// negatives and so do the cameras of current phones, while a code without its light border
    /// is read by few: the border is why the blocks are the light modules.
    Plain,
}

/// Draws a text as a QR code, at most 80 columns wide with its border, every line ended with a
/// line feed. Text of 400 letters as in a pairing code takes 73 columns and 37 lines.
///
/// # Errors
///
/// [`QrError::TooLong`] if 80 columns are too few.
pub fn render_terminal(text: &str, theme: Theme) -> Result<String, QrError> {
    let symbol = Symbol::within(COLUMNS, text)?;
    let mut drawn = String::new();
    for y in (0..symbol.width()).step_by(2) {
        if theme == Theme::Coloured {
            drawn.push_str(BLACK_ON_WHITE);
        }
        for x in 0..symbol.width() {
            // The width is odd: the last line's lower half is beyond the border, and light.
            let ink = |y| symbol.is_dark(x, y) == (theme == Theme::Coloured);
            drawn.push(match (ink(y), ink(y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        if theme == Theme::Coloured {
            drawn.push_str(RESET);
        }
        drawn.push('\n');
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode_image;
    use crate::distort::{Canvas, pairing_code, png};

    /// What a terminal shows, with cells of the given size in pixels.
    fn screenshot(drawn: &str, ink: u8, paper: u8, cell: (usize, usize)) -> Canvas {
        let rows: Vec<Vec<char>> = drawn
            .lines()
            .map(|line| {
                let bare = line.strip_prefix(BLACK_ON_WHITE).unwrap_or(line);
                let bare = bare.strip_suffix(RESET).unwrap_or(bare);
                assert!(!bare.contains('\x1b'));
                bare.chars().collect()
            })
            .collect();
        Canvas::from_fn(rows[0].len() * cell.0, rows.len() * cell.1, |x, y| {
            let upper = y % cell.1 < cell.1 / 2;
            let inked = match rows[y / cell.1][x / cell.0] {
                '█' => true,
                '▀' => upper,
                '▄' => !upper,
                ' ' => false,
                other => panic!("{other:?} in a QR code"),
            };
            f32::from(if inked { ink } else { paper })
        })
    }

    #[test]
    fn a_pairing_code_takes_73_columns_and_37_lines() {
        for theme in [Theme::Coloured, Theme::Plain] {
            let drawn = render_terminal(&pairing_code(400), theme).unwrap();
            assert_eq!(drawn.lines().count(), 37);
            for line in drawn.lines() {
                let blocks = line.chars().filter(|it| "█▀▄ ".contains(*it)).count();
                assert_eq!(blocks, 73);
            }
        }
    }

    #[test]
    fn what_a_terminal_shows_is_read() {
        let text = pairing_code(400);
        let coloured = render_terminal(&text, Theme::Coloured).unwrap();
        let plain = render_terminal(&text, Theme::Plain).unwrap();
        for cell in [(8, 17), (9, 20), (7, 15)] {
            for (drawn, ink, paper) in
                [(&coloured, 0, 255), (&plain, 220, 20), (&plain, 20, 240), (&plain, 131, 0)]
            {
                let shot = screenshot(drawn, ink, paper, cell).framed(90, f32::from(paper));
                let read = decode_image(&png(&shot));
                assert_eq!(read.as_ref(), Ok(&text), "{cell:?}, {ink} on {paper}");
            }
        }
    }

    #[test]
    fn the_strongest_correction_that_fits_is_taken() {
        let width = |length| Symbol::within(COLUMNS, &pairing_code(length)).map(|it| it.width());
        assert_eq!(width(100), Ok(49 + 8));
        assert_eq!(width(400), Ok(65 + 8));
        assert_eq!(width(619), Ok(69 + 8));
        assert_eq!(width(620).err(), Some(QrError::TooLong));
    }
}
