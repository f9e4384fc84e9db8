//! HPKE against another implementation, and against those who should not be able to open.

use handfast_keys::hpke::{OVERHEAD, OpenError, Psk};
use handfast_keys::{Digest, ExchangePublic, ExchangeSecret, Label, Secret};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Messages sealed by the npm package `@hpke/core` (made by `interop/hpke/generate.mjs`).
#[test]
fn opens_what_another_implementation_sealed() {
    // The interop script hands over messages that were sealed just now.
    let text = match std::env::var("HANDFAST_HPKE_GOLDEN") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => include_str!("golden/hpke.json").to_owned(),
    };
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bytes = |name: &str| -> Vec<u8> {
        let digits = golden[name].as_str().unwrap().as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    };
    let secret = |name: &str| Secret::<32>::from_bytes(bytes(name).try_into().unwrap());
    let recipient = ExchangeSecret::from_secret(&secret("recipient")).unwrap();
    let sender = ExchangeSecret::from_secret(&secret("sender")).unwrap();
    let info = Digest::from_bytes(bytes("info").try_into().unwrap());
    let psk = Psk::new(secret("psk"), Digest::from_bytes(bytes("psk_id").try_into().unwrap()));
    let plaintext = bytes("plaintext");

    assert_eq!(recipient.open(&info, &bytes("base")).unwrap(), plaintext);
    assert_eq!(recipient.open_psk(&psk, &info, &bytes("psk_mode")).unwrap(), plaintext);
    let auth = bytes("auth");
    assert_eq!(recipient.open_auth(&sender.public(), &info, &auth).unwrap(), plaintext);
}

#[test]
fn only_the_right_parties_open() {
    let mut rng = StdRng::seed_from_u64(1);
    let [alice, bob, eve] = [(); 3].map(|()| ExchangeSecret::generate(&mut rng));
    let (info, other) = (Label::REVEAL.hash([b"a"]), Label::REVEAL.hash([b"b"]));
    let psk = Psk::derive(&[1; 32], Label::PSK, info);
    let wrong_psk = Psk::derive(&[2; 32], Label::PSK, info);

    let sealed = bob.public().seal(&info, b"hello", &mut rng);
    assert_eq!(sealed.len(), b"hello".len() + OVERHEAD);
    assert_eq!(bob.open(&info, &sealed).unwrap(), b"hello");
    assert_eq!(bob.open(&other, &sealed), Err(OpenError));
    assert_eq!(eve.open(&info, &sealed), Err(OpenError));
    assert_eq!(bob.open(&info, &sealed[..70]), Err(OpenError));
    assert_eq!(bob.open(&info, b""), Err(OpenError));

    let sealed = bob.public().seal_psk(&psk, &info, b"hello", &mut rng);
    assert_eq!(bob.open_psk(&psk, &info, &sealed).unwrap(), b"hello");
    assert_eq!(bob.open_psk(&wrong_psk, &info, &sealed), Err(OpenError));
    assert_eq!(bob.open(&info, &sealed), Err(OpenError));

    let sealed = bob.public().seal_auth(&alice, &info, b"hello", &mut rng);
    assert_eq!(bob.open_auth(&alice.public(), &info, &sealed).unwrap(), b"hello");
    assert_eq!(bob.open_auth(&eve.public(), &info, &sealed), Err(OpenError));
    assert_eq!(bob.open(&info, &sealed), Err(OpenError));
}

#[test]
fn points_that_are_none_are_refused() {
    assert!(ExchangePublic::from_sec1(&[0]).is_err());
    assert!(ExchangePublic::from_sec1(&[7; 33]).is_err());
    // A point of the right form that is not on the curve: x = 5 for P-256 with y = 1.
    let mut off = [0; 65];
    (off[0], off[32], off[64]) = (4, 5, 1);
    assert!(ExchangePublic::from_sec1(&off).is_err());
}
