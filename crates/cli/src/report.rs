//! What the command says: text for people or JSON for programs on standard output; hints, warnings,
//! errors and progress on standard error. Nothing else in this crate writes there.

mod error;
mod progress;
pub mod wording;

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};

use console::Term;
use serde_json::{Value, json};

pub use error::{CliError, EXIT_CODES, Exit};
pub use progress::{Bars, FileBar, patiently};

use wording::{safe, wrapped};

/// How wide a terminal is taken to be that doesn't say.
const COLUMNS: u16 = 80;

/// How and where a command says what it has to say.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    json: bool,
    out: Ink,
    err: Ink,
    width: usize,
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
        let columns = match Term::stdout().size_checked() {
            Some((_, columns)) => columns,
            None => said().unwrap_or(COLUMNS),
        };
        Report {
            json,
            out: Ink::on(!json && io::stdout().is_terminal()),
            err: Ink::on(!json && io::stderr().is_terminal()),
            width: usize::from(columns),
            err_width: Term::stderr().size_checked().map(|(_, columns)| usize::from(columns)),
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
        self.paint("1", text)
    }

    /// What matters less.
    pub fn dim(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// What is well.
    pub fn green(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// What needs care.
    pub fn yellow(self, text: impl Display) -> String {
        self.paint("33", text)
    }

    fn red(self, text: impl Display) -> String {
        self.paint("1;31", text)
    }

    fn cyan(self, text: impl Display) -> String {
        self.paint("36", text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}
