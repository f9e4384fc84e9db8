//! With the candidate that is locked: what each step asks for, and what leads to the next one.

use alloc::boxed::Box;
use core::mem::discriminant;

use handfast_keys::Timestamp;
use rand_core::CryptoRng;

use super::Member;
use super::state::{Locked, State, Step, Talk};
use crate::invite::exchange::Answered;
use crate::invite::message::{Map, Message};
use crate::invite::response::{Response, Verdict};
use crate::invite::session::{Effect, Failure, Input, Via};

impl Member {
    /// What is to be done in this step, when it is reached or taken up again.
    pub(super) fn pursue<R: CryptoRng>(&mut self, rng: &mut R) {
        let State::Locked(locked) = &mut self.session.state else { return };
        let Locked { talk, step, .. } = locked.as_mut();
        match step {
            Step::Comparing(comparison) => match comparison.question() {
                Some(question) if !comparison.own => {
                    self.effects.push_back(Effect::Question(question));
                }
                None if !comparison.own => {
                    comparison.own = true;
                    if let Talk::Envelope(exchange, _) = talk {
                        exchange.say(&Message::Confirmed, rng, &mut self.effects);
                    }
                }
                _ => self.effects.push_back(Effect::Show(comparison.code())),
            },
            Step::Providing => {
                if let Talk::Envelope(_, peer) = talk {
                    self.effects.push_back(Effect::Provide(peer.clone()));
                }
            }
            Step::Mapped(_) => (),
            Step::Adding(joining) => {
                self.effects.push_back(Effect::AddWriters(Box::new(joining.clone())));
            }
            Step::Added(joining) => {
                self.effects.push_back(Effect::Paired(Box::new(joining.clone())));
            }
        }
    }

    /// The locked candidate's pairing goes on.
    pub(super) fn go_on<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        input: &Input,
    ) -> Result<(), Failure> {
        let State::Locked(locked) = &mut self.session.state else { return Ok(()) };
        let effects = &mut self.effects;
        if let Talk::Envelope(exchange, peer) = &mut locked.talk
            && let Some(message) = exchange.hear(input, effects)
        {
            exchange.took(effects);
            effects.push_back(Effect::Store);
            let before = discriminant(&locked.step);
            locked.step.hear(message, peer)?;
            if discriminant(&locked.step) != before {
                self.pursue(rng);
            }
            return Ok(());
        }
        let Locked { talk, step, lock, .. } = locked.as_mut();
        match (input, &mut *step, talk) {
            (_, Step::Comparing(comparison), Talk::Envelope(exchange, _)) => {
                if let Answered::Confirmed = comparison.answer(input, effects)? {
                    comparison.own = true;
                    exchange.say(&Message::Confirmed, rng, effects);
                    if comparison.is_over() {
                        effects.push_back(Effect::Show(comparison.code()));
                        *step = Step::Providing;
                    }
                    self.pursue(rng);
                }
            }
            (Input::Map(map), Step::Providing, Talk::Envelope(exchange, _)) => {
                exchange.say(&Message::Map(Map::clone(map)), rng, effects);
                *step =
                    Step::Mapped(map.structures.iter().map(|it| it.namespace.clone()).collect());
            }
            (Input::Added, Step::Adding(joining), talk) => {
                let joining = joining.clone();
                *step = Step::Added(joining);
                match talk {
                    Talk::Envelope(exchange, _) => exchange.say(&Message::Done, rng, effects),
                    Talk::Raw(grant) => {
                        let verdict = Verdict::Confirmed(grant.clone());
                        let session = lock.receipt.session;
                        let response = Response::new(&self.session.key, &session, &verdict);
                        lock.response = Some(response.clone());
                        effects.push_back(Effect::Store);
                        // On the DHT it waits for a candidate whose connection breaks, too.
                        if !self.asked.contains(&Via::Mailbox) {
                            self.asked.push(Via::Mailbox);
                        }
                        effects.extend(self.asked.drain(..).map(|via| {
                            Effect::Respond(via, response.clone(), lock.mailbox.clone())
                        }));
                    }
                }
                self.pursue(rng);
            }
            (Input::Noted, Step::Added(_), _) => self.close(None, now),
            (Input::Declined, Step::Providing | Step::Mapped(_), _) => {
                return Err(Failure::Declined);
            }
            _ => (),
        }
        Ok(())
    }
}
