//! What people, or programs in their place, answer: lines on standard input, secrets without an
//! echo, and Ctrl-C.

use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use handfast::SecretText;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use zeroize::Zeroizing;

use crate::report::{CliError, Report};

/// The longest line that is taken, in bytes. A code with a provider in it has a few thousand, the
/// writers of an app's structures up to a megabyte.
const MAX_LINE: u64 = 4 << 20;

/// The longest file with a secret.
const MAX_SECRET_FILE: u64 = 64 * 1024;

/// Whether a person sits there.
pub fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The secret in a file, or with `-` on standard input: the first line that is neither empty nor
/// begins with `#`.
pub fn secret_in(path: &Path, what: &str, report: &Report) -> Result<SecretText, CliError> {
    let unreadable = |error: io::Error| CliError::unreadable(path, &error);
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        io::stdin().take(MAX_SECRET_FILE).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        warn_of_readers(path, report)?;
        file.take(MAX_SECRET_FILE).read_to_string(&mut text).map_err(unreadable)?;
    }
    let secret = text.lines().map(str::trim).find(|it| !it.is_empty() && !it.starts_with('#'));
    secret.map(SecretText::from).ok_or_else(|| {
        CliError::unreadable(path, &io::Error::other(format!("there is no {what} in it")))
    })
}

/// Warns if others can read a file that holds secrets.
pub fn warn_of_readers(path: &Path, report: &Report) -> Result<(), CliError> {
    let metadata = fs::metadata(path).map_err(|error| CliError::unreadable(path, &error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        report.warn(&format!("{} can be read by other users: chmod 600", path.display()));
    }
    Ok(())
}

/// Asks for a secret, without an echo. Empty is none.
pub fn secret(question: &str) -> Result<Option<SecretText>, CliError> {
    let typed = rpassword::prompt_password(question)?;
    let secret = SecretText::from(typed.trim());
    Ok(Some(secret).filter(|secret| !secret.expose().is_empty()))
}

/// Lines of standard input. Nothing is read before the first one is asked for.
#[derive(Default)]
pub struct Input(Option<mpsc::Receiver<String>>);

impl Input {
    /// The next line, without its end; `None` when there are no more.
    pub async fn line(&mut self) -> Option<String> {
        self.0.get_or_insert_with(read).recv().await
    }
}

fn read() -> mpsc::Receiver<String> {
    let (lines, receiver) = mpsc::channel(16);
    // Reading the keyboard can't be cancelled: a thread of its own, which ends with the program.
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match stdin.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Ctrl-C, and being asked to end by the system.
pub struct Interrupt {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupt {
    /// Takes these signals over from now on.
    pub fn listen() -> Result<Interrupt, CliError> {
        Ok(Interrupt {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
