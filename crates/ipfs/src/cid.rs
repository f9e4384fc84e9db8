//! Content identifiers of raw blocks.
//!
//! The only kind that Handfast makes and follows is CIDv1, codec `raw`, hash `sha2-256`; in binary
//! `01 55 12 20 ‖ digest`, as text usually `bafkrei…`. The text of one and the same CID differs
//! with the base that a service prefers, so CIDs are parsed and compared as bytes, never as text.
//!
//! Source: <https://github.com/multiformats/cid>.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use ::cid::multibase::{self, Base};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// CIDv1 (01), raw (55), sha2-256 (12), digest of 32 bytes (20).
const PREFIX: [u8; 4] = [0x01, 0x55, 0x12, 0x20];
const RAW: u64 = 0x55;
const SHA2_256: u64 = 0x12;
const IPFS: &str = "/ipfs/";

/// The longest text that is looked at: a CID of 64 digest bytes in base 2 is shorter.
pub(crate) const MAX_TEXT: usize = 1024;

/// The CID of a raw block: CIDv1, `raw`, `sha2-256`.
///
/// Serialized as a byte string of the 36 bytes of [`to_bytes`](Self::to_bytes), not as an IPLD
/// link: what Handfast stores is opaque to whoever stores it, so nobody should follow links in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid([u8; 32]);

/// Text or bytes that are not the CID of a raw block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidError {
    /// Longer than any CID.
    #[error("{0} characters are too many for a CID")]
    TooLong(usize),
    /// No multibase prefix, or characters outside that base.
    #[error("this is not a multibase text, so it is not a CID")]
    NotMultibase,
    /// The bytes do not form a CID.
    #[error("these bytes are not a CID")]
    Malformed,
    /// A CIDv0 (`Qm…`), which is always a dag-pb node.
    #[error("this is a CIDv0; only CIDv1 of raw blocks are used")]
    Version0,
    /// A CIDv1 of something other than a raw block.
    #[error("this CID is of {} (codec 0x{_0:x}); only raw blocks are used", codec_name(*.0))]
    Codec(u64),
    /// A CIDv1 of a raw block, by another hash.
    #[error("this CID's hash is multihash 0x{0:x}; only sha2-256 is used")]
    Hash(u64),
    /// A content path that does not begin with `/ipfs/`.
    #[error("this is not an /ipfs/ path")]
    NotIpfsPath,
}

/// Bytes that are not the ones that the CID is of: whoever delivered them is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not those of {expected}")]
pub struct WrongBytes {
    /// What was asked for.
    pub expected: Cid,
}

impl Cid {
    /// The CID of these bytes as one raw block.
    pub fn of(block: &[u8]) -> Self {
        Self(Sha256::digest(block).into())
    }

    /// The CID of the block with this SHA-256 digest.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Reads a CID in any multibase encoding (`bafkrei…`, `zb2rh…`, `k2jmt…`, …).
    pub fn parse(text: &str) -> Result<Self, CidError> {
        if text.len() > MAX_TEXT {
            return Err(CidError::TooLong(text.len()));
        }
        // A CIDv0 is a bare base58btc multihash and has no multibase prefix.
        if text.len() == 46 && text.starts_with("Qm") {
            return Err(CidError::Version0);
        }
        let (_, bytes) = multibase::decode(text).map_err(|_| CidError::NotMultibase)?;
        Self::from_bytes(&bytes)
    }

    /// Reads the CID out of a content path, `/ipfs/<cid>` and nothing after it.
    pub fn from_path(path: &str) -> Result<Self, CidError> {
        Self::parse(path.strip_prefix(IPFS).ok_or(CidError::NotIpfsPath)?)
    }

    /// The content path `/ipfs/bafkrei…`, which is what a record's value is.
    pub fn path(&self) -> String {
        format!("{IPFS}{self}")
    }

    /// Reads the 36 bytes of a binary CID.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CidError> {
        match bytes.strip_prefix(&PREFIX) {
            Some(digest) => digest.try_into().map(Self).map_err(|_| CidError::Malformed),
            None => Err(why_not(bytes)),
        }
    }

    /// The binary CID: `01 55 12 20 ‖ digest`.
    pub fn to_bytes(&self) -> [u8; 36] {
        let mut bytes = [0; 36];
        let (prefix, digest) = bytes.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(&PREFIX);
        digest.copy_from_slice(&self.0);
        bytes
    }

    /// The SHA-256 of the block.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// Checks that `bytes` are the block that this is the CID of.
    ///
    /// Bytes from anybody else must pass here before they are used, whatever status code they came
    /// with.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), WrongBytes> {
        if Self::of(bytes) == *self { Ok(()) } else { Err(WrongBytes { expected: *self }) }
    }
}

/// Says what bytes that are not our kind of CID are instead.
fn why_not(bytes: &[u8]) -> CidError {
    let Ok(cid) = ::cid::Cid::try_from(bytes) else {
        return CidError::Malformed;
    };
    match (cid.version(), cid.codec(), cid.hash().code()) {
        (::cid::Version::V0, ..) => CidError::Version0,
        (_, RAW, SHA2_256) => CidError::Malformed,
        (_, RAW, hash) => CidError::Hash(hash),
        (_, codec, _) => CidError::Codec(codec),
    }
}

