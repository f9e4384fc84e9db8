//! The text of a code.

use handfast_keys::{AuthPublic, Digest, ExchangeSecret, IpnsSecret};
use handfast_pairing::qr::code::{CodeError, CodeOptions, MAX_ROUTER, MAX_ROUTERS, PREFIX};
use handfast_pairing::qr::literal::LiteralCode;
use handfast_pairing::qr::message::ProviderGrant;
use handfast_pairing::qr::{Code, ScannedCode};
use handfast_ring::DeviceKeys;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::party::{grant, scanned, scanned_literal};

/// What a QR code's alphanumeric mode can hold.
const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/// RFC 4648's base32.
const BASE32: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn code_with(seed: u64, options: CodeOptions) -> Code {
    let mut rng = StdRng::seed_from_u64(seed);
    let keys = DeviceKeys::generate(&mut rng);
    Code::new(
        keys.ipns.public(),
        keys.auth.public(),
        IpnsSecret::generate(&mut rng),
        IpnsSecret::generate(&mut rng).public(),
        ExchangeSecret::generate(&mut rng).public(),
        &Digest::from_bytes(rng.random()),
        options,
    )
}

fn code(seed: u64) -> Code {
    code_with(seed, CodeOptions { lifetime: 600, ..CodeOptions::default() })
}

fn literal(provider: Option<ProviderGrant>) -> LiteralCode {
    let mut rng = StdRng::seed_from_u64(1);
    LiteralCode::new(&DeviceKeys::generate(&mut rng), IpnsSecret::generate(&mut rng), provider)
}

/// The CBOR bytes of a code with its checksum, as the text has them.
fn bytes(text: &str) -> Vec<u8> {
    data_encoding::BASE32_NOPAD.decode(&text.as_bytes()[PREFIX.len()..]).unwrap()
}

fn text(encoded: &[u8]) -> String {
    let hash = handfast_keys::Label::CODE.hash([encoded]);
    let bytes = [encoded, &hash.as_bytes()[..4]].concat();
    format!("{PREFIX}{}", data_encoding::BASE32_NOPAD.encode(&bytes))
}

#[test]
fn a_code_survives_the_screen() {
    for seed in 0..20 {
        let code = code(seed);
        let shown = code.to_string();
        assert_eq!(scanned(&shown), code);
        assert_eq!(scanned(&shown).hash(), code.hash());
        assert!(shown.chars().all(|c| ALPHANUMERIC.contains(c)));
        // A QR code of version 12 with error correction M, 65 × 65, has room for 419.
        assert!(shown.len() <= 380, "{}", shown.len());
        assert!(bytes(&shown).len() <= 240);
    }
}

#[test]
fn with_everything_in_it() {
    let routers: Vec<String> =
        (0..6).map(|i| format!("https://{}{i}", "r".repeat(MAX_ROUTER - 9))).collect();
    let long = ProviderGrant::new("p".repeat(ProviderGrant::MAX)).unwrap();
    let options = CodeOptions {
        lifetime: u64::MAX,
        routers: Some(routers.clone()),
        provider: Some(long.clone()),
    };
    let code = code_with(1, options);
    let again = scanned(&code.to_string());
    assert_eq!(again, code);
    assert_eq!(again.routers.unwrap(), routers[..MAX_ROUTERS]);
    assert_eq!(again.provider, Some(long));
    assert_eq!(again.lifetime, u64::MAX);

    // An address that is too long stays out, and so the code stays readable.
    let options = CodeOptions {
        routers: Some(vec!["x".repeat(MAX_ROUTER + 1), "https://a".into()]),
        ..CodeOptions::default()
    };
    assert_eq!(scanned(&code_with(1, options).to_string()).routers.unwrap(), ["https://a"]);
    assert!(ProviderGrant::new("p".repeat(ProviderGrant::MAX + 1)).is_err());
}

#[test]
fn letter_case_blanks_and_line_breaks_do_not_matter() {
    let code = code(1);
    let shown = code.to_string();
    let wrapped: String = shown
        .chars()
        .enumerate()
        .flat_map(|(i, c)| [Some(c), (i % 40 == 7).then_some('\n'), (i % 9 == 3).then_some(' ')])
        .flatten()
        .collect();
    for text in [
        shown.to_lowercase(),
        format!("  \t{shown}\r\n"),
        wrapped.clone(),
        wrapped.to_lowercase().replace('\n', "\r\n"),
        shown.replace("HANDFAST:", "Handfast: "),
        shown.chars().flat_map(|c| [c, '\u{a0}']).collect(),
    ] {
        assert_eq!(Code::parse(&text), Ok(ScannedCode::Code(code.clone())), "{text}");
    }
}

#[test]
fn every_typo_is_noticed() {
    let shown = code(1).to_string();
    let body = PREFIX.len();
    for (index, right) in shown.char_indices().skip(body) {
        for wrong in BASE32.chars().chain("0189-%".chars()).filter(|wrong| *wrong != right) {
            let typo = format!("{}{wrong}{}", &shown[..index], &shown[index + 1..]);
            assert_eq!(Code::parse(&typo), Err(CodeError::Damaged), "{index} {wrong}");
        }
    }
    for index in 0..body {
        let typo = format!("{}X{}", &shown[..index], &shown[index + 1..]);
        assert_eq!(Code::parse(&typo), Err(CodeError::NotACode));
    }
}

