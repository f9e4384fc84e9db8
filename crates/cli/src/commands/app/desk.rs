//! Where the library asks the app, or its person. What is asked goes to a
//! [`Dialogue`](super::dialogue::Dialogue), which alone speaks with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use handfast_keys::CheckCode;
use handfast_pairing_manager::{
    AddWriterError, Answer, DataStructures, DeviceName, NotAdded, OnPaired, Person, Question,
    SeedStore, Structure, StructureKey, WriterStore, on_paired,
};
use tokio::sync::{mpsc, oneshot};

/// A writer for each structure.
pub type Writers = BTreeMap<String, StructureKey>;

/// What is asked or told, with where the answer goes.
pub enum Asked {
    /// Member: these writers are let in. Answered once that is said.
    Paired(Writers, oneshot::Sender<()>),
    /// Member: are these writers added?
    Add(Writers, oneshot::Sender<bool>),
    /// Candidate: which writers are there for these structures, in their order? None declines.
    Make(Vec<Structure>, oneshot::Sender<Option<Vec<StructureKey>>>),
    /// Does the other side, of this name, show the same check code?
    Compare(DeviceName, CheckCode, oneshot::Sender<Answer>),
    /// This side has confirmed its check code.
    Confirmed(CheckCode),
}

/// Asks, on behalf of the library.
#[derive(Clone)]
pub struct Desk {
    asked: mpsc::UnboundedSender<Asked>,
    declined: Arc<AtomicBool>,
}

impl Desk {
    /// A desk, and what is asked there.
    pub fn new() -> (Desk, mpsc::UnboundedReceiver<Asked>) {
        let (sender, asked) = mpsc::unbounded_channel();
        (Desk { asked: sender, declined: Arc::default() }, asked)
    }

    /// Whether the person here said no.
    pub fn has_declined(&self) -> bool {
        self.declined.load(Ordering::Relaxed)
    }

    /// Tells of who is let in. It counts as told once it is said.
    pub fn on_paired(&self) -> OnPaired {
        let desk = self.clone();
        on_paired(move |writers| {
            let desk = desk.clone();
            async move { desk.tell(writers).await }
        })
    }

    /// Tells of who is let in, and waits until it is said.
    async fn tell(&self, writers: Writers) {
        if self.answered(|answer| Asked::Paired(writers, answer)).await.is_none() {
            // The command ends. If there is a journal, it tells the next time.
            std::future::pending().await
        }
    }

    async fn answered<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Asked) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.asked.send(ask(answer)).ok()?;
        answered.await.ok()
    }
}

#[async_trait]
impl Person for Desk {
    async fn ask(&self, question: Question) -> Answer {
        // (Here people only ever compare.)
        let Question::Compare(name, code) = question else { return Answer::Declined };
        match self.answered(|answer| Asked::Compare(name, code, answer)).await {
            Some(answer) => {
                self.declined.fetch_or(answer == Answer::Declined, Ordering::Relaxed);
                answer
            }
            // Another question has taken its place, or the command ends.
            None => std::future::pending().await,
        }
    }

    fn show(&self, code: CheckCode) {
        // Nobody is left to see it if this fails.
        let _ = self.asked.send(Asked::Confirmed(code));
    }
}

/// The structures that a member hands over.
pub struct Given {
    structures: BTreeMap<String, Structure>,
    desk: Desk,
    /// Whether writers are only added once the app says so. Without, they are once it is told them.
    confirms: bool,
    handed_over: AtomicBool,
}

impl Given {
    /// These structures; and whether it is asked if writers are added.
    pub fn new(structures: Vec<Structure>, desk: Desk, confirms: bool) -> Arc<Given> {
        let structures = structures.into_iter().map(|it| (it.namespace.clone(), it)).collect();
        Arc::new(Given { structures, desk, confirms, handed_over: AtomicBool::new(false) })
    }

    /// The key of one of them.
    pub fn key(&self, namespace: &str) -> Option<StructureKey> {
        self.structures.get(namespace).map(|structure| structure.key)
    }

    /// Whether somebody was given the structures.
    pub fn are_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl DataStructures for Given {
    async fn names(&self) -> Vec<String> {
        self.structures.keys().cloned().collect()
    }

    async fn writer_keys(&self) -> Writers {
        self.handed_over.store(true, Ordering::Relaxed);
        self.structures.iter().map(|(name, structure)| (name.clone(), structure.key)).collect()
    }

    async fn config(&self, namespace: &str) -> Vec<u8> {
        self.structures.get(namespace).map(|it| it.config.to_vec()).unwrap_or_default()
    }

    async fn add_writer(&self, namespace: &str, key: &StructureKey) -> Result<(), AddWriterError> {
        let writers = Writers::from([(namespace.to_owned(), *key)]);
        self.add_writers(&writers).await.map_err(|not_added| not_added.error)
    }

    async fn add_writers(&self, writers: &Writers) -> Result<(), NotAdded> {
        if !self.confirms {
            self.desk.tell(writers.clone()).await;
            return Ok(());
        }
        match self.desk.answered(|answer| Asked::Add(writers.clone(), answer)).await {
            Some(true) => Ok(()),
            Some(false) => Err(NotAdded {
                namespace: writers.keys().next().cloned().unwrap_or_default(),
                error: AddWriterError::Never("the app has not added it".to_owned()),
            }),
            None => std::future::pending().await,
        }
    }
}

/// Where a candidate's writers come from.
pub struct Brought {
    seed: Option<SeedStore>,
    desk: Desk,
    asked: AtomicBool,
}

impl Brought {
    /// From a seed; or, without one, from who is asked.
    pub fn new(seed: Option<SeedStore>, desk: Desk) -> Arc<Brought> {
        Arc::new(Brought { seed, desk, asked: AtomicBool::new(false) })
    }

    /// Whether the member has handed over its structures.
    pub fn are_asked_for(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl WriterStore for Brought {
    async fn writer(&self, structure: &Structure) -> Result<StructureKey, AddWriterError> {
        let made = self.writers(std::slice::from_ref(structure)).await?;
        made.first().copied().ok_or_else(|| AddWriterError::Never("there is none".to_owned()))
    }

    async fn writers(&self, structures: &[Structure]) -> Result<Vec<StructureKey>, AddWriterError> {
        self.asked.store(true, Ordering::Relaxed);
        if let Some(seed) = &self.seed {
            let key = |it: &Structure| *seed.secret(&it.namespace).public().as_bytes();
            return Ok(structures.iter().map(|it| StructureKey::from_bytes(key(it))).collect());
        }
        match self.desk.answered(|answer| Asked::Make(structures.to_vec(), answer)).await {
            Some(Some(made)) => Ok(made),
            Some(None) => Err(AddWriterError::Never("the app names no writers".to_owned())),
            // The command ends. If there is a journal, it asks again the next time.
            None => std::future::pending().await,
        }
    }
}