/// The names of the codecs that people meet, from the multicodec table.
fn codec_name(codec: u64) -> &'static str {
    match codec {
        0x70 => "a dag-pb node",
        0x71 => "a dag-cbor node",
        0x72 => "a libp2p key",
        0x0129 => "a dag-json node",
        0x0200 => "a json document",
        0x0202 => "a CAR file",
        _ => "another kind of block",
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&multibase::encode(Base::Base32Lower, self.to_bytes()))
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cid({self})")
    }
}

impl FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        Self::parse(text)
    }
}

impl Serialize for Cid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for Cid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: serde_bytes::ByteArray<36> = Deserialize::deserialize(deserializer)?;
        Self::from_bytes(bytes.as_ref()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use handfast_keys::canonical;
    use proptest::prelude::*;

    use super::*;

    /// The CID that Pinata's documentation gives for the file "Hello World!".
    const HELLO_WORLD: &str = "bafkreid7qoywk77r7rj3slobqfekdvs57qwuwh5d2z3sqsw52iabe3mqne";

    /// Every base that the multibase crate knows, the ones that people use first.
    pub(crate) const BASES: &[Base] = &[
        Base::Base32Lower,
        Base::Base32Upper,
        Base::Base36Lower,
        Base::Base36Upper,
        Base::Base58Btc,
        Base::Base58Flickr,
        Base::Base64,
        Base::Base64Pad,
        Base::Base64Url,
        Base::Base64UrlPad,
        Base::Base16Lower,
        Base::Base16Upper,
        Base::Base2,
        Base::Base8,
        Base::Base10,
        Base::Base32HexLower,
        Base::Base32PadLower,
        Base::Base32Z,
        Base::Base45,
        Base::Base256Emoji,
    ];

    #[test]
    fn known_blocks() {
        assert_eq!(Cid::of(b"Hello World!").to_string(), HELLO_WORLD);
        assert_eq!(Cid::parse(HELLO_WORLD).unwrap(), Cid::of(b"Hello World!"));
        assert_eq!(Cid::of(b"Hello World!").path(), format!("/ipfs/{HELLO_WORLD}"));
        assert_eq!(Cid::of(b"x").verify(b"x"), Ok(()));
        assert_eq!(Cid::of(b"x").verify(b"y"), Err(WrongBytes { expected: Cid::of(b"x") }));
    }

    #[test]
    fn says_what_it_was_instead() {
        let hash = |code, digest: &[u8]| {
            ::cid::multihash::Multihash::<64>::wrap(code, digest).expect("short digest")
        };
        let v1 = |codec, hash| ::cid::Cid::new_v1(codec, hash).to_string();
        let cases = [
            ("QmT5NvUtoM5nWFfrQdVrFtvGfKFmG7AHE8P34isapyhCxX".to_owned(), CidError::Version0),
            (v1(0x70, hash(0x12, &[1; 32])), CidError::Codec(0x70)),
            (v1(0x72, hash(0, &[1; 36])), CidError::Codec(0x72)),
            (v1(0x55, hash(0x13, &[1; 64])), CidError::Hash(0x13)),
            ("bafkqaaa".to_owned(), CidError::Hash(0)),
            (v1(0x55, hash(0x12, &[1; 31])), CidError::Malformed),
            ("b".to_owned(), CidError::Malformed),
            (String::new(), CidError::NotMultibase),
            ("bafk!".to_owned(), CidError::NotMultibase),
            (format!("{HELLO_WORLD}aa"), CidError::Malformed),
            ("b".repeat(1025), CidError::TooLong(1025)),
        ];
        for (text, error) in cases {
            assert_eq!(Cid::parse(&text), Err(error), "{text}");
        }
        let mut longer = Cid::of(b"").to_bytes().to_vec();
        longer.push(0);
        assert_eq!(Cid::from_bytes(&longer), Err(CidError::Malformed));
        assert_eq!(Cid::from_path(HELLO_WORLD), Err(CidError::NotIpfsPath));
        assert_eq!(
            CidError::Codec(0x70).to_string(),
            "this CID is of a dag-pb node (codec 0x70); only raw blocks are used"
        );
    }

    #[test]
    fn travels_as_a_byte_string() {
        let cid = Cid::of(b"block");
        let bytes = canonical::encode(&cid);
        assert_eq!(bytes.get(..2), Some([0x58, 36].as_slice()));
        assert_eq!(canonical::decode::<Cid>(&bytes, 64).unwrap(), cid);
        let mut dag_pb = cid.to_bytes();
        dag_pb[1] = 0x70;
        let other = canonical::encode(serde_bytes::Bytes::new(&dag_pb));
        assert!(canonical::decode::<Cid>(&other, 64).is_err());
    }

    proptest! {
        #[test]
        fn every_base_leads_back(digest: [u8; 32]) {
            let cid = Cid::from_digest(digest);
            prop_assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
            prop_assert_eq!(Cid::from_path(&cid.path()), Ok(cid));
            for base in BASES {
                let text = multibase::encode(*base, cid.to_bytes());
                prop_assert_eq!(Cid::parse(&text), Ok(cid), "{}", text);
            }
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = Cid::parse(&text);
            let _ = Cid::from_path(&text);
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, base in prop::sample::select(BASES)) {
            let _ = Cid::from_bytes(&bytes);
            if bytes.len() < 100 {
                let _ = Cid::parse(&multibase::encode(base, &bytes));
            }
        }
    }
}
