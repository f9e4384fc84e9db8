//! The second half of a pairing, alike on both sides: compare, confirm, hand over.
//!
//! It begins when both sides have fixed what the check code hashes. Until the own person has
//! confirmed, nothing secret has left; until both have, no key of anybody has.

use alloc::boxed::Box;
use alloc::vec::Vec;

use handfast_ipfs::{Name, Record};
use handfast_keys::check_code::Typed;
use handfast_keys::{CheckCode, Digest, Timestamp};
use handfast_ring::{DeviceKeys, Role, SignedIdentity};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::line::{OwnLine, PeerLine};
use super::message::{Channel, Message, ProviderGrant};
use super::session::{
    Consent, Deadline, Effect, Effects, Failure, Input, Introduction, Peer, Question,
};

/// How often a person may type a wrong check code; the last time ends the pairing.
const TRIES: u8 = 3;

/// The largest IPNS record that is sent along; the peer resolves the name of a larger one.
const MAX_PUBLISHED: usize = 2_048;

/// What both sides know when there is something to compare.
#[derive(Serialize, Deserialize)]
pub struct Fixed {
    /// The own side.
    pub role: Role,
    /// `H(transcript)`.
    pub transcript: Digest,
    /// `H("check-code", …)`.
    pub check_code: CheckCode,
    /// The device itself.
    pub own: SignedIdentity,
    /// The other device.
    pub peer: SignedIdentity,
    /// How many records the other device brings.
    pub peer_records: u64,
    /// Whether the other device has a provider.
    pub peer_has_provider: bool,
    /// The own provider config.
    pub provider: Option<ProviderGrant>,
    /// The provider config that came in the clear in the code. Used once confirmed.
    pub provider_in_code: Option<ProviderGrant>,
    /// Where the own feed can be read without credentials.
    pub reach: Option<ProviderGrant>,
    /// How the person confirms.
    pub consent: Consent,
}

/// A pairing from the comparison on.
#[derive(Serialize, Deserialize)]
pub struct Handover {
    fixed: Fixed,
    own_line: OwnLine,
    peer_line: PeerLine,
    stage: Stage,
    heard: Heard,
    /// Whether the peer's feed is being looked for, since its line is silent.
    #[serde(skip)]
    looks: bool,
}

/// How far the own side is.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    /// The person was asked.
    Asking { wrong: u8, deadline: Deadline },
    /// The person confirmed, and so did this device on its line. Final.
    Confirmed,
    /// Both have confirmed; the feed is being published.
    Admitting,
    /// The feed is published, and so it was said on the line.
    Published,
    /// The peer's feed is imported.
    Finished,
}

/// What the other side has said.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
enum Heard {
    Nothing,
    Confirmed(Option<ProviderGrant>),
    /// It has published; its own IPNS record.
    Published(Option<ProviderGrant>, ByteBuf),
}

impl Handover {
    /// Begins it. `deadline` is the time by which the person must have confirmed.
    pub fn new(fixed: Fixed, own_line: OwnLine, peer_line: PeerLine, deadline: Deadline) -> Self {
        let stage = Stage::Asking { wrong: 0, deadline };
        Handover { fixed, own_line, peer_line, stage, heard: Heard::Nothing, looks: false }
    }

    /// The peer's line, to be watched.
    pub fn peer_name(&self) -> Name {
        *self.peer_line.name()
    }

    /// The record of the own line.
    pub fn own_record(&self) -> Option<Record> {
        self.own_line.record()
    }

    /// Whether the person has not confirmed yet.
    pub fn is_asking(&self) -> bool {
        matches!(self.stage, Stage::Asking { .. })
    }

