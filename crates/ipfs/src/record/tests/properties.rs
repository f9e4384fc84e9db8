//! Properties of all records, and of all bytes.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn made_and_parsed(
        seed: [u8; 32],
        value in "/\\PC{0,200}",
        sequence in 0..=MAX_SEQUENCE,
        lifetime in 1u64..1 << 42,
        ttl_ns in 0..=i64::MAX as u64,
        extra in prop::collection::btree_map("_\\PC{0,20}", prop::collection::vec(any::<u8>(), 0..400), 0..6),
        v1_compatible: bool,
    ) {
        let key = IpnsSecret::from_seed(seed);
        let eol = Timestamp(NOW.0 + lifetime);
        let draft = Draft { value, sequence, eol, ttl_ns, extra, v1_compatible };
        let record = draft.clone().sign(&key).unwrap();
        let name = Name::of(key.public());
        prop_assert_eq!(&Record::parse(&name, record.as_bytes(), Some(NOW)).unwrap(), &record);
        prop_assert_eq!(record.name(), &name);
        prop_assert_eq!(record.value(), &draft.value);
        prop_assert_eq!(record.sequence(), sequence);
        prop_assert_eq!(record.validity().timestamp(), eol);
        prop_assert_eq!(record.ttl_ns(), ttl_ns);
        for (key, bytes) in &draft.extra {
            prop_assert_eq!(record.extra(key), Some(bytes.as_slice()));
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(parse(&bytes).is_err());
    }

    /// Any data at all, under a good signature.
    #[test]
    fn any_signed_data_is_answered(data in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(parse(&Pieces::signed(data).bytes()).is_err());
    }

    /// Valid data with one byte changed, under a good signature.
    #[test]
    fn almost_valid_data_is_answered(at in 0usize..110, byte: u8) {
        let mut data = raw_map(&[0xa5], &in_order());
        let at = at % data.len();
        data[at] = byte;
        let _ = parse(&Pieces::signed(data).bytes());
    }

    /// Whatever is changed on the way, what is read is what was signed.
    #[test]
    fn nobody_changes_what_a_record_says(at in 0usize..400, byte: u8, v1_compatible: bool) {
        let mut draft = draft();
        draft.v1_compatible = v1_compatible;
        let record = draft.sign(&key()).unwrap();
        let mut bytes = record.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = parse(&bytes) {
            prop_assert_eq!(read.value(), record.value());
            prop_assert_eq!(read.sequence(), record.sequence());
            prop_assert_eq!(read.validity(), record.validity());
            prop_assert_eq!(read.ttl(), record.ttl());
        }
    }
}
