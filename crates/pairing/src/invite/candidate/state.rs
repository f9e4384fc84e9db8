//! How far the candidate is, and what it knows then.

use alloc::boxed::Box;

use handfast_keys::{ExchangeSecret, MailboxSecret};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::invite::code::Invite;
use crate::invite::derive::DiscoveryKey;
use crate::invite::exchange::{Comparison, Exchange, LastWord};
use crate::invite::message::{Envelope, Message, Reveal, Side, Writers, check_code, transcript};
use crate::invite::request::{Mailboxes, Request};
use crate::invite::response::Denial;
use crate::invite::session::{Asking, Failure, Joined, Offer, Peer};
use crate::qr::{Consent, Introduction};
use crate::stored::{Deadline, Stored};

/// What is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Session {
    pub discovery_key: DiscoveryKey,
    pub state: State,
}

#[derive(Serialize, Deserialize)]
pub(super) enum State {
    /// The request is out.
    Asking(Box<Waiting>),
    /// The member has answered.
    Talking(Box<Talking>),
    Ended(Box<Ended>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Waiting {
    pub invite: Invite,
    pub user_data: ByteBuf,
    pub own: Option<Own>,
    pub deadline: Deadline,
    pub denial: Option<Denial>,
}

/// What the envelope profile needs beside the user data.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Own {
    pub exchange: ExchangeSecret,
    pub line: MailboxSecret,
    pub consent: Consent,
    pub insist: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Talking {
    pub invite: Invite,
    pub consent: Consent,
    pub insist: bool,
    pub exchange: Exchange,
    pub deadline: Deadline,
    pub step: Step,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Step {
    /// The member's Reveal is awaited.
    Met,
    /// The people compare.
    Comparing(Comparison, Peer),
    /// The map is awaited.
    Ready(Peer),
    /// The own writers are being made.
    Making(Offer),
    /// They are sent; the member's Done is awaited.
    Sent(Offer, Writers),
}

#[derive(Serialize, Deserialize)]
pub(super) struct Ended {
    pub failure: Option<Failure>,
    pub joined: Option<Joined>,
    pub last_word: Option<LastWord>,
    pub until: Deadline,
}

impl Stored for Session {
    fn deadline(&mut self) -> Option<&mut Deadline> {
        match &mut self.state {
            State::Asking(waiting) => Some(&mut waiting.deadline),
            State::Talking(talking) => Some(&mut talking.deadline),
            State::Ended(ended) => Some(&mut ended.until),
        }
    }
}

impl Waiting {
    pub fn asking(&self, discovery_key: DiscoveryKey) -> Asking {
        let key = &self.invite.key;
        let mailboxes = Mailboxes::of(&key.public(), &self.user_data);
        Asking {
            discovery_key,
            request: Request::new(key, &self.user_data).to_bytes(),
            mailbox: mailboxes.request,
            response: mailboxes.response.public(),
        }
    }
}

impl Talking {
    /// Whether the own writers are out: from here on only the member's word ends the session, or the
    /// person who does not want to wait for it.
    pub fn is_final(&self) -> bool {
        matches!(self.step, Step::Sent(..))
    }

    /// Takes in what the member said; what has come of it once it is done.
    pub fn hear(&mut self, message: Message) -> Result<Option<Joined>, Failure> {
        self.step = match (message, &mut self.step) {
            (Message::Closed(closed), _) => return Err(closed.into()),
            (Message::Reveal(reveal), Step::Met) => self.revealed(&reveal)?,
            (Message::Confirmed, Step::Comparing(comparison, peer)) => {
                comparison.peer = true;
                if !comparison.is_over() {
                    return Ok(None);
                }
                Step::Ready(peer.clone())
            }
            (Message::Map(map), Step::Ready(peer)) => {
                Step::Making(Offer { peer: peer.clone(), map })
            }
            (Message::Done, Step::Sent(offer, writers)) => {
                let (offer, writers) = (Box::new(offer.clone()), Box::new(writers.clone()));
                return Ok(Some(Joined::Envelope(offer, writers)));
            }
            _ => return Err(Failure::Refused),
        };
        Ok(None)
    }

    fn revealed(&self, reveal: &Reveal) -> Result<Step, Failure> {
        let channel = &self.exchange.channel;
        let suffix = self.invite.suffix.as_ref().ok_or(Failure::WrongProfile)?;
        let opens = reveal.opens(&self.invite.id(), &channel.invite, &channel.peer, suffix);
        let envelope = Envelope::decode(&channel.envelope, &channel.invite);
        let own = envelope.ok_or(Failure::Refused)?.identity;
        // A device behind one side wants one behind the other.
        if !opens || own.is_some() && reveal.identity.is_none() {
            return Err(Failure::Refused);
        }
        let introduction = match (&reveal.identity, own) {
            (Some(peer), Some(own)) => Some(Introduction {
                reach: None,
                peer: peer.clone(),
                own,
                transcript: transcript(&channel.invite, &channel.envelope, reveal),
            }),
            _ => None,
        };
        let peer = Peer { name: reveal.name.clone(), introduction };
        match (reveal.verify, self.insist) {
            (true, _) => {
                let code = check_code(&channel.invite, &channel.envelope, &reveal.nonce);
                let name = reveal.name.clone();
                let comparison = Comparison::new(code, name, self.consent, Side::Candidate);
                Ok(Step::Comparing(comparison, peer))
            }
            (false, true) => Err(Failure::Unverified),
            (false, false) => Ok(Step::Ready(peer)),
        }
    }
}
