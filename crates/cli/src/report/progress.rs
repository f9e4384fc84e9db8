//! Progress, shown to people on a terminal once something takes more than a second.

use std::cell::Cell;
use std::io::{BufReader, Read};
use std::time::{Duration, Instant};

use handfast::{Progress, Work};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time;

use super::{CliError, Report};

/// What is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

const WORK: &str = "{msg} [{bar:32}] {human_pos} of {human_len} {eta}";
const BYTES: &str = "{msg} [{bar:32}] {bytes} of {total_bytes} {eta}";
const WAIT: &str = "{spinner} {msg}";

/// The bars of a library call that reports its progress, and what is waited for in between.
pub struct Bars {
    shown: bool,
    work: Option<(Work, Instant)>,
    bar: Option<ProgressBar>,
}

impl Bars {
    /// No bar yet. For programs there is never one.
    pub fn new(report: &Report) -> Bars {
        Bars { shown: !report.is_json(), work: None, bar: None }
    }

    /// Shows how far a work is.
    pub fn update(&mut self, progress: Progress) {
        if !self.shown {
            return;
        }
        let since = match self.work {
            Some((work, since)) if work == progress.work => since,
            _ => {
                self.clear();
                let now = Instant::now();
                self.work = Some((progress.work, now));
                now
            }
        };
        if self.bar.is_none() && since.elapsed() >= PATIENCE {
            let bar = ProgressBar::new(progress.total).with_style(style(WORK));
            self.bar = Some(bar.with_message(match progress.work {
                Work::Sealing => "Sealing records",
                Work::Uploading => "Uploading blocks",
                Work::Loading => "Reading a snapshot",
                Work::Importing => "Taking in changes",
            }));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
        }
        if progress.done >= progress.total {
            self.clear();
        }
    }

    /// Shows what is waited for; the text may be another one every time.
    pub fn wait(&mut self, for_what: String) {
        if !self.shown || self.work.is_some() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_style(style(WAIT));
            bar.enable_steady_tick(TICK);
            bar
        });
        bar.set_message(for_what);
    }

    /// Makes room for something else.
    pub fn clear(&mut self) {
        self.work = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Does something that occupies this machine, and shows after a while that it is being done.
pub async fn patiently<T: Send + 'static>(
    report: &Report,
    what: &'static str,
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    let mut bars = Bars::new(report);
    let mut task = tokio::task::spawn_blocking(work);
    let done = match time::timeout(PATIENCE, &mut task).await {
        Ok(done) => done,
        Err(_) => {
            bars.wait(what.to_owned());
            task.await
        }
    };
    bars.clear();
    done.map_err(anyhow::Error::from)?
}

/// How much of a file has been read, and then, how much of what was read has been written.
pub struct FileBar {
    is_json: bool,
    length: Option<u64>,
    since: Instant,
    bar: ProgressBar,
    is_writing: Cell<bool>,
}

impl FileBar {
    /// For a file of so many bytes, where that is known.
    pub fn new(report: &Report, length: Option<u64>) -> FileBar {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        let bar = bar.with_style(style(BYTES)).with_message("Reading");
        let (is_json, is_writing) = (report.is_json(), Cell::new(false));
        FileBar { is_json, length, since: Instant::now(), bar, is_writing }
    }

    /// Counts what is read of the file.
    pub fn read<R: Read>(&self, file: R) -> BufReader<impl Read> {
        BufReader::new(self.bar.wrap_read(file))
    }

    /// Looks whether reading takes so long that somebody wants to see it.
    pub fn tick(&self) {
        if self.length.is_some() {
            self.show();
        }
    }

    /// Shows how much is written.
    pub fn written(&self, done: u64, total: u64) {
        if !self.is_writing.replace(true) {
            self.bar.set_style(style(WORK));
            self.bar.set_message("Writing records");
            self.bar.set_length(total);
            self.bar.reset_eta();
        }
        self.bar.set_position(done);
        self.show();
    }

    /// Makes room for something else.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self) {
        if !self.is_json && self.bar.is_hidden() && self.since.elapsed() >= PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_templates() {
        for template in [WORK, BYTES, WAIT] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