#[test]
fn every_truncation_doubling_and_swap_is_noticed() {
    let shown = code(1).to_string();
    let body = PREFIX.len();
    for end in 0..shown.len() {
        let expected = if end < body { CodeError::NotACode } else { CodeError::Damaged };
        assert_eq!(Code::parse(&shown[..end]), Err(expected), "{end}");
    }
    for index in body..shown.len() {
        let (left, right) = shown.split_at(index);
        assert_eq!(Code::parse(&format!("{left}A{right}")), Err(CodeError::Damaged));
        let missing = format!("{left}{}", &right[1..]);
        assert_eq!(Code::parse(&missing), Err(CodeError::Damaged));
        let mut swapped: Vec<char> = shown.chars().collect();
        if index + 1 < shown.len() && swapped[index] != swapped[index + 1] {
            swapped.swap(index, index + 1);
            let swapped: String = swapped.into_iter().collect();
            assert_eq!(Code::parse(&swapped), Err(CodeError::Damaged));
        }
    }
    assert_eq!(Code::parse(&format!("{shown}{shown}")), Err(CodeError::Damaged));
    assert_eq!(Code::parse(&"A".repeat(1 << 20)), Err(CodeError::NotACode));
}

#[test]
fn other_things_are_no_codes() {
    for text in ["", " ", "HANDFAST", "https://example.org", "HANDFAST;AAAA", "💍"] {
        assert_eq!(Code::parse(text), Err(CodeError::NotACode), "{text}");
    }
    for text in ["HANDFAST:", "HANDFAST:A", "HANDFAST:AAAAAAA", "HANDFAST:💍", "HANDFAST:AA=="] {
        assert_eq!(Code::parse(text), Err(CodeError::Damaged), "{text}");
    }
}

#[test]
fn other_versions_are_named() {
    for (encoded, version) in [
        (vec![0x81, 0x03], 3),
        (vec![0x83, 0x01, 0x02, 0x03], 1),
        (vec![0x97, 0x17], 23),
        ([&[0x8b, 0x04], bytes(&code(1).to_string()).as_slice()].concat(), 4),
    ] {
        let expected = Err(CodeError::UnsupportedVersion(version));
        assert_eq!(Code::parse(&text(&encoded)), expected);
    }
}

/// The checksum is right, so it is not the reader's fault.
#[test]
fn complete_codes_that_are_not_valid() {
    let code = code(1);
    let good = bytes(&code.to_string());
    let good = &good[..good.len() - 4];
    assert_eq!(Code::parse(&text(good)), Ok(ScannedCode::Code(code.clone())));

    let mut cases: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0x80],
        vec![0x02],
        vec![0x81, 0x02],
        vec![0xa0],
        [good, &[0]].concat(),
        good[..good.len() - 1].to_vec(),
        // The version, in two bytes instead of one.
        [&[0x8a, 0x18, 0x02], &good[2..]].concat(),
    ];
    // Eleven fields, nine fields.
    cases.push([&[0x8b], &good[1..], &[0xf6]].concat());
    cases.push([&[0x89], &good[1..good.len() - 1]].concat());
    // Five routers, and one that is too long.
    let router = [&[0x61], b"r".as_slice()].concat();
    let long = [&[0x79, 0x01, 0x01], "r".repeat(257).as_bytes()].concat();
    for routers in
        [[&[0x85], router.repeat(5).as_slice()].concat(), [&[0x81], long.as_slice()].concat()]
    {
        cases.push([&good[..good.len() - 2], &routers, &[0xf6]].concat());
    }
    // Keys that are no points: an IPNS key of small order, P-256 points off the curve.
    let replaced = |what: &[u8], with: &[u8]| {
        let at = good.windows(what.len()).position(|it| it == what).unwrap();
        [&good[..at], with, &good[at + what.len()..]].concat()
    };
    cases.push(replaced(code.ipns.as_ref(), &[0; 32]));
    cases.push(replaced(code.reply.as_ref(), &[0; 32]));
    for point in [code.auth.compressed(), code.ephemeral.compressed()] {
        cases.push(replaced(&point, &[5; 33]));
        cases.push(replaced(&point, &[0; 33]));
    }
    // A name that is used for two things.
    cases.push(replaced(code.reply.as_ref(), code.ipns.as_ref()));
    cases.push(replaced(code.reply.as_ref(), code.temp.public().as_ref()));
    cases.push(replaced(code.ipns.as_ref(), code.temp.public().as_ref()));
    for (index, case) in cases.iter().enumerate() {
        assert_eq!(Code::parse(&text(case)), Err(CodeError::Invalid), "case {index}");
    }
}

