//! Broken data under a good signature, and unknown fields in it.

use super::*;
use crate::validity::EolError;

#[test]
fn broken_data() {
    use RecordError::*;
    let bytes = |text: &str| Ipld::Bytes(text.into());
    let long_ago = "2020-01-01T00:00:00Z";
    let now = "2026-01-01T00:00:00Z";
    let cases: Vec<(&str, Vec<u8>, RecordError)> = vec![
        ("no value", without_field(Field::Value), Missing(Field::Value)),
        ("no validity", without_field(Field::Validity), Missing(Field::Validity)),
        ("no validity type", without_field(Field::ValidityType), Missing(Field::ValidityType)),
        ("no sequence", without_field(Field::Sequence), Missing(Field::Sequence)),
        ("no ttl", without_field(Field::Ttl), Missing(Field::Ttl)),
        (
            "value as text",
            with_field("Value", Ipld::String("/ipfs/x".into())),
            WrongType(Field::Value),
        ),
        ("sequence as bytes", with_field("Sequence", bytes("5")), WrongType(Field::Sequence)),
        ("ttl as a float", with_field("TTL", Ipld::Float(1.5)), WrongType(Field::Ttl)),
        ("negative ttl", with_field("TTL", Ipld::Integer(-1)), OutOfRange(Field::Ttl)),
        ("ttl beyond i64", with_field("TTL", Ipld::Integer(1 << 63)), OutOfRange(Field::Ttl)),
        (
            "negative sequence",
            with_field("Sequence", Ipld::Integer(-1)),
            OutOfRange(Field::Sequence),
        ),
        ("validity type 1", with_field("ValidityType", Ipld::Integer(1)), UnknownValidityType(1)),
        (
            "validity type -1",
            with_field("ValidityType", Ipld::Integer(-1)),
            UnknownValidityType(-1),
        ),
        (
            "validity as text",
            with_field("Validity", Ipld::String(EOL.into())),
            WrongType(Field::Validity),
        ),
        ("no moment", with_field("Validity", bytes("tomorrow")), Eol(EolError::Malformed)),
        ("expired", with_field("Validity", bytes(long_ago)), expired(long_ago)),
        ("expires now", with_field("Validity", bytes(now)), expired(now)),
        ("value not text", with_field("Value", Ipld::Bytes(vec![0xff])), NotAPath),
    ];
    for (what, bytes, error) in cases {
        assert_eq!(parse(&bytes), Err(error), "{what}");
    }
    // Without a clock, old records are readable, and unreadable moments are still refused.
    let old = with_field("Validity", bytes(long_ago));
    let old = Record::parse(&name(), &old, None).unwrap();
    assert!(old.is_expired(NOW));
    let never = with_field("Validity", bytes("tomorrow"));
    assert_eq!(Record::parse(&name(), &never, None), Err(Eol(EolError::Malformed)));
}

fn expired(moment: &str) -> RecordError {
    RecordError::Expired(Eol::parse(moment.as_bytes()).unwrap())
}

#[test]
fn only_canonical_maps_are_data() {
    let mut unsorted = in_order();
    unsorted.swap(0, 1);
    let mut twice = in_order();
    twice.insert(1, twice[0].clone());
    let mut long_number = in_order();
    long_number[2].1 = vec![0x18, 5];
    let mut indefinite_bytes = in_order();
    indefinite_bytes[1].1 = vec![0x5f, 0x41, b'/', 0xff];
    let with_extra = |value: &[u8]| {
        let mut entries = in_order();
        entries.insert(0, ("_x", value.to_vec()));
        raw_map(&[0xa6], &entries)
    };
    let deep = [vec![0x81; 5000], vec![0]].concat();
    let cases = [
        ("keys out of order", raw_map(&[0xa5], &unsorted)),
        ("a key twice", raw_map(&[0xa6], &twice)),
        ("a number in two bytes", raw_map(&[0xa5], &long_number)),
        ("indefinite map", [raw_map(&[0xbf], &in_order()), vec![0xff]].concat()),
        ("indefinite bytes", raw_map(&[0xa5], &indefinite_bytes)),
        ("trailing byte", [raw_map(&[0xa5], &in_order()), vec![0]].concat()),
        ("fewer entries than said", raw_map(&[0xa6], &in_order())),
        ("an array", canonical::encode(&[1, 2])),
        ("a number key", vec![0xa1, 1, 1]),
        ("nested too deep", with_extra(&deep)),
        ("half float", with_extra(&[0xf9, 0x3c, 0])),
        ("not a number", with_extra(&[0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0])),
        ("undefined", with_extra(&[0xf7])),
        ("another tag than a link's", with_extra(&[0xc1, 0])),
        ("text that is not UTF-8", with_extra(&[0x61, 0xff])),
        ("an enormous length", with_extra(&[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("an enormous list", with_extra(&[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
    ];
    for (what, data) in cases {
        let record = Pieces::signed(data).bytes();
        assert_eq!(parse(&record), Err(RecordError::NotCanonical), "{what}");
    }
    let nested = [vec![0x81; 100], vec![0]].concat();
    parse(&Pieces::signed(with_extra(&nested)).bytes()).unwrap();
}

#[test]
fn extra_fields_of_any_kind_are_accepted_and_bytes_are_read() {
    for (what, value, read) in [
        ("bytes", Ipld::Bytes(vec![1, 2, 3]), Some([1, 2, 3].as_slice())),
        ("text", Ipld::String("text".into()), None),
        ("number", Ipld::Integer(-1), None),
        ("float", Ipld::Float(0.5), None),
        ("null", Ipld::Null, None),
        ("bool", Ipld::Bool(true), None),
        ("list", Ipld::List(vec![Ipld::Bytes(vec![1])]), None),
        ("map", Ipld::Map([("k".into(), Ipld::Null)].into()), None),
    ] {
        let record = parse(&with_field("_x", value.clone())).unwrap();
        assert_eq!(record.extra("_x"), read, "{what}");
        let unknown = parse(&with_field("Unknown", value)).unwrap();
        assert_eq!(unknown.extra("Unknown"), None, "{what}");
    }
}
