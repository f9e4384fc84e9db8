//! What a session asks of the app and its person.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use handfast_keys::CheckCode;
use handfast_pairing::invite::{
    Denial, Effect, Failure, Input, Joined, Joining, Map, Offer, Peer, Question, Structure,
    StructureKey, Writers,
};
use serde_bytes::ByteBuf;
use tokio::sync::watch;

use crate::driver::Context;
use crate::error::Error;
use crate::inbox::Inbox;
use crate::journal::JournalError;
use crate::manager::Meeting;
use crate::structures::{AddWriterError, DataStructures, Device, WriterStore};

/// How long to wait before a writer that could not be added is tried again: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// What a driver asks of whoever it works for.
pub(crate) trait App: Send + Sync + 'static {
    /// Does what a machine asks for; what comes of it is told to the inbox.
    fn perform(self: Arc<Self>, effect: Effect, inbox: &Inbox, context: &Context);

    /// The session has ended without success.
    fn failed(&self, failure: Failure);

    /// Member: the session has ended with success, and that is stored.
    fn succeeded(&self) {}

    /// The session cannot go on here: the journal fails, or somebody else goes on with it.
    fn broken(&self, error: JournalError);
}

/// The person in front of a device, where the check code is compared.
#[async_trait]
pub trait Person: Send + Sync + 'static {
    /// Asks. The question stands until it is answered; a later one takes its place.
    async fn ask(&self, question: Question) -> Answer;

    /// Shows the check code with its two digits, for the other device's person.
    fn show(&self, code: CheckCode);

    /// Somebody who has the invite says no to this candidate. It may not have been the member: the
    /// candidate waits a little for a better answer.
    fn denied(&self, denial: Denial) {
        let _ = denial;
    }
}

/// What a person answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This was typed.
    Typed(String),
    /// Yes.
    Agreed,
    /// No.
    Declined,
}

impl From<Answer> for Input {
    fn from(answer: Answer) -> Input {
        match answer {
            Answer::Typed(text) => Input::Typed(text),
            Answer::Agreed => Input::Agreed,
            Answer::Declined => Input::Declined,
        }
    }
}

fn ask(person: Option<&Arc<dyn Person>>, effect: Effect, inbox: &Inbox, context: &Context) {
    match (effect, person.cloned()) {
        (Effect::Question(question), Some(person)) => {
            let (inbox, over) = (inbox.clone(), context.over.clone());
            context.tasks.spawn(async move {
                if let Some(answer) = over.run_until_cancelled(person.ask(question)).await {
                    let _ = inbox.send(answer.into()).await;
                }
            });
        }
        // Nobody is there who could compare: that is a no.
        (Effect::Question(_), None) => {
            let inbox = inbox.clone();
            context.tasks.spawn(async move { _ = inbox.send(Input::Declined).await });
        }
        (Effect::Show(code), Some(person)) => person.show(code),
        (Effect::Denied(denial), Some(person)) => person.denied(denial),
        _ => (),
    }
}

/// What is called once somebody is paired: with the candidate's writer key for every structure.
pub type OnPaired = Box<
    dyn Fn(BTreeMap<String, StructureKey>) -> Pin<Box<dyn Future<Output = ()> + Send>>
        + Send
        + Sync,
>;

/// Makes an [`OnPaired`] of an async closure.
pub fn on_paired<F, T>(callback: F) -> OnPaired
where
    F: Fn(BTreeMap<String, StructureKey>) -> T + Send + Sync + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    Box::new(move |writers| Box::pin(callback(writers)))
}

/// How a member's session stands.
#[derive(Debug, Clone)]
pub(crate) enum MemberState {
    /// It waits, or somebody is being paired.
    Pending,
    /// Somebody is paired.
    Paired,
    /// A structure's writer cannot be added.
    Incomplete(String),
    /// It has ended without success, since a structure has no writer key.
    NoWriterKey(String),
    /// It has ended without success.
    Failed(Failure),
    /// It cannot go on here.
    Broken(JournalError),
}

pub(crate) struct MemberApp {
    pub structures: Arc<dyn DataStructures>,
    pub device: Option<Arc<dyn Device>>,
    pub primary: Option<StructureKey>,
    pub encryption_key: Option<handfast_keys::Secret<32>>,
    pub on_paired: OnPaired,
    pub person: Option<Arc<dyn Person>>,
    pub state: watch::Sender<MemberState>,
    /// Where the group meets, until it has turned out whether the pairing leads there.
    pub meeting: Mutex<Option<Meeting>>,
    /// The structure that cannot be handed over, for want of a writer key.
    pub no_writer_key: Mutex<Option<String>>,
}

impl MemberApp {
    /// What is handed over: every structure; or `None`, if that cannot be.
    async fn map(&self, peer: &Peer) -> Option<Map> {
        // (In this order: what is registered in between goes with another invite.)
        let names = self.structures.names().await;
        let mut keys = self.structures.writer_keys().await;
        let mut structures: Vec<Structure> = Vec::new();
        for namespace in names {
            let Some(key) = keys.remove(&namespace) else {
                if structures.iter().any(|it| it.namespace == namespace) {
                    continue;
                }
                tracing::error!(namespace, "it has no writer key: the pairing is given up");
                *lock(&self.no_writer_key) = Some(namespace);
                return None;
            };
            let config = ByteBuf::from(self.structures.config(&namespace).await);
            structures.push(Structure { namespace, key, config });
        }
        let (primary, encryption_key) = (self.primary, self.encryption_key.clone());
        let attachment = attachment(self.device.as_ref(), peer).await;
        let map = Map { primary, encryption_key, structures, attachment };
        if let Err(error) = map.check() {
            tracing::error!(%error, "the pairing is given up");
            return None;
        }
        Some(map)
    }

