//! Driving a machine: performing its effects in order, and telling it what happens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handfast_keys::Digest;
use handfast_pairing::qr::session::PeerKeys;
use handfast_pairing::qr::{Effect, Failure, Input};
use handfast_ring::Identity;
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;

use super::machine::Machine;
use super::routers::{self, Routers};
use super::{Answer, Paired, Step, effects};
use crate::device::Inner;
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::home::SyncLock;
use crate::store::meta::{self, Session, SessionKind};

/// How long the last word of a session may take to go out.
const LAST_WORD: Duration = Duration::from_secs(5);

/// A session that is about to run.
pub struct Driver {
    device: Arc<Inner>,
    _lock: SyncLock,
    machine: Machine,
    kind: SessionKind,
    addresses: Vec<String>,
    admission: Arc<Mutex<Option<Digest>>>,
    /// Whom this is about, once both have confirmed, and the transcript of their conversation.
    peer: Option<(Identity, Digest)>,
    /// What takes in the peer's data.
    importing: Option<AbortHandle>,
}

/// What the tasks of a session report with.
#[derive(Clone)]
pub struct Reporter {
    steps: mpsc::UnboundedSender<Step>,
    admission: Arc<Mutex<Option<Digest>>>,
}

impl Reporter {
    pub fn step(&self, step: Step) {
        // Nobody may be looking.
        let _ = self.steps.send(step);
    }

    pub fn admitted(&self, admission: Digest) {
        *self.admission.lock().unwrap_or_else(PoisonError::into_inner) = Some(admission);
    }
}

impl Driver {
    pub fn new(
        device: &Arc<Inner>,
        lock: SyncLock,
        machine: Machine,
        kind: SessionKind,
        addresses: Vec<String>,
        admission: Option<Digest>,
    ) -> Result<Driver> {
        let driver = Driver {
            device: device.clone(),
            _lock: lock,
            machine,
            kind,
            addresses,
            admission: Arc::new(Mutex::new(admission)),
            peer: None,
            importing: None,
        };
        // Whoever has a code in hand has a session in the store.
        driver.store()?;
        Ok(driver)
    }

    /// Runs the session to its end.
    pub async fn run(
        mut self,
        steps: mpsc::UnboundedSender<Step>,
        mut answers: mpsc::UnboundedReceiver<Answer>,
    ) -> Result<Paired> {
        let (inputs, mut inputs_out) = mpsc::unbounded_channel();
        let report = Reporter { steps: steps.clone(), admission: self.admission.clone() };
        let mut routers =
            Routers::new(&self.addresses, &self.device.http, inputs.clone(), steps.clone())?;
        let mut tasks = JoinSet::new();
        // By itself: this task may wait for the store, which is busy with what is told of.
        let mut progress = JoinSet::new();
        progress.spawn(tell_progress(self.device.bus.subscribe(), report.clone()));
        loop {
            while let Some(effect) = self.machine.poll() {
                self.perform(effect, &mut routers, &mut tasks, &inputs, &report)?;
            }
            if let Some(ended) = self.machine.ended() {
                // What was said last is in the store until it is out, so that a restart can say it
                // again.
                if routers.settle(LAST_WORD).await {
                    self.device.store.write(|tx| meta::SESSION.clear(tx))?;
                }
                return self.end(ended);
            }
            let now = self.device.clock.now();
            let timeout = self.machine.poll_timeout();
            let until = timeout.map(|moment| self.device.clock.instant(moment));
            let input = tokio::select! {
                Some(input) = inputs_out.recv() => input,
                Some(answer) = answers.recv() => match answer {
                    Answer::Typed(text) => Input::Typed(text),
                    Answer::Yes => Input::Agreed,
                    Answer::No => Input::Declined,
                },
                Some(finished) = tasks.join_next(), if !tasks.is_empty() => {
                    match finished {
                        Ok(done) => done?,
                        // A later import has replaced it.
                        Err(stopped) if stopped.is_cancelled() => (),
                        Err(_) => return Err(Error::Stopped),
                    }
                    continue;
                }
                () = sleep_until(until) => Input::Elapsed,
            };
            let now = now.max(self.device.clock.now());
            // A failure is an end of the machine, which still has its last words to say.
            let _ = self.machine.handle(now, input);
        }
    }

