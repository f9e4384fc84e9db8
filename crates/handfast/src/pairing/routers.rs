//! The name routers at which a pairing takes place: those that stand in the code, or the public
//! ones. Nobody needs credentials there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use handfast_ipfs::{Name, Record};
use handfast_pairing::qr::Input;
use handfast_pairing::qr::message::ProviderGrant;
use handfast_providers::{
    DEFAULT_NAME_ROUTERS, ErrorKind, Http, NameRouter, ProviderConfig, Reach, Resolve, Resolved,
    Validator, name_routers_at,
};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{self, Instant};

use super::Step;
use super::cadence::{Cadence, LastWord, is_near};
use crate::error::{Error, Result};

/// The pause after a question that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// A router that has nothing new to say, and says so sooner than this, did not wait.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How long a router is asked to wait for news.
const LONG_POLL: Duration = Duration::from_secs(25);
/// The longest pause before a failed publication is tried again.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The addresses of a provider's name routers, as they stand in a code; `None` for the public ones.
pub fn addresses(config: &ProviderConfig) -> Option<Vec<String>> {
    match (config.name_routers(), config) {
        (Some(routers), _) => Some(routers.to_vec()),
        (None, ProviderConfig::SelfHosted { endpoint, .. }) => Some(vec![endpoint.clone()]),
        (None, _) => None,
    }
}

/// A provider config on its way to another device.
pub fn grant(config: &ProviderConfig) -> Result<ProviderGrant> {
    let json = serde_json::to_string(config).map_err(|_| Error::Damaged("provider"))?;
    ProviderGrant::new(json).map_err(|_| Error::Damaged("provider"))
}

/// A provider config that came from another device.
pub fn granted(grant: &ProviderGrant) -> Result<ProviderConfig> {
    serde_json::from_str(grant.expose()).map_err(|_| Error::Damaged("provider"))
}

/// Where what is left at the own provider can be read, on its way to another device.
pub fn own_reach(config: &ProviderConfig) -> Result<ProviderGrant> {
    let json = serde_json::to_string(&Reach::of(config)).map_err(|_| Error::Damaged("reach"))?;
    ProviderGrant::new(json).map_err(|_| Error::Damaged("reach"))
}

/// Where another device said that its feed can be read; nowhere, if this is no such thing.
pub fn told_reach(grant: &ProviderGrant) -> Reach {
    serde_json::from_str::<Reach>(grant.expose()).unwrap_or_default().bounded()
}

/// The routers of one pairing, with what is published and watched at them.
pub struct Routers {
    routers: Vec<Arc<dyn NameRouter>>,
    /// Which of them are on this machine.
    near: Vec<bool>,
    last_word: LastWord,
    inputs: mpsc::UnboundedSender<Input>,
    steps: mpsc::UnboundedSender<Step>,
    /// What was published last under each name, and by what.
    publishing: BTreeMap<Name, (Record, Vec<AbortHandle>)>,
    watching: BTreeMap<Name, Vec<AbortHandle>>,
}

impl Routers {
    /// Routers at these addresses, or the public ones if there are none.
    pub fn new(
        addresses: &[String],
        http: &Http,
        inputs: mpsc::UnboundedSender<Input>,
        steps: mpsc::UnboundedSender<Step>,
    ) -> Result<Routers> {
        let addresses: Vec<&str> = match addresses {
            [] => DEFAULT_NAME_ROUTERS.to_vec(),
            addresses => addresses.iter().map(String::as_str).collect(),
        };
        Ok(Routers {
            routers: name_routers_at(&addresses, http)?,
            near: addresses.iter().map(|address| is_near(address)).collect(),
            last_word: LastWord::new(),
            inputs,
            steps,
            publishing: BTreeMap::new(),
            watching: BTreeMap::new(),
        })
    }

    /// Publishes a record at every router; at those that fail, again until it succeeds or a later
    /// record of the name replaces it.
    pub fn publish(&mut self, record: Record) {
        self.last_word.said();
        let tasks = self.routers.iter().cloned().map(|router| {
            let (record, steps) = (record.clone(), self.steps.clone());
            tokio::spawn(publish_at(router, record, steps)).abort_handle()
        });
        let tasks = tasks.collect();
        if let Some((_, old)) = self.publishing.insert(*record.name(), (record, tasks)) {
            old.iter().for_each(AbortHandle::abort);
        }
    }

