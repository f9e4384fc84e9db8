//! Pairing sessions: the machines of [`handfast_pairing::qr`], with the world attached.

mod cadence;
pub(crate) mod effects;
mod machine;
pub(crate) mod routers;
mod session;

use std::time::Duration;

use handfast_keys::{CheckCode, Fingerprint};
use handfast_pairing::invite::{Invite, InviteError};
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::literal::Literal;
use handfast_pairing::qr::session::DEFAULT_LIFETIME;
use handfast_pairing::qr::{Code, Consent, Initiator, Joiner, Question, ScannedCode, Setup};
use handfast_ring::{DeviceId, DeviceName};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::device::{Device, Inner};
use crate::error::{Error, Result};
use crate::events::Progress;
use crate::store::meta::{self, Session, SessionKind};
use crate::store::records;
use machine::Machine;
use session::Driver;

/// How a code is shown.
#[derive(Debug, Clone)]
pub struct PairOptions {
    /// How long the code lives.
    pub lifetime: Duration,
    /// Whether the provider config, with its secrets, stands in the code, where everybody who sees
    /// the code can read it.
    pub provider_in_code: bool,
    /// Version 1 of the protocol instead of version 2: only to speak with what knows no other.
    pub literal: bool,
    /// How the person confirms.
    pub consent: Consent,
}

impl Default for PairOptions {
    fn default() -> Self {
        PairOptions {
            lifetime: DEFAULT_LIFETIME,
            provider_in_code: false,
            literal: false,
            consent: Consent::Typed,
        }
    }
}

/// How a code is answered.
#[derive(Debug, Clone)]
pub struct JoinOptions {
    /// Whether a code of version 1 is answered. Whoever saw such a code can pretend to be either
    /// device.
    pub literal: bool,
    /// Whether a device that belongs to this one already may be paired again.
    pub again: bool,
    /// How the person confirms.
    pub consent: Consent,
}

impl Default for JoinOptions {
    fn default() -> Self {
        JoinOptions { literal: false, again: false, consent: Consent::Typed }
    }
}

/// Something that a person should see, or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// To be answered with [`Pairing::answer`].
    Ask(Question),
    /// "Do both devices show these emojis?" The question of version 1.
    AskLiteral(Fingerprint),
    /// This device's person has confirmed: show the check code, with its two digits.
    Show(CheckCode),
    /// The other device has handed over its provider.
    ProviderReceived(String),
    /// Both have confirmed; data is being exchanged.
    Exchanging(DeviceName),
    /// Part of a longer work is done.
    Progress(Progress),
    /// A service can't be reached, or failed. Trying goes on.
    Trouble(String),
}

/// What the person answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was typed.
    Typed(String),
    /// Yes.
    Yes,
    /// No; also ends a pairing that nobody was asked about yet.
    No,
}

/// The device with which a pairing has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paired {
    /// Its id.
    pub id: DeviceId,
    /// What it calls itself.
    pub name: DeviceName,
}

/// A pairing that is going on. It goes on by itself; [`next`](Self::next) tells what the person
/// should see, [`finished`](Self::finished) is the promise that it is done.
///
/// Dropping it [stops](Self::stop) it, without ending it: [`Device::resume_pairing`] goes on.
pub struct Pairing {
    code: Option<String>,
    steps: mpsc::UnboundedReceiver<Step>,
    answers: mpsc::UnboundedSender<Answer>,
    task: JoinHandle<Result<Paired>>,
}

impl Pairing {
    pub(crate) fn new(
        code: Option<String>,
        steps: mpsc::UnboundedReceiver<Step>,
        answers: mpsc::UnboundedSender<Answer>,
        task: JoinHandle<Result<Paired>>,
    ) -> Pairing {
        Pairing { code, steps, answers, task }
    }

    /// The code to show, if this device shows one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// The next thing that the person should see or answer; `None` when it is over.
    pub async fn next(&mut self) -> Option<Step> {
        self.steps.recv().await
    }

    /// Answers what was asked.
    pub fn answer(&self, answer: Answer) {
        // Once it is over there is nothing left to answer.
        let _ = self.answers.send(answer);
    }

    /// Stops it, without ending it. Once this returns, the device can go on with it or begin another.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Waits until it is over. Questions that were not taken with [`next`](Self::next) stay
    /// unanswered.
    pub async fn finished(mut self) -> Result<Paired> {
        let task = &mut self.task;
        task.await.unwrap_or(Err(Error::Stopped))
    }
}

impl Drop for Pairing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Device {
    /// Shows a code for another device to scan.
    pub async fn pair(&self, options: PairOptions) -> Result<Pairing> {
        let inner = &self.0;
        let lock = inner.home.lock()?;
        self.refuse_if_pending()?;
        let (setup, config) = setup(inner, options.consent, true)?;
        let provider_in_code = setup.provider.clone().filter(|_| options.provider_in_code);
        let routers = config.as_ref().and_then(routers::addresses);
        let (now, rng) = (inner.clock.now(), &mut rand::rng());
        let (machine, kind) = if options.literal {
            // The joiner must be able to read this device's feed before it knows more of it.
            inner.provider()?;
            let machine = Literal::initiate(setup, provider_in_code, options.lifetime, now, rng);
            (Machine::Literal(machine), SessionKind::Literal)
        } else {
            let code = CodeOptions {
                lifetime: options.lifetime.as_secs(),
                routers: routers.clone(),
                provider: provider_in_code,
            };
            (Machine::Initiator(Initiator::start(setup, code, now, rng)), SessionKind::Initiator)
        };
        let code = machine.code();
        let driver = Driver::new(inner, lock, machine, kind, routers.unwrap_or_default(), None)?;
        Ok(start(driver, code))
    }

