//! What the types that hold secrets print: nothing of them.

use handfast_keys::{
    AuthSecret, CheckCode, ContentKey, Digest, ExchangeSecret, IpnsSecret, Secret, SwarmSecret,
    WriterSecret,
};

#[test]
fn debug_shows_no_secret() {
    let one = Secret::<32>::from_bytes([1; 32]);
    let printed = format!(
        "{one:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        AuthSecret::from_secret(&one).unwrap(),
        ExchangeSecret::from_secret(&one).unwrap(),
        IpnsSecret::from_seed([1; 32]),
        SwarmSecret::from_seed([1; 32]),
        WriterSecret::from_seed([1; 32]),
        ContentKey::from_bytes([1; 32]),
    );
    assert_eq!(
        printed,
        "Secret(…) AuthSecret(…) ExchangeSecret(…) IpnsSecret(Secret(…)) SwarmSecret(Secret(…)) \
         WriterSecret(Secret(…)) ContentKey(…)"
    );
    assert_eq!(format!("{:?}", CheckCode::new(Digest::from_bytes([1; 32]))), "CheckCode(…)");
    let public = IpnsSecret::from_seed([1; 32]).public();
    assert_eq!(format!("{public:?}"), "IpnsPublic(8a88e3dd…)");
}
