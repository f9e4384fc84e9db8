//! IPNS names of Ed25519 keys.
//!
//! ```text
//! key        08 01 12 20 ‖ public key (32)           libp2p's protobuf: type Ed25519, 32 bytes
//! multihash  00 24 ‖ key                             identity hash of those 36 bytes
//! name       01 72 ‖ multihash                       CIDv1, codec libp2p-key; base36: k51qzi5uqu5d…
//! peer id    multihash in base58btc, no prefix       12D3KooW…
//! ```
//!
//! Source: <https://specs.ipfs.tech/ipns/ipns-record/>, "IPNS Name"; libp2p's peer id specification.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use ::cid::multibase::{self, Base};
use ::cid::multihash::Multihash;
use handfast_keys::IpnsPublic;
use serde::{Deserialize, Serialize};

use crate::cid::MAX_TEXT;

const LIBP2P_KEY: u64 = 0x72;
const CID_PREFIX: [u8; 2] = [0x01, 0x72];
const MULTIHASH_PREFIX: [u8; 2] = [0x00, 0x24];
const KEY_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];
const IDENTITY: u64 = 0x00;
const SHA2_256: u64 = 0x12;

/// The IPNS name of an Ed25519 key; it *is* the public key.
///
/// Displayed in the spec's canonical form, base36 (`k51qzi5uqu5d…`, 62 characters). Serialized as
/// the 32 bytes of the public key. The bytes may be no point of the curve; under such a name no
/// record verifies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(IpnsPublic);

/// The kinds of key that IPNS knows and Handfast has no use for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// An RSA key that stands in its own name.
    Rsa,
    /// A secp256k1 key.
    Secp256k1,
    /// An ECDSA key that stands in its own name.
    Ecdsa,
    /// The name is only the hash of a key, as with every RSA key of usual size (`Qm…`).
    Hashed,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "an RSA key",
            Self::Secp256k1 => "a secp256k1 key",
            Self::Ecdsa => "an ECDSA key",
            Self::Hashed => "a key that is only named by its hash, as RSA keys are",
        })
    }
}

/// Text or bytes that are not the name of an Ed25519 key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Longer than any name.
    #[error("{0} characters are too many for an IPNS name")]
    TooLong(usize),
    /// Neither a multibase text nor a base58btc peer id; perhaps a DNS name.
    #[error("this is not an IPNS name")]
    NotMultibase,
    /// The bytes do not form a name.
    #[error("these bytes are not an IPNS name")]
    Malformed,
    /// A CID, but of content.
    #[error("this is the CID of content (codec 0x{0:x}), not of a key")]
    NotAKey(u64),
    /// A name of another kind of key.
    #[error("this IPNS name is of {0}; only Ed25519 keys are supported")]
    UnsupportedKey(KeyKind),
}

impl Name {
    /// The name of this key.
    pub const fn of(key: IpnsPublic) -> Self {
        Self(key)
    }

    /// The key that signs this name's records.
    pub fn public(&self) -> &IpnsPublic {
        &self.0
    }

