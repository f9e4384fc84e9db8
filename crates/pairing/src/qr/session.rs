//! What the machines of both roles share: how they are set up, what they are told, what they ask
//! for, and how they end.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use handfast_ipfs::{Name, Record};
use handfast_keys::{AuthPublic, CheckCode, Digest, Fingerprint, IpnsPublic};
use handfast_ring::{DeviceKeys, DeviceName, Role, SignedIdentity};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::message::{Closed, ProviderGrant};
pub use crate::stored::Unreadable;
pub(super) use crate::stored::{Deadline, Stored, resume, store};

/// How long a code lives when nobody says otherwise.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

/// The longest that a code lives, whatever it says itself: the joiner does not wait any longer.
pub const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3_600);

/// The time that a person has to compare, at least, once there is something to compare.
pub const COMPARE_TIME: Duration = Duration::from_secs(300);

/// How often a machine publishes its last record again, in case a router lost it.
pub const REFRESH: Duration = Duration::from_secs(30);

/// The device that pairs.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its keys.
    pub keys: DeviceKeys,
    /// Its name.
    pub name: DeviceName,
    /// How many records it brings.
    pub records: u64,
    /// Its provider config, if it has a provider: goes to a peer that has none, sealed, once both
    /// people have confirmed.
    pub provider: Option<ProviderGrant>,
    /// Where its feed can be read without its provider's credentials, in the words of the
    /// application: goes to a peer that has a provider of its own.
    pub reach: Option<ProviderGrant>,
    /// How its person confirms.
    pub consent: Consent,
    /// The auth keys of the devices that are in its ring already.
    pub members: Vec<AuthPublic>,
    /// Whether a device that is in the ring may be paired again.
    pub again: bool,
}

/// How a device's person confirms that it talks to the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consent {
    /// The initiator's person types what the joiner shows; the joiner's types two digits that the
    /// initiator shows then. Nobody can say yes without having looked.
    Typed,
    /// Both devices show the emojis; both people say yes or no.
    Compare,
    /// Nobody looks. For scripts.
    Unseen,
}

/// The device at the other end, as far as a person is told before confirming. The name is what it
/// calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub name: DeviceName,
    /// How many records it brings, where it says so before anything is confirmed.
    pub records: Option<u64>,
    /// Whether it has a pinning provider, likewise.
    pub has_provider: Option<bool>,
}

/// What a person is to be asked. The question stands until it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// "Type the four words, or the ten digits, that the other device shows." Answered by
    /// [`Input::Typed`] or [`Input::Declined`].
    TypeCheckCode(Peer),
    /// "The other device shows two digits; type them here." The check code is to be shown above.
    /// Answered by [`Input::Typed`] or [`Input::Declined`].
    TypeBackDigits(Peer, CheckCode),
    /// "Do both devices show this?" Answered by [`Input::Agreed`] or [`Input::Declined`].
    Compare(Peer, CheckCode),
    /// What was typed is no check code. Asked again; nothing was compared, and it costs no try.
    NotACheckCode,
    /// What was typed is another check code. Asked again, with the number of tries that are left.
    Wrong(u8),
}

/// What a machine is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// What one of the name routers holds at a watched name.
    Answer {
        /// Which router, counting from zero.
        router: usize,
        /// How many routers are asked.
        routers: usize,
        /// The name.
        name: Name,
        /// The record, verified for the name but for its expiry; `None` when there is none.
        record: Option<Record>,
    },
    /// The person typed this.
    Typed(String),
    /// The person said yes.
    Agreed,
    /// The person said no, or cancelled.
    Declined,
    /// [`Effect::FindPeer`] found the peer's feed.
    Found(Box<SignedIdentity>),
    /// [`Effect::Admit`] was done, and the own feed stands under this record.
    Published(Record),
    /// [`Effect::Import`] was done.
    Imported,
    /// Time has passed.
    Elapsed,
}

/// What is to be done, in the order in which [`poll`](super::Initiator::poll) gives it.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Store the session durably, before any later effect is begun.
    Store,
    /// Publish a record at every router; at those that can't be reached, once they can. A later
    /// record of the same name takes its place. Keep the session, even one that has ended, until
    /// that is done: the other side waits for the last word, and after a restart `resume` asks for
    /// it again.
    Publish(Record),
    /// Poll this name at every router and report each [`Input::Answer`].
    Watch(Name),
    /// Stop polling this name.
    Unwatch(Name),
    /// Ask the person.
    Ask(Question),
    /// Ask whether both devices show this fingerprint of the joiner. Answered by [`Input::Agreed`]
    /// or [`Input::Declined`]. (Version 1 only.)
    AskLiteral(Fingerprint),
    /// Show the check code, with its two digits: this side has confirmed.
    Show(CheckCode),
    /// Use this provider from now on. Both people have confirmed.
    UseProvider(ProviderGrant),
    /// Publish the own feed with this identity in its directory, so that the peer can find it.
    /// (Version 1 only.)
    Announce(Box<SignedIdentity>),
    /// Look for the feed of the device with these keys until there is an identity in it that
    /// [matches](PeerKeys::matches) (an older pairing may have left another one), and report it
    /// with [`Input::Found`]. (Version 1 only.)
    FindPeer(Box<PeerKeys>),
    /// Admit the peer into the ring, seal what solo data there is, publish the feed, and report
    /// its record with [`Input::Published`]. Doing it twice changes nothing.
    Admit(Box<Introduction>),
    /// Import the feed of the peer that was admitted: from the record that it sent, or, without
    /// one, from what its name leads to, again and again until there is an entry for this device
    /// in its directory that carries this pairing's transcript (one of an older pairing says
    /// nothing). Report [`Input::Imported`]. It may be asked for a second time, with a record after
    /// without one; one report is enough.
    Import(Option<Box<Record>>),
    /// It is done. The session's secrets are wiped.
    Finished,
}

