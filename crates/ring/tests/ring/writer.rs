//! Certificates of writers.

use handfast_keys::{BadSignature, WriterSecret, canonical};
use handfast_ring::{Incarnation, WriterCertificate};
use proptest::prelude::*;

use crate::household::devices;

const INCARNATION: Incarnation = Incarnation::from_bytes([3; 16]);

#[test]
fn it_binds_a_writer_to_a_device() {
    let [laptop, phone] = devices();
    let writer = WriterSecret::from_seed([1; 32]);
    let certificate = WriterCertificate::sign(&laptop.keys, &writer, "notes", INCARNATION);
    assert_eq!(certificate.device(), laptop.id());
    assert_eq!(certificate.namespace(), "notes");
    assert_eq!(certificate.writer(), writer.public());
    assert_eq!(certificate.incarnation(), INCARNATION);
    let bytes = canonical::encode(&certificate);
    let read: WriterCertificate = canonical::decode(&bytes, 1_024).unwrap();
    assert_eq!(read, certificate);
    assert_eq!(read.verify(&laptop.keys.auth.public()), Ok(()));
    assert_eq!(read.verify(&phone.keys.auth.public()), Err(BadSignature));
}

#[test]
fn no_byte_can_be_changed() {
    let [laptop] = devices();
    let writer = WriterSecret::from_seed([1; 32]);
    let certificate = WriterCertificate::sign(&laptop.keys, &writer, "notes", INCARNATION);
    let bytes = canonical::encode(&certificate);
    for index in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[index] ^= 1;
        let verified = canonical::decode::<WriterCertificate>(&tampered, 1_024)
            .is_ok_and(|it| it.verify(&laptop.keys.auth.public()).is_ok());
        assert!(!verified, "byte {index}");
    }
}

/// Neither the device nor the writer alone makes one.
#[test]
fn both_have_to_sign() {
    let [laptop, phone] = devices();
    let (writer, other) = (WriterSecret::from_seed([1; 32]), WriterSecret::from_seed([2; 32]));
    let genuine = WriterCertificate::sign(&laptop.keys, &writer, "notes", INCARNATION);
    let bytes = canonical::encode(&genuine);
    let replaced = |what: &[u8], with: &[u8]| {
        let at = bytes.windows(what.len()).position(|it| it == what).unwrap();
        let forged = [&bytes[..at], with, &bytes[at + what.len()..]].concat();
        canonical::decode::<WriterCertificate>(&forged, 1_024).unwrap()
    };
    // A device claims somebody else's writer key; a writer claims somebody else's device.
    let claimed = replaced(writer.public().as_ref(), other.public().as_ref());
    assert_eq!(claimed.verify(&laptop.keys.auth.public()), Err(BadSignature));
    let claimed = replaced(laptop.id().as_ref(), phone.id().as_ref());
    assert_eq!(claimed.verify(&phone.keys.auth.public()), Err(BadSignature));
    assert_eq!(claimed.verify(&laptop.keys.auth.public()), Err(BadSignature));
    let claimed = replaced(b"notes", b"votes");
    assert_eq!(claimed.verify(&laptop.keys.auth.public()), Err(BadSignature));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        prop_assert!(canonical::decode::<WriterCertificate>(&bytes, 1_024).is_err());
    }
}
