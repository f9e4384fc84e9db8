//! The power of one device: whatever it does to the world is counted, and before the n-th time the
//! power is cut.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::device::Device;

/// Counts a device's effects: the commits of its store, and its requests. Once cut, no commit
/// succeeds and no request leaves: from outside, the process is gone.
#[derive(Clone)]
pub struct Power(Arc<Shared>);

struct Shared {
    /// Cut before this effect, counting from one.
    until: Option<u64>,
    /// Done before this effect, once.
    noted: Mutex<Option<(u64, Note)>>,
    spent: Mutex<Vec<String>>,
    cut: watch::Sender<bool>,
}

type Note = Box<dyn FnOnce() + Send>;

/// The moments at which a trial lets something happen: every one if `HANDFAST_TRIALS` is `every`,
/// else every ninth, which an ordinary run of the tests has time for.
pub fn moments() -> impl Iterator<Item = u64> {
    let every = std::env::var("HANDFAST_TRIALS").is_ok_and(|which| which == "every");
    (1..).step_by(if every { 1 } else { 9 })
}

impl Power {
    /// A power that is cut before the n-th effect.
    pub fn until(n: u64) -> Power {
        Power::new(Some(n), None)
    }

    /// A power that lasts.
    pub fn lasting() -> Power {
        Power::new(None, None)
    }

    /// A power that lasts, with something that is done before the n-th effect.
    pub fn noting(n: u64, note: impl FnOnce() + Send + 'static) -> Power {
        Power::new(None, Some((n, Box::new(note))))
    }

    fn new(until: Option<u64>, noted: Option<(u64, Note)>) -> Power {
        let (noted, spent) = (Mutex::new(noted), Mutex::default());
        Power(Arc::new(Shared { until, noted, spent, cut: watch::Sender::new(false) }))
    }

    /// Counts an effect; says whether there is still power for it.
    pub fn spend(&self, effect: impl Into<String>) -> bool {
        if self.is_cut() {
            return false;
        }
        let mut spent = self.0.spent.lock().unwrap();
        let n = spent.len() as u64 + 1;
        let note = self.0.noted.lock().unwrap().take_if(|(at, _)| *at == n);
        if let Some((_, note)) = note {
            note();
        }
        if self.0.until.is_some_and(|until| n >= until) {
            spent.push(format!("†{}", effect.into()));
            self.0.cut.send_replace(true);
            return false;
        }
        spent.push(effect.into());
        true
    }

    /// Cuts it now.
    pub fn cut(&self) {
        self.0.cut.send_replace(true);
    }

    pub fn is_cut(&self) -> bool {
        *self.0.cut.borrow()
    }

    /// Ends when the power is cut.
    pub async fn gone(&self) {
        let mut cut = self.0.cut.subscribe();
        cut.wait_for(|cut| *cut).await.unwrap();
    }

    /// The last that the device did, or died before.
    pub fn last(&self) -> Option<String> {
        let spent = self.0.spent.lock().unwrap();
        spent.last().map(|last| format!("{}: {last}", spent.len()))
    }

    /// Counts the commits of a device's store from now on. Without power a commit is rolled back,
    /// which is what is left of a transaction whose process was killed.
    pub fn feed(&self, device: &Device) {
        let power = self.clone();
        let hook = move || !power.spend("commit");
        device.0.store.writer().commit_hook(Some(hook)).unwrap();
    }
}
