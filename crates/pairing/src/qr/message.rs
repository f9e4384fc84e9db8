//! What the two devices say to each other, and how it is sealed.
//!
//! The joiner's first word is S, at the temp name. After it each side speaks on its *line*. Which
//! bytes HPKE binds to what stands in the functions here and nowhere else.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use handfast_keys::hpke::{OpenError, Psk};
use handfast_keys::{
    CheckCode, Digest, ExchangePublic, ExchangeSecret, IpnsPublic, IpnsSecret, Label, canonical,
};
use handfast_ring::{Role, SignedIdentity};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize, Serializer};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::code::Code;

/// The largest message, sealed.
pub const MAX_MESSAGE: usize = 6_144;

/// A provider config on its way to a device that has none: the JSON of the seed's
/// `ProviderConfig`. Secret; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ProviderGrant(Zeroizing<String>);

/// A provider config that is larger than a message may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider config is longer than {} bytes", ProviderGrant::MAX)]
pub struct GrantTooLong;

impl ProviderGrant {
    /// The longest config, in bytes of JSON.
    pub const MAX: usize = 2_048;

    /// Takes a config over.
    pub fn new(json: String) -> Result<ProviderGrant, GrantTooLong> {
        if json.len() > Self::MAX { Err(GrantTooLong) } else { Ok(Self(Zeroizing::new(json))) }
    }

    /// The JSON; secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ProviderGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderGrant(…)")
    }
}

impl TryFrom<String> for ProviderGrant {
    type Error = GrantTooLong;

    fn try_from(json: String) -> Result<Self, GrantTooLong> {
        Self::new(json)
    }
}

impl Serialize for ProviderGrant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

/// R: the joiner's response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Who answers, signed for this pairing.
    pub identity: SignedIdentity,
    /// The name of the joiner's line.
    pub line: IpnsPublic,
    /// Whether the joiner has a pinning provider.
    pub has_provider: bool,
    /// How many records it brings.
    pub records: u64,
}

/// S: a sealed response, as it stands at the temp name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedResponse(ByteBuf);

impl SealedResponse {
    /// Takes bytes that stood at the temp name.
    pub fn from_bytes(bytes: &[u8]) -> SealedResponse {
        SealedResponse(ByteBuf::from(bytes))
    }

    /// The bytes to publish.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `H(S)`: by this the initiator locks it.
    pub fn hash(&self) -> Digest {
        Label::SEALED_RESPONSE.hash([&self.0])
    }

    /// Opens S with the secret half of the code's ephemeral key.
    pub fn open(&self, code: &Code, ephemeral: &ExchangeSecret) -> Option<Response> {
        let opened = ephemeral.open_psk(&response_psk(code), &response_info(code), &self.0).ok()?;
        canonical::decode(&opened, MAX_MESSAGE).ok()
    }
}

impl Response {
    /// Its bytes: part of what the transcript and the check code hash.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Seals R for who showed the code.
    pub fn seal<R: CryptoRng>(&self, code: &Code, rng: &mut R) -> SealedResponse {
        let (psk, info) = (response_psk(code), response_info(code));
        SealedResponse(ByteBuf::from(code.ephemeral.seal_psk(&psk, &info, &self.encode(), rng)))
    }
}

fn response_psk(code: &Code) -> Psk {
    Psk::derive(IpnsSecret::seed(&code.temp), Label::PSK, code.hash())
}

fn response_info(code: &Code) -> Digest {
    Label::RESPONSE.hash([code.hash().as_ref()])
}

/// The initiator's answer: opens its commitment, for exactly one response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reveal {
    /// The response that the initiator locked.
    pub locked: Digest,
    /// Who showed the code, signed for this pairing.
    pub identity: SignedIdentity,
    /// Whether the initiator has a pinning provider.
    pub has_provider: bool,
    /// How many records it brings.
    pub records: u64,
}

impl Reveal {
    /// The nonce that the code committed to. It is the nonce of the signed identity.
    pub fn nonce(&self) -> Digest {
        self.identity.identity().nonce
    }

    /// Its bytes: part of the transcript.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Seals the Reveal for the joiner whose response was locked.
    pub fn seal<R: CryptoRng>(
        &self,
        session: &Digest,
        joiner: &ExchangePublic,
        rng: &mut R,
    ) -> Vec<u8> {
        joiner.seal(&reveal_info(session, &self.locked), &self.encode(), rng)
    }

    /// Opens a Reveal for the response with hash `locked`; one for another response does not open.
    pub fn open(
        bytes: &[u8],
        session: &Digest,
        locked: &Digest,
        keys: &ExchangeSecret,
    ) -> Result<Reveal, OpenError> {
        let opened = keys.open(&reveal_info(session, locked), bytes)?;
        canonical::decode(&opened, MAX_MESSAGE).map_err(|_| OpenError)
    }
}

fn reveal_info(session: &Digest, locked: &Digest) -> Digest {
    Label::REVEAL.hash([session.as_ref(), locked.as_ref()])
}

/// `H("transcript", H(code), R, Reveal)`.
pub fn transcript(session: &Digest, response: &Response, reveal: &Reveal) -> Digest {
    Label::TRANSCRIPT.hash([session.as_ref(), &response.encode(), &reveal.encode()])
}