    /// Reads a name in every encoding that the spec accepts: a CIDv1 with codec `libp2p-key` in any
    /// base, or a bare base58btc multihash (`12D3…`); each with or without `/ipns/` or `ipns://`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > MAX_TEXT {
            return Err(NameError::TooLong(text.len()));
        }
        let prefixed = text.strip_prefix("/ipns/").or_else(|| text.strip_prefix("ipns://"));
        let text = prefixed.unwrap_or(text);
        if text.starts_with('1') || text.starts_with("Qm") {
            let bytes = Base::Base58Btc.decode(text).map_err(|_| NameError::NotMultibase)?;
            return Self::from_multihash(&bytes);
        }
        let (_, bytes) = multibase::decode(text).map_err(|_| NameError::NotMultibase)?;
        Self::from_bytes(&bytes)
    }

    /// Reads a binary name, `01 72 ‖ multihash`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NameError> {
        if let Some(multihash) = bytes.strip_prefix(&CID_PREFIX) {
            return Self::from_multihash(multihash);
        }
        match ::cid::Cid::try_from(bytes) {
            Ok(cid) if cid.codec() != LIBP2P_KEY => Err(NameError::NotAKey(cid.codec())),
            _ => Err(NameError::Malformed),
        }
    }

    fn from_multihash(bytes: &[u8]) -> Result<Self, NameError> {
        let hash = Multihash::<64>::from_bytes(bytes).map_err(|_| NameError::Malformed)?;
        match hash.code() {
            IDENTITY => Self::from_key_protobuf(hash.digest()),
            SHA2_256 if hash.size() == 32 => Err(NameError::UnsupportedKey(KeyKind::Hashed)),
            _ => Err(NameError::Malformed),
        }
    }

    /// libp2p's `PublicKey { Type = 1; Data = 2 }`, whose encoding is deterministic.
    fn from_key_protobuf(bytes: &[u8]) -> Result<Self, NameError> {
        let [0x08, kind, 0x12, len, key @ ..] = bytes else {
            return Err(NameError::Malformed);
        };
        if usize::from(*len) != key.len() {
            return Err(NameError::Malformed);
        }
        match kind {
            0 => Err(NameError::UnsupportedKey(KeyKind::Rsa)),
            1 => key
                .try_into()
                .map(|key| Self(IpnsPublic::from_bytes(key)))
                .map_err(|_| NameError::Malformed),
            2 => Err(NameError::UnsupportedKey(KeyKind::Secp256k1)),
            3 => Err(NameError::UnsupportedKey(KeyKind::Ecdsa)),
            _ => Err(NameError::Malformed),
        }
    }

    /// The binary name: a CIDv1 of 40 bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&CID_PREFIX, self.multihash().as_slice()].concat()
    }

    /// The name as a libp2p peer id, `12D3KooW…`; some APIs answer with this form.
    pub fn peer_id(&self) -> String {
        Base::Base58Btc.encode(self.multihash())
    }

    /// The key under which routers keep this name's record: `/ipns/ ‖ multihash`, 44 bytes.
    pub fn routing_key(&self) -> Vec<u8> {
        [b"/ipns/", self.multihash().as_slice()].concat()
    }

    fn multihash(&self) -> Vec<u8> {
        [MULTIHASH_PREFIX.as_slice(), &self.key_protobuf()].concat()
    }

    /// The public key in libp2p's protobuf, as a record's `pubKey` field has it.
    pub(crate) fn key_protobuf(&self) -> Vec<u8> {
        [KEY_PREFIX.as_slice(), self.0.as_bytes()].concat()
    }
}

