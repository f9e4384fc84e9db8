//! What the machines of both sides share: what they are told, what they ask for, how they end.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use handfast_keys::{CheckCode, MailboxPublic, MailboxSecret};
use handfast_ring::DeviceName;
use serde::{Deserialize, Serialize};

use super::derive::{ChunkHash, DiscoveryKey};
use super::message::{Closed, Map, Writers};
use super::request::Request;
use super::response::{Denial, Grant, Response};
use crate::qr::Introduction;
pub use crate::stored::Unreadable;

/// How long an invite lives when nobody says otherwise.
pub const DEFAULT_LIFETIME: Duration = Duration::from_secs(3_600);

/// How long one side waits for the other once they have begun, and how long what was said last is
/// kept for the other: for so long the DHT keeps what is left there.
pub const PATIENCE: Duration = Duration::from_secs(48 * 3_600);

/// How long a candidate waits for a confirmation after a denial that came over a connection...
pub const LIVE_GRACE: Duration = Duration::from_secs(3);

/// ...and after one that it found on the DHT. Whoever has the invite can write there.
pub const MAILBOX_GRACE: Duration = Duration::from_secs(60);

/// How a message came, and so how it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Over a connection, under the number that the caller gave it.
    Live(u64),
    /// Through the DHT.
    Mailbox,
}

/// What a person is to be asked. The question stands until it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// "Type the four words, or the ten digits, that the other device (of this name) shows."
    /// Answered by [`Input::Typed`] or [`Input::Declined`].
    TypeCheckCode(DeviceName),
    /// "The other device shows two digits; type them here." The check code is to be shown above.
    /// Answered by [`Input::Typed`] or [`Input::Declined`].
    TypeBackDigits(DeviceName, CheckCode),
    /// "Do both devices show this?" Answered by [`Input::Agreed`] or [`Input::Declined`].
    Compare(DeviceName, CheckCode),
    /// What was typed is no check code. Asked again; it costs no try.
    NotACheckCode,
    /// What was typed is another check code. Asked again, with the number of tries that are left.
    Wrong(u8),
}

/// What a machine is told. What does not concern it, or comes too late, changes nothing.
#[derive(Debug, Clone)]
pub enum Input {
    /// Member: `setup_member` was called, by a device of this name. Requests before are ignored.
    Ready(DeviceName),
    /// Member: a request for this invite.
    Request(Via, Request),
    /// Candidate: a response.
    Response(Via, Response),
    /// A frame on the channel of the exchange.
    Frame(Vec<u8>),
    /// What the DHT holds under the key of the peer's line, with its sequence.
    Line(u64, Vec<u8>),
    /// An immutable value that was [to be fetched](Effect::Fetch).
    Chunk(Vec<u8>),
    /// The person typed this.
    Typed(String),
    /// The person said yes.
    Agreed,
    /// The person said no, or cancelled; of an open invite: it is revoked. What was answered and
    /// confirmed before does not matter, until the member has the candidate's writers.
    Declined,
    /// Member: what it hands over, after [`Effect::Provide`].
    Map(Box<Map>),
    /// Candidate: its writers, after [`Effect::MakeWriters`]: one for every structure.
    Writers(Box<Writers>),
    /// Member: [`Effect::AddWriters`] was done, for every structure.
    Added,
    /// Member: [`Effect::Paired`] was done.
    Noted,
    /// Time has passed.
    Elapsed,
}

/// What is to be done, in the order in which [`poll`](super::Member::poll) gives it.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Store the session durably, before any later effect is begun.
    Store,
    /// Member: send a response over the connection that the request came by; or leave it under
    /// this key, at sequence 0, if it came through the DHT.
    Respond(Via, Response, MailboxSecret),
    /// Candidate: ask. Send the request on every `blind-pairing` channel of this discovery key,
    /// and leave it on the DHT: under the key, at sequence 0, announced on the mailbox topic by
    /// the same key. Look for a [response](Input::Response) on both roads, until [`Effect::Withdraw`].
    Ask(Box<Asking>),
    /// Candidate: ask no longer, and unannounce.
    Withdraw,
    /// There is a conversation: open its channel wherever the peer may be connected, send the own
    /// line's frames on it and report each [`Input::Frame`]; watch the peer's line on the DHT and
    /// report [`Input::Line`].
    Converse,
    /// The own line has grown: send the new frames, and leave it on the DHT.
    Say,
    /// Fetch these immutable values and report each as [`Input::Chunk`]. Asked for again when the
    /// line is [reported](Input::Line) again.
    Fetch(Vec<ChunkHash>),
    /// The peer need no longer be listened to. The own line stays where it is, for the peer.
    Hush,
    /// Nothing of the session is needed on the network any more: close its channels, forget the lines.
    Retire,
    /// Ask the person.
    Question(Question),
    /// Show the check code, with its two digits: this side has confirmed.
    Show(CheckCode),
    /// Member: say what is handed over, with [`Input::Map`].
    Provide(Box<Peer>),
    /// Candidate: make a writer for each of these structures, durably, and report
    /// [`Input::Writers`]. Doing it twice gives the same writers.
    MakeWriters(Box<Offer>),
    /// Member: add each of these writers to its structure, durably, and report [`Input::Added`].
    /// Doing it twice changes nothing.
    AddWriters(Box<Joining>),
    /// Member: tell the app whom it is paired with, and report [`Input::Noted`]. It is told again
    /// only if the process dies before that is stored.
    Paired(Box<Joining>),
    /// Candidate: somebody who has the invite says no. It may not have been the member.
    Denied(Denial),
    /// Candidate: it is done. Of the session only this is left, to be told again until it is
    /// [forgotten](super::Candidate::is_forgotten).
    Joined(Box<Joined>),
}

