//! The command's talk with the app that runs it, or with a person: what the library asks, one thing at
//! a time, and their answers, a line for each on standard input.

use std::time::Duration;

use handfast_pairing_manager::{Answer, Structure, StructureKey};
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::desk::{Asked, Writers};
use super::{structures, words};
use crate::conversation::words as conversation;
use crate::prompt::Input;
use crate::report::{Bars, CliError, Exit, Report};

const SECOND: Duration = Duration::from_secs(1);

/// Speaks with whoever runs the command.
pub struct Dialogue<'a> {
    report: &'a Report,
    input: Input,
    bars: Bars,
    asked: mpsc::UnboundedReceiver<Asked>,
    /// How it is said who is let in, once.
    paired: Option<SayPaired>,
    /// Whether there is a journal, so that what is not answered now can be later.
    lasts: bool,
    open: Option<Open>,
}

/// Says who is let in.
pub type SayPaired = fn(&Writers, &Report) -> Result<(), CliError>;

/// A question that is not answered yet.
enum Open {
    Add(oneshot::Sender<bool>),
    Make(Vec<Structure>, oneshot::Sender<Option<Vec<StructureKey>>>),
    Compare(oneshot::Sender<Answer>),
}

/// A line that is no answer: to what, and why not.
struct NotTaken(Open, String);

impl<'a> Dialogue<'a> {
    /// About what is asked at a [`Desk`](super::desk::Desk).
    pub fn new(
        asked: mpsc::UnboundedReceiver<Asked>,
        input: Input,
        paired: SayPaired,
        lasts: bool,
        report: &'a Report,
    ) -> Dialogue<'a> {
        let (bars, paired) = (Bars::new(report), Some(paired));
        Dialogue { report, input, bars, asked, paired, lasts, open: None }
    }

    /// Where nothing is asked.
    pub fn silent(report: &'a Report) -> Dialogue<'a> {
        let (_, asked) = mpsc::unbounded_channel();
        let (input, bars) = (Input::default(), Bars::new(report));
        Dialogue { report, input, bars, asked, paired: None, lasts: false, open: None }
    }

    /// Goes on until something is done. Meanwhile people are told what is waited for.
    pub async fn until<T>(
        &mut self,
        done: impl Future<Output = T>,
        waits_for: impl Fn() -> String,
    ) -> Result<T, CliError> {
        tokio::pin!(done);
        let mut seconds = time::interval(SECOND);
        loop {
            let is_open = self.open.is_some();
            tokio::select! {
                // What is to be said is said before the end is.
                biased;
                Some(asked) = self.asked.recv() => self.ask(asked)?,
                done = &mut done => {
                    self.bars.clear();
                    return Ok(done);
                }
                line = self.input.line(), if is_open => self.take(line)?,
                _ = seconds.tick(), if !is_open => self.bars.wait(waits_for()),
            }
        }
    }

    fn ask(&mut self, asked: Asked) -> Result<(), CliError> {
        self.bars.clear();
        let report = self.report;
        match asked {
            Asked::Paired(writers, said) => {
                if let Some(say) = self.paired.take() {
                    say(&writers, report)?;
                }
                // Who asked may have ended meanwhile.
                let _ = said.send(());
            }
            Asked::Add(writers, answer) => {
                words::add_writers(&writers, report)?;
                self.open = Some(Open::Add(answer));
            }
            Asked::Make(structures, answer) => {
                words::structures(&structures, report)?;
                self.open = Some(Open::Make(structures, answer));
            }
            Asked::Compare(name, code, answer) => {
                words::compare(&name, &code, report)?;
                self.open = Some(Open::Compare(answer));
            }
            Asked::Confirmed(code) => words::confirmed(&code, report)?,
        }
        Ok(())
    }

    /// Takes a line, or the end of all lines, as the answer.
    fn take(&mut self, line: Option<String>) -> Result<(), CliError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        match line {
            // A pairing that goes on when this is run again is not given up because an app has died.
            None if self.lasts && !matches!(open, Open::Add(_)) => Err(unanswered()),
            None => {
                self.report.warn("standard input has ended and nobody can answer: that is a no");
                open.decline();
                Ok(())
            }
            Some(line) => match open.answer(&line) {
                Ok(()) => Ok(()),
                Err(NotTaken(open, why)) => {
                    self.open = Some(open);
                    words::not_taken(&why, self.report)
                }
            },
        }
    }
}

fn unanswered() -> CliError {
    let message = "standard input has ended, and nobody can answer";
    CliError::new("unanswered", Exit::Other, message)
        .hint("Run this once more, with the same --journal, to go on.")
}

impl Open {
    /// Answers with a line. (Who asked may have ended meanwhile.)
    fn answer(self, line: &str) -> Result<(), NotTaken> {
        match self {
            Open::Add(answer) => match words::added(line) {
                Ok(added) => _ = answer.send(added),
                Err(why) => return Err(NotTaken(Open::Add(answer), why)),
            },
            Open::Make(structures, answer) => match structures::writers(line, &structures) {
                Ok(writers) => _ = answer.send(Some(writers)),
                Err(why) => return Err(NotTaken(Open::Make(structures, answer), why)),
            },
            Open::Compare(answer) => {
                match conversation::answered(line, Some(conversation::Asked::YesOrNo)) {
                    Some(handfast::Answer::Yes) => _ = answer.send(Answer::Agreed),
                    Some(_) => _ = answer.send(Answer::Declined),
                    None => {
                        let why = "that is neither yes nor no".to_owned();
                        return Err(NotTaken(Open::Compare(answer), why));
                    }
                }
            }
        }
        Ok(())
    }

    /// Nobody answers.
    fn decline(self) {
        match self {
            Open::Add(answer) => _ = answer.send(false),
            Open::Make(_, answer) => _ = answer.send(None),
            Open::Compare(answer) => _ = answer.send(Answer::Declined),
        }
    }
}