    /// Answers a code that another device shows, or an [invite](Self::invite): then the device must
    /// be [online](Self::go_online).
    pub async fn join(&self, code: &str, options: JoinOptions) -> Result<Pairing> {
        match Invite::parse(code) {
            Ok(_) => return self.join_invite(code, options).await,
            Err(InviteError::NotAnInvite) => (),
            Err(error) => return Err(handfast_pairing_manager::Error::from(error).into()),
        }
        let inner = &self.0;
        let lock = inner.home.lock()?;
        let code = Code::parse(code)?;
        self.refuse_if_pending()?;
        let (setup, config) = setup(inner, options.consent, options.again)?;
        let (now, rng) = (inner.clock.now(), &mut rand::rng());
        let (machine, kind, routers) = match code {
            ScannedCode::Literal(_) if !options.literal => return Err(Error::LiteralRefused),
            ScannedCode::Literal(code) => {
                let config = match (&config, &code.provider) {
                    (Some(config), _) => Some(config.clone()),
                    (None, Some(grant)) => Some(routers::granted(grant)?),
                    (None, None) => None,
                };
                let routers = config.as_ref().and_then(routers::addresses);
                let machine = Machine::Literal(Literal::join(setup, code, now)?);
                (machine, SessionKind::Literal, routers)
            }
            ScannedCode::Code(code) => {
                let routers = code.routers.clone();
                let machine = Machine::Joiner(Joiner::start(setup, code, now, rng)?);
                (machine, SessionKind::Joiner, routers)
            }
        };
        let driver = Driver::new(inner, lock, machine, kind, routers.unwrap_or_default(), None)?;
        Ok(start(driver, None))
    }

    /// Goes on with a pairing that was begun earlier, if there is one; by invite only while the
    /// device is [online](Self::go_online).
    pub async fn resume_pairing(&self) -> Result<Option<Pairing>> {
        let inner = &self.0;
        let Some(session) = inner.store.read(|tx| meta::SESSION.find(tx))? else {
            return self.resume_invite().await;
        };
        let lock = inner.home.lock()?;
        let Session { kind, state, routers, admission } = session;
        let machine = Machine::resume(kind, &state, &inner.keys, inner.clock.now())?;
        let code = machine.code();
        let driver = Driver::new(inner, lock, machine, kind, routers, admission)?;
        Ok(Some(start(driver, code)))
    }

    /// Drops a pairing that was begun earlier. One that this device's person has confirmed may
    /// have succeeded for the other device.
    pub async fn cancel_pairing(&self) -> Result<bool> {
        let inner = &self.0;
        let _lock = inner.home.lock()?;
        let pending = inner.store.write(|tx| {
            let pending = meta::SESSION.find(tx)?.is_some();
            meta::SESSION.clear(tx)?;
            Ok(pending)
        })?;
        Ok(self.cancel_invite().await? || pending)
    }

    /// A pairing that nobody has confirmed yet gives way to a new one; any other is in the way.
    pub(crate) fn refuse_if_pending(&self) -> Result<()> {
        let inner = &self.0;
        let invite = inner.store.read(|tx| meta::INVITE.find(tx))?;
        if invite.is_some_and(|session| session.admission.is_some()) {
            return Err(Error::PairingPending);
        }
        inner.store.write(|tx| meta::INVITE.clear(tx))?;
        let Some(session) = inner.store.read(|tx| meta::SESSION.find(tx))? else { return Ok(()) };
        let now = inner.clock.now();
        let machine = Machine::resume(session.kind, &session.state, &inner.keys, now);
        match machine {
            // Nothing was handed over yet: a new code replaces the old one.
            Ok(machine) if machine.has_confirmed() => Err(Error::PairingPending),
            _ => inner.store.write(|tx| meta::SESSION.clear(tx)),
        }
    }
}

/// What the machines must know of this device.
fn setup(
    inner: &Inner,
    consent: Consent,
    again: bool,
) -> Result<(Setup, Option<handfast_providers::ProviderConfig>)> {
    let members = inner.members()?.into_iter().map(|member| member.auth).collect();
    inner.store.read(|tx| {
        let config = meta::provider(tx)?;
        let provider = config.as_ref().map(routers::grant).transpose()?;
        let reach = config.as_ref().map(routers::own_reach).transpose()?;
        let setup = Setup {
            keys: inner.keys.clone(),
            name: meta::NAME.get(tx)?,
            records: records::count_all(tx)?,
            provider,
            reach,
            consent,
            members,
            again,
        };
        Ok((setup, config))
    })
}

fn start(driver: Driver, code: Option<String>) -> Pairing {
    let (steps_in, steps) = mpsc::unbounded_channel();
    let (answers, answers_out) = mpsc::unbounded_channel();
    let task = tokio::spawn(driver.run(steps_in, answers_out));
    Pairing::new(code, steps, answers, task)
}
