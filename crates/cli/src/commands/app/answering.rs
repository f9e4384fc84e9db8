//! An answer to an invite of either profile.

use std::path::PathBuf;
use std::time::Duration;

use handfast_pairing_manager::Error;
use tokio::time;

use super::dialogue::Dialogue;
use crate::commands::pair::lifetime;
use crate::report::{CliError, Exit};

/// How it is answered.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "To join an app (--profile app and raw)")]
#[group(id = "answered")]
pub struct Args {
    /// Keep the request in this file, which holds secrets. Run again with it, the command goes on
    /// where it was; the writers must be the same (--seed-file or --ask-writers, --user-data)
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// How long to wait for the answer, such as 90s, 10m or 2h; without it, two days
    #[arg(long, value_name = "TIME", value_parser = lifetime)]
    wait: Option<Duration>,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        self.journal.is_some() || self.wait.is_some()
    }

    /// Refuses a journal where the writers would be others the next time.
    pub fn check(&self, writers_last: bool, flags: &str) -> Result<(), CliError> {
        match self.journal.is_some() && !writers_last {
            true => Err(CliError::usage(format!(
                "--journal needs {flags}: a writer that is drawn anew is another one after a \
                 restart"
            ))),
            false => Ok(()),
        }
    }

    /// Waits for the member; `None` if it takes longer than this was to wait.
    pub async fn waited<T>(
        &self,
        joined: impl Future<Output = Result<T, Error>>,
        dialogue: &mut Dialogue<'_>,
    ) -> Result<Option<Result<T, Error>>, CliError> {
        let answered = time::timeout(self.wait.unwrap_or(Duration::MAX), joined);
        Ok(dialogue.until(answered, || "Waiting for the other side".to_owned()).await?.ok())
    }
}

/// Nobody has answered in the time that was to be waited.
pub fn no_answer() -> CliError {
    no_answer_after("nobody has answered so far")
}

/// As [`no_answer`]; with how far the two have come.
pub fn no_answer_after(message: &str) -> CliError {
    CliError::new("no_answer", Exit::Pairing, message).hint(
        "Look whether the other side is online, waits for this invite, and meets on the same network \
         (--dht, --bootstrap). Then join once more.",
    )
}