/// How a candidate asks.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The invite's discovery key.
    pub discovery_key: DiscoveryKey,
    /// The request's bytes.
    pub request: Vec<u8>,
    /// The key under which the request is left, and announced.
    pub mailbox: MailboxSecret,
    /// The key under which the response is found.
    pub response: MailboxPublic,
}

/// The other device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// What it calls itself.
    pub name: DeviceName,
    /// Where devices stand behind both sides: what the ring needs in order to admit the other.
    pub introduction: Option<Introduction>,
}

/// What a candidate is handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// By whom.
    pub peer: Peer,
    /// What.
    pub map: Map,
}

/// Whom a member takes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joining {
    /// Who it is; in the raw profile nobody says so.
    pub peer: Option<Peer>,
    /// A writer for every structure.
    pub writers: Writers,
}

/// What a candidate has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Joined {
    /// In the raw profile.
    Raw(Grant),
    /// In the envelope profile: what was offered, and the own writers, which the member has added.
    Envelope(Box<Offer>, Box<Writers>),
}

/// Why a pairing ended without success. Each says what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// Member: nobody answered in time.
    #[error("The invite has expired. Make a new one.")]
    Expired,
    /// Member: the person revoked it.
    #[error("The invite was revoked.")]
    Revoked,
    /// Candidate: it is not let in.
    #[error("The other device says no: {0}. Ask for a new invite.")]
    Denied(Denial),
    /// A person said no.
    #[error("The pairing was declined. Nothing was handed over.")]
    Declined,
    /// Candidate: the person left when the writers were sent and the member had not said yet that it
    /// has added them.
    #[error(
        "This device left before the other one had answered, which may have let it in all the same. \
         Look there, and remove it if it should not be in."
    )]
    Left,
    /// What was typed was not what the other device shows.
    #[error(
        "The check codes do not match: this may not be the device you think. Nothing was handed \
         over. Pair again with a new invite."
    )]
    Mismatch,
    /// The other device never answered.
    #[error(
        "The other device did not answer. Check that it is online and waits for this invite, then \
         try again with a new one."
    )]
    PeerSilent,
    /// The other side said what the protocol does not allow.
    #[error("The other device answered nonsense. Update both, and try again with a new invite.")]
    Refused,
    /// Candidate: the member shows nothing to compare, but this device's person wants to.
    #[error(
        "The other device does not ask for the check code to be compared. Make an invite that \
         does, or join without comparing."
    )]
    Unverified,
    /// The invite names no place to meet.
    #[error("This invite does not say where to find the other device. Ask for another one.")]
    NoDiscoveryKey,
    /// The invite is of the other profile.
    #[error(
        "This invite comes from an app that knows only one structure. To join all the same, use \
         --profile raw."
    )]
    WrongProfile,
    /// The invite is of the envelope profile, but was to be answered in the raw one.
    #[error(
        "This invite does not come from an app that knows only one structure. Join without \
         --profile raw."
    )]
    NotRaw,
    /// The invite is an app's, and a device was to answer it.
    #[error(
        "This invite comes from an app that shares its structures, not from a device. To join as \
         an app does, use --profile app."
    )]
    ForApps,
    /// The invite is a device's, and an app was to answer it.
    #[error(
        "This invite comes from a Handfast device, which only another device can join. Join \
         without --profile app."
    )]
    ForDevices,
}

impl Failure {
    /// What the other side is told.
    pub(super) fn to_closed(self) -> Closed {
        match self {
            Failure::Declined | Failure::Revoked => Closed::Declined,
            Failure::Mismatch => Closed::Mismatch,
            Failure::Expired | Failure::PeerSilent => Closed::Expired,
            _ => Closed::Refused,
        }
    }
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Failure {
        match closed {
            Closed::Declined => Failure::Declined,
            Closed::Mismatch => Failure::Mismatch,
            Closed::Expired => Failure::PeerSilent,
            Closed::Refused => Failure::Refused,
        }
    }
}

/// The effects that a machine has asked for and that were not polled yet.
pub(super) type Effects = VecDeque<Effect>;

/// What is left to be done once a session has failed: it is stored, then what was to be said is
/// said. Nobody is asked, taken in or trusted with anything any more.
pub(super) fn give_up(effects: &mut Effects) {
    effects.retain(|effect| {
        matches!(
            effect,
            Effect::Respond(..)
                | Effect::Withdraw
                | Effect::Converse
                | Effect::Say
                | Effect::Hush
                | Effect::Retire
        )
    });
    effects.push_front(Effect::Store);
}
