//! Manifests: each error has its name.

use handfast_ipfs::Cid;
use handfast_keys::canonical::{self, DecodeError};
use handfast_keys::{Signature, WriterSecret};
use handfast_ring::DeviceManifest;
use handfast_ring::manifest::{FEED_VERSION, MAX_MANIFEST, ManifestError, path_to};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::household::{Device, devices};

fn manifest(device: &Device) -> DeviceManifest {
    let cids = |what: &str, count: u8| {
        (0..count).map(|i| Cid::of(&[what.as_bytes(), &[i]].concat())).collect()
    };
    DeviceManifest {
        version: FEED_VERSION,
        ipns: device.keys.ipns.public(),
        sequence: 7,
        exchange: device.keys.exchange.public(),
        directory: cids("directory", 1),
        ring: cids("ring", 2),
        database: Vec::new(),
        archive: cids("archive", 1),
        index: cids("index", 3),
    }
}

fn verify(bytes: &[u8], device: &Device) -> Result<DeviceManifest, ManifestError> {
    let (auth, ipns) = (device.keys.auth.public(), device.keys.ipns.public());
    DeviceManifest::verify(bytes, &auth, &ipns, 7)
}

#[test]
fn it_is_read_as_it_was_signed() {
    let [laptop] = devices();
    let manifest = manifest(&laptop);
    let bytes = manifest.sign(&laptop.keys.auth);
    assert!(bytes.len() <= MAX_MANIFEST);
    assert_eq!(verify(&bytes, &laptop), Ok(manifest.clone()));
    assert_eq!(manifest.blocks().count(), 7);
    let cid = Cid::of(&bytes);
    assert_eq!(path_to(&cid), format!("/ipfs/{cid}"));
}

#[test]
fn it_belongs_to_one_device_one_name_and_one_sequence() {
    let [laptop, phone] = devices();
    let bytes = manifest(&laptop).sign(&laptop.keys.auth);
    let (auth, ipns) = (laptop.keys.auth.public(), laptop.keys.ipns.public());
    assert_eq!(
        verify(&manifest(&laptop).sign(&phone.keys.auth), &laptop),
        Err(ManifestError::Signature)
    );
    assert_eq!(verify(&bytes, &phone), Err(ManifestError::Signature));
    let other = phone.keys.ipns.public();
    assert_eq!(DeviceManifest::verify(&bytes, &auth, &other, 7), Err(ManifestError::Name));
    for record in [0, 6, 8, u64::MAX] {
        assert_eq!(
            DeviceManifest::verify(&bytes, &auth, &ipns, record),
            Err(ManifestError::Sequence { manifest: 7, record })
        );
    }
}

#[test]
fn no_byte_can_be_changed() {
    let [laptop] = devices();
    let bytes = manifest(&laptop).sign(&laptop.keys.auth);
    for index in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[index] ^= 1;
        assert!(verify(&tampered, &laptop).is_err(), "byte {index}");
    }
    for end in (0..bytes.len()).step_by(9) {
        assert!(matches!(verify(&bytes[..end], &laptop), Err(ManifestError::Malformed(_))));
    }
    let large = vec![0; MAX_MANIFEST + 1];
    let error = DecodeError::TooLarge { len: MAX_MANIFEST + 1, max: MAX_MANIFEST };
    assert_eq!(verify(&large, &laptop), Err(ManifestError::Malformed(error)));
}

/// What a later version may publish: other fields, signed in another way.
#[derive(Serialize, Deserialize)]
struct Later {
    manifest: LaterManifest,
    signature: Signature,
    countersignature: Signature,
}

#[derive(Serialize, Deserialize)]
struct LaterManifest {
    version: u64,
    everything: Vec<Cid>,
}

#[test]
fn a_later_version_is_named() {
    let [laptop] = devices();
    let newer = DeviceManifest { version: FEED_VERSION + 1, ..manifest(&laptop) };
    let expected = Err(ManifestError::Version(FEED_VERSION + 1));
    assert_eq!(verify(&newer.sign(&laptop.keys.auth), &laptop), expected);

    let signature = WriterSecret::from_seed([1; 32]).sign(b"");
    let manifest = LaterManifest { version: 9, everything: vec![Cid::of(b"")] };
    let later = Later { manifest, signature, countersignature: signature };
    let later = canonical::encode(&later);
    assert_eq!(verify(&later, &laptop), Err(ManifestError::Version(9)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        let [laptop] = devices();
        prop_assert!(matches!(verify(&bytes, &laptop), Err(ManifestError::Malformed(_))));
    }
}
