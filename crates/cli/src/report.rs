//! What the command says: text for people or JSON for programs on standard output; hints, warnings,
//! errors and progress on standard error. Nothing else in this crate writes there.

mod error;
mod progress;
pub mod wording;

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use clap::builder::Styles;
use clap::builder::styling::{Ansi256Color, Color, Style};
use console::Term;
use serde_json::{Value, json};

pub use error::{CliError, EXIT_CODES, Exit};
pub use progress::{Bars, FileBar, patiently};

use wording::{safe, wrapped};

/// How wide a terminal is taken to be that doesn't say.
const COLUMNS: usize = 80;

// Colours from the 256, behind those of the 16 that are nearest, for terminals that know no others.
// What people's themes make of the 16 may vanish on their paper; these can be read on any.
const BOLD: &str = "1";
const GREY: &str = "90;38;5;244";
const GREEN: &str = "32;38;5;28";
const YELLOW: &str = "33;38;5;130";
const RED: &str = "31;1;38;5;167";
const CYAN: &str = "36;38;5;31";

/// How and where a command says what it has to say.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    json: bool,
    out: Ink,
    err: Ink,
    width: usize,
    /// The width of the terminal that standard output is, if it is one.
    out_width: Option<usize>,
    /// The width of the terminal that standard error is, if it is one.
    err_width: Option<usize>,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Ink(bool);

impl Report {
    /// For programs, or for people.
    pub fn new(json: bool) -> Report {
        let said = || std::env::var("COLUMNS").ok()?.parse().ok();
        let columns_of = |term: Term| term.size_checked().map(|(_, columns)| usize::from(columns));
        let out_width = columns_of(Term::stdout());
        Report {
            json,
            out: Ink::on(!json && io::stdout().is_terminal()),
            err: Ink::on(!json && io::stderr().is_terminal()),
            width: out_width.unwrap_or_else(|| said().unwrap_or(COLUMNS)),
            out_width,
            err_width: columns_of(Term::stderr()),
        }
    }

    /// Whether a program listens.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// The colours of standard output.
    pub fn ink(&self) -> Ink {
        self.out
    }

    /// The width of the terminal, in columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A line, or several, for people. What others may have written goes through
    /// [`safe`] first.
    pub fn say(&self, text: impl Display) -> Result<(), CliError> {
        if self.json { Ok(()) } else { Ok(writeln!(io::stdout(), "{text}")?) }
    }

    /// Sentences for people; on a terminal their lines end between words. Lines that begin with a
    /// blank are no sentences, and stay as they are.
    pub fn explain(&self, text: impl Display) -> Result<(), CliError> {
        let text = text.to_string();
        let Some(columns) = self.out_width else { return self.say(text) };
        let lines = text.split('\n').map(|line| match line.starts_with(' ') {
            true => line.to_owned(),
            false => wrapped(line, columns),
        });
        self.say(lines.collect::<Vec<_>>().join("\n"))
    }

    /// A question to people; what they type stands in the same line.
    pub fn ask(&self, text: impl Display) -> Result<(), CliError> {
        if self.json {
            return Ok(());
        }
        let mut out = io::stdout();
        write!(out, "{text}")?;
        Ok(out.flush()?)
    }

    /// An object for programs, in a line of its own.
    pub fn json(&self, object: Value) -> Result<(), CliError> {
        if self.json { Ok(writeln!(io::stdout(), "{object}")?) } else { Ok(()) }
    }

    /// Much at once, to whoever listens.
    pub fn write(
        &self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut out = BufWriter::new(io::stdout().lock());
        write(&mut out)?;
        Ok(out.flush()?)
    }

    /// What a person could do next.
    pub fn hint(&self, text: impl Display) {
        if !self.json {
            self.tell(self.err.cyan("hint:"), &text.to_string());
        }
    }

    /// What a person should know although the command goes on.
    pub fn warn(&self, text: &str) {
        if self.json {
            self.complain(json!({ "warning": { "message": text } }));
        } else {
            self.tell(self.err.yellow("warning:"), &safe(text));
        }
    }

    /// Why the command ends.
    pub fn fail(&self, error: &CliError) {
        if error.is_silent() {
            return;
        }
        if self.json {
            self.complain(error.to_json());
            return;
        }
        self.tell(self.err.red("error:"), &safe(error.message()));
        if let Some(hint) = error.what_next() {
            self.hint(safe(hint));
        }
    }

    /// A sentence for people; on a terminal its lines end between words.
    fn tell(&self, what: String, text: &str) {
        let sentence = format!("{what} {text}");
        self.complain(match self.err_width {
            Some(columns) => wrapped(&sentence, columns),
            None => sentence,
        });
    }

    fn complain(&self, line: impl Display) {
        // There is nowhere left to say that standard error is closed.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

impl Ink {
    fn on(terminal: bool) -> Ink {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Ink(terminal && !set("NO_COLOR") && !dumb)
    }

    /// Whether there are colours.
    pub fn is_on(self) -> bool {
        self.0
    }

    /// What matters.
    pub fn bold(self, text: impl Display) -> String {
        self.paint(BOLD, text)
    }

    /// What matters less.
    pub fn dim(self, text: impl Display) -> String {
        self.paint(GREY, text)
    }

    /// What is well.
    pub fn green(self, text: impl Display) -> String {
        self.paint(GREEN, text)
    }

    /// What needs care.
    pub fn yellow(self, text: impl Display) -> String {
        self.paint(YELLOW, text)
    }

    fn red(self, text: impl Display) -> String {
        self.paint(RED, text)
    }

    fn cyan(self, text: impl Display) -> String {
        self.paint(CYAN, text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// The colours of what `clap` prints: help, and what is wrong with a command line.
pub fn styles() -> Styles {
    let of = |code| Style::new().fg_color(Some(Color::Ansi256(Ansi256Color(code))));
    let (green, yellow, red) = (of(28), of(130), of(167).bold());
    Styles::styled().error(red).valid(green).invalid(yellow)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How bright one of the 256 colours is that have a fixed place: the cube, and the greys.
    fn luminance(code: u8) -> f64 {
        let rgb = match code {
            16..=231 => [36, 6, 1].map(|place| match (code - 16) / place % 6 {
                0 => 0,
                step => 55 + 40 * step,
            }),
            _ => [8 + 10 * (code - 232); 3],
        };
        luminance_of(rgb)
    }

    /// As the Web Content Accessibility Guidelines define it.
    fn luminance_of(rgb: [u8; 3]) -> f64 {
        let linear = rgb.map(|part| match f64::from(part) / 255.0 {
            dark if dark <= 0.04045 => dark / 12.92,
            part => ((part + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    fn contrast(one: f64, other: f64) -> f64 {
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn colours_can_be_read_on_dark_and_on_light() {
        let papers = [[0, 0, 0], [255, 255, 255], [0, 43, 54], [253, 246, 227]];
        for code in [GREY, GREEN, YELLOW, RED, CYAN] {
            let ink: u8 = code.rsplit(';').next().unwrap().parse().unwrap();
            for paper in papers {
                let contrast = contrast(luminance(ink), luminance_of(paper));
                assert!(contrast > 3.0, "{code} on {paper:?}: {contrast}");
            }
        }
    }
}
