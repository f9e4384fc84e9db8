//! The code that one device shows and the other scans.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use data_encoding::BASE32_NOPAD;
use handfast_keys::{AuthPublic, Digest, ExchangePublic, IpnsPublic, IpnsSecret, Label, canonical};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::literal::LiteralCode;
use super::message::ProviderGrant;

/// What a code begins with. Like all that follows it is in the QR code's alphanumeric alphabet.
/// It stays the same in every version, and so does what the checksum hashes: that is how an old
/// program tells a newer code from a damaged one.
pub const PREFIX: &str = "HANDFAST:";

/// The version of the protocol that [`Code`] belongs to.
pub const VERSION: u64 = 2;

/// How many name routers fit into a code.
pub const MAX_ROUTERS: usize = 4;

/// How long the URL of a name router in a code may be, in bytes.
pub const MAX_ROUTER: usize = 256;

/// Room for everything that a code may contain at most.
const MAX_CODE: usize = 512 + ProviderGrant::MAX + MAX_ROUTERS * (MAX_ROUTER + 4);
/// Base32 of that, and as many blanks and line breaks again.
const MAX_TEXT: usize = 4 * MAX_CODE;
const CHECKSUM: usize = 4;

/// A code of version 2: what it commits to and where to answer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    version: u64,
    /// The initiator's IPNS key (the seed's `ipnsPublicKey`).
    pub ipns: IpnsPublic,
    /// The initiator's auth key (the seed's `authPublicKey`).
    pub auth: AuthPublic,
    /// The key of the name under which the joiner answers (the seed's `tempIpnsPrivateKey`).
    pub temp: IpnsSecret,
    /// The name of the initiator's line; only the initiator can publish there.
    pub reply: IpnsPublic,
    /// The initiator's key for this pairing, to which the response is sealed.
    pub ephemeral: ExchangePublic,
    /// What the initiator is committed to: see [`commitment`].
    pub commitment: Digest,
    /// How many seconds the code lives from being shown. For display: the initiator counts.
    pub lifetime: u64,
    /// The name routers that the initiator polls, where they are not the default ones.
    pub routers: Option<Vec<String>>,
    /// The initiator's provider config, in the clear; only where the person asked for that.
    pub provider: Option<ProviderGrant>,
}

/// What [`Code::new`] takes beyond the initiator's keys for the pairing.
#[derive(Debug, Clone, Default)]
pub struct CodeOptions {
    /// How many seconds the code lives.
    pub lifetime: u64,
    /// See [`Code::routers`]. [`MAX_ROUTERS`] of at most [`MAX_ROUTER`] bytes each; what is beyond
    /// that is left out of the code.
    pub routers: Option<Vec<String>>,
    /// See [`Code::provider`].
    pub provider: Option<ProviderGrant>,
}

/// A code as it was scanned, of either version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScannedCode {
    /// Version 2.
    Code(Code),
    /// Version 1.
    Literal(LiteralCode),
}

/// Why a text is no code that can be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// It is something else altogether.
    #[error("this is not a Handfast pairing code")]
    NotACode,
    /// It was a code, but characters are missing or wrong.
    #[error("this pairing code is damaged: some of its characters are missing or wrong")]
    Damaged,
    /// The other device speaks another version of the protocol.
    #[error("this pairing code is of version {0}, which this program does not know")]
    UnsupportedVersion(u64),
    /// The checksum is right but the content is not; the other device's fault.
    #[error("this pairing code is complete, but what it says is not valid")]
    Invalid,
}

fn fits(router: &str) -> bool {
    router.len() <= MAX_ROUTER
}

/// `H("commitment", ipns, auth, temp public, reply, ephemeral, nonce)`: binds the initiator to
/// its nonce and to every key in the code.
pub fn commitment(
    ipns: &IpnsPublic,
    auth: &AuthPublic,
    temp: &IpnsPublic,
    reply: &IpnsPublic,
    ephemeral: &ExchangePublic,
    nonce: &Digest,
) -> Digest {
    Label::COMMITMENT.hash([
        ipns.as_ref(),
        &auth.uncompressed(),
        temp.as_ref(),
        reply.as_ref(),
        &ephemeral.uncompressed(),
        nonce.as_ref(),
    ])
}

type Fields = (
    u64,
    IpnsPublic,
    AuthPublic,
    IpnsSecret,
    IpnsPublic,
    ExchangePublic,
    Digest,
    u64,
    Option<Vec<String>>,
    Option<ProviderGrant>,
);

