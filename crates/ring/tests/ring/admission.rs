//! Admissions: what is read is valid, or it is not read.

use handfast_keys::canonical;
use handfast_ring::Admission;
use proptest::prelude::*;

use crate::household::{device, devices, transcript};

const MAX: usize = 4_096;

#[test]
fn it_says_who_was_admitted_by_whom() {
    let [laptop, phone] = devices();
    let admission = laptop.admits(&phone);
    assert_eq!(admission.admitter(), laptop.id());
    assert_eq!(admission.device().device_id(), phone.id());
    assert_eq!(admission.signed_identity(), &phone.signed(1));
    assert_eq!(admission.transcript(), transcript(1));
    let read: Admission = canonical::decode(&canonical::encode(&admission), MAX).unwrap();
    assert_eq!(read, admission);
    assert_eq!(read.id(), admission.id());
    // Its name is the hash of what it says.
    assert_ne!(laptop.admits_again(&phone, 2).id(), admission.id());
    assert_ne!(phone.admits(&laptop).id(), admission.id());
}

#[test]
fn no_byte_can_be_changed() {
    let [laptop, phone] = devices();
    let bytes = canonical::encode(&laptop.admits(&phone));
    for index in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[index] ^= 1 << (index % 8);
        assert!(canonical::decode::<Admission>(&tampered, MAX).is_err(), "byte {index}");
    }
    for end in 0..bytes.len() {
        assert!(canonical::decode::<Admission>(&bytes[..end], MAX).is_err());
    }
    assert!(canonical::decode::<Admission>(&[bytes, vec![0]].concat(), MAX).is_err());
}

#[test]
fn it_cannot_be_signed_by_somebody_else_or_by_the_device_itself() {
    let [laptop, phone, stranger] = devices();
    let genuine = canonical::encode(&laptop.admits(&phone));
    // The stranger's signature under what the laptop says: both have the same length.
    let forged = canonical::encode(&stranger.admits(&phone));
    let own = laptop.keys.auth.public().compressed();
    let other = stranger.keys.auth.public().compressed();
    let at = forged.windows(33).position(|it| it == other).unwrap();
    let mut claimed = forged.clone();
    claimed[at..at + 33].copy_from_slice(&own);
    assert_eq!(claimed.len(), genuine.len());
    assert!(canonical::decode::<Admission>(&claimed, MAX).is_err());
    // A device that admits itself.
    let vain = canonical::encode(&phone.admits(&phone));
    assert!(canonical::decode::<Admission>(&vain, MAX).is_err());
}

/// Ids are short for people and long for programs.
#[test]
fn ids_are_hashes_of_auth_keys() {
    let id = device(1).id();
    let expected = handfast_keys::Digest::sha256(&device(1).keys.auth.public().uncompressed());
    assert_eq!(id.as_bytes(), expected.as_bytes());
    assert_eq!(id.to_string().len(), 64);
    assert_eq!(id.fmt_short().len(), 8);
    assert!(id.to_string().starts_with(&id.fmt_short()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        prop_assert!(canonical::decode::<Admission>(&bytes, MAX).is_err());
        prop_assert!(canonical::decode::<handfast_ring::SignedIdentity>(&bytes, MAX).is_err());
    }
}
