//! The compact encoding of protomux: unsigned integers and length-prefixed bytes (npm
//! `compact-encoding`). Reading bounds every length by what is there.

use bytes::Bytes;

use super::ProtocolError;

/// Appends an unsigned integer: one byte below 253, else a marker and 2, 4 or 8 bytes, little endian.
pub(crate) fn put_uint(out: &mut Vec<u8>, value: u64) {
    if let Ok(byte) = u8::try_from(value)
        && byte < 0xfd
    {
        out.push(byte);
    } else if let Ok(short) = u16::try_from(value) {
        out.push(0xfd);
        out.extend_from_slice(&short.to_le_bytes());
    } else if let Ok(word) = u32::try_from(value) {
        out.push(0xfe);
        out.extend_from_slice(&word.to_le_bytes());
    } else {
        out.push(0xff);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends bytes after their length; no bytes and none at all are the same on the wire.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// How many bytes [`put_uint`] appends for `value`.
pub(crate) fn uint_len(value: u64) -> usize {
    match value {
        0..0xfd => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Reads from the front of a frame; what it takes shares the frame's memory.
pub(crate) struct Reader {
    left: Bytes,
}

impl Reader {
    pub(crate) fn new(frame: Bytes) -> Self {
        Self { left: frame }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn uint(&mut self) -> Result<u64, ProtocolError> {
        let first = self.array::<1>()?[0];
        Ok(match first {
            0xfd => u64::from(u16::from_le_bytes(self.array()?)),
            0xfe => u64::from(u32::from_le_bytes(self.array()?)),
            0xff => u64::from_le_bytes(self.array()?),
            small => u64::from(small),
        })
    }

    /// A channel's number: 0 is the control session.
    pub(crate) fn channel(&mut self) -> Result<u32, ProtocolError> {
        u32::try_from(self.uint()?).map_err(|_| ProtocolError::Malformed("channel number"))
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Result<Bytes, ProtocolError> {
        let len = self.uint()?;
        match usize::try_from(len) {
            Ok(len) if len <= most => self.take(len),
            _ => Err(ProtocolError::Malformed("length")),
        }
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<Bytes, ProtocolError> {
        if len > self.left.len() {
            return Err(ProtocolError::Malformed("truncated"));
        }
        Ok(self.left.split_to(len))
    }

    pub(crate) fn rest(self) -> Bytes {
        self.left
    }

    pub(crate) fn end(self) -> Result<(), ProtocolError> {
        if self.left.is_empty() { Ok(()) } else { Err(ProtocolError::Malformed("trailing bytes")) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let taken = self.take(N)?;
        taken.as_ref().try_into().map_err(|_| ProtocolError::Malformed("truncated"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_long_as_they_need_and_read_back() {
        for (value, len) in [
            (0, 1),
            (252, 1),
            (253, 3),
            (0xffff, 3),
            (0x1_0000, 5),
            (0xffff_ffff, 5),
            (0x1_0000_0000, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Vec::new();
            put_uint(&mut out, value);
            assert_eq!((out.len(), uint_len(value)), (len, len), "{value}");
            let mut reader = Reader::new(out.into());
            assert_eq!(reader.uint().unwrap(), value);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_frame_or_the_limit_is_refused() {
        assert!(Reader::new(Bytes::from_static(&[5, 1, 2])).bytes(100).is_err());
        assert!(Reader::new(Bytes::from_static(&[2, 1, 2])).bytes(1).is_err());
        assert!(Reader::new(Bytes::from_static(&[0xff; 9])).bytes(usize::MAX).is_err());
        assert!(Reader::new(Bytes::from_static(&[0xfd, 1])).uint().is_err());
    }
}