/// What both people compare: `H("check-code", H(code), R, nonce)`. Nothing in it can be chosen
/// once the other side's nonce is known.
pub fn check_code(session: &Digest, response: &Response, nonce: &Digest) -> CheckCode {
    let fields = [session.as_ref(), &response.encode(), nonce.as_ref()];
    CheckCode::new(Label::CHECK_CODE.hash(fields))
}

/// Why a side ended the pairing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The person said no.
    Declined,
    /// Time ran out.
    Expired,
    /// Two devices answered the code, or a line was rewritten.
    Equivocation,
    /// What was typed was not what the other device shows.
    Mismatch,
    /// Neither device has a pinning provider.
    NoProvider,
}

impl Closed {
    const ALL: [Closed; 5] =
        [Self::Declined, Self::Expired, Self::Equivocation, Self::Mismatch, Self::NoProvider];

    /// The word for it on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Closed::Declined => "declined",
            Closed::Expired => "expired",
            Closed::Equivocation => "equivocation",
            Closed::Mismatch => "mismatch",
            Closed::NoProvider => "no-provider",
        }
    }
}

/// A message on a line, as it is published: `[kind, bytes]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, ByteBuf)", into = "(&'static str, ByteBuf)")]
pub enum Message {
    /// `reveal`: a sealed [`Reveal`].
    Reveal(ByteBuf),
    /// `confirmed`: a sealed confirmation.
    Confirmed(ByteBuf),
    /// `closed`: the end; the [word](Closed::word) for its reason, in the clear.
    Closed(Closed),
    /// `published`: the sender's own IPNS record, sealed: its feed is ready.
    Published(ByteBuf),
}

/// A message of a kind that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of message")]
pub struct UnknownKind;

impl TryFrom<(String, ByteBuf)> for Message {
    type Error = UnknownKind;

    fn try_from((kind, bytes): (String, ByteBuf)) -> Result<Self, UnknownKind> {
        match kind.as_str() {
            "reveal" => Ok(Message::Reveal(bytes)),
            "confirmed" => Ok(Message::Confirmed(bytes)),
            "published" => Ok(Message::Published(bytes)),
            "closed" => Closed::ALL
                .into_iter()
                .find(|closed| closed.word().as_bytes() == bytes.as_slice())
                .map(Message::Closed)
                .ok_or(UnknownKind),
            _ => Err(UnknownKind),
        }
    }
}

impl From<Message> for (&'static str, ByteBuf) {
    fn from(message: Message) -> Self {
        match message {
            Message::Reveal(bytes) => ("reveal", bytes),
            Message::Confirmed(bytes) => ("confirmed", bytes),
            Message::Published(bytes) => ("published", bytes),
            Message::Closed(closed) => ("closed", ByteBuf::from(closed.word().as_bytes())),
        }
    }
}

/// Seals and opens what only the two devices may read, once both know the transcript: HPKE between
/// their exchange keys, each message bound to its kind, the transcript and the sender's role.
#[derive(Debug, Clone, Copy)]
pub struct Channel<'a> {
    /// `H(transcript)`.
    pub transcript: &'a Digest,
    /// The own exchange key.
    pub own: &'a ExchangeSecret,
    /// The peer's exchange key.
    pub peer: &'a ExchangePublic,
    /// The own role.
    pub role: Role,
}

impl Channel<'_> {
    /// Seals the own confirmation, with a provider config for a peer that has none, and for one
    /// that has, with where the own feed can be read.
    pub fn confirm<R: CryptoRng>(&self, grant: Option<&ProviderGrant>, rng: &mut R) -> Message {
        let plaintext = Zeroizing::new(canonical::encode(&grant));
        Message::Confirmed(self.seal(Label::CONFIRMED, &plaintext, rng))
    }

    /// Opens the peer's confirmation.
    pub fn open_confirmed(&self, sealed: &[u8]) -> Option<Option<ProviderGrant>> {
        let opened = Zeroizing::new(self.open(Label::CONFIRMED, sealed)?);
        canonical::decode(&opened, MAX_MESSAGE).ok()
    }

    /// Seals the own IPNS record.
    pub fn publish<R: CryptoRng>(&self, record: &[u8], rng: &mut R) -> Message {
        Message::Published(self.seal(Label::PUBLISHED, record, rng))
    }

    /// Opens the peer's IPNS record.
    pub fn open_published(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        self.open(Label::PUBLISHED, sealed)
    }

    fn seal<R: CryptoRng>(&self, kind: Label, plaintext: &[u8], rng: &mut R) -> ByteBuf {
        let info = kind.hash([self.transcript.as_ref(), self.role.as_bytes()]);
        ByteBuf::from(self.peer.seal_auth(self.own, &info, plaintext, rng))
    }

    fn open(&self, kind: Label, sealed: &[u8]) -> Option<Vec<u8>> {
        let info = kind.hash([self.transcript.as_ref(), self.role.other().as_bytes()]);
        self.own.open_auth(self.peer, &info, sealed).ok()
    }
}
