//! How far the member is, and what it knows then.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;

use handfast_keys::{Digest, ExchangeSecret, InvitePublic, MailboxSecret};
use handfast_ring::{DeviceKeys, DeviceName, Identity, SignedIdentity};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::invite::code::Invite;
use crate::invite::derive::{DiscoveryKey, StructureKey};
use crate::invite::exchange::{Comparison, Exchange, LastWord};
use crate::invite::message::{Answer, Envelope, Message, Reveal, Side, check_code, transcript};
use crate::invite::request::Receipt;
use crate::invite::response::{Additional, Denial, Grant, Response, Verdict};
use crate::invite::session::{Failure, Joining, Peer};
use crate::qr::{Consent, Introduction};
use crate::stored::{Deadline, Stored};

/// What is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Session {
    /// The invite's key.
    pub key: InvitePublic,
    pub discovery_key: DiscoveryKey,
    pub state: State,
}

#[derive(Serialize, Deserialize)]
pub(super) enum State {
    /// Nobody is locked.
    Open(Box<Open>),
    /// Exactly one candidate is locked; it alone can still come in.
    Locked(Box<Locked>),
    /// It is over. What was said last is still there for the candidate.
    Closed(Box<Closed>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Open {
    pub invite: Invite,
    pub plan: Plan,
    pub name: Option<DeviceName>,
    pub deadline: Deadline,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Plan {
    Raw { namespace: String, grant: Grant },
    Envelope { key: StructureKey, exchange: ExchangeSecret, nonce: Digest, verify: Option<Consent> },
}

/// Which request was locked, and what it is answered with.
#[derive(Serialize, Deserialize)]
pub(super) struct Lock {
    pub receipt: Receipt,
    pub mailbox: MailboxSecret,
    pub response: Option<Response>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Locked {
    pub lock: Lock,
    pub deadline: Deadline,
    pub talk: Talk,
    pub step: Step,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Talk {
    Raw(Grant),
    Envelope(Box<Exchange>, Box<Peer>),
}

#[derive(Serialize, Deserialize)]
pub(super) enum Step {
    /// The people compare.
    Comparing(Comparison),
    /// The map is being made.
    Providing,
    /// The map is sent; the candidate's writers are awaited.
    Mapped(BTreeSet<String>),
    /// The candidate's writers are being added.
    Adding(Joining),
    /// They are added, and so it was said. The app is being told.
    Added(Joining),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Closed {
    pub failure: Option<Failure>,
    pub lock: Option<Lock>,
    pub last_word: Option<LastWord>,
    /// Until when it is there.
    pub until: Deadline,
    pub forgotten: bool,
}

impl Stored for Session {
    fn deadline(&mut self) -> Option<&mut Deadline> {
        match &mut self.state {
            State::Open(open) => Some(&mut open.deadline),
            State::Locked(locked) => Some(&mut locked.deadline),
            State::Closed(closed) => Some(&mut closed.until),
        }
    }
}

impl Open {
    /// Takes in the envelope of a request; `None` if it is none.
    pub fn meet<R: CryptoRng>(
        &self,
        receipt: &Receipt,
        device: Option<&DeviceKeys>,
        rng: &mut R,
    ) -> Option<(Talk, Step, Response, Reveal)> {
        let Plan::Envelope { key, exchange: own, nonce, verify } = &self.plan else { return None };
        let name = self.name.clone()?;
        let invite = self.invite.hash();
        let envelope = Envelope::decode(receipt.user_data(), &invite)?;
        // A device meets a device, an app an app; and nobody may be his own mirror.
        if device.is_some() != envelope.identity.is_some() || envelope.exchange == own.public() {
            return None;
        }
        let bytes = envelope.encode();
        let identity = device.map(|keys| {
            let role = Side::Member.role();
            let identity = Identity::new(keys, name.clone(), role, invite, *nonce);
            SignedIdentity::sign(identity, keys)
        });
        let reveal = Reveal { nonce: *nonce, name, verify: verify.is_some(), identity };
        let introduction = match (&envelope.identity, &reveal.identity) {
            (Some(peer), Some(own)) => Some(Introduction {
                reach: None,
                peer: peer.clone(),
                own: own.clone(),
                transcript: transcript(&invite, &bytes, &reveal),
            }),
            _ => None,
        };
        let line = MailboxSecret::generate(rng);
        let answer = Answer::new(&invite, &envelope, own, &line.public(), rng);
        let grant = Grant {
            key: *key,
            encryption_key: None,
            additional: Some(Additional::sign(&self.invite.key, &answer.encode())),
        };
        let public = self.invite.key.public();
        let response = Response::new(&public, &receipt.session, &Verdict::Confirmed(grant));
        let step = match verify {
            Some(consent) => {
                let code = check_code(&invite, &bytes, nonce);
                let name = envelope.name.clone();
                Step::Comparing(Comparison::new(code, name, *consent, Side::Member))
            }
            None => Step::Providing,
        };
        let own = (own.clone(), line);
        let theirs = (envelope.exchange, envelope.line);
        let exchange = Exchange::new(Side::Member, invite, &bytes, own, theirs);
        let peer = Peer { name: envelope.name, introduction };
        Some((Talk::Envelope(Box::new(exchange), Box::new(peer)), step, response, reveal))
    }
}

impl Step {
    /// Whether the candidate's writers are in hand: from here on only success ends the session.
    pub fn is_final(&self) -> bool {
        matches!(self, Step::Adding(_) | Step::Added(_))
    }

    /// Takes in what the candidate said.
    pub fn hear(&mut self, message: Message, peer: &Peer) -> Result<(), Failure> {
        *self = match (message, &mut *self) {
            (Message::Confirmed, Step::Comparing(comparison)) => {
                comparison.peer = true;
                if !comparison.is_over() {
                    return Ok(());
                }
                Step::Providing
            }
            (Message::Writers(writers), Step::Mapped(namespaces)) => {
                let given: BTreeSet<&String> = writers.keys.iter().map(|(it, _)| it).collect();
                if !given.into_iter().eq(&*namespaces) {
                    return Err(Failure::Refused);
                }
                Step::Adding(Joining { peer: Some(peer.clone()), writers })
            }
            (_, step) if step.is_final() => return Ok(()),
            (Message::Closed(closed), _) => return Err(closed.into()),
            _ => return Err(Failure::Refused),
        };
        Ok(())
    }
}

impl Closed {
    pub fn denial(&self) -> Denial {
        match self.failure {
            Some(Failure::Expired) => Denial::Expired,
            Some(Failure::Revoked) => Denial::Rejected,
            _ => Denial::Used,
        }
    }
}