/// All that version 1 tells of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerKeys {
    /// The name of its feed.
    pub ipns: IpnsPublic,
    /// Its auth key.
    pub auth: AuthPublic,
    /// The side that it is on.
    pub role: Role,
    /// `H(code)`.
    pub session: Digest,
}

impl PeerKeys {
    /// Tells whether this is the identity that the peer signed for this pairing.
    pub fn matches(&self, signed: &SignedIdentity) -> bool {
        let identity = signed.identity();
        identity.ipns == self.ipns
            && identity.auth == self.auth
            && identity.role == self.role
            && identity.session == self.session
    }
}

/// The outcome of a conversation: what the ring needs in order to admit the peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Introduction {
    /// The peer, signed for this pairing.
    pub peer: SignedIdentity,
    /// The device itself, signed for this pairing.
    pub own: SignedIdentity,
    /// `H(transcript)`.
    pub transcript: Digest,
    /// Where the peer's feed can be read, if both have providers of their own and it said so.
    pub reach: Option<ProviderGrant>,
}

/// Why a pairing ended without success. Each says what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// Nobody answered, or nobody confirmed, in time.
    #[error("The code has expired. Show a new one and scan it again.")]
    Expired,
    /// Two different answers to one code: somebody else has seen it.
    #[error(
        "More than one device answered this code, so it cannot be trusted any more. Show a new \
         code, where nobody else can see it."
    )]
    Equivocation,
    /// The initiator locked another device's answer.
    #[error(
        "Another device answered this code. Say No on the other one, and pair with a new code."
    )]
    CodeTaken,
    /// What was typed was not what the other device shows.
    #[error(
        "The check codes do not match: this may not be the device you think. Nothing was handed \
         over. Pair again with a new code."
    )]
    Mismatch,
    /// A person said no.
    #[error("The pairing was declined. Nothing was handed over.")]
    Declined,
    /// The code is the device's own.
    #[error("This is this device's own code. Scan it with the other device.")]
    OwnCode,
    /// The devices know each other.
    #[error("These two devices are paired already. To pair them again all the same, use --again.")]
    AlreadyPaired,
    /// Neither device has a pinning provider.
    #[error(
        "Neither device has a pinning provider, so they have nowhere to leave data for each other. \
         Configure one on either device, then pair again."
    )]
    NoProvider,
    /// The other device speaks another version.
    #[error("The other device speaks another version of the protocol. Update the older one.")]
    UnsupportedVersion,
    /// The other device never answered.
    #[error(
        "The other device did not answer. Check that it is online and still shows the code, then \
         try again with a new one."
    )]
    PeerSilent,
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Failure {
        match closed {
            Closed::Declined => Failure::Declined,
            Closed::Expired => Failure::Expired,
            Closed::Equivocation => Failure::Equivocation,
            Closed::Mismatch => Failure::Mismatch,
            Closed::NoProvider => Failure::NoProvider,
        }
    }
}

impl Failure {
    /// What the other side is told, where there is one to be told.
    pub(super) fn to_closed(self) -> Option<Closed> {
        match self {
            Failure::Declined => Some(Closed::Declined),
            Failure::Expired | Failure::PeerSilent => Some(Closed::Expired),
            Failure::Equivocation | Failure::CodeTaken => Some(Closed::Equivocation),
            Failure::Mismatch => Some(Closed::Mismatch),
            Failure::NoProvider => Some(Closed::NoProvider),
            Failure::OwnCode | Failure::AlreadyPaired | Failure::UnsupportedVersion => None,
        }
    }
}

/// The effects that a machine has asked for and that were not polled yet.
pub(super) type Effects = VecDeque<Effect>;

/// A session that is over. Its secrets are gone; what is left is what it said last, sealed as it
/// is, in case the process dies before every router has it.
#[derive(Serialize, Deserialize)]
pub(super) struct Ended {
    pub failure: Option<Failure>,
    pub last_word: Option<(Name, ByteBuf)>,
}

impl Ended {
    pub fn new(failure: Option<Failure>, last_word: Option<Record>) -> Ended {
        let last_word = last_word.map(|it| (*it.name(), ByteBuf::from(it.as_bytes())));
        Ended { failure, last_word }
    }

    /// What is to be done after a restart.
    pub fn resume(&self, effects: &mut Effects) {
        let record =
            self.last_word.as_ref().and_then(|(name, bytes)| Record::parse(name, bytes, None).ok());
        effects.extend(record.map(Effect::Publish));
        if self.failure.is_none() {
            effects.push_back(Effect::Finished);
        }
    }

    /// What every further input is answered with.
    pub fn result(&self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }
}

/// What is left to be done once a session has failed: it is stored, then what was to be said is
/// said. Nobody is asked, admitted or trusted with anything any more.
pub(super) fn give_up(effects: &mut Effects) {
    effects.retain(|effect| {
        matches!(effect, Effect::Publish(_) | Effect::Watch(_) | Effect::Unwatch(_))
    });
    effects.push_front(Effect::Store);
}
