//! The invite: what one person sends another.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use data_encoding::{Encoding, HEXLOWER_PERMISSIVE, Specification};
use handfast_keys::{Digest, InviteSecret, Label, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::codec::{Decoder, Encoder};
use super::derive::{DiscoveryKey, InviteId};

/// How many nodes of the DHT an invite may name.
pub const MAX_NODES: usize = 64;

/// The version of blind-pairing's invites.
const VERSION: u64 = 1;

const HAS_DISCOVERY_KEY: u64 = 1;
const HAS_EXPIRY: u64 = 2;
const SENSITIVE: u64 = 4;
const TEST: u64 = 8;
const HAS_NODES: u64 = 16;
const ALL_FLAGS: u64 = 31;

/// The smallest invite, in bytes: version, flags, seed.
const MIN_INVITE: usize = 2 + 32;

/// The largest invite, in bytes.
const MAX_INVITE: usize = 2 + 32 + 32 + 4 + 1 + MAX_NODES * 6 + Suffix::MAX_LEN;
/// Hex of that, and as many blanks and line breaks again.
const MAX_TEXT: usize = 4 * MAX_INVITE;

const Z32_ALPHABET: &str = "ybndrfg8ejkmcpqxot1uwisza345h769";

/// An invite of the blind-pairing protocol. Whoever has it can answer it: it is secret until it is
/// used, and what was answered to it can be read with it for ever.
#[derive(Clone, PartialEq, Eq)]
pub struct Invite {
    /// Signs the candidate's request; everything else follows from its public key.
    pub key: InviteSecret,
    /// Where the two sides meet.
    pub discovery_key: Option<DiscoveryKey>,
    /// When it expires, in whole seconds since 1970; zero if never. For display: the member counts
    /// by its own clock.
    pub expires: u32,
    /// Whether it leads to something that is to be handled with care. For the app.
    pub sensitive: bool,
    /// Whether it is a test. For the app.
    pub test: bool,
    /// Nodes of the DHT to ask besides the usual ones.
    pub nodes: Option<Vec<SocketAddrV4>>,
    /// What makes it an invite of the envelope profile.
    pub suffix: Option<Suffix>,
}

/// What follows the invite's bytes in the envelope profile. JavaScript decoders do not read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suffix {
    /// `H("member", the member's exchange key)`.
    pub member: Digest,
    /// What the member is committed to: `H("commitment", id, member, nonce)`.
    pub commitment: Digest,
    /// Whether it is an app's. No device stands behind it then, and none can join.
    pub is_app: bool,
}

impl Suffix {
    const MAX_LEN: usize = 64 + 1;
}

/// What follows the suffix of an app's invite.
const APP: u8 = 1;

/// Which exchange follows a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// What apps on blind-pairing do: one writer key for one structure key.
    #[serde(rename = "raw")]
    Raw,
    /// An authenticated exchange of any number of structures.
    #[serde(rename = "envelope")]
    Envelope,
}

/// Why a text is no invite that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// It is something else altogether.
    #[error("this is not an invite code")]
    NotAnInvite,
    /// It was an invite, but characters are missing or wrong.
    #[error("this invite code is damaged: some of its characters are missing or wrong")]
    Damaged,
    /// It was made by a newer program.
    #[error("this invite code is of version {0}, which this program does not know")]
    UnsupportedVersion(u64),
}

impl Invite {
    /// An invite without anything that may be left out.
    pub fn new(key: InviteSecret, discovery_key: DiscoveryKey) -> Invite {
        Invite {
            key,
            discovery_key: Some(discovery_key),
            expires: 0,
            sensitive: false,
            test: false,
            nodes: None,
            suffix: None,
        }
    }

    /// The invite's id.
    pub fn id(&self) -> InviteId {
        InviteId::of(&self.key.public())
    }

    /// `H(invite)`: names the pairing that follows from it.
    pub fn hash(&self) -> Digest {
        Label::INVITE.hash([&self.to_bytes()])
    }

    /// Which exchange follows.
    pub fn profile(&self) -> Profile {
        if self.suffix.is_some() { Profile::Envelope } else { Profile::Raw }
    }

    /// Whether an app made it, without a device behind it, to share its structures.
    pub fn is_app(&self) -> bool {
        self.suffix.is_some_and(|suffix| suffix.is_app)
    }

    /// When it expires by its own word.
    pub fn expires_at(&self) -> Option<Timestamp> {
        (self.expires != 0).then(|| Timestamp(u64::from(self.expires) * 1_000))
    }