    /// Watches a name at every router. What was published there from here is no news.
    pub fn watch(&mut self, name: Name) {
        let routers = self.routers.len();
        let own = self.publishing.get(&name).map(|(record, _)| record);
        let routers_near = self.routers.iter().cloned().zip(&self.near);
        let tasks = routers_near.enumerate().map(|(index, (router, near))| {
            let known = own.map(|record| (record.clone(), Validator::of(record)));
            let watcher = Watcher {
                router,
                index,
                routers,
                name,
                known,
                cadence: self.last_word.cadence(*near),
                last_word: self.last_word.clone(),
                inputs: self.inputs.clone(),
                steps: self.steps.clone(),
            };
            tokio::spawn(watcher.run()).abort_handle()
        });
        let tasks = tasks.collect();
        for old in self.watching.insert(name, tasks).into_iter().flatten() {
            old.abort();
        }
    }

    /// Stops watching a name.
    pub fn unwatch(&mut self, name: &Name) {
        for task in self.watching.remove(name).into_iter().flatten() {
            task.abort();
        }
    }

    /// Waits until what is being published has been taken everywhere, but not for long. Tells
    /// whether it has.
    pub async fn settle(&self, at_most: Duration) -> bool {
        let all = async {
            while self.publishing().any(|task| !task.is_finished()) {
                time::sleep(Duration::from_millis(2)).await;
            }
        };
        time::timeout(at_most, all).await.is_ok()
    }

    fn publishing(&self) -> impl Iterator<Item = &AbortHandle> {
        self.publishing.values().flat_map(|(_, tasks)| tasks)
    }
}

impl Drop for Routers {
    fn drop(&mut self) {
        for task in self.publishing().chain(self.watching.values().flatten()) {
            task.abort();
        }
    }
}

async fn publish_at(
    router: Arc<dyn NameRouter>,
    record: Record,
    steps: mpsc::UnboundedSender<Step>,
) {
    let mut pause = Duration::from_millis(200);
    loop {
        match router.publish(&record).await {
            Ok(()) => return,
            // Watching the name will tell what stands there.
            Err(error) if error.kind() == ErrorKind::Outdated => return,
            Err(error) => {
                let _ = steps.send(Step::Trouble(error.to_string()));
            }
        }
        time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Watches one name at one router.
struct Watcher {
    router: Arc<dyn NameRouter>,
    index: usize,
    routers: usize,
    name: Name,
    known: Option<(Record, Validator)>,
    cadence: Cadence,
    last_word: LastWord,
    inputs: mpsc::UnboundedSender<Input>,
    steps: mpsc::UnboundedSender<Step>,
}

impl Watcher {
    async fn run(mut self) {
        loop {
            let mut query = Resolve::default().waiting(LONG_POLL);
            if let Some((_, validator)) = &self.known {
                query = query.unless(validator.clone());
            }
            let asked = Instant::now();
            let mut news = false;
            match self.router.resolve(&self.name, &query).await {
                Ok(Resolved::Record(record, validator)) => {
                    self.known = Some((record, validator));
                    self.last_word.said();
                    news = true;
                }
                Ok(Resolved::Unchanged) => (),
                Ok(Resolved::Missing) => self.known = None,
                Err(error) => {
                    let _ = self.steps.send(Step::Trouble(error.to_string()));
                    time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            }
            let input = Input::Answer {
                router: self.index,
                routers: self.routers,
                name: self.name,
                record: self.known.as_ref().map(|(record, _)| record.clone()),
            };
            if self.inputs.send(input).is_err() {
                return;
            }
            // One that could wait may have no room for it.
            let (waits, took) = (self.router.longest_wait().is_some(), asked.elapsed());
            if !waits || !(news || took >= AT_ONCE) {
                self.cadence.rest(took).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use handfast_keys::IpnsSecret;

    use super::*;
    use crate::empty_router::EmptyRouter;

    #[tokio::test(start_paused = true)]
    async fn a_router_that_does_not_wait_is_asked_in_cadence() {
        for (longest_wait, near, expected) in [
            (None, true, 100),
            (None, false, 10),
            (Some(LONG_POLL), true, 100),
            (Some(LONG_POLL), false, 10),
        ] {
            let router = Arc::new(EmptyRouter { longest_wait, ..EmptyRouter::default() });
            let (inputs, mut answers) = mpsc::unbounded_channel();
            let last_word = LastWord::new();
            let watcher = Watcher {
                router: router.clone(),
                index: 0,
                routers: 1,
                name: Name::of(IpnsSecret::from_seed([7; 32]).public()),
                known: None,
                cadence: last_word.cadence(near),
                last_word,
                inputs,
                steps: mpsc::unbounded_channel().0,
            };
            let almost = Duration::from_millis(9_999);
            assert!(time::timeout(almost, watcher.run()).await.is_err());
            assert_eq!(router.asked.load(Ordering::Relaxed), expected);
            assert!(matches!(answers.recv().await, Some(Input::Answer { record: None, .. })));
        }
    }
}
