//! What follows from an invite's key, as blind-pairing and hypercore-crypto derive it: BLAKE2b
//! over a namespace and the input.

use blake2::digest::consts::{U24, U32};
use blake2::digest::{Digest as _, KeyInit, Mac};
use blake2::{Blake2b, Blake2bMac};
use handfast_keys::{InvitePublic, MailboxSecret, fixed_bytes};
use hex_literal::hex;
use zeroize::Zeroizing;

fixed_bytes! {
    /// A hypercore or autobase key, or any other 32 bytes that name a structure: whoever has it may
    /// read. Not secret to the devices that belong together, secret to all others.
    pub struct StructureKey([u8; 32]);
}

fixed_bytes! {
    /// What a structure's readers find each other by: a hash of its key that tells nothing of it.
    pub struct DiscoveryKey([u8; 32]);
}

fixed_bytes! {
    /// Something that is announced and looked up on the DHT.
    pub struct Topic([u8; 32]);
}

fixed_bytes! {
    /// Names an invite to those who store its requests, and to nobody else anything.
    pub struct InviteId([u8; 32]);
}

fixed_bytes! {
    /// Names one candidate's request.
    pub struct RequestId([u8; 32]);
}

fixed_bytes! {
    /// Names one candidate's attempt, under the seal's nonce.
    pub struct SessionToken([u8; 32]);
}

fixed_bytes! {
    /// The hash under which the DHT keeps an immutable value.
    pub struct ChunkHash([u8; 32]);
}

/// The hash of an immutable value.
pub fn chunk_hash(value: &[u8]) -> ChunkHash {
    ChunkHash::from_bytes(blake2b([value]))
}

impl StructureKey {
    /// What readers of this structure announce and look up.
    pub fn discovery_key(&self) -> DiscoveryKey {
        let mac = <Blake2bMac<U32> as KeyInit>::new_from_slice(self.as_bytes());
        // BLAKE2b takes keys of up to 64 bytes.
        DiscoveryKey::from_bytes(
            mac.map_or([0; 32], |mac| {
                mac.chain_update(b"hypercore").finalize().into_bytes().into()
            }),
        )
    }
}

impl DiscoveryKey {
    /// The topic on which candidates announce that they have left a request on the DHT.
    pub fn mailbox_topic(&self) -> Topic {
        Topic::from_bytes(Dht::Discovery.hash([self.as_ref()]))
    }

    /// The topic on which both sides meet.
    pub fn topic(&self) -> Topic {
        Topic::from_bytes(*self.as_bytes())
    }
}

impl InviteId {
    /// The id of the invite with this key.
    pub fn of(invite: &InvitePublic) -> InviteId {
        InviteId::from_bytes(Core::InviteId.hash([invite.as_ref()]))
    }
}

impl RequestId {
    pub(super) fn of(session: &SessionToken) -> RequestId {
        RequestId::from_bytes(Core::RequestId.hash([session.as_ref()]))
    }
}

/// What the request's place on the DHT follows from. Secret to all who do not have the invite.
#[derive(Clone)]
pub(super) struct Token(Zeroizing<[u8; 32]>);

impl Token {
    pub fn new(invite: &InvitePublic, user_data: &[u8]) -> Token {
        Token(Zeroizing::new(Core::Token.hash([invite.as_ref(), user_data])))
    }

    /// The session that a candidate opens with this token.
    pub fn session(&self) -> SessionToken {
        SessionToken::from_bytes(Core::Session.hash([&*self.0]))
    }

    /// The key under which the candidate leaves its request, and announces.
    pub fn request_mailbox(&self) -> MailboxSecret {
        MailboxSecret::from_seed(Dht::Ephemeral.hash([&*self.0]))
    }

    /// The key under which the member leaves its response.
    pub fn response_mailbox(&self) -> MailboxSecret {
        MailboxSecret::from_seed(Dht::Reply.hash([&*self.0]))
    }
}

/// The key and nonce of a request's seal.
pub(super) fn request_seal(
    invite: &InvitePublic,
    session: &SessionToken,
) -> (Zeroizing<[u8; 32]>, [u8; 24]) {
    seal(invite.as_ref(), session)
}

/// The key and nonce of a response's seal.
pub(super) fn response_seal(
    invite: &InvitePublic,
    session: &SessionToken,
) -> (Zeroizing<[u8; 32]>, [u8; 24]) {
    let key = Zeroizing::new(Core::SessionKey.hash([invite.as_ref(), session.as_ref()]));
    seal(&*key, session)
}

