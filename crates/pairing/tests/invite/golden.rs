//! The bytes of npm's blind-pairing-core (made by `interop/blind-pairing/generate.mjs`).

use std::net::SocketAddrV4;

use data_encoding::HEXLOWER;
use handfast_keys::{Digest, InviteSecret, Secret};
use handfast_pairing::invite::code::Suffix;
use handfast_pairing::invite::response::ResponseError;
use handfast_pairing::invite::{
    Additional, Denial, DiscoveryKey, Grant, Invite, Mailboxes, Profile, Receipt, Request,
    Response, StructureKey, Verdict,
};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/blind-pairing.json")).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn fixed(value: &Value) -> [u8; 32] {
    bytes(value).try_into().unwrap()
}

fn nodes(value: &Value) -> Option<Vec<SocketAddrV4>> {
    let nodes = value.as_array()?.iter();
    Some(nodes.map(|node| node.as_str().unwrap().parse().unwrap()).collect())
}

const SUFFIX: Suffix = Suffix {
    member: Digest::from_bytes([0xaa; 32]),
    commitment: Digest::from_bytes([0xbb; 32]),
    is_app: false,
};

#[test]
fn invites() {
    let golden = golden();
    for case in golden["invites"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let discovery_key = case["discovery_key"].as_str().map(|_| fixed(&case["discovery_key"]));
        let mut invite = Invite {
            key: InviteSecret::from_seed(fixed(&golden["seed"])),
            discovery_key: discovery_key.map(DiscoveryKey::from_bytes),
            expires: case["expires"].as_u64().unwrap().try_into().unwrap(),
            sensitive: case["sensitive"].as_bool().unwrap(),
            test: case["test"].as_bool().unwrap(),
            nodes: nodes(&case["given_nodes"]),
            suffix: None,
        };
        assert_eq!(*invite.to_bytes(), bytes(&case["hex"]), "{name}");
        assert_eq!(invite.to_string(), case["z32"].as_str().unwrap(), "{name}");
        assert_eq!(invite.id().as_bytes(), &fixed(&case["id"]), "{name}");
        assert_eq!(invite.key.public().as_bytes(), &fixed(&case["public_key"]), "{name}");
        assert_eq!(invite.profile(), Profile::Raw);

        invite.nodes = nodes(&case["nodes"]);
        assert_eq!(Invite::parse(case["z32"].as_str().unwrap()), Ok(invite.clone()), "{name}");
        assert_eq!(Invite::parse(case["hex"].as_str().unwrap()), Ok(invite.clone()), "{name}");
        for (is_app, of) in [(false, "with_suffix"), (true, "of_app")] {
            invite.suffix = Some(Suffix { is_app, ..SUFFIX });
            let text = case[of].as_str().unwrap();
            assert_eq!(invite.to_string(), text, "{name}");
            assert_eq!(Invite::parse(text), Ok(invite.clone()), "{name}");
            assert_eq!(invite.profile(), Profile::Envelope);
        }
    }
}

#[test]
fn derivations() {
    let golden = golden();
    let key = StructureKey::from_bytes(fixed(&golden["key"]));
    assert_eq!(key.discovery_key().as_bytes(), &fixed(&golden["discovery_key"]));
    let topic = key.discovery_key().mailbox_topic();
    assert_eq!(topic.as_bytes(), &fixed(&golden["mailbox_topic"]));
    assert_eq!(key.discovery_key().topic().as_bytes(), &fixed(&golden["discovery_key"]));
}

#[test]
fn requests_and_receipts() {
    let golden = golden();
    let invite = InviteSecret::from_seed(fixed(&golden["seed"]));
    for case in golden["requests"].as_array().unwrap() {
        let user_data = bytes(&case["user_data"]);
        let request = Request::new(&invite, &user_data);
        assert_eq!(request.to_bytes(), bytes(&case["request"]));
        assert_eq!(request.session.as_bytes(), &fixed(&case["session"]));
        assert_eq!(request.id().as_bytes(), &fixed(&case["id"]));
        assert_eq!(Request::from_bytes(&bytes(&case["request"])).unwrap(), request);

        let receipt = request.open(&invite.public()).unwrap();
        assert_eq!(receipt.user_data(), user_data);
        assert_eq!(receipt.to_bytes(), bytes(&case["receipt"]));
        assert_eq!(Receipt::from_bytes(&bytes(&case["receipt"])).unwrap(), receipt);

        let mailboxes = Mailboxes::of(&invite.public(), &user_data);
        assert_eq!(mailboxes.request.public().as_bytes(), &fixed(&case["request_mailbox"]));
        assert_eq!(mailboxes.response.public().as_bytes(), &fixed(&case["response_mailbox"]));
    }
}

#[test]
fn responses() {
    let golden = golden();
    let invite = InviteSecret::from_seed(fixed(&golden["seed"]));
    let key = StructureKey::from_bytes(fixed(&golden["key"]));
    let encryption_key = Some(Secret::from_bytes(fixed(&golden["encryption_key"])));
    let additional = Some(Additional::sign(&invite, &bytes(&golden["additional"])));
    let grant = |encryption_key: &Option<_>, additional: &Option<_>| {
        Verdict::Confirmed(Grant {
            key,
            encryption_key: encryption_key.clone(),
            additional: additional.clone(),
        })
    };
    let verdicts = [
        ("confirmed", grant(&None, &None)),
        ("with encryption key", grant(&encryption_key, &None)),
        ("with additional data", grant(&None, &additional)),
        ("with both", grant(&encryption_key, &additional)),
        ("rejected", Verdict::Denied(Denial::Rejected)),
        ("used", Verdict::Denied(Denial::Used)),
        ("expired", Verdict::Denied(Denial::Expired)),
    ];
    for case in golden["requests"].as_array().unwrap() {
        let session = Request::new(&invite, &bytes(&case["user_data"])).session;
        for (name, verdict) in &verdicts {
            let theirs = bytes(&case["responses"][name]);
            let response = Response::new(&invite.public(), &session, verdict);
            assert_eq!(response.to_bytes(), theirs, "{name}");
            let response = Response::from_bytes(&theirs).unwrap();
            assert_eq!(response.id.as_bytes(), &fixed(&case["id"]));
            let opened = response.open(&invite.public(), &session, &key.discovery_key());
            assert_eq!(opened.as_ref(), Ok(verdict), "{name}");
        }
        for (name, error) in [
            ("wrong key", ResponseError::WrongKey),
            ("additional data of somebody else", ResponseError::BadAdditional),
        ] {
            let response = Response::from_bytes(&bytes(&case["responses"][name])).unwrap();
            let opened = response.open(&invite.public(), &session, &key.discovery_key());
            assert_eq!(opened, Err(error), "{name}");
        }
    }
}
