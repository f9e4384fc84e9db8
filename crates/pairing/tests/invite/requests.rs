//! The cases of blind-pairing-core's own tests, and those that it leaves out.

use handfast_keys::{InviteSecret, Secret};
use handfast_pairing::invite::response::ResponseError;
use handfast_pairing::invite::{
    Additional, Denial, Grant, Map, Receipt, Request, Response, StructureKey, Verdict,
};
use proptest::prelude::*;

const KEY: StructureKey = StructureKey::from_bytes([1; 32]);

fn invite(number: u8) -> InviteSecret {
    InviteSecret::from_seed([number; 32])
}

fn confirmed() -> Verdict {
    let encryption_key = Some(Secret::from_bytes([2; 32]));
    Verdict::Confirmed(Grant { key: KEY, encryption_key, additional: None })
}

/// What the candidate makes of the member's verdict.
fn answered(invite: &InviteSecret, data: &[u8], verdict: &Verdict) -> Vec<u8> {
    let received = Request::from_bytes(&Request::new(invite, data).to_bytes()).unwrap();
    let receipt = received.open(&invite.public()).unwrap();
    assert_eq!(receipt.user_data(), data);
    Response::new(&invite.public(), &receipt.session, verdict).to_bytes()
}

fn opened(invite: &InviteSecret, data: &[u8], response: &[u8]) -> Result<Verdict, ResponseError> {
    let session = Request::new(invite, data).session;
    let response = Response::from_bytes(response).map_err(|_| ResponseError::NotOurs)?;
    response.open(&invite.public(), &session, &KEY.discovery_key())
}

#[test]
fn accept_and_deny() {
    let verdicts = Denial::ALL.map(Verdict::Denied);
    for verdict in verdicts.iter().chain([&confirmed()]) {
        let response = answered(&invite(1), b"hello world", verdict);
        assert_eq!(opened(&invite(1), b"hello world", &response).as_ref(), Ok(verdict));
    }
}

#[test]
fn a_receipt_proves_the_request() {
    let public = invite(1).public();
    let receipt = Request::new(&invite(1), b"hello world").open(&public).unwrap();
    let bytes = receipt.to_bytes();
    let read = Receipt::from_bytes(&bytes).unwrap();
    assert!(read.verify(&public));
    assert!(!read.verify(&invite(2).public()));
    for index in 0..bytes.len() {
        let mut tampered = bytes.clone();
        tampered[index] ^= 1;
        assert!(!Receipt::from_bytes(&tampered).is_ok_and(|receipt| receipt.verify(&public)));
    }
    assert!(!Receipt::from_bytes(&vec![0; bytes.len()]).is_ok_and(|it| it.verify(&public)));
}

#[test]
fn nothing_opens_under_another_invite() {
    let request = Request::new(&invite(1), b"hello world");
    assert!(request.open(&invite(2).public()).is_err());
    let response = answered(&invite(1), b"hello world", &confirmed());
    assert_eq!(opened(&invite(2), b"hello world", &response), Err(ResponseError::NotOurs));
}

#[test]
fn responses_are_each_for_one_request() {
    let first = answered(&invite(1), b"hello world", &confirmed());
    let second = answered(&invite(1), b"different", &confirmed());
    let third = answered(&invite(2), b"hello world", &confirmed());
    assert!(first != second && first != third && second != third);
    assert_eq!(opened(&invite(1), b"different", &first), Err(ResponseError::NotOurs));
    // The same request twice is the same attempt, and so is its answer.
    assert_eq!(answered(&invite(1), b"hello world", &confirmed()), first);
}

#[test]
fn whatever_bit_is_turned() {
    let public = invite(1).public();
    let request = Request::new(&invite(1), b"hello world").to_bytes();
    for index in 32..request.len() {
        let mut tampered = request.clone();
        tampered[index] ^= 1;
        let opened = Request::from_bytes(&tampered).map(|request| request.open(&public).is_ok());
        assert!(!opened.unwrap_or_default(), "byte {index}");
    }
    let response = answered(&invite(1), b"hello world", &confirmed());
    for index in 32..response.len() {
        let mut tampered = response.clone();
        tampered[index] ^= 1;
        assert!(opened(&invite(1), b"hello world", &tampered).is_err(), "byte {index}");
    }
}

#[test]
fn a_request_without_user_data_does_not_open() {
    assert!(Request::new(&invite(1), b"").open(&invite(1).public()).is_err());
}

#[test]
fn a_confirmation_needs_the_key_that_the_invite_is_about() {
    let grant =
        Grant { key: StructureKey::from_bytes([9; 32]), encryption_key: None, additional: None };
    let response = answered(&invite(1), b"hello world", &Verdict::Confirmed(grant));
    assert_eq!(opened(&invite(1), b"hello world", &response), Err(ResponseError::WrongKey));
}

#[test]
fn secrets_are_not_printed() {
    let [structure] = &crate::party::map(&["notes"]).structures[..] else { panic!("one") };
    assert_eq!(
        format!(
            "{:?} {:?} {:?} {:?} {structure:?} {:?}",
            confirmed(),
            Additional::sign(&invite(1), b"what the app adds"),
            crate::honest::raw(),
            crate::world::envelope(None),
            Map { structures: vec![structure.clone()], ..Map::default() },
        ),
        "Confirmed(Grant { .. }) Additional { .. } Raw { namespace: \"raw\", .. } \
         Envelope { verify: None } Structure { namespace: \"notes\", .. } \
         Map { structures: 1, .. }"
    );
}

proptest! {
    #[test]
    fn rubbish_is_refused_quietly(bytes: Vec<u8>) {
        let head = [&[0; 32][..], &[32], &[0; 32]].concat();
        for bytes in [bytes.clone(), [head, bytes].concat()] {
            let request = Request::from_bytes(&bytes).map(|it| it.open(&invite(1).public()));
            prop_assert!(!matches!(request, Ok(Ok(_))));
            prop_assert!(opened(&invite(1), b"x", &bytes).is_err());
            prop_assert!(!Receipt::from_bytes(&bytes).is_ok_and(|it| it.verify(&invite(1).public())));
        }
    }
}
