//! The encrypted stream of a connection: npm `@hyperswarm/secret-stream` after its handshake.
//!
//! ```text
//! both      56 (3 bytes, little endian) ‖ stream id (32) ‖ secretstream header (24)
//! then      length (3 bytes, little endian) ‖ ciphertext (1 tag ‖ message ‖ 16 mac)
//! ```
//!
//! An empty message says only that its sender is alive. The keys come from the Noise handshake that
//! went over the DHT. Sealing many frames into one buffer is what lets them leave as one write: a
//! write of the transport below takes a round trip, however short it is.

use blake2::Blake2bMac;
use blake2::digest::consts::U32;
use blake2::digest::{FixedOutput, KeyInit, Update};
use bytes::{Buf, Bytes, BytesMut};
use peeroxide_dht::crypto::namespace;
use peeroxide_dht::noise_wrap::NoiseWrapResult;
use peeroxide_dht::secretstream::{ABYTES, HEADERBYTES, KEYBYTES, Pull, Push};
use thiserror::Error;

const PREFIX: usize = 3;
const ID: usize = 32;
/// Longest message of a peer that is read; a batch of protomux holds several of its messages.
const MAX_FRAME: usize = 16 * 1024 * 1024 - 1;

/// What is wrong with what came out of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SecretError {
    /// The stream does not begin with the id that the handshake agreed on.
    #[error("the stream belongs to another handshake")]
    OtherStream,
    /// A frame was not sealed with the keys that the handshake agreed on, or was changed.
    #[error("a frame does not open")]
    Sealed,
}

/// What both sides know after the handshake.
pub(crate) struct Session {
    pub(crate) is_initiator: bool,
    pub(crate) handshake_hash: [u8; 64],
    pub(crate) remote_public_key: [u8; 32],
    tx: [u8; KEYBYTES],
    rx: [u8; KEYBYTES],
}

impl Session {
    pub(crate) fn new(noise: &NoiseWrapResult) -> Self {
        Self {
            is_initiator: noise.is_initiator,
            handshake_hash: noise.handshake_hash,
            remote_public_key: noise.remote_public_key,
            tx: noise.tx,
            rx: noise.rx,
        }
    }

    /// The two directions, each for its own task.
    pub(crate) fn split(&self) -> (Sealer, Opener) {
        let (push, header) = Push::new(&self.tx);
        let mut hello = BytesMut::new();
        prefix(&mut hello, ID + HEADERBYTES);
        hello.extend_from_slice(&stream_id(&self.handshake_hash, self.is_initiator));
        hello.extend_from_slice(&header);
        let opener = Opener {
            expected: stream_id(&self.handshake_hash, !self.is_initiator),
            key: self.rx,
            pull: None,
            buffer: BytesMut::new(),
        };
        (Sealer { push, out: hello }, opener)
    }
}

/// Seals messages one after the other into a buffer that is written in one go.
pub(crate) struct Sealer {
    push: Push,
    out: BytesMut,
}

impl Sealer {
    pub(crate) fn seal(&mut self, message: &[u8]) {
        let sealed = self.push.next(message);
        prefix(&mut self.out, sealed.len());
        self.out.extend_from_slice(&sealed);
    }

    /// What is to be written, at first the stream's header.
    pub(crate) fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }
}

/// Takes bytes as they arrive and gives messages.
pub(crate) struct Opener {
    expected: [u8; ID],
    key: [u8; KEYBYTES],
    pull: Option<Pull>,
    buffer: BytesMut,
}

impl Opener {
    /// Where arriving bytes are appended.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether the peer has proven to be who the handshake said.
    pub(crate) fn is_proven(&self) -> bool {
        self.pull.is_some()
    }

    /// The next message, if it has arrived as a whole.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, SecretError> {
        loop {
            let Some(sealed) = self.frame() else { return Ok(None) };
            let Some(pull) = &mut self.pull else {
                let header = sealed.strip_prefix(&self.expected).ok_or(SecretError::OtherStream)?;
                let header = header.try_into().map_err(|_| SecretError::OtherStream)?;
                self.pull = Some(Pull::new(&self.key, header));
                continue;
            };
            if sealed.len() < ABYTES {
                return Err(SecretError::Sealed);
            }
            let (message, _) = pull.next(&sealed).map_err(|_| SecretError::Sealed)?;
            if !message.is_empty() {
                return Ok(Some(message.into()));
            }
        }
    }

    fn frame(&mut self) -> Option<BytesMut> {
        let (head, _) = self.buffer.split_first_chunk::<PREFIX>()?;
        let [low, middle, high] = *head;
        let len = u32::from_le_bytes([low, middle, high, 0]) as usize;
        debug_assert!(len <= MAX_FRAME);
        if self.buffer.len() < PREFIX + len {
            return None;
        }
        self.buffer.advance(PREFIX);
        Some(self.buffer.split_to(len))
    }
}

fn prefix(out: &mut BytesMut, len: usize) {
    let [low, middle, high, _] = (len.min(MAX_FRAME) as u32).to_le_bytes();
    out.extend_from_slice(&[low, middle, high]);
}

/// The id of one direction: keyed BLAKE2b-256 of the direction's namespace under the handshake hash.
fn stream_id(handshake_hash: &[u8; 64], is_initiator: bool) -> [u8; ID] {
    let spaces = namespace("hyperswarm/secret-stream", &[0, 1, 2]);
    let space = spaces.get(usize::from(!is_initiator)).copied().unwrap_or_default();
    let mut out = [0; ID];
    // A key of 64 bytes is what BLAKE2b takes.
    if let Ok(mut mac) = <Blake2bMac<U32> as KeyInit>::new_from_slice(handshake_hash) {
        mac.update(&space);
        out = mac.finalize_fixed().into();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Session, Session) {
        let a = Session {
            is_initiator: true,
            handshake_hash: [7; 64],
            remote_public_key: [2; 32],
            tx: [1; 32],
            rx: [2; 32],
        };
        let b = Session {
            is_initiator: false,
            handshake_hash: [7; 64],
            remote_public_key: [1; 32],
            tx: [2; 32],
            rx: [1; 32],
        };
        (a, b)
    }

    #[test]
    fn what_is_sealed_opens_however_it_is_cut() {
        let (a, b) = pair();
        let (mut sealer, _) = a.split();
        let (_, mut opener) = b.split();
        let messages: Vec<Vec<u8>> =
            (0..40).map(|i| vec![i as u8; i * 37]).filter(|m| !m.is_empty()).collect();
        for message in &messages {
            sealer.seal(message);
            sealer.seal(b"");
        }
        let wire = sealer.take();
        let mut got = Vec::new();
        for piece in wire.chunks(13) {
            opener.buffer().extend_from_slice(piece);
            while let Some(message) = opener.next().unwrap() {
                got.push(message.to_vec());
            }
        }
        assert_eq!(got, messages);
        assert!(opener.is_proven());
    }

    #[test]
    fn another_stream_or_a_changed_byte_is_refused() {
        let (a, b) = pair();
        let (mut sealer, mut own) = a.split();
        sealer.seal(b"hello");
        let wire = sealer.take();
        own.buffer().extend_from_slice(&wire);
        assert_eq!(own.next(), Err(SecretError::OtherStream));
        for at in [3, 40, 62, wire.len() - 1] {
            let mut changed = wire.to_vec();
            changed[at] ^= 1;
            let (_, mut opener) = b.split();
            opener.buffer().extend_from_slice(&changed);
            assert!(opener.next().is_err(), "byte {at}");
        }
    }
}
