//! A pairing as the people at both devices see it: what they are shown, asked and told, until it
//! has succeeded or failed.

mod manner;
pub mod words;

use std::collections::BTreeSet;
use std::time::Duration;

use handfast::{Answer, CheckCode, Device, Fingerprint, Pairing, Question, Step};
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use crate::commands::sync::progress_json;
use crate::prompt::{Input, Interrupt};
use crate::report::wording::{count, emojis_json};
use crate::report::{Bars, CliError, Exit, Report};
pub use manner::{Manner, cancel, resumed};
use words::{Asked, answered};

/// How long the other device is told that this one has been interrupted.
const FAREWELL: Duration = Duration::from_secs(8);
const SECOND: Duration = Duration::from_secs(1);

/// A pairing that is going on, and the person at this device.
pub struct Conversation<'a> {
    report: &'a Report,
    device: &'a Device,
    pairing: Pairing,
    input: Input,
    interrupt: Interrupt,
    bars: Bars,
    own_records: u64,
    /// What the person was asked last, and whether the answer is still awaited.
    asked: Option<Asked>,
    waiting: bool,
    confirmed: bool,
    /// Until when the other device is told that this one was interrupted.
    leaving: Option<Instant>,
    /// When the code expires, as far as people are told.
    expires: Option<Instant>,
    /// The command that goes on with it later, if an interrupt before anything is confirmed leaves
    /// it open.
    lasts: Option<&'static str>,
    troubles: BTreeSet<String>,
}

/// What a conversation hears of.
enum Happening {
    Step(Option<Step>),
    Line(Option<String>),
    Interrupted,
    TooLate,
    Second,
}

