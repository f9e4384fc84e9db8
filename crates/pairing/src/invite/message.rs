//! What is said. Structures are canonical DAG-CBOR.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use handfast_keys::{
    CheckCode, Digest, ExchangePublic, ExchangeSecret, Label, MailboxPublic, Secret, canonical,
};
use handfast_ring::{DeviceName, Role, SignedIdentity};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::code::Suffix;
use super::derive::{InviteId, StructureKey};
use super::request::MAX_USER_DATA;

/// The largest message of the exchange, sealed.
pub const MAX_MESSAGE: usize = 512 << 10;

/// How many structures a map may have.
pub const MAX_STRUCTURES: usize = 4_096;

/// The longest namespace, in bytes.
pub const MAX_NAMESPACE: usize = 255;

/// The largest config of a structure, in bytes.
pub const MAX_CONFIG: usize = 4 << 10;

/// The version of the envelope, and of the exchange that follows it.
const VERSION: u64 = 1;

/// Which side of a pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Made the invite.
    #[serde(rename = "member")]
    Member,
    /// Answers it.
    #[serde(rename = "candidate")]
    Candidate,
}

impl Side {
    /// The other side.
    pub fn other(self) -> Side {
        match self {
            Side::Member => Side::Candidate,
            Side::Candidate => Side::Member,
        }
    }

    /// The role in which its device signs its identity.
    pub fn role(self) -> Role {
        match self {
            Side::Member => Role::Initiator,
            Side::Candidate => Role::Joiner,
        }
    }

    pub(super) fn as_bytes(self) -> &'static [u8] {
        match self {
            Side::Member => b"member",
            Side::Candidate => b"candidate",
        }
    }
}

/// What follows an invite's bytes for a member with this key and nonce; whether it is an app's.
pub fn suffix(invite: &InviteId, member: &ExchangePublic, nonce: &Digest, is_app: bool) -> Suffix {
    let key = member.uncompressed();
    Suffix {
        member: Label::INVITE_MEMBER.hash([&key]),
        commitment: Label::INVITE_COMMITMENT.hash([invite.as_ref(), &key, nonce.as_ref()]),
        is_app,
    }
}

/// What a candidate brings: the user data of its request. Whoever has the invite can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    version: u64,
    /// What the member seals to.
    pub exchange: ExchangePublic,
    /// The candidate's nonce.
    pub nonce: Digest,
    /// The candidate's line.
    pub line: MailboxPublic,
    /// What the candidate calls itself.
    pub name: DeviceName,
    /// The device that stands behind it, if one does.
    pub identity: Option<SignedIdentity>,
}

impl Envelope {
    /// The envelope of a candidate with these keys.
    pub fn new(
        exchange: ExchangePublic,
        nonce: Digest,
        line: MailboxPublic,
        name: DeviceName,
        identity: Option<SignedIdentity>,
    ) -> Envelope {
        Envelope { version: VERSION, exchange, nonce, line, name, identity }
    }

    /// The envelope's bytes.
    pub fn encode(&self) -> Vec<u8> {
        // The name and the keys are the device's own where there is one: they are not said twice.
        match &self.identity {
            Some(identity) => canonical::encode(&(self.version, self.line, identity)),
            None => {
                let fields = (self.version, self.line, self.exchange, self.nonce, &self.name);
                canonical::encode(&fields)
            }
        }
    }

    /// Reads an envelope that answers the invite with this hash.
    pub fn decode(bytes: &[u8], invite: &Digest) -> Option<Envelope> {
        type Bare = (u64, MailboxPublic, ExchangePublic, Digest, DeviceName);
        type Device = (u64, MailboxPublic, SignedIdentity);
        let envelope = match canonical::decode::<Bare>(bytes, MAX_USER_DATA) {
            Ok((version, line, exchange, nonce, name)) => {
                Envelope { version, exchange, nonce, line, name, identity: None }
            }
            Err(_) => {
                let (version, line, signed): Device =
                    canonical::decode(bytes, MAX_USER_DATA).ok()?;
                let identity = signed.identity();
                let in_its_place =
                    identity.session == *invite && identity.role == Side::Candidate.role();
                Envelope {
                    version,
                    exchange: identity.exchange,
                    nonce: identity.nonce,
                    line,
                    name: identity.name.clone(),
                    identity: Some(signed).filter(|_| in_its_place),
                }
                .some_identity()?
            }
        };
        (envelope.version == VERSION && envelope.line.check().is_ok()).then_some(envelope)
    }