fn seal(key: &[u8], session: &SessionToken) -> (Zeroizing<[u8; 32]>, [u8; 24]) {
    let nonce = Blake2b::<U24>::new()
        .chain_update(Core::Nonce.prefix())
        .chain_update(key)
        .chain_update(session)
        .finalize();
    (Zeroizing::new(Core::Encrypt.hash([key])), nonce.into())
}

/// What stands before everything that an invite's key signs.
pub(super) fn signature_prefix() -> [u8; 32] {
    Core::Signature.prefix()
}

/// The purposes of blind-pairing-core, in the order that numbers them.
#[derive(Clone, Copy)]
enum Core {
    Signature,
    Token,
    InviteId,
    RequestId,
    Session,
    SessionKey,
    Encrypt,
    Nonce,
}

/// The purposes of blind-pairing, in the order that numbers them.
#[derive(Clone, Copy)]
enum Dht {
    Ephemeral,
    Reply,
    Discovery,
}

impl Core {
    /// What stands before everything that is hashed for this purpose: hypercore-crypto's namespace,
    /// `B(B("blind-pairing"), number)`.
    const fn prefix(self) -> [u8; 32] {
        match self {
            Core::Signature => {
                hex!("c9adef49adebfa3664c8ecf969f04849764057da3a155566dcb0653126eb61c8")
            }
            Core::Token => {
                hex!("84586b80fa0b07d15d8cd2959c6b36176c08326e4dd397d686a14cf7be7b6a3d")
            }
            Core::InviteId => {
                hex!("a038e884a3e72ce9cb52f46c4b83d0dd28a53916ed82951c0048e014ea9a33bd")
            }
            Core::RequestId => {
                hex!("61457d6303168aaaef00e2af58352b0613b8f42efcdf685507d8c855cc6c3c05")
            }
            Core::Session => {
                hex!("6f5891d066b16436bf0fc05a6f8c32d5a168416d46d4934dae691fa19063fae4")
            }
            Core::SessionKey => {
                hex!("f75dc779cf0ffc26e044f94895bbd7e33a5f6e81c3bfd554cd2ec7f3f60a7860")
            }
            Core::Encrypt => {
                hex!("0d0780d1e06db9f2b19a0aad7aba3c8dc621fc380f8d63cc0bd0a27e863b00e2")
            }
            Core::Nonce => {
                hex!("beccb8aafc450748f742d995c38d50b227668fb0c5f6566f7bd99ef8d3ec1c42")
            }
        }
    }

    fn hash<const N: usize>(self, inputs: [&[u8]; N]) -> [u8; 32] {
        hash(self.prefix(), inputs)
    }
}

impl Dht {
    /// The same in the namespace "blind-pairing/dht".
    const fn prefix(self) -> [u8; 32] {
        match self {
            Dht::Ephemeral => {
                hex!("23c2acaf22624a2bbead469b811357d9b6d7dd73598ad8f8a73f28cd16792bf1")
            }
            Dht::Reply => {
                hex!("2bdd3231c0b48d6bca7eb554fcb021c7074ef1f09d66effdd3bf58e3f226df31")
            }
            Dht::Discovery => {
                hex!("7ed698ab94007ea64a4768b7333abc8cc73bef45ee4b0010a8a7ed693a8fca41")
            }
        }
    }

    fn hash<const N: usize>(self, inputs: [&[u8]; N]) -> [u8; 32] {
        hash(self.prefix(), inputs)
    }
}

fn hash<const N: usize>(prefix: [u8; 32], inputs: [&[u8]; N]) -> [u8; 32] {
    blake2b(core::iter::once(prefix.as_slice()).chain(inputs))
}

fn blake2b<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = Blake2b::<U32>::new();
    inputs.into_iter().for_each(|input| hasher.update(input));
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_namespaces() {
        let namespace = |name: &[u8], number: u8| blake2b([blake2b([name]).as_slice(), &[number]]);
        for purpose in [
            Core::Signature,
            Core::Token,
            Core::InviteId,
            Core::RequestId,
            Core::Session,
            Core::SessionKey,
            Core::Encrypt,
            Core::Nonce,
        ] {
            assert_eq!(purpose.prefix(), namespace(b"blind-pairing", purpose as u8));
        }
        for purpose in [Dht::Ephemeral, Dht::Reply, Dht::Discovery] {
            assert_eq!(purpose.prefix(), namespace(b"blind-pairing/dht", purpose as u8));
        }
    }
}
