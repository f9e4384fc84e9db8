//! Verification, step by step as the spec numbers it; the first step that fails is the error.
//!
//! Source: <https://specs.ipfs.tech/ipns/ipns-record/>, "Record Verification".

use alloc::string::String;
use alloc::vec::Vec;

use handfast_keys::{Signature, Timestamp};

use super::data::{Data, Document, VALIDITY_TYPE_EOL, to_be_signed};
use super::entry::Entry;
use super::{Field, MAX_RECORD, Record, RecordError};
use crate::name::Name;
use crate::validity::Eol;

pub fn verify(name: &Name, bytes: &[u8], now: Option<Timestamp>) -> Result<Record, RecordError> {
    // 1. The size, before anything is parsed.
    if bytes.len() > MAX_RECORD {
        return Err(RecordError::TooLarge { len: bytes.len() });
    }
    let entry = Entry::decode(bytes)?;
    // 2. Signature and data are there.
    if entry.signature_v2.is_empty() {
        return Err(RecordError::NoSignature);
    }
    if entry.data.is_empty() {
        return Err(RecordError::NoData);
    }
    // 3. The public key: an Ed25519 key stands in its name, and a copy of it may stand here.
    if !entry.public_key.is_empty() && entry.public_key != name.key_protobuf() {
        return Err(RecordError::WrongKey);
    }
    // 4. The data is DAG-CBOR.
    let document = Document::decode(entry.data)?;
    // 5. and 6. The signature over the data as it came.
    let signature =
        <[u8; 64]>::try_from(entry.signature_v2).map_err(|_| RecordError::BadSignature)?;
    name.public()
        .verify(&to_be_signed(entry.data), &Signature::from_bytes(signature))
        .map_err(|_| RecordError::BadSignature)?;
    let data = document.into_data()?;
    // 7. What old readers would read is what is signed.
    if !entry.signature_v1.is_empty() || !entry.value.is_empty() {
        copies_agree(&entry, &data)?;
    }
    // 8. The validity.
    if data.validity_type != VALIDITY_TYPE_EOL {
        return Err(RecordError::UnknownValidityType(data.validity_type));
    }
    let validity = Eol::parse(&data.validity)?;
    if now.is_some_and(|now| validity.is_over(now)) {
        return Err(RecordError::Expired(validity));
    }
    Ok(Record {
        name: *name,
        value: String::from_utf8(data.value).map_err(|_| RecordError::NotAPath)?,
        sequence: data.sequence,
        validity,
        ttl_ns: data.ttl_ns,
        extra: data.extra,
        bytes: Vec::from(bytes),
    })
}

fn copies_agree(entry: &Entry<'_>, data: &Data) -> Result<(), RecordError> {
    for (field, agrees) in [
        (Field::Value, entry.value == data.value),
        (Field::Validity, entry.validity == data.validity),
        (Field::ValidityType, i128::from(entry.validity_type) == data.validity_type),
        (Field::Sequence, entry.sequence == data.sequence),
        (Field::Ttl, entry.ttl == data.ttl_ns),
    ] {
        if !agrees {
            return Err(RecordError::Mismatch(field));
        }
    }
    Ok(())
}
