//! Broken envelopes, and ones that only look broken.

use super::*;

#[test]
fn what_is_not_signed_by_version_2_is_not_trusted_but_may_be_there() {
    let both = Pieces::both;
    let accepted = [
        ("broken signatureV1", both().with(|p| p.signature_v1 = b"invalid stuff".to_vec())),
        ("no signatureV1, but a value", both().with(|p| p.signature_v1.clear())),
        ("the key of the name", both().with(|p| p.public_key = name().key_protobuf())),
        ("an unknown field", both().with(|p| put_bytes(&mut p.tail, 100, b"of the future"))),
        ("an unknown fixed64", both().with(|p| p.tail = vec![0x51, 1, 2, 3, 4, 5, 6, 7, 8])),
        (
            "copies without value and signatureV1",
            Pieces::signed(canonical::encode(&fields())).with(|p| p.sequence = 1),
        ),
    ];
    for (what, bytes) in accepted {
        let record = parse(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(record.sequence(), 5, "{what}");
        assert_eq!(record.as_bytes(), bytes, "{what}");
    }
}

#[test]
fn broken_envelopes() {
    use ProtobufError::*;
    let both = Pieces::both;
    let other = Name::of(IpnsSecret::from_seed([8; 32]).public());
    let foreign = |p: &mut Pieces| {
        p.signature_v2 =
            IpnsSecret::from_seed([8; 32]).sign(&to_be_signed(&p.data)).as_ref().to_vec();
    };
    let mut cut = both().bytes();
    cut.pop();
    let cases: Vec<(&str, Vec<u8>, RecordError)> = vec![
        ("nothing", vec![], RecordError::NoSignature),
        (
            "too large, before anything else",
            vec![0xff; MAX_RECORD + 1],
            RecordError::TooLarge { len: MAX_RECORD + 1 },
        ),
        ("cut", cut, Truncated.into()),
        ("trailing zero", both().with(|p| p.tail = vec![0]), FieldNumber(0).into()),
        ("trailing byte", both().with(|p| p.tail = vec![0x50]), Truncated.into()),
        ("trailing text", both().with(|p| p.tail = b"\n".to_vec()), Truncated.into()),
        ("group", both().with(|p| p.tail = vec![0x53, 0x54]), WireType(3).into()),
        ("number as bytes", both().with(|p| p.tail = vec![0x2a, 0]), Duplicate(5).into()),
        ("bytes as a number", vec![0x08, 0], FieldType(1).into()),
        ("number as a byte string", vec![0x2a, 0], FieldType(5).into()),
        ("bytes as fixed32", vec![0x4d, 0, 0, 0, 0], FieldType(9).into()),
        ("two values", both().with(|p| put_bytes(&mut p.tail, 1, VALUE)), Duplicate(1).into()),
        (
            "number of 70 bits",
            both().with(|p| p.tail = [&[0x50], [0xff; 10].as_slice()].concat()),
            NumberTooLong.into(),
        ),
        ("no signatureV2", both().with(|p| p.signature_v2.clear()), RecordError::NoSignature),
        ("no data", both().with(|p| p.data.clear()), RecordError::NoData),
        (
            "another's key",
            both().with(|p| p.public_key = other.key_protobuf()),
            RecordError::WrongKey,
        ),
        ("half a key", both().with(|p| p.public_key = vec![8, 1]), RecordError::WrongKey),
        ("another's signature", both().with(foreign), RecordError::BadSignature),
        (
            "another's signature and key",
            both().with(|p| {
                foreign(p);
                p.public_key = other.key_protobuf();
            }),
            RecordError::WrongKey,
        ),
        (
            "broken signatureV2",
            both().with(|p| p.signature_v2 = b"invalid stuff".to_vec()),
            RecordError::BadSignature,
        ),
        (
            "signature of the bare data",
            both().with(|p| p.signature_v2 = key().sign(&p.data).as_bytes().to_vec()),
            RecordError::BadSignature,
        ),
        (
            "other data",
            both().with(|p| *p.data.last_mut().unwrap() ^= 1),
            RecordError::BadSignature,
        ),
        ("value", both().with(|p| p.value.push(b'/')), RecordError::Mismatch(Field::Value)),
        ("no value", both().with(|p| p.value.clear()), RecordError::Mismatch(Field::Value)),
        ("validity", both().with(|p| p.validity[0] = b'9'), RecordError::Mismatch(Field::Validity)),
        (
            "validity, only written in another way",
            both().with(|p| p.validity = b"2126-01-01T00:00:00Z".to_vec()),
            RecordError::Mismatch(Field::Validity),
        ),
        (
            "validity type",
            both().with(|p| p.validity_type = 1),
            RecordError::Mismatch(Field::ValidityType),
        ),
        ("sequence", both().with(|p| p.sequence += 1), RecordError::Mismatch(Field::Sequence)),
        ("no sequence", both().with(|p| p.sequence = 0), RecordError::Mismatch(Field::Sequence)),
        ("ttl", both().with(|p| p.ttl = u64::MAX), RecordError::Mismatch(Field::Ttl)),
    ];
    for (what, bytes, error) in cases {
        assert_eq!(parse(&bytes), Err(error), "{what}");
    }
    let wrong_name = Record::parse(&other, &both().bytes(), Some(NOW));
    assert_eq!(wrong_name, Err(RecordError::BadSignature));
}
