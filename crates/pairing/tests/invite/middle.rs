//! Somebody who has put an invite of his own in the place of the genuine one, and speaks as a member
//! does: what he reveals must be what he has committed himself to.

use handfast_keys::{
    CheckCode, Digest, ExchangePublic, ExchangeSecret, InviteSecret, Label, MailboxSecret,
    Timestamp, canonical,
};
use handfast_pairing::invite::code::Suffix;
use handfast_pairing::invite::line::frame;
use handfast_pairing::invite::message::{Answer, Envelope, Reveal, Side, check_code, suffix};
use handfast_pairing::invite::{
    Additional, Candidate, CandidateSetup, Effect, Failure, Grant, Input, Invite, InviteId,
    InviteOptions, Member, Question, Receipt, Request, Response, StructureKey, Verdict, Via,
};
use handfast_pairing::qr::Consent;
use handfast_ring::{DeviceKeys, Identity, SignedIdentity};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_bytes::ByteBuf;

use crate::party::name;
use crate::world::envelope;

const NOW: Timestamp = Timestamp(1);

/// What nobody has committed himself to.
const OTHER: Digest = Digest::from_bytes([9; 32]);

fn device(seed: u64) -> DeviceKeys {
    DeviceKeys::generate(&mut StdRng::seed_from_u64(seed))
}

struct Middle {
    invite: Invite,
    own: ExchangeSecret,
    line: MailboxSecret,
    nonce: Digest,
    rng: StdRng,
}

impl Middle {
    /// With the keys of this device behind him, if he has one.
    fn new(device: Option<&DeviceKeys>) -> Middle {
        let mut rng = StdRng::seed_from_u64(5);
        let own =
            device.map_or_else(|| ExchangeSecret::generate(&mut rng), |it| it.exchange.clone());
        let (key, nonce) = (InviteSecret::generate(&mut rng), Digest::from_bytes([5; 32]));
        let id = InviteId::of(&key.public());
        let invite = Invite {
            key,
            discovery_key: Some(throwaway().discovery_key()),
            expires: 0,
            sensitive: false,
            test: false,
            nodes: None,
            suffix: Some(suffix(&id, &own.public(), &nonce, device.is_none())),
        };
        let line = MailboxSecret::generate(&mut rng);
        Middle { invite, own, line, nonce, rng }
    }

    /// What he would reveal if he were honest.
    fn reveal(&self, device: Option<&DeviceKeys>) -> Reveal {
        let name = name(0);
        let identity = device.map(|keys| self.identity(keys, |_| ()));
        Reveal { nonce: self.nonce, name, verify: true, identity }
    }

    /// An identity of this device, after some change.
    fn identity(&self, keys: &DeviceKeys, change: impl Fn(&mut Identity)) -> SignedIdentity {
        let role = Side::Member.role();
        let mut identity = Identity::new(keys, name(0), role, self.invite.hash(), self.nonce);
        change(&mut identity);
        SignedIdentity::sign(identity, keys)
    }

    /// Confirms the request of a candidate, with this key.
    fn respond(&mut self, candidate: &mut Candidate, own: &ExchangeSecret) -> Envelope {
        let (hash, public) = (self.invite.hash(), self.invite.key.public());
        let receipt = asked(candidate, &self.invite);
        let envelope = Envelope::decode(receipt.user_data(), &hash).unwrap();
        let answer = Answer::new(&hash, &envelope, own, &self.line.public(), &mut self.rng);
        let additional = Some(Additional::sign(&self.invite.key, &answer.encode()));
        let grant = Grant { key: throwaway(), encryption_key: None, additional };
        let response = Response::new(&public, &receipt.session, &Verdict::Confirmed(grant));
        let input = Input::Response(Via::Live(1), response);
        candidate.handle(NOW, &mut self.rng, input).unwrap();
        envelope
    }

    /// Says this first.
    fn say(
        &mut self,
        candidate: &mut Candidate,
        to: &Envelope,
        reveal: &Reveal,
    ) -> Result<(), Failure> {
        let info = info(&self.invite, &to.encode());
        let bytes = canonical::encode(reveal);
        let sealed = to.exchange.seal_auth(&self.own, &info, &bytes, &mut self.rng);
        let message = canonical::encode(&("reveal", ByteBuf::from(sealed)));
        candidate.handle(NOW, &mut self.rng, Input::Frame(frame(0, &message)))
    }
}