impl From<IpnsPublic> for Name {
    fn from(key: IpnsPublic) -> Self {
        Self(key)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&multibase::encode(Base::Base36Lower, self.to_bytes()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::{IpnsSecret, canonical};
    use proptest::prelude::*;

    use super::*;
    use crate::cid::tests::BASES;

    const BASE36: &str = "k51qzi5uqu5dm0t4vbwri4lkg76q03b4x9tsvekgvbu4zli6454ff7w8wdosa4";
    const PEER_ID: &str = "12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7";

    /// The name of the seed 07×32, computed by js `ipns` and by rust-libp2p.
    #[test]
    fn known_name() {
        let name = Name::of(IpnsSecret::from_seed([7; 32]).public());
        assert_eq!(name.to_string(), BASE36);
        assert_eq!(name.peer_id(), PEER_ID);
        for text in [
            BASE36,
            PEER_ID,
            &format!("/ipns/{BASE36}"),
            &format!("ipns://{BASE36}"),
            &format!("/ipns/{PEER_ID}"),
            &BASE36.to_uppercase(),
        ] {
            assert_eq!(Name::parse(text), Ok(name), "{text}");
        }
        let key = name.routing_key();
        assert_eq!(key.len(), 44);
        assert_eq!(key.get(..12), Some(b"/ipns/\x00\x24\x08\x01\x12\x20".as_slice()));
        let wire = canonical::encode(&name);
        assert_eq!(wire.len(), 34);
        assert_eq!(canonical::decode::<Name>(&wire, 64).unwrap(), name);
    }

    /// A libp2p-key CID in base36 of an identity multihash around this key protobuf.
    fn inlined(protobuf: &[u8]) -> String {
        let hash = Multihash::<64>::wrap(IDENTITY, protobuf).expect("short");
        ::cid::Cid::new_v1(LIBP2P_KEY, hash).to_string_of_base(Base::Base36Lower).expect("v1")
    }

    #[test]
    fn other_keys_and_other_things_are_named() {
        let key = |kind, len: u8| [&[8, kind, 0x12, len], vec![2; len.into()].as_slice()].concat();
        let hashed = Multihash::<64>::wrap(SHA2_256, &[3; 32]).expect("short");
        let unsupported = NameError::UnsupportedKey;
        let cases = [
            // The RSA name of the gateway conformance tests, bare and as CIDs.
            ("QmVujd5Vb7moysJj8itnGufN7MEtPRCNHkKpNuA4onsRa3".into(), unsupported(KeyKind::Hashed)),
            (::cid::Cid::new_v1(LIBP2P_KEY, hashed).to_string(), unsupported(KeyKind::Hashed)),
            (inlined(&key(0, 38)), unsupported(KeyKind::Rsa)),
            (inlined(&key(2, 33)), unsupported(KeyKind::Secp256k1)),
            (inlined(&key(3, 38)), unsupported(KeyKind::Ecdsa)),
            (inlined(&key(1, 33)), NameError::Malformed),
            (inlined(&key(1, 31)), NameError::Malformed),
            (inlined(&key(9, 32)), NameError::Malformed),
            (inlined(&key(1, 32)[..35]), NameError::Malformed),
            (::cid::Cid::new_v1(0x55, hashed).to_string(), NameError::NotAKey(0x55)),
            (::cid::Cid::new_v1(0x70, hashed).to_string(), NameError::NotAKey(0x70)),
            ("docs.ipfs.tech".into(), NameError::NotMultibase),
            ("/ipns/".into(), NameError::NotMultibase),
            ("".into(), NameError::NotMultibase),
            ("1".into(), NameError::Malformed),
            (format!("/ipns/{BASE36}/sub"), NameError::NotMultibase),
            (format!("/ipfs/{BASE36}"), NameError::NotMultibase),
            ("k".repeat(2000), NameError::TooLong(2000)),
        ];
        for (text, error) in cases {
            assert_eq!(Name::parse(&text), Err(error), "{text}");
        }
        let mut longer = Name::parse(BASE36).unwrap().to_bytes();
        longer.push(0);
        assert_eq!(Name::from_bytes(&longer), Err(NameError::Malformed));
    }

    proptest! {
        #[test]
        fn every_encoding_leads_back(key: [u8; 32]) {
            let name = Name::of(IpnsPublic::from_bytes(key));
            let base36 = name.to_string();
            prop_assert_eq!(base36.len(), 62);
            prop_assert!(base36.starts_with("k51qzi5uqu5d"));
            prop_assert_eq!(Name::parse(&name.peer_id()), Ok(name));
            for base in BASES {
                let text = multibase::encode(*base, name.to_bytes());
                prop_assert_eq!(Name::parse(&text), Ok(name), "{}", text);
                prop_assert_eq!(Name::parse(&format!("/ipns/{text}")), Ok(name), "{}", text);
            }
        }

        #[test]
        fn any_text_is_answered(text in "(/ipns/|ipns://|k51|12D3|Qm|z|)\\PC*") {
            let _ = Name::parse(&text);
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, base in prop::sample::select(BASES)) {
            let _ = Name::from_bytes(&bytes);
            if bytes.len() < 100 {
                let _ = Name::parse(&multibase::encode(base, &bytes));
            }
        }
    }
}
