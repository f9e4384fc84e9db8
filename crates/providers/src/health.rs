//! A name router among several: one that fails is left alone for a while, and one that is slow
//! goes on in the background.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use handfast_ipfs::{Name, Record};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{ErrorKind, NameRouter, ProviderError, Resolve, Resolved};

/// How long a router rests after its first failure; twice as long after each further one.
const FIRST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(5 * 60);
/// Questions that may be under way at a router that answers none.
const MAX_ASKED: usize = 64;

type Answer = Result<Resolved, ProviderError>;

/// One of several routers. While it rests after failures, every call fails at once with what went
/// wrong last. A question whose asker has gone on is not lost: the next one about the same name
/// gets its answer.
pub(crate) struct Rested {
    router: Arc<dyn NameRouter>,
    rest: Mutex<Rest>,
    asked: Mutex<BTreeMap<Name, JoinHandle<Answer>>>,
}

#[derive(Default)]
struct Rest {
    failures: u32,
    until: Option<(Instant, ProviderError)>,
}

impl Rested {
    pub(crate) fn new(router: Arc<dyn NameRouter>) -> Self {
        Self { router, rest: Mutex::default(), asked: Mutex::default() }
    }

    fn refuse_while_resting(&self) -> Result<(), ProviderError> {
        match &lock(&self.rest).until {
            Some((until, error)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Learns from how a call ended.
    fn learn<T>(&self, outcome: Result<T, ProviderError>) -> Result<T, ProviderError> {
        let mut rest = lock(&self.rest);
        match &outcome {
            Err(error) if error.is_transient() || error.kind() == ErrorKind::Nonsense => {
                let doublings = rest.failures.min(16);
                rest.failures += 1;
                let pause = match error.kind() {
                    ErrorKind::RateLimited { wait: Some(wait) } => wait,
                    _ => FIRST_REST.saturating_mul(1 << doublings).min(LONGEST_REST),
                };
                rest.until = Some((Instant::now() + pause, error.clone()));
            }
            // It answered, even if we do not like what it said.
            _ => *rest = Rest::default(),
        }
        outcome
    }

    /// The question about a name that is under way, or a new one.
    fn question(&self, name: &Name, query: &Resolve) -> Question<'_> {
        let mut asked = lock(&self.asked);
        let begin = || {
            let (router, name, query) = (self.router.clone(), *name, query.clone());
            tokio::spawn(async move { router.resolve(&name, &query).await })
        };
        let answer = match asked.entry(*name) {
            Entry::Occupied(earlier) => earlier.remove(),
            Entry::Vacant(_) => begin(),
        };
        Question { router: self, name: *name, answer: Some(answer) }
    }
}

/// A question under way; kept for the next asker if this one goes on.
struct Question<'a> {
    router: &'a Rested,
    name: Name,
    answer: Option<JoinHandle<Answer>>,
}

impl Question<'_> {
    async fn answered(mut self) -> Answer {
        let Some(answer) = &mut self.answer else { return Ok(Resolved::Missing) };
        let ended = answer.await;
        self.answer = None;
        ended.unwrap_or_else(|_| {
            let service = self.router.router.describe();
            Err(ProviderError::new(ErrorKind::Broken, service, "resolving a name"))
        })
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else { return };
        let mut asked = lock(&self.router.asked);
        if asked.len() < MAX_ASKED {
            asked.insert(self.name, answer);
        } else {
            answer.abort();
        }
    }
}

impl Drop for Rested {
    fn drop(&mut self) {
        for answer in lock(&self.asked).values() {
            answer.abort();
        }
    }
}

#[async_trait]
impl NameRouter for Rested {
    async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
        self.refuse_while_resting()?;
        self.learn(self.router.publish(record).await)
    }

    async fn resolve(&self, name: &Name, query: &Resolve) -> Answer {
        self.refuse_while_resting()?;
        let answer = match query.wait {
            // A wait has its own time, and whoever waits takes no other answer.
            Some(_) => self.router.resolve(name, query).await,
            None => self.question(name, query).answered().await,
        };
        self.learn(answer)
    }

    fn publishes(&self) -> bool {
        self.router.publishes()
    }

    fn longest_wait(&self) -> Option<Duration> {
        self.router.longest_wait()
    }

    fn describe(&self) -> String {
        self.router.describe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::conformance::{self, random_records};
    use crate::memory::MemoryNameRouter;

    /// A router that takes its time and fails when told to.
    #[derive(Default)]
    struct Moody {
        inner: MemoryNameRouter,
        fails: Mutex<Option<ErrorKind>>,
        takes: Duration,
        calls: AtomicU32,
    }

    #[async_trait]
    impl NameRouter for Moody {
        async fn publish(&self, record: &Record) -> Result<(), ProviderError> {
            self.inner.publish(record).await
        }

        async fn resolve(&self, name: &Name, query: &Resolve) -> Answer {
            self.calls.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(self.takes).await;
            let fails = *lock(&self.fails);
            match fails {
                Some(kind) => Err(ProviderError::new(kind, "moody", "resolving a name")),
                None => self.inner.resolve(name, query).await,
            }
        }

        fn longest_wait(&self) -> Option<Duration> {
            None
        }

        fn describe(&self) -> String {
            "moody".into()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn conforms() {
        conformance::name_router(&Rested::new(Arc::new(Moody::default()))).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn rests_longer_after_each_failure_and_recovers() {
        let moody = Arc::new(Moody::default());
        let rested = Rested::new(moody.clone());
        let record = random_records(&[1]).unwrap().remove(0);
        let ask = async || rested.resolve(record.name(), &Resolve::default()).await;
        *lock(&moody.fails) = Some(ErrorKind::Unreachable);
        // 2, 4, 8 … seconds: in a minute, five calls reach the router.
        for _ in 0..60 {
            assert_eq!(ask().await.unwrap_err().kind(), ErrorKind::Unreachable);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(moody.calls.load(Ordering::Relaxed), 5);
        *lock(&moody.fails) = None;
        tokio::time::advance(LONGEST_REST).await;
        assert!(matches!(ask().await, Ok(Resolved::Missing)));
        assert!(matches!(ask().await, Ok(Resolved::Missing)));
        assert_eq!(moody.calls.load(Ordering::Relaxed), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn rests_as_long_as_it_is_told() {
        let moody = Arc::new(Moody::default());
        let rested = Rested::new(moody.clone());
        let record = random_records(&[1]).unwrap().remove(0);
        let wait = Duration::from_secs(600);
        *lock(&moody.fails) = Some(ErrorKind::RateLimited { wait: Some(wait) });
        for _ in 0..599 {
            rested.resolve(record.name(), &Resolve::default()).await.unwrap_err();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(moody.calls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_there_at_the_next_question() {
        let slow = Moody { takes: Duration::from_secs(30), ..Moody::default() };
        let record = random_records(&[1]).unwrap().remove(0);
        slow.publish(&record).await.unwrap();
        let slow = Arc::new(slow);
        let rested = Rested::new(slow.clone());
        let mut patience = 0;
        let answer = loop {
            let query = Resolve::default();
            let asked = rested.resolve(record.name(), &query);
            match tokio::time::timeout(Duration::from_secs(4), asked).await {
                Ok(answer) => break answer,
                Err(_) => patience += 1,
            }
        };
        assert!(matches!(answer, Ok(Resolved::Record(got, _)) if got == record));
        assert_eq!((patience, slow.calls.load(Ordering::Relaxed)), (7, 1));
    }
}