#[test]
fn the_json_of_version_1() {
    for provider in [None, Some(grant())] {
        let code = literal(provider.clone());
        let shown = code.to_string();
        assert_eq!(scanned_literal(&shown), code);
        assert_eq!(scanned_literal(&format!(" \n{shown}\n")), code);
        // As a terminal wraps it.
        let wrapped: String = shown
            .chars()
            .enumerate()
            .flat_map(|(i, c)| [Some(c), (i % 80 == 79).then_some('\n')])
            .flatten()
            .collect();
        assert_eq!(scanned_literal(&wrapped).hash(), code.hash());

        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = vec!["authPublicKey", "ipnsPublicKey", "tempIpnsPrivateKey", "version"];
        if provider.is_some() {
            expected.insert(2, "providerConfig");
            assert_eq!(value["providerConfig"]["type"], "self-hosted");
        }
        assert_eq!(fields, expected);
    }
    // What is no JSON can't be put into one.
    let rubbish = ProviderGrant::new("{".into()).unwrap();
    let code = literal(Some(rubbish));
    assert_eq!(code.provider, None);
    assert_eq!(scanned_literal(&code.to_string()), code);
}

#[test]
fn json_that_is_no_code() {
    let good: serde_json::Value = serde_json::from_str(&literal(None).to_string()).unwrap();
    let with = |field: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed[field] = value;
        Code::parse(&changed.to_string())
    };
    let key = good["ipnsPublicKey"].as_str().unwrap();
    assert!(with("version", 1.into()).is_ok());
    // Padding, and a compressed point, say the same.
    assert!(with("ipnsPublicKey", format!("{key}=").into()).is_ok());
    let auth = good["authPublicKey"].as_str().unwrap();
    let auth = data_encoding::BASE64URL_NOPAD.decode(auth.as_bytes()).unwrap();
    let auth = AuthPublic::from_sec1(&auth).unwrap().compressed();
    assert!(with("authPublicKey", data_encoding::BASE64URL_NOPAD.encode(&auth).into()).is_ok());

    for version in [0, 2, 3, 1_000_000] {
        let expected = Err(CodeError::UnsupportedVersion(version));
        assert_eq!(with("version", version.into()), expected);
    }
    for version in ["1".into(), serde_json::Value::Null, (-1).into(), vec![1].into()] {
        assert_eq!(with("version", version), Err(CodeError::NotACode));
    }
    let zeros = data_encoding::BASE64URL_NOPAD.encode(&[0; 32]);
    for (field, value) in [
        ("ipnsPublicKey", "".into()),
        ("ipnsPublicKey", key[1..].into()),
        ("ipnsPublicKey", format!("{key}AA").into()),
        ("ipnsPublicKey", "!".repeat(43).into()),
        ("ipnsPublicKey", zeros.clone().into()),
        ("ipnsPublicKey", 1.into()),
        ("authPublicKey", key.into()),
        ("authPublicKey", serde_json::Value::Null),
        ("tempIpnsPrivateKey", zeros[1..].into()),
        ("tempIpnsPrivateKey", vec![0; 32].into()),
        ("providerConfig", "x".repeat(ProviderGrant::MAX).into()),
        ("unknown", 1.into()),
    ] {
        assert_eq!(with(field, value.clone()), Err(CodeError::Invalid), "{field}: {value}");
    }
    let mut without = good.clone();
    without.as_object_mut().unwrap().remove("tempIpnsPrivateKey");
    assert_eq!(Code::parse(&without.to_string()), Err(CodeError::Invalid));
    for text in ["{", "{}x", "{\"version\":1", &good.to_string()[..100]] {
        assert_eq!(Code::parse(text), Err(CodeError::Damaged), "{text}");
    }
    assert_eq!(Code::parse("{}"), Err(CodeError::NotACode));
    assert_eq!(Code::parse(&"{\"a\":".repeat(2_000)), Err(CodeError::Damaged));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text: String) {
        prop_assert!(Code::parse(&text).is_err());
    }

    #[test]
    fn any_text_after_the_prefix_is_answered(body in "[A-Z2-7]{0,600}") {
        let text = format!("{PREFIX}{body}");
        prop_assert!(Code::parse(&text).is_err());
    }

    #[test]
    fn any_bytes_with_a_checksum_are_answered(encoded: Vec<u8>) {
        prop_assert!(Code::parse(&text(&encoded)).is_err());
    }

    /// A code with some bytes changed, and the checksum made right again: if it is taken for a
    /// code, it says the same again.
    #[test]
    fn changed_codes(at in 0..213usize, to: u8, cut in proptest::option::of(0..213usize)) {
        let good = bytes(&code(1).to_string());
        let mut changed = good[..good.len() - 4].to_vec();
        changed[at] = to;
        changed.truncate(cut.unwrap_or(usize::MAX));
        let changed = text(&changed);
        if let Ok(ScannedCode::Code(code)) = Code::parse(&changed) {
            prop_assert_eq!(code.to_string(), changed);
        }
    }

    #[test]
    fn any_json_is_answered(json in r#"\{("[a-zA-Z]{1,20}":("[\PC]{0,20}"|[0-9]{1,30}|null|\[\]),?){0,6}\}?"#) {
        prop_assert!(Code::parse(&json).is_err());
    }
}