    /// The invite's bytes. Secret.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let flags = [
            (self.discovery_key.is_some(), HAS_DISCOVERY_KEY),
            (self.expires != 0, HAS_EXPIRY),
            (self.sensitive, SENSITIVE),
            (self.test, TEST),
            (self.nodes.is_some(), HAS_NODES),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum();
        let mut bytes =
            Encoder::with_capacity(MAX_INVITE).uint(VERSION).uint(flags).fixed(self.key.seed());
        if let Some(key) = &self.discovery_key {
            bytes = bytes.fixed(key.as_bytes());
        }
        if self.expires != 0 {
            bytes = bytes.fixed(&self.expires.to_le_bytes());
        }
        if let Some(nodes) = &self.nodes {
            // What no other device could reach is left out, as the JavaScript encoder does.
            let nodes = || nodes.iter().filter(|node| !is_bogon(*node.ip())).take(MAX_NODES);
            bytes = bytes.uint(nodes().count() as u64);
            for node in nodes() {
                bytes = bytes.fixed(&node.ip().octets()).fixed(&node.port().to_le_bytes());
            }
        }
        if let Some(suffix) = &self.suffix {
            bytes = bytes.fixed(suffix.member.as_ref()).fixed(suffix.commitment.as_ref());
            if suffix.is_app {
                bytes = bytes.fixed(&[APP]);
            }
        }
        Zeroizing::new(bytes.finish())
    }

    /// Reads an invite's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Invite, InviteError> {
        if bytes.len() > MAX_INVITE {
            return Err(InviteError::NotAnInvite);
        }
        let mut decoder = Decoder::new(bytes);
        let version = decoder.uint().map_err(|_| InviteError::NotAnInvite)?;
        if version != VERSION {
            // Other words read as z-base-32, too, but are shorter than any invite will be.
            let newer = InviteError::UnsupportedVersion(version);
            return Err(if bytes.len() < MIN_INVITE { InviteError::NotAnInvite } else { newer });
        }
        Self::read(&mut decoder).ok_or(InviteError::Damaged)
    }

    fn read(decoder: &mut Decoder<'_>) -> Option<Invite> {
        let flags = decoder.uint().ok().filter(|flags| flags & !ALL_FLAGS == 0)?;
        let has = |flag: u64| flags & flag != 0;
        let key = InviteSecret::from_seed(decoder.fixed().ok()?);
        let discovery_key = match has(HAS_DISCOVERY_KEY) {
            true => Some(DiscoveryKey::from_bytes(decoder.fixed().ok()?)),
            false => None,
        };
        let expires = match has(HAS_EXPIRY) {
            true => u32::from_le_bytes(decoder.fixed().ok()?),
            false => 0,
        };
        let nodes = match has(HAS_NODES) {
            true => Some(read_nodes(decoder)?),
            false => None,
        };
        let suffix = match decoder.rest().is_empty() {
            true => None,
            false => Some(read_suffix(decoder)?),
        };
        decoder.end().ok()?;
        let (sensitive, test) = (has(SENSITIVE), has(TEST));
        Some(Invite { key, discovery_key, expires, sensitive, test, nodes, suffix })
    }

    /// Reads an invite code: z-base-32, or hex. Blanks and line breaks are skipped, and upper and
    /// lower case are the same. (No text is both: hex begins with the version's `0`, which is no
    /// z-base-32 letter.)
    pub fn parse(text: &str) -> Result<Invite, InviteError> {
        if text.len() > MAX_TEXT {
            return Err(InviteError::NotAnInvite);
        }
        let text: Zeroizing<String> = Zeroizing::new(
            text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect(),
        );
        let is_hex = text.starts_with("01");
        let is_z32 = text.starts_with("yr");
        let bytes = match is_hex {
            true => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
            false => z32().and_then(|z32| z32.decode(text.as_bytes()).ok()),
        };
        let known = is_hex || is_z32;
        let wrong = if known { InviteError::Damaged } else { InviteError::NotAnInvite };
        let bytes = Zeroizing::new(bytes.ok_or(wrong)?);
        Self::from_bytes(&bytes)
    }
}

fn read_nodes(decoder: &mut Decoder<'_>) -> Option<Vec<SocketAddrV4>> {
    let count = usize::try_from(decoder.uint().ok()?).ok().filter(|len| *len <= MAX_NODES)?;
    let mut nodes = Vec::with_capacity(count);
    for _ in 0..count {
        let ip = Ipv4Addr::from(decoder.fixed::<4>().ok()?);
        nodes.push(SocketAddrV4::new(ip, u16::from_le_bytes(decoder.fixed().ok()?)));
    }
    Some(nodes)
}

fn read_suffix(decoder: &mut Decoder<'_>) -> Option<Suffix> {
    let member = Digest::from_bytes(decoder.fixed().ok()?);
    let commitment = Digest::from_bytes(decoder.fixed().ok()?);
    let is_app = match decoder.rest() {
        [] => false,
        _ if decoder.fixed().ok()? == [APP] => true,
        _ => return None,
    };
    Some(Suffix { member, commitment, is_app })
}

/// z-base-32, as the npm package z32 writes it.
fn z32() -> Option<Encoding> {
    let mut specification = Specification::new();
    specification.symbols.push_str(Z32_ALPHABET);
    specification.encoding().ok()
}

/// Tells whether an address is private or reserved, by the list of the npm package bogon.
fn is_bogon(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] => true,
        [100, second, ..] => (64..=127).contains(&second),
        [172, second, ..] => (16..=31).contains(&second),
        [192, 0, 0 | 2, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        [first, ..] => first >= 224,
    }
}

/// The invite as it is sent: z-base-32.
impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = z32().map(|z32| Zeroizing::new(z32.encode(&self.to_bytes())));
        f.write_str(text.as_deref().map_or("", |text| text))
    }
}

/// The invite is a secret: whoever has it can answer.
impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Serialize for Invite {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for Invite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}
