//! What connected devices say to each other, on the channel `handfast/feed/1`.
//!
//! | kind | says | contents, as DAG-CBOR |
//! |---|---|---|
//! | 0 | the newest record of a name that I know | [name, record] |
//! | 1 | which record do you know of this name? | [number, name] |
//! | 2 | this one, or none | [number, record or null] |
//! | 3 | do you have this block? | [number, CID] |
//! | 4 | here it is, or no | [number, bytes or null] |
//!
//! The answer to a question carries its number. A peer has at most [`MAX_QUESTIONS`] questions open.
//! Other kinds are for later versions and passed over. Nothing here is trusted: records are verified
//! for their names, blocks against their CIDs, by whoever asked.

use handfast_ipfs::{Cid, MAX_BLOCK, record};
use handfast_keys::IpnsPublic;
use handfast_keys::canonical::{self, DecodeError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

/// The name of the channel.
pub const PROTOCOL: &str = "handfast/feed/1";

/// The most questions that a peer may have open.
pub const MAX_QUESTIONS: usize = 64;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The newest record of a name that the sender knows.
    Push(IpnsPublic, Vec<u8>),
    /// Asks for the record of a name.
    AskRecord(u64, IpnsPublic),
    /// Answers that.
    Record(u64, Option<Vec<u8>>),
    /// Asks for a block.
    AskBlock(u64, Cid),
    /// Answers that.
    Block(u64, Option<Vec<u8>>),
}

impl Message {
    /// Its kind and its contents.
    pub fn encode(self) -> (u64, Vec<u8>) {
        fn numbered(number: u64, contents: impl Serialize) -> Vec<u8> {
            canonical::encode(&(number, contents))
        }
        match self {
            Message::Push(name, record) => (0, canonical::encode(&(name, ByteBuf::from(record)))),
            Message::AskRecord(number, name) => (1, numbered(number, name)),
            Message::Record(number, record) => (2, numbered(number, record.map(ByteBuf::from))),
            Message::AskBlock(number, cid) => (3, numbered(number, cid)),
            Message::Block(number, block) => (4, numbered(number, block.map(ByteBuf::from))),
        }
    }

    /// Reads a message; `None` if it is of a kind that this version does not know.
    pub fn decode(kind: u64, contents: &[u8]) -> Result<Option<Message>, DecodeError> {
        fn read<T: Serialize + DeserializeOwned>(
            contents: &[u8],
            max: usize,
        ) -> Result<T, DecodeError> {
            canonical::decode(contents, max + 64)
        }
        type Answer = (u64, Option<ByteBuf>);
        Ok(Some(match kind {
            0 => {
                let (name, record): (_, ByteBuf) = read(contents, record::MAX_RECORD)?;
                Message::Push(name, record.into_vec())
            }
            1 => {
                let (number, name) = read(contents, 0)?;
                Message::AskRecord(number, name)
            }
            2 => {
                let (number, record): Answer = read(contents, record::MAX_RECORD)?;
                Message::Record(number, record.map(ByteBuf::into_vec))
            }
            3 => {
                let (number, cid) = read(contents, 0)?;
                Message::AskBlock(number, cid)
            }
            4 => {
                let (number, block): Answer = read(contents, MAX_BLOCK)?;
                Message::Block(number, block.map(ByteBuf::into_vec))
            }
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use handfast_keys::IpnsSecret;
    use proptest::prelude::*;

    use super::*;

    fn name() -> IpnsPublic {
        IpnsSecret::from_seed([3; 32]).public()
    }

    #[test]
    fn messages_come_back() {
        for message in [
            Message::Push(name(), vec![1; record::MAX_RECORD]),
            Message::AskRecord(u64::MAX, name()),
            Message::Record(1, Some(vec![2; 300])),
            Message::Record(2, None),
            Message::AskBlock(3, Cid::of(b"block")),
            Message::Block(4, Some(vec![5; MAX_BLOCK])),
            Message::Block(u64::MAX, None),
        ] {
            let (kind, contents) = message.clone().encode();
            assert_eq!(Message::decode(kind, &contents), Ok(Some(message)));
        }
    }

    #[test]
    fn what_is_too_large_or_goes_on_is_refused_and_other_kinds_are_passed_over() {
        let (kind, contents) = Message::Block(1, Some(vec![0; MAX_BLOCK + 100])).encode();
        assert!(Message::decode(kind, &contents).is_err());
        let (kind, mut contents) = Message::AskRecord(1, name()).encode();
        contents.push(0);
        assert!(Message::decode(kind, &contents).is_err());
        assert_eq!(Message::decode(99, b"whatever"), Ok(None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(kind in 0u64..6, bytes in any::<Vec<u8>>()) {
            if let Ok(Some(message)) = Message::decode(kind, &bytes) {
                prop_assert_eq!(message.encode(), (kind, bytes));
            }
        }
    }
}