fn throwaway() -> StructureKey {
    StructureKey::from_bytes([6; 32])
}

/// What seals the member's first message.
fn info(invite: &Invite, envelope: &[u8]) -> Digest {
    let (first, hash) = (0u64.to_be_bytes(), invite.hash());
    Label::INVITE_MESSAGE.hash([b"reveal", &first, hash.as_ref(), envelope, b"member"])
}

fn candidate(invite: &Invite, device: Option<DeviceKeys>) -> Candidate {
    let setup = CandidateSetup { name: name(1), device, consent: Consent::Compare, insist: true };
    Candidate::start(setup, invite.clone(), NOW, &mut StdRng::seed_from_u64(1)).unwrap()
}

fn asked(candidate: &mut Candidate, invite: &Invite) -> Receipt {
    let asking = std::iter::from_fn(|| candidate.poll()).find_map(|effect| match effect {
        Effect::Ask(asking) => Some(asking),
        _ => None,
    });
    Request::from_bytes(&asking.unwrap().request).unwrap().open(&invite.key.public()).unwrap()
}

/// The member's key, in what it answered to this envelope.
fn opened(
    response: &Response,
    invite: &Invite,
    envelope: &[u8],
    own: &ExchangeSecret,
) -> ExchangePublic {
    let (key, hash) = (invite.key.public(), invite.hash());
    let session = Request::session_of(&key, envelope);
    let verdict = response.open(&key, &session, &invite.discovery_key.unwrap());
    let Ok(Verdict::Confirmed(grant)) = verdict else { panic!("confirmed") };
    let (answer, suffix) = (grant.additional.unwrap(), invite.suffix.unwrap());
    Answer::open(answer.data(), &suffix, &hash, envelope, own).unwrap().0
}

/// The check code that a person is asked about.
fn shown(effects: impl IntoIterator<Item = Effect>) -> Option<CheckCode> {
    effects.into_iter().find_map(|effect| match effect {
        Effect::Question(Question::Compare(_, code)) => Some(code),
        _ => None,
    })
}

/// A change of what he has committed himself to reveal.
type Lie = fn(&Middle, &mut Reveal);

/// What comes of it: whether the person is asked.
fn ends(lie: Lie, devices: bool) -> Result<bool, Failure> {
    let (behind_him, behind) = (devices.then(|| device(0)), devices.then(|| device(1)));
    let mut middle = Middle::new(behind_him.as_ref());
    let mut candidate = candidate(&middle.invite, behind);
    let own = middle.own.clone();
    let to = middle.respond(&mut candidate, &own);
    let mut reveal = middle.reveal(behind_him.as_ref());
    lie(&middle, &mut reveal);
    middle.say(&mut candidate, &to, &reveal)?;
    Ok(shown(std::iter::from_fn(|| candidate.poll())).is_some())
}

#[test]
fn only_what_he_has_committed_himself_to_is_taken() {
    let other_nonce: Lie = |middle, reveal| {
        reveal.nonce = OTHER;
        // An identity fits to it: nothing but the commitment tells.
        reveal.identity =
            reveal.identity.take().map(|_| middle.identity(&device(0), |it| it.nonce = OTHER));
    };
    for devices in [true, false] {
        assert_eq!(ends(|_, _| (), devices), Ok(true));
        assert_eq!(ends(other_nonce, devices), Err(Failure::Refused));
    }
    let lies: [(&str, Lie); 7] = [
        ("the nonce alone", |_, reveal| reveal.nonce = OTHER),
        ("the name alone", |_, reveal| reveal.name = name(7)),
        ("no identity", |_, reveal| reveal.identity = None),
        ("another device's identity", |middle, reveal| {
            reveal.identity = Some(middle.identity(&device(7), |_| ()));
        }),
        ("an identity of another nonce", |middle, reveal| {
            reveal.identity = Some(middle.identity(&device(0), |it| it.nonce = OTHER));
        }),
        ("an identity for another invite", |middle, reveal| {
            reveal.identity = Some(middle.identity(&device(0), |it| it.session = OTHER));
        }),
        ("an identity on the other side", |middle, reveal| {
            let role = Side::Candidate.role();
            reveal.identity = Some(middle.identity(&device(0), |it| it.role = role));
        }),
    ];
    for (what, lie) in lies {
        assert_eq!(ends(lie, true), Err(Failure::Refused), "{what}");
    }
}

