//! Where groups meet: the topics that pairings lead to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use handfast_pairing::invite::Topic;

use crate::network::{Joining, SharedNetwork};

/// The topics where groups meet. Each is joined once: as long as an invite may lead there, and once
/// one has, until the manager is closed.
#[derive(Clone)]
pub(crate) struct Meetings {
    network: SharedNetwork,
    topics: Arc<Mutex<Topics>>,
}

#[derive(Default)]
struct Topics {
    joined: BTreeMap<Topic, Weak<dyn Joining>>,
    kept: BTreeMap<Topic, Arc<dyn Joining>>,
}

/// A topic that is joined. Dropping it leaves the topic, if nobody else needs it.
pub(crate) struct Meeting {
    meetings: Meetings,
    topic: Topic,
    joined: Arc<dyn Joining>,
}

impl Meetings {
    pub fn new(network: SharedNetwork) -> Meetings {
        Meetings { network, topics: Arc::default() }
    }

    /// Joins a topic, if that is not done yet.
    pub fn join(&self, topic: Topic) -> Meeting {
        let joined = &mut self.lock().joined;
        joined.retain(|_, it| it.strong_count() > 0);
        let known = joined.get(&topic).and_then(Weak::upgrade);
        let joined = known.unwrap_or_else(|| {
            let new: Arc<dyn Joining> = self.network.join(topic, true, true).into();
            joined.insert(topic, Arc::downgrade(&new));
            new
        });
        Meeting { meetings: self.clone(), topic, joined }
    }

    /// Leaves what is kept.
    pub fn leave(&self) {
        let kept = std::mem::take(&mut self.lock().kept);
        drop(kept);
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meeting {
    /// A pairing has led here: the topic stays joined until the manager is closed.
    pub fn keep(self) {
        let Meeting { meetings, topic, joined } = self;
        let before = meetings.lock().kept.insert(topic, joined);
        drop(before);
    }
}