    /// Adds every writer, however often it takes; `false` if one cannot be added at all.
    async fn add_all(&self, joining: &Joining) -> bool {
        let attachment = &joining.writers.attachment;
        if let (Some(device), Some(peer)) = (&self.device, &joining.peer)
            && retried(|| device.admit(peer, attachment), |error| error).await.is_err()
        {
            self.state.send_replace(MemberState::Incomplete("the device itself".to_owned()));
            return false;
        }
        let writers = joining.writers.keys.iter().cloned().collect();
        let add = || self.structures.add_writers(&writers);
        match retried(add, |not_added| &not_added.error).await {
            Ok(()) => true,
            Err(not_added) => {
                self.state.send_replace(MemberState::Incomplete(not_added.namespace));
                false
            }
        }
    }
}

/// What the peer gets along from the device, if there is one.
async fn attachment(device: Option<&Arc<dyn Device>>, peer: &Peer) -> ByteBuf {
    match device {
        Some(device) => ByteBuf::from(device.attach(peer).await),
        None => ByteBuf::new(),
    }
}

/// Tries until it is done, or cannot be done at all.
async fn retried<T, E, F>(
    mut attempt: impl FnMut() -> F,
    why: impl Fn(&E) -> &AddWriterError,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pause = RETRY.0;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        match why(&error) {
            AddWriterError::Later(reason) => {
                tracing::debug!(reason, "a step of a pairing is tried again");
            }
            AddWriterError::Never(reason) => {
                tracing::error!(reason, "a step of a pairing cannot be done");
                return Err(error);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

impl App for MemberApp {
    fn perform(self: Arc<Self>, effect: Effect, inbox: &Inbox, context: &Context) {
        let (inbox, over) = (inbox.clone(), context.over.clone());
        match effect {
            Effect::Provide(peer) => {
                _ = context.tasks.spawn(async move {
                    let Some(map) = over.run_until_cancelled(self.map(&peer)).await else { return };
                    let input = map.map_or(Input::Declined, |map| Input::Map(Box::new(map)));
                    let _ = inbox.send(input).await;
                })
            }
            Effect::AddWriters(joining) => {
                _ = context.tasks.spawn(async move {
                    let added = over.run_until_cancelled(self.add_all(&joining)).await;
                    if added == Some(true) {
                        let _ = inbox.send(Input::Added).await;
                    }
                })
            }
            Effect::Paired(joining) => {
                _ = context.tasks.spawn(async move {
                    let writers = joining.writers.keys.into_iter().collect();
                    if over.run_until_cancelled((self.on_paired)(writers)).await.is_some() {
                        let _ = inbox.send(Input::Noted).await;
                    }
                })
            }
            effect => ask(self.person.as_ref(), effect, &inbox, context),
        }
    }

    fn failed(&self, failure: Failure) {
        drop(lock(&self.meeting).take());
        let missing = lock(&self.no_writer_key).take();
        self.state.send_replace(match missing {
            Some(namespace) => MemberState::NoWriterKey(namespace),
            None => MemberState::Failed(failure),
        });
    }

    fn succeeded(&self) {
        if let Some(meeting) = lock(&self.meeting).take() {
            meeting.keep();
        }
        self.state.send_replace(MemberState::Paired);
    }

    fn broken(&self, error: JournalError) {
        self.state.send_if_modified(|state| {
            let is_pending = matches!(state, MemberState::Pending);
            if is_pending {
                *state = MemberState::Broken(error);
            }
            is_pending
        });
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a candidate's session ends.
pub(crate) type Outcome = Result<Joined, Error>;

pub(crate) struct CandidateApp {
    pub store: Option<Arc<dyn WriterStore>>,
    pub device: Option<Arc<dyn Device>>,
    pub person: Option<Arc<dyn Person>>,
    pub outcome: Mutex<Option<tokio::sync::oneshot::Sender<Outcome>>>,
}

impl CandidateApp {
    fn tell(&self, outcome: Outcome) {
        let sender = lock(&self.outcome).take();
        if let Some(sender) = sender {
            let _ = sender.send(outcome);
        }
    }

    /// A writer for every structure; `None` if one cannot be made at all.
    async fn writers(&self, offer: &Offer) -> Option<Writers> {
        let (store, map) = (self.store.as_ref()?, &offer.map);
        if let Some(device) = &self.device {
            retried(|| device.admit(&offer.peer, &map.attachment), |error| error).await.ok()?;
        }
        let keys = retried(|| store.writers(&map.structures), |error| error).await.ok()?;
        if keys.len() != map.structures.len() {
            tracing::error!("there is not one writer for each structure");
            return None;
        }
        let names = map.structures.iter().map(|structure| structure.namespace.clone());
        let attachment = attachment(self.device.as_ref(), &offer.peer).await;
        Some(Writers { keys: names.zip(keys).collect(), attachment })
    }
}

impl App for CandidateApp {
    fn perform(self: Arc<Self>, effect: Effect, inbox: &Inbox, context: &Context) {
        match effect {
            Effect::MakeWriters(offer) => {
                let (inbox, over) = (inbox.clone(), context.over.clone());
                context.tasks.spawn(async move {
                    let input = match over.run_until_cancelled(self.writers(&offer)).await {
                        Some(Some(writers)) => Input::Writers(Box::new(writers)),
                        Some(None) => Input::Declined,
                        None => return,
                    };
                    let _ = inbox.send(input).await;
                });
            }
            Effect::Joined(joined) => self.tell(Ok(*joined)),
            effect => ask(self.person.as_ref(), effect, inbox, context),
        }
    }

    fn failed(&self, failure: Failure) {
        self.tell(Err(failure.into()));
    }

    fn broken(&self, error: JournalError) {
        self.tell(Err(error.into()));
    }
}
