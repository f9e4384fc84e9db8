//! What follows from an invite's key, as blind-pairing and hypercore-crypto derive it: BLAKE2b
//! over a namespace and the input.

use blake2::digest::consts::{U24, U32};
use blake2::digest::{Digest as _, KeyInit, Mac};
use blake2::{Blake2b, Blake2bMac};
use handfast_keys::{InvitePublic, MailboxSecret, fixed_bytes};
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
    fn prefix(self) -> [u8; 32] {
        namespace(b"blind-pairing", self as u8)
    }

    fn hash<const N: usize>(self, inputs: [&[u8]; N]) -> [u8; 32] {
        hash(self.prefix(), inputs)
    }
}

impl Dht {
    fn hash<const N: usize>(self, inputs: [&[u8]; N]) -> [u8; 32] {
        hash(namespace(b"blind-pairing/dht", self as u8), inputs)
    }
}

/// hypercore-crypto's namespace: the hash of a name's hash and a number.
fn namespace(name: &[u8], number: u8) -> [u8; 32] {
    blake2b([blake2b([name]).as_slice(), &[number]])
}

fn hash<const N: usize>(prefix: [u8; 32], inputs: [&[u8]; N]) -> [u8; 32] {
    blake2b(core::iter::once(prefix.as_slice()).chain(inputs))
}

fn blake2b<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = Blake2b::<U32>::new();
    inputs.into_iter().for_each(|input| hasher.update(input));
    hasher.finalize().into()
}