    fn perform(
        &mut self,
        effect: Effect,
        routers: &mut Routers,
        tasks: &mut JoinSet<Result<()>>,
        inputs: &mpsc::UnboundedSender<Input>,
        report: &Reporter,
    ) -> Result<()> {
        let (device, inputs, report) = (self.device.clone(), inputs.clone(), report.clone());
        match effect {
            Effect::Store => self.store()?,
            Effect::Publish(record) => routers.publish(record),
            Effect::Watch(name) => routers.watch(name),
            Effect::Unwatch(name) => routers.unwatch(&name),
            Effect::Ask(question) => report.step(Step::Ask(question)),
            Effect::AskLiteral(fingerprint) => report.step(Step::AskLiteral(fingerprint)),
            Effect::Show(check_code) => report.step(Step::Show(check_code)),
            Effect::UseProvider(grant) => {
                let config = routers::granted(&grant)?;
                device.set_provider(&config)?;
                report.step(Step::ProviderReceived(config.service_name().to_owned()));
            }
            Effect::Announce(own) => {
                tasks.spawn(async move { effects::announce(&device, &own, &report).await });
            }
            Effect::FindPeer(peer) => {
                tasks.spawn(find(device, *peer, inputs, report));
            }
            Effect::Admit(introduction) => {
                let peer = introduction.peer.identity().clone();
                report.step(Step::Exchanging(peer.name.clone()));
                self.peer = Some((peer, introduction.transcript));
                tasks.spawn(async move {
                    let record = effects::admit(&device, &introduction, &report).await?;
                    let _ = inputs.send(Input::Published(record));
                    Ok(())
                });
            }
            Effect::Import(record) => {
                let Some((peer, transcript)) = self.peer() else {
                    return Err(Error::Damaged("session"));
                };
                let record = record.map(|record| *record);
                let task = tasks.spawn(async move {
                    effects::import(&device, &peer, &transcript, record, &report).await?;
                    let _ = inputs.send(Input::Imported);
                    Ok(())
                });
                if let Some(earlier) = self.importing.replace(task) {
                    earlier.abort();
                }
            }
            Effect::Finished => (),
        }
        Ok(())
    }

    /// The peer, which after a restart only the ring knows.
    fn peer(&mut self) -> Option<(Identity, Digest)> {
        if self.peer.is_none() {
            let admission = *self.admission.lock().unwrap_or_else(PoisonError::into_inner);
            let ring = self.device.store.read(|tx| meta::RING.get(tx)).ok()?;
            self.peer = ring
                .admissions()
                .iter()
                .find(|known| admission.is_some_and(|id| known.id().as_bytes() == id.as_bytes()))
                .map(|admission| (admission.device().clone(), admission.transcript()));
        }
        self.peer.clone()
    }

    fn store(&self) -> Result<()> {
        let session = Session {
            kind: self.kind,
            state: ByteBuf::from(self.machine.to_bytes(self.device.clock.now())),
            routers: self.addresses.clone(),
            admission: *self.admission.lock().unwrap_or_else(PoisonError::into_inner),
        };
        self.device.store.write(|tx| meta::SESSION.set(tx, &session))
    }

    fn end(mut self, ended: Option<Failure>) -> Result<Paired> {
        let admission = *self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        match (ended, self.peer()) {
            (None, Some((peer, _))) => Ok(Paired { id: peer.device_id(), name: peer.name }),
            (None, None) => Err(Error::Damaged("session")),
            (Some(failure), _) => {
                if let Some(admission) = admission {
                    effects::undo(&self.device, admission)?;
                }
                Err(failure.into())
            }
        }
    }
}

async fn tell_progress(mut events: Events, report: Reporter) {
    while let Some(event) = events.next().await {
        if let Event::Progress(progress) = event {
            report.step(Step::Progress(progress));
        }
    }
}

async fn find(
    device: Arc<Inner>,
    peer: PeerKeys,
    inputs: mpsc::UnboundedSender<Input>,
    report: Reporter,
) -> Result<()> {
    let identity = effects::find_peer(&device, &peer, &report).await?;
    let _ = inputs.send(Input::Found(Box::new(identity)));
    Ok(())
}

async fn sleep_until(moment: Option<time::Instant>) {
    match moment {
        Some(moment) => time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
