//! How what is said is sealed: with HPKE in mode_auth between the two exchange keys, with
//! `info = H("message", kind, index, H(invite), envelope, the sender's side)`. A message that opens
//! was said by the other side, in this pairing, at this place of its line.

use alloc::string::String;
use alloc::vec::Vec;

use handfast_keys::{Digest, ExchangePublic, ExchangeSecret, Label, canonical};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::message::{MAX_MESSAGE, Message, Side};

/// Seals and opens the messages of one pairing: `[kind, sealed]`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Channel {
    pub invite: Digest,
    pub envelope: ByteBuf,
    pub side: Side,
    pub own: ExchangeSecret,
    pub peer: ExchangePublic,
}

impl Channel {
    /// Names the channel on a connection.
    pub fn id(&self) -> Digest {
        Label::INVITE_CHANNEL.hash([self.invite.as_ref(), &self.envelope])
    }

    /// Seals what this side says at this place of its line.
    pub fn seal<R: CryptoRng>(&self, index: usize, message: &Message, rng: &mut R) -> Vec<u8> {
        let kind = message.kind();
        let info = self.info(kind, index, self.side);
        let sealed = self.peer.seal_auth(&self.own, &info, &message.encode(), rng);
        canonical::encode(&(kind, ByteBuf::from(sealed)))
    }

    /// Opens what the other side said at this place of its line; `None` for what anybody else
    /// wrote, or what it said elsewhere.
    pub fn open(&self, index: usize, bytes: &[u8]) -> Option<Message> {
        let (kind, sealed): (String, ByteBuf) = canonical::decode(bytes, MAX_MESSAGE).ok()?;
        let info = self.info(&kind, index, self.side.other());
        let opened = Zeroizing::new(self.own.open_auth(&self.peer, &info, &sealed).ok()?);
        Message::decode(&kind, &opened)
    }

    fn info(&self, kind: &str, index: usize, side: Side) -> Digest {
        Label::INVITE_MESSAGE.hash([
            kind.as_bytes(),
            &(index as u64).to_be_bytes(),
            self.invite.as_ref(),
            &self.envelope,
            side.as_bytes(),
        ])
    }
}