    /// Whether everything is done.
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Finished
    }

    /// Fails once the person's time is up. Asked before anything else is taken in.
    pub fn check_time(&self, now: Timestamp) -> Result<(), Failure> {
        match &self.stage {
            Stage::Asking { deadline, .. } if deadline.is_over(now) => Err(Failure::Expired),
            _ => Ok(()),
        }
    }

    /// The time by which the person must have confirmed.
    pub fn deadline(&mut self) -> Option<&mut Deadline> {
        match &mut self.stage {
            Stage::Asking { deadline, .. } => Some(deadline),
            _ => None,
        }
    }

    /// Asks the person; or, where nobody looks, confirms at once. Also what is to be done again
    /// after a restart.
    pub fn resume<R: CryptoRng>(
        &mut self,
        keys: &DeviceKeys,
        now: Timestamp,
        rng: &mut R,
        effects: &mut Effects,
    ) {
        match &self.stage {
            Stage::Asking { .. } => match self.question() {
                Some(question) => effects.push_back(Effect::Ask(question)),
                None => self.confirm(keys, now, rng, effects),
            },
            Stage::Confirmed => {
                effects.push_back(Effect::Show(self.fixed.check_code));
                self.advance(effects);
            }
            Stage::Admitting => self.admit(effects),
            Stage::Published => self.import(effects),
            Stage::Finished => effects.push_back(Effect::Finished),
        }
    }

    /// Says again what was said, in case a router lost it. And where the peer is silent although
    /// both have confirmed, its feed itself tells when it is ready: a peer that has finished does
    /// not repeat itself.
    pub fn refresh(&mut self, effects: &mut Effects) {
        effects.extend(self.own_record().map(Effect::Publish));
        let silent = self.stage == Stage::Published && !matches!(self.heard, Heard::Published(..));
        if silent && !self.looks {
            self.looks = true;
            effects.push_back(Effect::Import(None));
        }
    }

    /// Takes in what concerns this half of the pairing.
    pub fn handle<R: CryptoRng>(
        &mut self,
        keys: &DeviceKeys,
        now: Timestamp,
        rng: &mut R,
        input: Input,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        self.check_time(now)?;
        if let Input::Answer { name, record: Some(record), .. } = &input
            && *name == self.peer_name()
        {
            let news = self.peer_line.read(record).map_err(|_| Failure::Equivocation)?;
            return self.take_in(keys, news, effects);
        }
        match (input, &mut self.stage) {
            (Input::Declined, Stage::Asking { .. }) => Err(Failure::Declined),
            (Input::Agreed, Stage::Asking { .. }) if self.fixed.consent == Consent::Compare => {
                self.confirm(keys, now, rng, effects);
                Ok(())
            }
            (Input::Typed(text), Stage::Asking { wrong, .. })
                if self.fixed.consent == Consent::Typed =>
            {
                let typed = match self.fixed.role {
                    Role::Initiator => self.fixed.check_code.reads(&text),
                    Role::Joiner => self.fixed.check_code.reads_back(&text),
                };
                match typed {
                    Typed::Right => self.confirm(keys, now, rng, effects),
                    Typed::Unknown => effects.push_back(Effect::Ask(Question::NotACheckCode)),
                    Typed::Wrong => {
                        *wrong += 1;
                        if *wrong >= TRIES {
                            return Err(Failure::Mismatch);
                        }
                        let left = TRIES - *wrong;
                        effects.push_back(Effect::Store);
                        effects.push_back(Effect::Ask(Question::Wrong(left)));
                    }
                }
                Ok(())
            }
            (Input::Published(record), Stage::Admitting) => {
                let record = Some(record.as_bytes()).filter(|it| it.len() <= MAX_PUBLISHED);
                let message = self.channel(keys).publish(record.unwrap_or_default(), rng);
                self.own_line.say(message, now);
                self.stage = Stage::Published;
                effects.push_back(Effect::Store);
                effects.extend(self.own_record().map(Effect::Publish));
                self.import(effects);
                Ok(())
            }
            (Input::Imported, Stage::Published) => {
                self.stage = Stage::Finished;
                effects.push_back(Effect::Unwatch(self.peer_name()));
                effects.push_back(Effect::Finished);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Ends the line, unless the own confirmation stands on it: that one is final. Returns the last
    /// word, if there is one.
    pub fn close(
        &mut self,
        failure: Failure,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Option<Record> {
        effects.push_back(Effect::Unwatch(self.peer_name()));
        let closed = failure.to_closed().filter(|_| self.is_asking())?;
        self.own_line.say(Message::Closed(closed), now);
        let last_word = self.own_record();
        effects.extend(last_word.clone().map(Effect::Publish));
        last_word
    }

    /// Takes in what the peer's line has brought.
    pub fn take_in(
        &mut self,
        keys: &DeviceKeys,
        news: Vec<Message>,
        effects: &mut Effects,
    ) -> Result<(), Failure> {
        if news.is_empty() {
            return Ok(());
        }
        for message in news {
            self.hear(keys, message)?;
        }
        effects.push_back(Effect::Store);
        match self.stage {
            Stage::Confirmed => self.advance(effects),
            Stage::Published => self.import(effects),
            _ => (),
        }
        Ok(())
    }

    fn hear(&mut self, keys: &DeviceKeys, message: Message) -> Result<(), Failure> {
        let channel = self.channel(keys);
        self.heard = match (message, &self.heard) {
            (Message::Closed(closed), Heard::Nothing) => return Err(closed.into()),
            (Message::Confirmed(sealed), Heard::Nothing) => {
                let grant = channel.open_confirmed(&sealed).ok_or(Failure::Equivocation)?;
                let has_provider = self.fixed.provider.is_some()
                    || self.fixed.provider_in_code.is_some()
                    || grant.is_some();
                if !has_provider {
                    return Err(Failure::NoProvider);
                }
                Heard::Confirmed(grant)
            }
            (Message::Published(sealed), Heard::Confirmed(grant)) => {
                let record = channel.open_published(&sealed).ok_or(Failure::Equivocation)?;
                Heard::Published(grant.clone(), ByteBuf::from(record))
            }
            _ => return Err(Failure::Equivocation),
        };
        Ok(())
    }

    /// What the person is asked; nothing where nobody looks.
    fn question(&self) -> Option<Question> {
        let peer = Peer {
            name: self.fixed.peer.identity().name.clone(),
            records: Some(self.fixed.peer_records),
            has_provider: Some(self.fixed.peer_has_provider),
        };
        match (self.fixed.consent, self.fixed.role) {
            (Consent::Typed, Role::Initiator) => Some(Question::TypeCheckCode(peer)),
            (Consent::Typed, Role::Joiner) => {
                Some(Question::TypeBackDigits(peer, self.fixed.check_code))
            }
            (Consent::Compare, _) => Some(Question::Compare(peer, self.fixed.check_code)),
            (Consent::Unseen, _) => None,
        }
    }

    fn confirm<R: CryptoRng>(
        &mut self,
        keys: &DeviceKeys,
        now: Timestamp,
        rng: &mut R,
        effects: &mut Effects,
    ) {
        let grant = match self.fixed.peer_has_provider {
            true => &self.fixed.reach,
            false => &self.fixed.provider,
        };
        let message = self.channel(keys).confirm(grant.as_ref(), rng);
        self.own_line.say(message, now);
        self.stage = Stage::Confirmed;
        effects.push_back(Effect::Store);
        effects.extend(self.own_record().map(Effect::Publish));
        effects.push_back(Effect::Show(self.fixed.check_code));
        self.advance(effects);
    }

    /// Goes on to the hand-over if the other side has confirmed too. That both have is stored by
    /// now, or will be before anything else is done.
    fn advance(&mut self, effects: &mut Effects) {
        if self.heard != Heard::Nothing {
            self.stage = Stage::Admitting;
            self.admit(effects);
        }
    }

    fn admit(&self, effects: &mut Effects) {
        let mut granted = match &self.heard {
            Heard::Confirmed(grant) | Heard::Published(grant, _) => grant.clone(),
            Heard::Nothing => None,
        };
        // A peer without a provider has nothing to tell but what it was given.
        let reach = granted.take_if(|_| self.fixed.provider.is_some());
        if self.fixed.provider.is_none() {
            let grant = granted.or_else(|| self.fixed.provider_in_code.clone());
            effects.extend(grant.map(Effect::UseProvider));
        }
        effects.push_back(Effect::Admit(Box::new(Introduction {
            peer: self.fixed.peer.clone(),
            own: self.fixed.own.clone(),
            transcript: self.fixed.transcript,
            reach,
        })));
    }

    fn import(&self, effects: &mut Effects) {
        if let Heard::Published(_, record) = &self.heard {
            let name = Name::of(self.fixed.peer.identity().ipns);
            // A record that does not verify is no news; the peer's name leads to a better one.
            let record = Record::parse(&name, record, None).ok().map(Box::new);
            effects.push_back(Effect::Import(record));
        }
    }

    fn channel<'a>(&'a self, keys: &'a DeviceKeys) -> Channel<'a> {
        Channel {
            transcript: &self.fixed.transcript,
            own: &keys.exchange,
            peer: &self.fixed.peer.identity().exchange,
            role: self.fixed.role,
        }
    }
}
