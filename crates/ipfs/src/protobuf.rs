//! As much of the protobuf wire format as an IPNS record needs: varints and byte strings.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use alloc::vec::Vec;

/// Bytes that are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The bytes end in the middle of a field.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("a number has more than 64 bits")]
    NumberTooLong,
    /// A field number that cannot be, such as 0.
    #[error("there is no field {0}")]
    FieldNumber(u64),
    /// A wire type that is none, or a group.
    #[error("there is no wire type {0}")]
    WireType(u64),
    /// A known field in another wire type than its own.
    #[error("field {0} has the wrong wire type")]
    FieldType(u64),
    /// A known field that stands twice.
    #[error("field {0} stands twice")]
    Duplicate(u64),
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5, which no field that we know has.
    Fixed,
}

/// Reads the fields of a message, in the order in which they stand.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Starts at the beginning of a message.
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field and its number; `None` exactly at the end of the message.
    pub fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, ProtobufError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let (number, wire_type) = (tag >> 3, tag & 7);
        if number == 0 || number >= 1 << 29 {
            return Err(ProtobufError::FieldNumber(number));
        }
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = self.varint()?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            other => return Err(ProtobufError::WireType(other)),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], ProtobufError> {
        let len = usize::try_from(len).map_err(|_| ProtobufError::Truncated)?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(ProtobufError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(ProtobufError::Truncated)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && *byte > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(ProtobufError::NumberTooLong)
    }
}

/// Appends a field that is a number.
pub fn put_varint(message: &mut Vec<u8>, number: u64, value: u64) {
    put_number(message, number << 3);
    put_number(message, value);
}

/// Appends a field that is a byte string.
pub fn put_bytes(message: &mut Vec<u8>, number: u64, value: &[u8]) {
    put_number(message, number << 3 | 2);
    put_number(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn put_number(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, ProtobufError> {
        let mut fields = Fields::of(message);
        let mut found = Vec::new();
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    /// The examples of the encoding guide.
    #[test]
    fn examples_of_the_guide() {
        assert_eq!(all(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Varint(150))]));
        assert_eq!(
            all(&[0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]),
            Ok(vec![(2, Value::Bytes(b"testing"))])
        );
    }

    #[test]
    fn rubbish_has_a_name() {
        use ProtobufError::*;
        let max = [&[8], [0xff; 9].as_slice(), &[1]].concat();
        assert_eq!(all(&max), Ok(vec![(1, Value::Varint(u64::MAX))]));
        let beyond = [&[8], [0xff; 9].as_slice(), &[2]].concat();
        let endless = [&[8], [0x80; 11].as_slice()].concat();
        let fixed = [0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x0d, 1, 2, 3, 4];
        assert_eq!(all(&fixed), Ok(vec![(1, Value::Fixed), (1, Value::Fixed)]));
        for (bytes, error) in [
            (beyond.as_slice(), NumberTooLong),
            (&endless, NumberTooLong),
            (&[8], Truncated),
            (&[8, 0x80], Truncated),
            (&[0x12, 2, 0], Truncated),
            (&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Truncated),
            (&[0x0d, 1, 2, 3], Truncated),
            (&[0x00], FieldNumber(0)),
            (&[0x80, 0x80, 0x80, 0x80, 0x10, 0], FieldNumber(1 << 29)),
            (&[0x0b, 0x0c], WireType(3)),
            (&[0x0c], WireType(4)),
            (&[0x0e], WireType(6)),
            (&[0x0f], WireType(7)),
        ] {
            assert_eq!(all(bytes), Err(error), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn written_and_read(number in 1u64..1 << 29, value: u64, bytes: Vec<u8>) {
            let mut message = Vec::new();
            put_varint(&mut message, number, value);
            put_bytes(&mut message, number, &bytes);
            prop_assert_eq!(
                all(&message),
                Ok(vec![(number, Value::Varint(value)), (number, Value::Bytes(&bytes))])
            );
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = all(&bytes);
        }
    }
}
