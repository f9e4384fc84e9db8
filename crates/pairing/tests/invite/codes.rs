//! Invite codes as people handle them.

use handfast_keys::InviteSecret;
use handfast_pairing::invite::{Invite, InviteError, StructureKey};
use proptest::prelude::*;

fn invite() -> Invite {
    let key = StructureKey::from_bytes([1; 32]);
    Invite::new(InviteSecret::from_seed([7; 32]), key.discovery_key())
}

#[test]
fn blanks_and_capitals_do_not_matter() {
    let text = invite().to_string();
    let (a, b) = text.split_at(40);
    assert_eq!(Invite::parse(&format!("\n {a}\r\n  {}\t", b.to_uppercase())), Ok(invite()));
}

#[test]
fn what_is_no_invite_says_so() {
    let text = invite().to_string();
    assert_eq!(Invite::parse(""), Err(InviteError::NotAnInvite));
    assert_eq!(Invite::parse("HANDFAST:ABCD"), Err(InviteError::NotAnInvite));
    assert_eq!(Invite::parse(&"y".repeat(100_000)), Err(InviteError::NotAnInvite));
    assert_eq!(Invite::parse(&text[..text.len() - 3]), Err(InviteError::Damaged));
    assert_eq!(Invite::parse(&format!("{text}yyyyyyyy")), Err(InviteError::Damaged));
    let mut bytes = invite().to_bytes().to_vec();
    bytes[0] = 2;
    assert_eq!(Invite::from_bytes(&bytes), Err(InviteError::UnsupportedVersion(2)));
    // A word that happens to be z-base-32 is no newer invite.
    assert_eq!(Invite::parse("nonsense"), Err(InviteError::NotAnInvite));
    bytes[0] = 1;
    bytes[1] |= 32;
    assert_eq!(Invite::from_bytes(&bytes), Err(InviteError::Damaged));
}

#[test]
fn an_invite_is_not_printed() {
    let text = format!("{:?}", invite());
    assert_eq!(text, format!("Invite {{ id: {:?}, .. }}", invite().id()));
}

proptest! {
    #[test]
    fn rubbish_is_refused_quietly(bytes: Vec<u8>, text: String) {
        let _ = Invite::from_bytes(&bytes);
        let _ = Invite::from_bytes(&[&[1, 31], bytes.as_slice()].concat());
        let _ = Invite::parse(&text);
        if let Ok(invite) = Invite::from_bytes(&bytes) {
            prop_assert_eq!(Invite::from_bytes(&invite.to_bytes()), Ok(invite));
        }
    }
}