#[test]
fn only_the_key_that_he_has_committed_himself_to_is_taken() {
    let other = device(7).exchange;
    // He answers with another key than the invite names: nobody heeds that.
    let mut middle = Middle::new(None);
    let mut asking = candidate(&middle.invite, None);
    middle.respond(&mut asking, &other);
    assert!(asking.poll().is_none() && asking.conversation().is_none());
    // The invite names that one, and commits him to the first.
    let suffix = middle.invite.suffix.as_mut().unwrap();
    *suffix =
        Suffix { member: Label::INVITE_MEMBER.hash([&other.public().uncompressed()]), ..*suffix };
    let mut talking = candidate(&middle.invite, None);
    let to = middle.respond(&mut talking, &other);
    assert!(talking.conversation().is_some());
    middle.own = other;
    let reveal = middle.reveal(None);
    assert_eq!(middle.say(&mut talking, &to, &reveal), Err(Failure::Refused));
}

/// He stands between the two, and passes on all he can. The codes that the people see differ, and
/// he cannot look for a nonce that makes them alike.
#[test]
fn between_the_two_he_cannot_make_the_check_codes_agree() {
    let rng = &mut StdRng::seed_from_u64(3);
    let (terms, options) = (envelope(Some(Consent::Compare)), InviteOptions::default());
    let mut member = Member::start(terms, options, None, NOW, rng);
    member.handle(NOW, rng, Input::Ready(name(0))).unwrap();
    let genuine = member.invite().unwrap().clone();

    let mut middle = Middle::new(None);
    let own = middle.own.clone();
    let mut deceived = candidate(&middle.invite, None);
    let theirs = middle.respond(&mut deceived, &own);

    // To the member he is the candidate, by its name and nonce.
    let (key, line) = (own.public(), middle.line.public());
    let his = Envelope::new(key, theirs.nonce, line, theirs.name.clone(), None).encode();
    let request = Request::new(&genuine.key, &his);
    member.handle(NOW, rng, Input::Request(Via::Live(1), request)).unwrap();
    let effects: Vec<Effect> = std::iter::from_fn(|| member.poll()).collect();
    let exchange = effects.iter().find_map(|effect| match effect {
        Effect::Respond(_, response, _) => Some(opened(response, &genuine, &his, &own)),
        _ => None,
    });
    let at_member = shown(effects).unwrap();
    let said = member.conversation().unwrap().own.frames(0).next().unwrap();
    let (_, sealed): (String, ByteBuf) = canonical::decode(&said[1..], 1 << 20).unwrap();
    let revealed = own.open_auth(&exchange.unwrap(), &info(&genuine, &his), &sealed).unwrap();
    let genuine_reveal: Reveal = canonical::decode(&revealed, 1 << 20).unwrap();

    let (hash, to) = (middle.invite.hash(), theirs.encode());
    let mut reveals = |reveal: &Reveal| {
        let mut deceived = candidate(&middle.invite, None);
        let to = middle.respond(&mut deceived, &own);
        middle
            .say(&mut deceived, &to, reveal)
            .map(|()| shown(std::iter::from_fn(|| deceived.poll())).unwrap())
    };
    let honest = Reveal { nonce: Digest::from_bytes([5; 32]), ..genuine_reveal.clone() };
    assert!(reveals(&honest).is_ok_and(|code| code != at_member));
    assert_eq!(reveals(&genuine_reveal), Err(Failure::Refused));
    // All that it takes to deceive people who look at two digits only.
    let mut nonces = (0..u32::MAX).map(|number| Digest::sha256(&number.to_be_bytes()));
    let alike =
        |nonce: &Digest| check_code(&hash, &to, nonce).digits()[..2] == at_member.digits()[..2];
    let found = nonces.find(alike).unwrap();
    assert_eq!(reveals(&Reveal { nonce: found, ..genuine_reveal }), Err(Failure::Refused));
}
