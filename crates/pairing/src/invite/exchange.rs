//! The conversation that follows a confirmed request, as far as it is alike on both sides: two
//! lines, and the comparison of the check code.

use alloc::vec::Vec;

use handfast_keys::check_code::Typed;
use handfast_keys::{
    CheckCode, Digest, ExchangePublic, ExchangeSecret, MailboxPublic, MailboxSecret,
};
use handfast_ring::DeviceName;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::channel::Channel;
use super::derive::ChunkHash;
use super::line::{Conversation, OwnLine, PeerLine, read_frame};
use super::message::{Message, Side};
use super::session::{Effect, Effects, Failure, Input, Question};
use crate::qr::Consent;

/// How often a person may type a wrong check code; the last time ends the pairing.
const TRIES: u8 = 3;

/// The two lines of a pairing and what seals them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exchange {
    pub channel: Channel,
    own: OwnLine,
    peer: PeerLine,
}

impl Exchange {
    pub fn new(
        side: Side,
        invite: Digest,
        envelope: &[u8],
        (own, line): (ExchangeSecret, MailboxSecret),
        (peer, peer_line): (ExchangePublic, MailboxPublic),
    ) -> Exchange {
        let envelope = ByteBuf::from(envelope);
        Exchange {
            channel: Channel { invite, envelope, side, own, peer },
            own: OwnLine::new(line),
            peer: PeerLine::new(peer_line),
        }
    }

    /// For those who carry it.
    pub fn conversation(&self) -> Conversation<'_> {
        Conversation { channel: self.channel.id(), own: &self.own, peer: self.peer.key() }
    }

    /// Says one thing more. It is to be stored before it is sent.
    pub fn say<R: CryptoRng>(&mut self, message: &Message, rng: &mut R, effects: &mut Effects) {
        let sealed = self.channel.seal(self.own.len(), message, rng);
        self.own.say(sealed);
        effects.push_back(Effect::Store);
        effects.push_back(Effect::Say);
    }

    /// What is to be done after a restart: the conversation is taken up, and what was said is
    /// said again.
    pub fn resume(&self, effects: &mut Effects) {
        effects.push_back(Effect::Converse);
        if !self.own.is_empty() {
            effects.push_back(Effect::Say);
        }
    }

    /// Takes in what came by either road. Returns the message that comes next on the peer's line,
    /// if this is it; it counts once [`took`](Self::took) is called.
    pub fn hear(&mut self, input: &Input, effects: &mut Effects) -> Option<Message> {
        match input {
            Input::Frame(bytes) => {
                let (index, bytes) = read_frame(bytes)?;
                if index == self.peer.next() { self.channel.open(index, bytes) } else { None }
            }
            Input::Line(sequence, value) => {
                let wanted = self.peer.read(*sequence, value);
                self.fetch(wanted, effects);
                None
            }
            Input::Chunk(chunk) => {
                let (more, message) = self.peer.fetched(chunk.clone());
                let message = message.and_then(|bytes| self.channel.open(self.peer.next(), &bytes));
                self.fetch(more, effects);
                message
            }
            _ => None,
        }
    }

    fn fetch(&self, hashes: Vec<ChunkHash>, effects: &mut Effects) {
        if !hashes.is_empty() {
            effects.push_back(Effect::Fetch(hashes));
        }
    }

    /// The message that was [heard](Self::hear) is taken. It is to be stored.
    pub fn took(&mut self, effects: &mut Effects) {
        self.peer.take();
        self.fetch(self.peer.wanted(), effects);
    }
}

/// What is left of a conversation that is over: what was said, sealed as it is.
#[derive(Serialize, Deserialize)]
pub(super) struct LastWord {
    channel: Digest,
    own: OwnLine,
    peer: MailboxPublic,
}

impl LastWord {
    pub fn of(exchange: Exchange) -> LastWord {
        let channel = exchange.channel.id();
        LastWord { channel, own: exchange.own, peer: exchange.peer.key() }
    }

    pub fn conversation(&self) -> Conversation<'_> {
        Conversation { channel: self.channel, own: &self.own, peer: self.peer }
    }
}

/// The comparison of the check code: what the own person and the peer have said.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Comparison {
    code: CheckCode,
    peer_name: DeviceName,
    consent: Consent,
    side: Side,
    wrong: u8,
    /// Whether the own person has confirmed.
    pub own: bool,
    /// Whether the peer has.
    pub peer: bool,
}

/// What came of an answer.
pub(super) enum Answered {
    /// Nothing yet; it may have been asked again.
    Waiting,
    /// The person has confirmed.
    Confirmed,
}

impl Comparison {
    pub fn new(code: CheckCode, peer_name: DeviceName, consent: Consent, side: Side) -> Comparison {
        Comparison { code, peer_name, consent, side, wrong: 0, own: false, peer: false }
    }

    /// The check code.
    pub fn code(&self) -> CheckCode {
        self.code
    }

    /// Whether both have confirmed.
    pub fn is_over(&self) -> bool {
        self.own && self.peer
    }

    /// What the person is asked; nothing where nobody looks.
    pub fn question(&self) -> Option<Question> {
        let name = self.peer_name.clone();
        match (self.consent, self.side) {
            (Consent::Typed, Side::Member) => Some(Question::TypeCheckCode(name)),
            (Consent::Typed, Side::Candidate) => Some(Question::TypeBackDigits(name, self.code)),
            (Consent::Compare, _) => Some(Question::Compare(name, self.code)),
            (Consent::Unseen, _) => None,
        }
    }

    /// Takes in what the person did.
    pub fn answer(&mut self, input: &Input, effects: &mut Effects) -> Result<Answered, Failure> {
        match (input, self.consent) {
            // Nothing was handed over yet, so that a person who has confirmed can still leave.
            (Input::Declined, _) => Err(Failure::Declined),
            _ if self.own => Ok(Answered::Waiting),
            (Input::Agreed, Consent::Compare) => Ok(Answered::Confirmed),
            (Input::Typed(text), Consent::Typed) => {
                let typed = match self.side {
                    Side::Member => self.code.reads(text),
                    Side::Candidate => self.code.reads_back(text),
                };
                match typed {
                    Typed::Right => return Ok(Answered::Confirmed),
                    Typed::Unknown => effects.push_back(Effect::Question(Question::NotACheckCode)),
                    Typed::Wrong => {
                        self.wrong += 1;
                        if self.wrong >= TRIES {
                            return Err(Failure::Mismatch);
                        }
                        effects.push_back(Effect::Store);
                        let left = TRIES - self.wrong;
                        effects.push_back(Effect::Question(Question::Wrong(left)));
                    }
                }
                Ok(Answered::Waiting)
            }
            _ => Ok(Answered::Waiting),
        }
    }
}
