//! The part of compact-encoding 3.x that invites, requests and responses are written in.

use alloc::vec::Vec;

/// Bytes that are not what they should be: too short, too long, or with something after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a well-formed message of the blind-pairing protocol")]
pub struct Malformed;

/// Bytes with their length before them: how requests and responses go over a channel.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    Encoder::with_capacity(9 + bytes.len()).buffer(bytes).finish()
}

/// The bytes that were [`framed`].
pub fn unframed(bytes: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(bytes);
    let bytes = decoder.buffer().ok()?;
    decoder.end().ok().map(|()| bytes)
}

/// Writes values one after the other.
#[derive(Debug, Default)]
pub(super) struct Encoder(Vec<u8>);

impl Encoder {
    pub fn with_capacity(capacity: usize) -> Encoder {
        Encoder(Vec::with_capacity(capacity))
    }

    /// A number in one, three, five or nine bytes.
    pub fn uint(mut self, number: u64) -> Self {
        let bytes = number.to_le_bytes();
        let (prefix, len) = match number {
            0..=0xfc => (None, 1),
            0xfd..=0xffff => (Some(0xfd), 2),
            0x1_0000..=0xffff_ffff => (Some(0xfe), 4),
            _ => (Some(0xff), 8),
        };
        self.0.extend(prefix);
        self.0.extend(bytes.iter().take(len));
        self
    }

    /// Bytes as they are, of a length that the reader knows.
    pub fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length before them. None at all and zero of them are the same.
    pub fn buffer(self, bytes: &[u8]) -> Self {
        self.uint(bytes.len() as u64).fixed(bytes)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads values one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder(bytes)
    }

    pub fn uint(&mut self) -> Result<u64, Malformed> {
        let [first] = self.fixed()?;
        match first {
            0xfd => self.fixed().map(|bytes| u64::from(u16::from_le_bytes(bytes))),
            0xfe => self.fixed().map(|bytes| u64::from(u32::from_le_bytes(bytes))),
            0xff => self.fixed().map(u64::from_le_bytes),
            small => Ok(u64::from(small)),
        }
    }

    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub fn buffer(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.uint()?).map_err(|_| Malformed)?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Fails if anything has not been read.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for number in [0, 1, 0xfc, 0xfd, 0xffff, 0x1_0000, 0xffff_ffff, 1 << 32, u64::MAX] {
            let bytes = Encoder::default().uint(number).finish();
            let mut decoder = Decoder::new(&bytes);
            assert_eq!(decoder.uint(), Ok(number));
            assert_eq!(decoder.end(), Ok(()));
            for len in 0..bytes.len() {
                assert_eq!(Decoder::new(&bytes[..len]).uint(), Err(Malformed));
            }
        }
    }

    #[test]
    fn a_length_is_never_believed() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3];
        assert_eq!(Decoder::new(&bytes).buffer(), Err(Malformed));
    }
}