    fn some_identity(self) -> Option<Envelope> {
        self.identity.is_some().then_some(self)
    }
}

/// What a confirming response carries besides the throwaway key, as its additional data: the
/// member's exchange key, and, for this candidate alone, its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The member's exchange key: the one that the invite names.
    pub exchange: ExchangePublic,
    sealed: ByteBuf,
}

impl Answer {
    /// Tells the candidate the member's line. It proves, too, that the member, and not another
    /// holder of the invite, says so.
    pub fn new<R: CryptoRng>(
        invite: &Digest,
        envelope: &Envelope,
        own: &ExchangeSecret,
        line: &MailboxPublic,
        rng: &mut R,
    ) -> Answer {
        let info = answer_info(invite, &envelope.encode());
        let sealed = envelope.exchange.seal_auth(own, &info, line.as_ref(), rng);
        Answer { exchange: own.public(), sealed: ByteBuf::from(sealed) }
    }

    /// The answer's bytes.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Reads an answer, and opens it: the member's exchange key and line. `None` for what anybody
    /// else wrote.
    pub fn open(
        bytes: &[u8],
        suffix: &Suffix,
        invite: &Digest,
        envelope: &[u8],
        own: &ExchangeSecret,
    ) -> Option<(ExchangePublic, MailboxPublic)> {
        let answer: Answer = canonical::decode(bytes, 1 << 10).ok()?;
        if Label::INVITE_MEMBER.hash([&answer.exchange.uncompressed()]) != suffix.member {
            return None;
        }
        let info = answer_info(invite, envelope);
        let opened = own.open_auth(&answer.exchange, &info, &answer.sealed).ok()?;
        let line = MailboxPublic::from_bytes(opened.try_into().ok()?);
        line.check().is_ok().then_some((answer.exchange, line))
    }
}

fn answer_info(invite: &Digest, envelope: &[u8]) -> Digest {
    Label::INVITE_ANSWER.hash([invite.as_ref(), envelope])
}

/// What opens the member's commitment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// The member's nonce.
    pub nonce: Digest,
    /// What the member calls itself.
    pub name: DeviceName,
    /// Whether both people are to compare.
    pub verify: bool,
    /// The device that stands behind it, if one does.
    pub identity: Option<SignedIdentity>,
}

impl Reveal {
    /// Whether it opens the invite's commitment, and the identity in it is in its place.
    pub fn opens(&self, id: &InviteId, invite: &Digest, key: &ExchangePublic, to: &Suffix) -> bool {
        let identity_fits = self.identity.as_ref().is_none_or(|signed| {
            let identity = signed.identity();
            identity.session == *invite
                && identity.role == Side::Member.role()
                && identity.nonce == self.nonce
                && identity.exchange == *key
                && identity.name == self.name
        });
        suffix(id, key, &self.nonce, to.is_app) == *to && identity_fits
    }
}

/// What both people compare: `H("check-code", H(invite), envelope, nonce)`. Nothing in it can be
/// chosen once the member's nonce is known.
pub fn check_code(invite: &Digest, envelope: &[u8], nonce: &Digest) -> CheckCode {
    let fields = [invite.as_ref(), envelope, nonce.as_ref()];
    CheckCode::new(Label::INVITE_CHECK_CODE.hash(fields))
}

/// `H("transcript", H(invite), envelope, Reveal)`.
pub fn transcript(invite: &Digest, envelope: &[u8], reveal: &Reveal) -> Digest {
    let reveal = canonical::encode(reveal);
    Label::INVITE_TRANSCRIPT.hash([invite.as_ref(), envelope, &reveal])
}

/// A structure as the member describes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// Its name among the structures.
    pub namespace: String,
    /// The member's writer key for it.
    pub key: StructureKey,
    /// What else it takes to open it. For the app.
    pub config: ByteBuf,
}

/// Neither the key nor what the app adds is for a log.
impl fmt::Debug for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Structure").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// What the member hands over. Secret until both sides have confirmed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Map {
    /// The group's key (the seed's `primary_autobase_key`).
    pub primary: Option<StructureKey>,
    /// What the group's blocks are encrypted under, if they are.
    pub encryption_key: Option<Secret<32>>,
    /// Every structure with the member's writer key.
    pub structures: Vec<Structure>,
    /// More, from the device behind it to the device behind the candidate.
    pub attachment: ByteBuf,
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("structures", &self.structures.len()).finish_non_exhaustive()
    }
}

