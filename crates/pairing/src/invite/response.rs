//! The member's response to a request.

use alloc::vec::Vec;

use handfast_keys::{InvitePublic, InviteSecret, Signature};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::codec::{Decoder, Encoder, Malformed};
use super::derive::{self, DiscoveryKey, RequestId, SessionToken, StructureKey};
use super::seal;

/// The largest response that is read at all.
const MAX_RESPONSE: usize = 4 << 10;

const HAS_ENCRYPTION_KEY: u64 = 1;
const HAS_ADDITIONAL: u64 = 2;

/// What the member says to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The candidate is let in.
    Confirmed(Grant),
    /// It is not.
    Denied(Denial),
}

/// What a candidate gets that is let in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The structure's key.
    pub key: StructureKey,
    /// What its blocks are encrypted under, if they are.
    pub encryption_key: Option<handfast_keys::Secret<32>>,
    /// More, from whoever made the invite.
    pub additional: Option<Additional>,
}

/// Neither the key nor what is encrypted under it is for a log.
impl core::fmt::Debug for Grant {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Grant").finish_non_exhaustive()
    }
}

/// Data with a signature by the invite's own key: it proves that whoever wrote it had the invite,
/// and nothing else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Additional {
    data: ByteBuf,
    signature: Signature,
}

/// What an app adds is not for a log.
impl core::fmt::Debug for Additional {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Additional").finish_non_exhaustive()
    }
}

impl Additional {
    /// Signs data with an invite's key.
    pub fn sign(invite: &InviteSecret, data: &[u8]) -> Additional {
        Additional { data: ByteBuf::from(data), signature: invite.sign(data) }
    }

    /// The data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    fn verify(&self, invite: &InvitePublic) -> bool {
        invite.verify(&self.data, &self.signature).is_ok()
    }
}

/// Why a candidate is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Denial {
    /// The invite was revoked, or the member does not want this candidate.
    #[error("the invite was rejected")]
    Rejected,
    /// Somebody else was faster.
    #[error("the invite has been used")]
    Used,
    /// Too late.
    #[error("the invite has expired")]
    Expired,
}

impl Denial {
    /// Every status there is.
    pub const ALL: [Denial; 3] = [Denial::Rejected, Denial::Used, Denial::Expired];

    /// Its number on the wire.
    pub const fn status(self) -> u64 {
        match self {
            Denial::Rejected => 1,
            Denial::Used => 2,
            Denial::Expired => 3,
        }
    }
}

/// A response as it travels: readable by whoever has the invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The request that is answered.
    pub id: RequestId,
    sealed: ByteBuf,
}

/// Why a response is not one to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// It answers another request, or was tampered with.
    #[error("the response does not open")]
    NotOurs,
    /// Whoever answered does not have the key that the invite is about.
    #[error("the response does not match the invite's discovery key")]
    WrongKey,
    /// Whoever wrote the additional data did not have the invite.
    #[error("the response's additional data is not signed by the invite's key")]
    BadAdditional,
}

impl Response {
    /// Answers the request of a session.
    pub fn new(invite: &InvitePublic, session: &SessionToken, verdict: &Verdict) -> Response {
        let (key, nonce) = derive::response_seal(invite, session);
        let sealed = seal::seal(&key, &nonce, &verdict.encode());
        Response { id: RequestId::of(session), sealed: ByteBuf::from(sealed) }
    }

    /// The response's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let capacity = RequestId::LEN + 9 + self.sealed.len();
        Encoder::with_capacity(capacity).fixed(self.id.as_bytes()).buffer(&self.sealed).finish()
    }

    /// Reads a response's bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Response, Malformed> {
        if bytes.len() > MAX_RESPONSE {
            return Err(Malformed);
        }
        let mut decoder = Decoder::new(bytes);
        let id = RequestId::from_bytes(decoder.fixed()?);
        let sealed = ByteBuf::from(decoder.buffer()?);
        decoder.end()?;
        Ok(Response { id, sealed })
    }

    /// Opens the response to the request of a session. What it says is checked as the JavaScript
    /// library checks it: the key against the invite's discovery key, additional data against the
    /// invite's own key. Another holder of the invite could have said a denial, and with the
    /// structure's key a confirmation.
    pub fn open(
        &self,
        invite: &InvitePublic,
        session: &SessionToken,
        discovery_key: &DiscoveryKey,
    ) -> Result<Verdict, ResponseError> {
        let (key, nonce) = derive::response_seal(invite, session);
        let plaintext = seal::open(&key, &nonce, &self.sealed).ok_or(ResponseError::NotOurs)?;
        let verdict = Verdict::decode(&plaintext).map_err(|_| ResponseError::NotOurs)?;
        if let Verdict::Confirmed(grant) = &verdict {
            if grant.key.discovery_key() != *discovery_key {
                return Err(ResponseError::WrongKey);
            }
            if grant.additional.as_ref().is_some_and(|it| !it.verify(invite)) {
                return Err(ResponseError::BadAdditional);
            }
        }
        Ok(verdict)
    }
}

impl Verdict {
    fn encode(&self) -> Vec<u8> {
        let grant = match self {
            Verdict::Denied(denial) => return Encoder::default().uint(denial.status()).finish(),
            Verdict::Confirmed(grant) => grant,
        };
        let flags = [
            (grant.encryption_key.is_some(), HAS_ENCRYPTION_KEY),
            (grant.additional.is_some(), HAS_ADDITIONAL),
        ];
        let flags = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum();
        let mut bytes = Encoder::default().uint(0).uint(flags).fixed(grant.key.as_ref());
        if let Some(key) = &grant.encryption_key {
            bytes = bytes.fixed(key.expose());
        }
        if let Some(additional) = &grant.additional {
            bytes = bytes.buffer(&additional.data).fixed(additional.signature.as_ref());
        }
        bytes.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Verdict, Malformed> {
        let mut decoder = Decoder::new(bytes);
        let status = decoder.uint()?;
        if status != 0 {
            decoder.end()?;
            let denial = Denial::ALL.into_iter().find(|denial| denial.status() == status);
            return denial.map(Verdict::Denied).ok_or(Malformed);
        }
        let flags = decoder.uint()?;
        if flags & !(HAS_ENCRYPTION_KEY | HAS_ADDITIONAL) != 0 {
            return Err(Malformed);
        }
        let key = StructureKey::from_bytes(decoder.fixed()?);
        let encryption_key = match flags & HAS_ENCRYPTION_KEY != 0 {
            true => Some(handfast_keys::Secret::from_bytes(decoder.fixed()?)),
            false => None,
        };
        let additional = match flags & HAS_ADDITIONAL != 0 {
            true => Some(Additional {
                data: ByteBuf::from(decoder.buffer()?),
                signature: Signature::from_bytes(decoder.fixed()?),
            }),
            false => None,
        };
        decoder.end()?;
        Ok(Verdict::Confirmed(Grant { key, encryption_key, additional }))
    }
}