impl Code {
    /// Makes the code that commits the holder of these keys to `nonce`.
    pub fn new(
        ipns: IpnsPublic,
        auth: AuthPublic,
        temp: IpnsSecret,
        reply: IpnsPublic,
        ephemeral: ExchangePublic,
        nonce: &Digest,
        options: CodeOptions,
    ) -> Code {
        let commitment = commitment(&ipns, &auth, &temp.public(), &reply, &ephemeral, nonce);
        let CodeOptions { lifetime, routers, provider } = options;
        let routers = routers.map(|routers| {
            routers.into_iter().filter(|router| fits(router)).take(MAX_ROUTERS).collect()
        });
        Code {
            version: VERSION,
            ipns,
            auth,
            temp,
            reply,
            ephemeral,
            commitment,
            lifetime,
            routers,
            provider,
        }
    }

    /// `H(code)`: names the pairing.
    pub fn hash(&self) -> Digest {
        Label::CODE.hash([&self.encode()])
    }

    /// Tells whether `nonce` is the one that the code commits to.
    pub fn opens(&self, nonce: &Digest) -> bool {
        let temp = self.temp.public();
        commitment(&self.ipns, &self.auth, &temp, &self.reply, &self.ephemeral, nonce)
            == self.commitment
    }

    /// Reads a scanned or typed code of either version. Blanks and line breaks are skipped, and
    /// upper and lower case are the same.
    pub fn parse(text: &str) -> Result<ScannedCode, CodeError> {
        if text.len() > MAX_TEXT {
            return Err(CodeError::NotACode);
        }
        if text.trim_start().starts_with('{') {
            return LiteralCode::parse(text.trim()).map(ScannedCode::Literal);
        }
        let text: Zeroizing<String> = Zeroizing::new(
            text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect(),
        );
        let body = text.strip_prefix(PREFIX).ok_or(CodeError::NotACode)?;
        let bytes = BASE32_NOPAD.decode(body.as_bytes()).map_err(|_| CodeError::Damaged)?;
        let bytes = Zeroizing::new(bytes);
        let (encoded, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(CodeError::Damaged)?;
        if Label::CODE.hash([encoded]).as_bytes().first_chunk() != Some(checksum) {
            return Err(CodeError::Damaged);
        }
        Self::decode(encoded).map(ScannedCode::Code)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let fields: Fields = (
            self.version,
            self.ipns,
            self.auth,
            self.temp.clone(),
            self.reply,
            self.ephemeral,
            self.commitment,
            self.lifetime,
            self.routers.clone(),
            self.provider.clone(),
        );
        Zeroizing::new(canonical::encode(&fields))
    }

    fn decode(bytes: &[u8]) -> Result<Code, CodeError> {
        // Every version is an array (of fewer than 24) that begins with its number.
        match bytes {
            [0x80..=0x97, version @ 0x00..=0x17, ..] if u64::from(*version) != VERSION => {
                return Err(CodeError::UnsupportedVersion(u64::from(*version)));
            }
            _ => (),
        }
        let fields: Fields = canonical::decode(bytes, MAX_CODE).map_err(|_| CodeError::Invalid)?;
        let (version, ipns, auth, temp, reply, ephemeral, commitment, lifetime, routers, provider) =
            fields;
        let routers_fit = routers.as_ref().is_none_or(|routers| {
            routers.len() <= MAX_ROUTERS && routers.iter().all(|router| fits(router))
        });
        let keys_are_points = ipns.check().is_ok() && reply.check().is_ok();
        // Who holds the code holds the temp key: nothing else may stand under it.
        let distinct = ipns != reply && temp.public() != reply && temp.public() != ipns;
        if version != VERSION || !routers_fit || !keys_are_points || !distinct {
            return Err(CodeError::Invalid);
        }
        Ok(Code {
            version,
            ipns,
            auth,
            temp,
            reply,
            ephemeral,
            commitment,
            lifetime,
            routers,
            provider,
        })
    }
}

/// The code as it is shown: `HANDFAST:` and upper-case base32 with a checksum.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.encode();
        let hash = Label::CODE.hash([&bytes]);
        bytes.extend(hash.as_bytes().iter().take(CHECKSUM));
        let text = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
        write!(f, "{PREFIX}{}", *text)
    }
}

/// The code holds a secret: whoever has it can answer.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code").field("hash", &self.hash()).finish_non_exhaustive()
    }
}