/// What the candidate hands back.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writers {
    /// The candidate's writer key for every structure.
    pub keys: Vec<(String, StructureKey)>,
    /// More, from the device behind it to the device behind the member.
    pub attachment: ByteBuf,
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

/// A map or its answer is too large, or a namespace is empty, too long or there twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the structures do not fit into a pairing: at most {MAX_STRUCTURES} of them, each under a name \
     of its own of 1 to {MAX_NAMESPACE} bytes, together less than {MAX_MESSAGE} bytes"
)]
pub struct DoesNotFit;

impl Map {
    /// Tells whether it can be sent.
    pub fn check(&self) -> Result<(), DoesNotFit> {
        let configs_fit = self.structures.iter().all(|it| it.config.len() <= MAX_CONFIG);
        let fits = configs_fit
            && namespaces_fit(self.structures.iter().map(|it| it.namespace.as_str()))
            && canonical::encode(self).len() <= MAX_MESSAGE - 256;
        if fits { Ok(()) } else { Err(DoesNotFit) }
    }
}

impl Writers {
    /// Tells whether it can be sent.
    pub fn check(&self) -> Result<(), DoesNotFit> {
        let fits = namespaces_fit(self.keys.iter().map(|(namespace, _)| namespace.as_str()))
            && canonical::encode(self).len() <= MAX_MESSAGE - 256;
        if fits { Ok(()) } else { Err(DoesNotFit) }
    }
}

fn namespaces_fit<'a>(namespaces: impl Iterator<Item = &'a str>) -> bool {
    let mut seen = BTreeSet::new();
    for namespace in namespaces {
        let fits = (1..=MAX_NAMESPACE).contains(&namespace.len());
        if !fits || !seen.insert(namespace) || seen.len() > MAX_STRUCTURES {
            return false;
        }
    }
    true
}

/// Why a side ended the pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Closed {
    /// The person said no.
    #[serde(rename = "declined")]
    Declined,
    /// What was typed was not what the other device shows.
    #[serde(rename = "mismatch")]
    Mismatch,
    /// Time ran out.
    #[serde(rename = "expired")]
    Expired,
    /// What the other side said was not what the protocol asks for.
    #[serde(rename = "refused")]
    Refused,
}

/// A message of the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Member, first: what opens its commitment.
    Reveal(Box<Reveal>),
    /// Either, where there is something to compare: the person has confirmed.
    Confirmed,
    /// Either: the end.
    Closed(Closed),
    /// Member: every structure.
    Map(Map),
    /// Candidate: a writer for every structure.
    Writers(Writers),
    /// Member: every writer was added.
    Done,
}

impl Message {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Message::Reveal(_) => "reveal",
            Message::Confirmed => "confirmed",
            Message::Closed(_) => "closed",
            Message::Map(_) => "map",
            Message::Writers(_) => "writers",
            Message::Done => "done",
        }
    }

    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Message::Reveal(reveal) => canonical::encode(reveal),
            Message::Confirmed | Message::Done => Vec::new(),
            Message::Closed(closed) => canonical::encode(closed),
            Message::Map(map) => canonical::encode(map),
            Message::Writers(writers) => canonical::encode(writers),
        })
    }

    pub(super) fn decode(kind: &str, bytes: &[u8]) -> Option<Message> {
        match (kind, bytes) {
            ("confirmed", []) => Some(Message::Confirmed),
            ("done", []) => Some(Message::Done),
            ("reveal", _) => canonical::decode(bytes, MAX_MESSAGE).ok().map(Message::Reveal),
            ("closed", _) => canonical::decode(bytes, MAX_MESSAGE).ok().map(Message::Closed),
            ("map", _) => {
                let map: Map = canonical::decode(bytes, MAX_MESSAGE).ok()?;
                map.check().ok().map(|()| Message::Map(map))
            }
            ("writers", _) => {
                let writers: Writers = canonical::decode(bytes, MAX_MESSAGE).ok()?;
                writers.check().ok().map(|()| Message::Writers(writers))
            }
            _ => None,
        }
    }
}
