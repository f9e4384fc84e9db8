//! What can be wrong with a record.

use alloc::string::String;
use core::fmt;

use super::{MAX_RECORD, ProtobufError};
use crate::validity::{Eol, EolError};

/// The fields that every record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// What the name points at.
    Value,
    /// The end of life.
    Validity,
    /// What kind of validity it is: 0, an end of life.
    ValidityType,
    /// The version number.
    Sequence,
    /// How long caches may keep the record.
    Ttl,
}

impl Field {
    /// Its key in the signed data.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Value => "Value",
            Self::Validity => "Validity",
            Self::ValidityType => "ValidityType",
            Self::Sequence => "Sequence",
            Self::Ttl => "TTL",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Why bytes are no record of that name, or why a draft cannot become one.
///
/// Who is at fault: of a draft, the caller. Of parsed bytes, whoever delivered them, as long as it
/// is about what the signature does not cover: everything up to [`BadSignature`](Self::BadSignature),
/// and [`Mismatch`](Self::Mismatch). After that, the holder of the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// More bytes than a record may have.
    #[error("{len} bytes are more than the {MAX_RECORD} that a record may have")]
    TooLarge {
        /// How many bytes there are.
        len: usize,
    },
    /// Not a protobuf message.
    #[error("the record is no valid protobuf message")]
    Malformed(#[from] ProtobufError),
    /// Without a signature of version 2; records with only the old one are not valid any more.
    #[error("the record has no signature of version 2")]
    NoSignature,
    /// Without signed data.
    #[error("the record has no signed data")]
    NoData,
    /// The public key in the record is not the one of the name.
    #[error("the public key in the record is not the key of the name")]
    WrongKey,
    /// The signed data is not canonical DAG-CBOR, or no map.
    #[error("the signed data is not a map in canonical DAG-CBOR")]
    NotCanonical,
    /// The signature was not made over this data by the key of the name.
    #[error("the signature does not verify under the key of the name")]
    BadSignature,
    /// The signed data lacks a field.
    #[error("the signed data has no {0}")]
    Missing(Field),
    /// A field of the signed data has another type than its own.
    #[error("{0} has the wrong type in the signed data")]
    WrongType(Field),
    /// A number that is negative, or larger than other implementations can read.
    #[error("{0} is out of range")]
    OutOfRange(Field),
    /// The unsigned copy of a field says something else than the signed data.
    #[error("the copy of {0} outside the signed data differs from it")]
    Mismatch(Field),
    /// A kind of validity that nobody has defined.
    #[error("validity type {0} is unknown")]
    UnknownValidityType(i128),
    /// The end of life is no moment.
    #[error("the end of life cannot be used")]
    Eol(#[from] EolError),
    /// The record's end of life has come.
    #[error("the record expired at {0}")]
    Expired(Eol),
    /// The value is not text, or, in a draft, does not begin with `/`.
    #[error("the value is not a content path")]
    NotAPath,
    /// An extra field of a draft whose key does not begin with `_`.
    #[error("the key of an extra field must begin with _, which {0:?} does not")]
    ExtraKey(String),
}
