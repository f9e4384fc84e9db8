//! What an application holds of a topic that it has joined.

use std::sync::Arc;

use super::manager::Command;
use super::options::JoinOptions;
use super::shared::Shared;
use crate::key::Topic;

/// A topic that is joined; dropping it leaves the topic.
pub struct Discovery {
    pub(super) shared: Arc<Shared>,
    pub(super) topic: Topic,
    pub(super) options: JoinOptions,
    /// Of the first round that does what this join wants.
    pub(super) number: u64,
    pub(super) left: bool,
}

impl Discovery {
    /// The topic.
    pub fn topic(&self) -> Topic {
        self.topic
    }

    /// Waits until the topic was announced and looked up as this join wants it, as well as it went.
    /// (What waits does not keep the topic joined.)
    pub fn flushed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.made(self.number)
    }

    /// Announces and looks up at once, not when it is due.
    pub fn refresh(&self) {
        self.shared.change_topics(|topics, now| topics.begin_anew(self.topic, now));
    }

    /// Leaves the topic and waits until its announcement was taken back, as dropping does not.
    pub async fn leave(mut self) {
        if let Some(number) = self.leave_now() {
            self.made(number).await;
        }
    }

    fn made(&self, number: u64) -> impl Future<Output = ()> + Send + 'static {
        let made = self.shared.topics().wait(self.topic, number);
        async move {
            if let Some(made) = made {
                // The sender is gone when the swarm is closed, or the topic forgotten.
                let _ = made.await;
            }
        }
    }

    /// The round in which the announcement is taken back, if nobody else has joined the topic.
    fn leave_now(&mut self) -> Option<u64> {
        if std::mem::replace(&mut self.left, true) {
            return None;
        }
        let (topic, options) = (self.topic, self.options);
        self.shared.change_topics(|topics, now| {
            let number = topics.leave(topic, options, now);
            if number.is_some() {
                // Closed: forgotten with the rest.
                let _ = self.shared.commands.send(Command::ForgetTopic(topic));
            }
            number
        })
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.leave_now();
    }
}
