//! At the door: which request is let in, and what the others are told.

use alloc::boxed::Box;
use alloc::vec::Vec;

use handfast_keys::Timestamp;
use rand_core::CryptoRng;

use super::state::{Lock, Locked, Plan, State, Step, Talk};
use super::{DENIAL_PAUSE, MAX_DENIALS, Member};
use crate::invite::derive::StructureKey;
use crate::invite::message::{Message, Writers};
use crate::invite::request::{Mailboxes, Receipt, Request};
use crate::invite::response::{Denial, Response, Verdict};
use crate::invite::session::{Effect, Failure, Joining, PATIENCE, Via};
use crate::stored::Deadline;

impl Member {
    /// Answers a request: the first good one is locked, and none after it.
    pub(super) fn answer<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        via: Via,
        request: &Request,
    ) -> Result<(), Failure> {
        let public = self.session.key;
        if request.invite != self.id() || self.is_forgotten() {
            return Ok(());
        }
        let Ok(receipt) = request.open(&public) else { return Ok(()) };
        let (lock, denial) = match &self.session.state {
            State::Open(open) if open.name.is_none() => return Ok(()),
            State::Open(_) => return self.lock(now, rng, via, receipt),
            State::Locked(locked) => (Some(&locked.lock), Denial::Used),
            State::Closed(closed) => (closed.lock.as_ref(), closed.denial()),
        };
        match lock {
            Some(lock) if lock.receipt.session == receipt.session => {
                if lock.receipt.user_data() != receipt.user_data() {
                    // Somebody borrows the session of the candidate. Two answers under one session
                    // would be two messages under one nonce.
                    return Ok(());
                }
                match &lock.response {
                    Some(response) => {
                        let (response, mailbox) = (response.clone(), lock.mailbox.clone());
                        self.effects.push_back(Effect::Respond(via, response, mailbox));
                    }
                    None if self.asked.len() < MAX_DENIALS => self.asked.push(via),
                    None => (),
                }
            }
            _ => self.deny(now, via, &receipt, denial),
        }
        Ok(())
    }

    fn deny(&mut self, now: Timestamp, via: Via, receipt: &Receipt, denial: Denial) {
        self.denied.retain(|(_, at)| now.since(*at) < DENIAL_PAUSE);
        let told = self.denied.iter().any(|(session, _)| *session == receipt.session);
        if told || self.denied.len() >= MAX_DENIALS {
            return;
        }
        self.denied.push_back((receipt.session, now));
        let public = self.session.key;
        let response = Response::new(&public, &receipt.session, &Verdict::Denied(denial));
        let mailbox = Mailboxes::of(&public, receipt.user_data()).response;
        self.effects.push_back(Effect::Respond(via, response, mailbox));
    }

    /// Locks a candidate, if its request is what the profile asks for: from here on there is no
    /// other. Everything that leaves leaves after that is stored.
    fn lock<R: CryptoRng>(
        &mut self,
        now: Timestamp,
        rng: &mut R,
        via: Via,
        receipt: Receipt,
    ) -> Result<(), Failure> {
        let State::Open(open) = &self.session.state else { return Ok(()) };
        let public = open.invite.key.public();
        let mailbox = Mailboxes::of(&public, receipt.user_data()).response;
        let deadline = Deadline::after(now, PATIENCE);
        let locked = match &open.plan {
            Plan::Raw { namespace, grant } => match receipt.user_data().try_into() {
                Ok(key) => {
                    let keys = Vec::from([(namespace.clone(), StructureKey::from_bytes(key))]);
                    let writers = Writers { keys, ..Writers::default() };
                    let step = Step::Adding(Joining { peer: None, writers });
                    let talk = Talk::Raw(grant.clone());
                    let lock = Lock { receipt, mailbox, response: None };
                    Ok((Locked { lock, deadline, talk, step }, None))
                }
                Err(_) => Err(receipt),
            },
            Plan::Envelope { .. } => match open.meet(&receipt, self.device.as_ref(), rng) {
                Some((talk, step, response, reveal)) => {
                    let response = Some(response);
                    let lock = Lock { receipt, mailbox, response };
                    Ok((Locked { lock, deadline, talk, step }, Some(reveal)))
                }
                None => Err(receipt),
            },
        };
        let (mut locked, reveal) = match locked {
            Ok(locked) => locked,
            Err(receipt) => {
                self.deny(now, via, &receipt, Denial::Rejected);
                return Ok(());
            }
        };
        match (&mut locked.talk, reveal) {
            (Talk::Envelope(exchange, _), Some(reveal)) => {
                exchange.say(&Message::Reveal(Box::new(reveal)), rng, &mut self.effects);
            }
            _ => self.effects.push_back(Effect::Store),
        }
        if let Some(response) = &locked.lock.response {
            let mailbox = locked.lock.mailbox.clone();
            self.effects.push_back(Effect::Respond(via, response.clone(), mailbox));
            self.effects.push_back(Effect::Converse);
        } else {
            self.asked.push(via);
        }
        self.session.state = State::Locked(Box::new(locked));
        self.pursue(rng);
        Ok(())
    }
}
