//! Invite codes as people handle them.

use handfast_keys::{Digest, InviteSecret};
use handfast_pairing::invite::code::Suffix;
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
fn an_app_s_invite_says_so() {
    let suffix = |is_app| {
        let (member, commitment) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        Some(Suffix { member, commitment, is_app })
    };
    for is_app in [false, true] {
        let invite = Invite { suffix: suffix(is_app), ..invite() };
        assert_eq!(Invite::parse(&invite.to_string()).as_ref(), Ok(&invite));
        assert_eq!(invite.is_app(), is_app);
    }
    let mut bytes = Invite { suffix: suffix(true), ..invite() }.to_bytes().to_vec();
    for marker in [0, 2, 255] {
        *bytes.last_mut().unwrap() = marker;
        assert_eq!(Invite::from_bytes(&bytes), Err(InviteError::Damaged));
    }
    *bytes.last_mut().unwrap() = 1;
    bytes.push(1);
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