impl<'a> Conversation<'a> {
    /// With a person who sits at `input`.
    pub fn new(
        pairing: Pairing,
        device: &'a Device,
        report: &'a Report,
        input: Input,
    ) -> Result<Conversation<'a>, CliError> {
        Ok(Conversation {
            report,
            device,
            pairing,
            input,
            interrupt: Interrupt::listen()?,
            bars: Bars::new(report),
            own_records: device.record_count()?,
            asked: None,
            waiting: false,
            confirmed: false,
            leaving: None,
            expires: None,
            lasts: None,
            troubles: BTreeSet::new(),
        })
    }

    /// With a code that is shown and expires.
    pub fn expiring(mut self, lifetime: Duration) -> Conversation<'a> {
        self.expires = Some(Instant::now() + lifetime);
        self
    }

    /// That goes on later when it is interrupted: by invite the two sides need not be there at the
    /// same time.
    pub fn lasting(mut self, command: &'static str) -> Conversation<'a> {
        self.lasts = Some(command);
        self
    }

    /// Holds it, to its end.
    pub async fn hold(mut self) -> Result<(), CliError> {
        let mut seconds = time::interval(SECOND);
        loop {
            let (waiting, leaving) = (self.waiting, self.leaving);
            let Conversation { pairing, input, interrupt, .. } = &mut self;
            let happening = tokio::select! {
                step = pairing.next() => Happening::Step(step),
                line = input.line(), if waiting => Happening::Line(line),
                () = interrupt.next() => Happening::Interrupted,
                () = until(leaving) => Happening::TooLate,
                _ = seconds.tick() => Happening::Second,
            };
            match happening {
                Happening::Step(Some(step)) => self.show(step)?,
                Happening::Step(None) => break,
                Happening::Line(line) => self.take(line)?,
                Happening::Interrupted
                    if self.confirmed || self.leaving.is_some() || self.lasts.is_some() =>
                {
                    return Err(self.interrupted());
                }
                Happening::Interrupted => self.leave()?,
                Happening::TooLate => return Err(self.interrupted()),
                Happening::Second => self.wait(),
            }
            if self.confirmed && self.leaving.is_some() {
                return Err(self.interrupted());
            }
        }
        self.bars.clear();
        let paired = self.pairing.finished().await?;
        let records = self.device.record_count()?;
        let conflicts = self.device.conflict_count()?;
        let name = self.report.ink().bold(&paired.name);
        self.report.say(format_args!(
            "\nPaired with {name}. This device has {} now.",
            count(records, "record")
        ))?;
        if conflicts > 0 {
            self.report.say(format_args!("{} in conflict.", count(conflicts, "record")))?;
            self.report.hint("`handfast conflicts resolve` walks through them.");
        }
        self.report.hint("`handfast sync --watch` keeps this device in step.");
        self.report.json(json!({
            "type": "finished",
            "id": paired.id.to_string(),
            "name": paired.name.as_str(),
            "records": records,
            "conflicts": conflicts,
        }))
    }

    /// Says what is waited for, while there is nothing else to say.
    fn wait(&mut self) {
        if self.waiting || self.asked.is_some() {
            return;
        }
        let left = self.expires.map(|at| at.saturating_duration_since(Instant::now()).as_secs());
        self.bars.wait(match left {
            Some(left) => {
                format!("Waiting for the other device ({}:{:02} left)", left / 60, left % 60)
            }
            None => "Waiting for the other device".to_owned(),
        });
    }

    /// Shows the person a step.
    fn show(&mut self, step: Step) -> Result<(), CliError> {
        match step {
            Step::Progress(progress) => {
                self.bars.update(progress);
                return self.report.json(progress_json(&progress));
            }
            Step::Trouble(message) if !self.troubles.insert(message.clone()) => return Ok(()),
            _ => self.bars.clear(),
        }
        match step {
            Step::Ask(question) => self.ask(question),
            Step::AskLiteral(fingerprint) => self.ask_literal(&fingerprint),
            Step::Show(check_code) => {
                self.confirmed = true;
                self.waiting = false;
                self.report.explain(words::shown(&check_code, self.asked, self.report.ink()))?;
                self.report.json(shown_json(&check_code, true))
            }
            Step::ProviderReceived(name) => {
                self.report.explain(format_args!("The other device lends its {name}."))?;
                self.report.json(json!({ "type": "provider_received", "provider": name }))
            }
            Step::Exchanging(name) => {
                self.confirmed = true;
                self.waiting = false;
                self.report.explain(format_args!(
                    "Both sides have confirmed. Exchanging data with {name} …"
                ))?;
                self.report.json(json!({ "type": "exchanging", "name": name.as_str() }))
            }
            Step::Trouble(message) => {
                if !self.report.is_json() {
                    self.report.warn(&message);
                }
                self.report.json(json!({ "type": "trouble", "message": message }))
            }
            _ => Ok(()),
        }
    }

    fn ask(&mut self, question: Question) -> Result<(), CliError> {
        let ink = self.report.ink();
        let own = self.own_records;
        let (text, object) = match &question {
            Question::TypeCheckCode(peer) => {
                self.asked = Some(Asked::Words);
                (words::type_check_code(peer, own, ink), asked_json("type_check_code", peer, own))
            }
            Question::TypeBackDigits(peer, check_code) => {
                self.asked = Some(Asked::Digits);
                self.report.json(shown_json(check_code, false))?;
                let text = words::type_back_digits(peer, own, check_code, ink);
                (text, asked_json("type_back_digits", peer, own))
            }
            Question::Compare(peer, check_code) => {
                self.asked = Some(Asked::YesOrNo);
                self.report.json(shown_json(check_code, false))?;
                (words::compare(peer, own, check_code, ink), asked_json("compare", peer, own))
            }
            Question::NotACheckCode => {
                let text = words::not_a_check_code(self.asked).to_owned();
                (text, question_json("not_a_check_code"))
            }
            Question::Wrong(left) => {
                let mut object = question_json("wrong");
                if let Some(members) = object.as_object_mut() {
                    members.insert("tries_left".to_owned(), (*left).into());
                }
                (words::wrong(*left), object)
            }
        };
        self.report.explain(text)?;
        self.report.json(object)?;
        self.await_answer()
    }

    fn ask_literal(&mut self, fingerprint: &Fingerprint) -> Result<(), CliError> {
        self.asked = Some(Asked::YesOrNo);
        self.report.explain(words::compare_literal(fingerprint, self.report.ink()))?;
        self.report.json(json!({
            "type": "question",
            "question": "compare_fingerprint",
            "emojis": emojis_json(fingerprint),
        }))?;
        self.await_answer()
    }

    fn await_answer(&mut self) -> Result<(), CliError> {
        self.waiting = true;
        self.report.ask(words::prompt(self.asked))
    }

    /// Takes what the person typed.
    fn take(&mut self, line: Option<String>) -> Result<(), CliError> {
        self.waiting = false;
        let Some(line) = line else {
            self.report.warn(
                "standard input has ended and nobody can answer: this declines. For scripts there \
                 are --json, with answers on standard input, and --yes",
            );
            self.pairing.answer(Answer::No);
            return Ok(());
        };
        match answered(&line, self.asked) {
            Some(answer) => self.pairing.answer(answer),
            None => self.await_answer()?,
        }
        Ok(())
    }

    /// Interrupted before anything was confirmed: that is a No, and the other device is told.
    fn leave(&mut self) -> Result<(), CliError> {
        self.bars.clear();
        self.report.say("\nTelling the other device …")?;
        self.waiting = false;
        self.pairing.answer(Answer::No);
        self.leaving = Some(Instant::now() + FAREWELL);
        Ok(())
    }

    fn interrupted(&mut self) -> CliError {
        self.bars.clear();
        let command = self.lasts.unwrap_or("pair");
        CliError::new("interrupted", Exit::Other, "interrupted; the pairing is kept").hint(format!(
            "`handfast {command} --resume` goes on with it, `handfast join --cancel` drops it."
        ))
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The two digits would answer the question that is still open on the other side of it: only who
/// has confirmed is told them.
pub fn shown_json(check_code: &CheckCode, confirmed: bool) -> Value {
    json!({
        "type": "check_code",
        "emojis": emojis_json(&check_code.emojis()),
        "digits": check_code.digits(),
        "back_digits": confirmed.then(|| check_code.back_digits()),
    })
}

fn asked_json(question: &str, peer: &words::Peer, own_records: u64) -> Value {
    json!({
        "type": "question",
        "question": question,
        "peer": {
            "name": peer.name.as_str(),
            "records": peer.records,
            "has_provider": peer.has_provider,
        },
        "own_records": own_records,
    })
}

fn question_json(question: &str) -> Value {
    json!({ "type": "question", "question": question })
}
