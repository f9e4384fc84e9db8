//! The person, between the manager's questions and the answers of a [`Pairing`](crate::Pairing).

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use handfast_keys::CheckCode;
use handfast_pairing::invite;
use handfast_pairing::invite::response::Denial;
use handfast_pairing_manager as manager;
use handfast_ring::DeviceName;
use tokio::sync::{mpsc, oneshot};

use crate::pairing::{Answer, Step};
use crate::{Peer, Question};

/// Passes questions on as steps, and answers back.
pub struct Desk {
    steps: mpsc::UnboundedSender<Step>,
    /// Who waits for the answer to the question that stands.
    asking: Mutex<Option<oneshot::Sender<manager::Answer>>>,
}

impl Desk {
    pub fn new(steps: mpsc::UnboundedSender<Step>) -> Desk {
        Desk { steps, asking: Mutex::default() }
    }

    /// Takes an answer to whoever asked; `false` if nobody did.
    pub fn answer(&self, answer: Answer) -> bool {
        let asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner).take();
        let answer = match answer {
            Answer::Typed(text) => manager::Answer::Typed(text),
            Answer::Yes => manager::Answer::Agreed,
            Answer::No => manager::Answer::Declined,
        };
        asking.is_some_and(|asking| asking.send(answer).is_ok())
    }

    fn step(&self, step: Step) {
        // Nobody may be looking.
        let _ = self.steps.send(step);
    }
}

#[async_trait]
impl manager::Person for Desk {
    async fn ask(&self, question: manager::Question) -> manager::Answer {
        let (sender, answer) = oneshot::channel();
        *self.asking.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        self.step(Step::Ask(shown(question)));
        match answer.await {
            Ok(answer) => answer,
            // Another question has taken its place.
            Err(_) => std::future::pending().await,
        }
    }

    fn show(&self, code: CheckCode) {
        self.step(Step::Show(code));
    }

    fn denied(&self, denial: Denial) {
        self.step(Step::Trouble(format!(
            "Somebody who has this invite says no: {denial}. Waiting whether the other device does"
        )));
    }
}

/// A question of an invite as a code's would be asked. What the other device brings is not known.
fn shown(question: invite::Question) -> Question {
    let peer = |name: DeviceName| Peer { name, records: None, has_provider: None };
    match question {
        invite::Question::TypeCheckCode(name) => Question::TypeCheckCode(peer(name)),
        invite::Question::TypeBackDigits(name, code) => Question::TypeBackDigits(peer(name), code),
        invite::Question::Compare(name, code) => Question::Compare(peer(name), code),
        invite::Question::NotACheckCode => Question::NotACheckCode,
        invite::Question::Wrong(left) => Question::Wrong(left),
    }
}
