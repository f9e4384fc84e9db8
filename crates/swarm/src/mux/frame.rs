//! Frames of protomux, as npm `protomux` 3 writes and reads them.
//!
//! ```text
//! message   channel kind payload…              channel: the sender's number, from 1
//! batch     0 0 channel (len kind payload… | 0 channel)…
//! open      0 1 channel protocol id handshake…   protocol, id: length-prefixed; no id: length 0
//! reject    0 2 channel                        the number of the one that opened
//! close     0 3 channel                        the sender's number
//! ```
//!
//! Inside a batch channel 0 stands for the control session, and its messages are the frames above
//! without the leading 0.

use bytes::Bytes;

use super::ProtocolError;
use super::codec::{Reader, put_bytes, put_uint};

/// Longest message, in bytes; what a frame of the encrypted stream holds is a little more.
pub const MAX_MESSAGE: usize = 8 * 1024 * 1024;
/// Longest name of a protocol that is accepted, in bytes.
pub(crate) const MAX_PROTOCOL: usize = 1024;
/// Longest id of a channel that is accepted, in bytes.
pub(crate) const MAX_ID: usize = 4096;
/// Longest handshake of a channel that is accepted, in bytes.
pub(crate) const MAX_HANDSHAKE: usize = 16 * 1024;

const BATCH: u64 = 0;
const OPEN: u64 = 1;
const REJECT: u64 = 2;
const CLOSE: u64 = 3;

/// One thing that a frame says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The remote opens its channel `remote`.
    Open { remote: u32, protocol: String, id: Bytes, handshake: Bytes },
    /// The remote does not want our channel `local`.
    Reject { local: u32 },
    /// The remote closes its channel `remote`.
    Close { remote: u32 },
    /// The remote says something on its channel `remote`.
    Message { remote: u32, kind: u64, payload: Bytes },
}

/// Reads a frame and gives what it says to `each`, in order. What is kept of an item keeps no more than
/// twice its length of the frame.
pub(crate) fn decode(
    frame: Bytes,
    mut each: impl FnMut(Item) -> Result<(), ProtocolError>,
) -> Result<(), ProtocolError> {
    if frame.is_empty() {
        return Ok(());
    }
    let shares = frame.len() / 2;
    let mut reader = Reader::new(frame);
    let channel = reader.channel()?;
    let kind = reader.uint()?;
    if (channel, kind) != (0, BATCH) {
        return item(channel, kind, reader)?.map_or(Ok(()), each);
    }
    let mut channel = reader.channel()?;
    while !reader.is_empty() {
        let part = reader.bytes(usize::MAX)?;
        if part.is_empty() {
            channel = reader.channel()?;
            continue;
        }
        let part = if part.len() < shares { Bytes::copy_from_slice(&part) } else { part };
        let mut part = Reader::new(part);
        let kind = part.uint()?;
        if (channel, kind) == (0, BATCH) {
            return Err(ProtocolError::Malformed("batch in a batch"));
        }
        if let Some(item) = item(channel, kind, part)? {
            each(item)?;
        }
    }
    Ok(())
}

/// Whether the frame is a batch of several messages: the answers to it leave as one, too.
pub(crate) fn is_plural(frame: &Bytes) -> bool {
    // What cannot be read is refused by `decode`.
    goes_on(Reader::new(frame.clone())).unwrap_or(false)
}

fn goes_on(mut reader: Reader) -> Result<bool, ProtocolError> {
    if (reader.channel()?, reader.uint()?) != (0, BATCH) {
        return Ok(false);
    }
    reader.channel()?;
    reader.bytes(usize::MAX)?;
    Ok(!reader.is_empty())
}

/// `None`: a control message of a kind that we do not know, which is ignored as JS does.
fn item(channel: u32, kind: u64, mut reader: Reader) -> Result<Option<Item>, ProtocolError> {
    if channel != 0 {
        return Ok(Some(Item::Message { remote: channel, kind, payload: reader.rest() }));
    }
    Ok(match kind {
        OPEN => {
            let remote = reader.channel()?;
            let protocol = reader.bytes(MAX_PROTOCOL)?;
            let protocol = std::str::from_utf8(&protocol)
                .map_err(|_| ProtocolError::Malformed("protocol name"))?
                .to_owned();
            let id = reader.bytes(MAX_ID)?;
            let handshake = reader.rest();
            if handshake.len() > MAX_HANDSHAKE {
                return Err(ProtocolError::Malformed("handshake"));
            }
            Some(Item::Open { remote, protocol, id, handshake })
        }
        REJECT => {
            let local = reader.channel()?;
            reader.end()?;
            Some(Item::Reject { local })
        }
        CLOSE => {
            let remote = reader.channel()?;
            reader.end()?;
            Some(Item::Close { remote })
        }
        _ => None,
    })
}

/// Whether a frame of ours opens, rejects or closes channels, rather than says something on one.
pub(crate) fn is_control(frame: &[u8]) -> bool {
    matches!(frame, [0, 0, 0, ..]) || matches!(frame, [0, kind, ..] if *kind != 0)
}

/// A control message without the channel that leads it.
pub(crate) fn open(local: u32, protocol: &str, id: &[u8], handshake: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(protocol.len() + id.len() + handshake.len() + 12);
    put_uint(&mut out, OPEN);
    put_uint(&mut out, u64::from(local));
    put_bytes(&mut out, protocol.as_bytes());
    put_bytes(&mut out, id);
    out.extend_from_slice(handshake);
    out
}

/// Our word that we do not want the remote's channel.
pub(crate) fn reject(remote: u32) -> Vec<u8> {
    numbered(REJECT, remote)
}

/// Our word that our channel is closed.
pub(crate) fn close(local: u32) -> Vec<u8> {
    numbered(CLOSE, local)
}

fn numbered(kind: u64, channel: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(6);
    put_uint(&mut out, kind);
    put_uint(&mut out, u64::from(channel));
    out
}

/// Messages collected while the machine is corked; they leave as one frame.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    channel: Option<u32>,
    parts: usize,
}

impl Batch {
    /// Adds a message: `head` and `payload` are one after the other on the wire.
    pub(crate) fn push(&mut self, channel: u32, head: &[u8], payload: &[u8]) {
        match self.channel {
            None => {
                self.bytes.extend_from_slice(&[0, 0]);
                put_uint(&mut self.bytes, u64::from(channel));
            }
            Some(last) if last != channel => {
                self.bytes.push(0);
                put_uint(&mut self.bytes, u64::from(channel));
            }
            Some(_) => {}
        }
        self.channel = Some(channel);
        put_uint(&mut self.bytes, (head.len() + payload.len()) as u64);
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(payload);
        self.parts += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The frame, if there is anything to say.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        (self.parts > 0).then_some(self.bytes)
    }
}
