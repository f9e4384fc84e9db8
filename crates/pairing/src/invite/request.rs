//! The candidate's request, and what the member finds in it.

use alloc::vec::Vec;

use handfast_keys::{InvitePublic, InviteSecret, MailboxSecret, Signature, Signer};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::codec::{Decoder, Encoder, Malformed};
use super::derive::{self, InviteId, RequestId, SessionToken, Token};
use super::seal;

/// The most that a DHT node keeps under one key.
pub const MAX_VALUE: usize = 1_000;

/// The largest user data that fits into a request on the DHT.
pub const MAX_USER_DATA: usize = MAX_VALUE - 32 - 33 - 3 - seal::OVERHEAD - 64 - 3;

/// The largest request that is read at all.
const MAX_REQUEST: usize = 4 << 10;

/// A request as it travels: readable by whoever has the invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The invite that is answered.
    pub invite: InviteId,
    /// The candidate's attempt.
    pub session: SessionToken,
    sealed: Vec<u8>,
}

/// What was in a request: proof that somebody who had the invite said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The candidate's attempt.
    pub session: SessionToken,
    signature: Signature,
    user_data: ByteBuf,
}

/// The keys under which a candidate and the member leave each other mail on the DHT. Whoever has the
/// invite and knows the user data has both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailboxes {
    /// For the request. The candidate announces this key, too.
    pub request: MailboxSecret,
    /// For the response.
    pub response: MailboxSecret,
}

impl Mailboxes {
    /// The mailboxes of the candidate who brings this.
    pub fn of(invite: &InvitePublic, user_data: &[u8]) -> Mailboxes {
        let token = Token::new(invite, user_data);
        Mailboxes { request: token.request_mailbox(), response: token.response_mailbox() }
    }
}

/// A request that does not open: another invite's, or tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request does not open under this invite")]
pub struct NotOurs;

impl Request {
    /// Makes the request of a candidate who brings this (at most [`MAX_USER_DATA`] bytes, at least
    /// one). The same data gives the same request.
    pub fn new(invite: &InviteSecret, user_data: &[u8]) -> Request {
        let signer = invite.signer();
        let session = Self::session_of(&signer.public(), user_data);
        Self::signed(&signer, user_data, session)
    }

    /// The session of the candidate who brings this.
    pub fn session_of(invite: &InvitePublic, user_data: &[u8]) -> SessionToken {
        Token::new(invite, user_data).session()
    }

    /// The same as [`new`](Self::new) in a session of somebody's choice (the package's
    /// `opts.session`).
    pub fn in_session(invite: &InviteSecret, user_data: &[u8], session: SessionToken) -> Request {
        Self::signed(&invite.signer(), user_data, session)
    }

    fn signed(invite: &Signer<InvitePublic>, user_data: &[u8], session: SessionToken) -> Request {
        let public = invite.public();
        let signature = invite.sign(&signed_bytes(&session, user_data));
        let plaintext = Encoder::with_capacity(64 + 9 + user_data.len())
            .fixed(signature.as_bytes())
            .buffer(user_data)
            .finish();
        let (key, nonce) = derive::request_seal(&public, &session);
        let sealed = seal::seal(&key, &nonce, &plaintext);
        Request { invite: InviteId::of(&public), session, sealed }
    }

    /// The id that the response carries.
    pub fn id(&self) -> RequestId {
        RequestId::of(&self.session)
    }

    /// The request's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Encoder::with_capacity(32 + 33 + 9 + self.sealed.len())
            .fixed(self.invite.as_bytes())
            .buffer(self.session.as_ref())
            .buffer(&self.sealed)
            .finish()
    }

    /// Reads a request's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Request, Malformed> {
        if bytes.len() > MAX_REQUEST {
            return Err(Malformed);
        }
        let mut decoder = Decoder::new(bytes);
        let invite = InviteId::from_bytes(decoder.fixed()?);
        let session = decoder.buffer()?.try_into().map_err(|_| Malformed)?;
        let sealed = decoder.buffer()?.to_vec();
        decoder.end()?;
        Ok(Request { invite, session: SessionToken::from_bytes(session), sealed })
    }

    /// Opens the request with the invite's public key.
    pub fn open(&self, invite: &InvitePublic) -> Result<Receipt, NotOurs> {
        let (key, nonce) = derive::request_seal(invite, &self.session);
        let plaintext = seal::open(&key, &nonce, &self.sealed).ok_or(NotOurs)?;
        let read = || {
            let mut decoder = Decoder::new(&plaintext);
            let signature = Signature::from_bytes(decoder.fixed()?);
            let user_data = ByteBuf::from(decoder.buffer()?);
            decoder.end().map(|()| Receipt { session: self.session, signature, user_data })
        };
        read().ok().filter(|receipt| receipt.verify(invite)).ok_or(NotOurs)
    }
}

impl Receipt {
    /// What the candidate brings.
    pub fn user_data(&self) -> &[u8] {
        &self.user_data
    }

    /// Tells whether a holder of the invite signed this.
    pub fn verify(&self, invite: &InvitePublic) -> bool {
        let signed = signed_bytes(&self.session, &self.user_data);
        !self.user_data.is_empty() && invite.verify(&signed, &self.signature).is_ok()
    }

    /// The receipt's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Encoder::default()
            .fixed(self.session.as_bytes())
            .fixed(self.signature.as_bytes())
            .buffer(&self.user_data)
            .finish()
    }

    /// Reads a receipt's bytes; [`verify`](Self::verify) tells whether it is one of an invite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Receipt, Malformed> {
        if bytes.len() > MAX_REQUEST {
            return Err(Malformed);
        }
        let mut decoder = Decoder::new(bytes);
        let session = SessionToken::from_bytes(decoder.fixed()?);
        let signature = Signature::from_bytes(decoder.fixed()?);
        let user_data = ByteBuf::from(decoder.buffer()?);
        decoder.end()?;
        Ok(Receipt { session, signature, user_data })
    }
}

fn signed_bytes(session: &SessionToken, user_data: &[u8]) -> Vec<u8> {
    Encoder::with_capacity(32 + 33 + 9 + user_data.len())
        .fixed(&derive::signature_prefix())
        .buffer(session.as_ref())
        .buffer(user_data)
        .finish()
}
