//! Every derivation label of every protocol, and the one hash that uses them.
//!
//! `H(label, fields…)` is SHA-256 over the label and each field, each preceded by its length as
//! four bytes big-endian: no two lists of fields, and no two purposes, hash the same bytes.

use sha2::{Digest as _, Sha256};

/// What a hash, a signature or a derived key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(&'static str);

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Label {
            $($(#[$doc])* pub const $name: Label = Label(concat!("handfast/", $text));)*

            /// Every label there is.
            pub const ALL: &'static [Label] = &[$(Label::$name),*];
        }
    };
}

labels! {
    /// A pairing code, version 2: over its canonical bytes.
    CODE = "pairing/2/code";
    /// A pairing code, version 1: over its JSON bytes.
    CODE_V1 = "pairing/1/code";
    /// What the code commits the initiator to.
    COMMITMENT = "pairing/2/commitment";
    /// The pre-shared key of the sealed response, from the code's temp seed.
    PSK = "pairing/2/psk";
    /// HPKE info of the sealed response.
    RESPONSE = "pairing/2/response";
    /// The hash by which a sealed response is locked.
    SEALED_RESPONSE = "pairing/2/sealed-response";
    /// HPKE info of the initiator's Reveal.
    REVEAL = "pairing/2/reveal";
    /// What the four emojis and the digits are cut from.
    CHECK_CODE = "pairing/2/check-code";
    /// Everything both sides said before anybody confirmed.
    TRANSCRIPT = "pairing/2/transcript";
    /// The same of version 1, whose code and response are JSON.
    TRANSCRIPT_V1 = "pairing/1/transcript";
    /// HPKE info of a confirmation.
    CONFIRMED = "pairing/2/confirmed";
    /// HPKE info of the word that a device has published.
    PUBLISHED = "pairing/2/published";

    /// An invite, over its bytes.
    INVITE = "invite/1/invite";
    /// The member's exchange key, as the invite names it.
    INVITE_MEMBER = "invite/1/member";
    /// What the invite commits the member to.
    INVITE_COMMITMENT = "invite/1/commitment";
    /// HPKE info of what a confirming response carries for the candidate alone.
    INVITE_ANSWER = "invite/1/answer";
    /// HPKE info of a message of the exchange.
    INVITE_MESSAGE = "invite/1/message";
    /// The channel of one exchange on a connection.
    INVITE_CHANNEL = "invite/1/channel";
    /// What both devices compare.
    INVITE_CHECK_CODE = "invite/1/check-code";
    /// Everything that was said before anybody confirmed.
    INVITE_TRANSCRIPT = "invite/1/transcript";

    /// The seed of a candidate's writer key, from one seed for all.
    WRITER_SEED = "invite/1/writer-seed";

    /// A device's signed identity.
    IDENTITY = "ring/1/identity";
    /// The admission of a device.
    ADMISSION = "ring/1/admission";
    /// The removal of a device.
    REMOVAL = "ring/1/removal";
    /// A device's cut of a removed device's log.
    CUT = "ring/1/cut";
    /// HPKE info of an entry in a peer directory.
    ENTRY = "ring/1/entry";
    /// A device manifest.
    MANIFEST = "ring/1/manifest";
    /// Where a device waits for its peers on the swarm: over its Broadcast Key.
    TOPIC = "ring/1/topic";
    /// The certificate that binds a writer key to a device.
    WRITER = "ring/1/writer";
    /// The wrapping of a content key.
    WRAP = "ring/1/wrap";

    /// The start of a log's chain.
    LOG = "ledger/1/log";
    /// A link of a log's chain.
    MUTATION = "ledger/1/mutation";
    /// A log's signed tip.
    TIP = "ledger/1/tip";
    /// The id of a record that has a natural key.
    RECORD = "ledger/1/record";
    /// The hash of a collection's or a database's state.
    STATE = "ledger/1/state";
    /// The signed digest of a snapshot.
    SNAPSHOT = "ledger/1/snapshot";
}

impl Label {
    /// The label's full text.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// `H(label, fields…)`.
    pub fn hash<const N: usize>(self, fields: [&[u8]; N]) -> Digest {
        self.hash_all(fields)
    }

    /// `H(label, fields…)` for a number of fields that is known at run time only.
    pub fn hash_all<'a>(self, fields: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut hasher = Sha256::new();
        absorb(&mut hasher, self.0.as_bytes());
        fields.into_iter().for_each(|field| absorb(&mut hasher, field));
        Digest(hasher.finalize().into())
    }
}

/// Takes in one field with its length before it. A field never reaches 4 GiB: every object that
/// is hashed is bounded by far less.
fn absorb(hasher: &mut Sha256, field: &[u8]) {
    let len = u32::try_from(field.len()).unwrap_or(u32::MAX);
    hasher.update(len.to_be_bytes());
    hasher.update(field);
}

crate::fixed_bytes! {
    /// A SHA-256 hash.
    pub struct Digest([u8; 32]);
}

impl Digest {
    /// The plain SHA-256 of `bytes`, without a label: what other people's formats demand.
    pub fn sha256(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct() {
        for (i, a) in Label::ALL.iter().enumerate() {
            for b in &Label::ALL[i + 1..] {
                assert_ne!(a.as_str(), b.as_str());
            }
        }
    }

    #[test]
    fn the_hash_is_length_prefixed_sha256() {
        let mut plain = Vec::new();
        for field in ["handfast/ledger/1/log".as_bytes(), b"ab", b""] {
            plain.extend((field.len() as u32).to_be_bytes());
            plain.extend(field);
        }
        assert_eq!(Label::LOG.hash([b"ab", b""]), Digest::sha256(&plain));
        assert_ne!(Label::LOG.hash([b"a", b"b"]), Label::LOG.hash([b"ab", b""]));
    }
}
