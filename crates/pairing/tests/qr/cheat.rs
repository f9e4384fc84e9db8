//! An initiator that cheats: its code, its Reveals and its lines.

use handfast_ipfs::{Name, Record};
use handfast_keys::{Digest, ExchangeSecret, IpnsSecret, Timestamp, canonical};
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::message::{
    Channel, Closed, Message, Response, Reveal, SealedResponse, transcript,
};
use handfast_pairing::qr::{Code, Consent, Effect, Failure, Input, Joiner};
use handfast_ring::{DeviceKeys, DeviceName, Identity, Role, SignedIdentity};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_bytes::ByteBuf;

use crate::network::{BEGINNING, carried, carrying, messages};
use crate::party::setup;

const NOW: Timestamp = Timestamp(BEGINNING);

/// Shows a code of his own making and knows everything about it.
pub struct Cheat {
    pub keys: DeviceKeys,
    pub nonce: Digest,
    pub reply: IpnsSecret,
    pub ephemeral: ExchangeSecret,
    pub code: Code,
    pub rng: StdRng,
}

impl Cheat {
    pub fn new(seed: u64) -> Cheat {
        let mut rng = StdRng::seed_from_u64(seed);
        let keys = DeviceKeys::generate(&mut rng);
        let ephemeral = ExchangeSecret::generate(&mut rng);
        let reply = IpnsSecret::generate(&mut rng);
        let nonce = Digest::from_bytes(rng.random());
        let code = Code::new(
            keys.ipns.public(),
            keys.auth.public(),
            IpnsSecret::generate(&mut rng),
            reply.public(),
            ephemeral.public(),
            &nonce,
            CodeOptions { lifetime: 600, ..CodeOptions::default() },
        );
        Cheat { keys, nonce, reply, ephemeral, code, rng }
    }

    fn temp_name(&self) -> Name {
        Name::of(self.code.temp.public())
    }

    /// The response of whoever has scanned the code.
    pub fn open(&self, answer: &Record) -> (SealedResponse, Response) {
        let sealed = SealedResponse::from_bytes(carried(answer));
        let response = sealed.open(&self.code, &self.ephemeral).unwrap();
        (sealed, response)
    }

    /// Who he says he is.
    pub fn identity(&self, nonce: Digest) -> SignedIdentity {
        let name = DeviceName::new("laptop").unwrap();
        let session = self.code.hash();
        let identity = Identity::new(&self.keys, name, Role::Initiator, session, nonce);
        SignedIdentity::sign(identity, &self.keys)
    }

    pub fn reveal(&self, locked: Digest, identity: SignedIdentity) -> Reveal {
        Reveal { locked, identity, has_provider: true, records: 3 }
    }

    pub fn line(&self, messages: &[Message]) -> Record {
        carrying(&self.reply, &canonical::encode(messages), messages.len() as u64)
    }
}

/// The joiner has scanned the cheat's code: its machine and what it has published.
pub fn scans(cheat: &Cheat, consent: Consent, rng: &mut StdRng) -> (Joiner, Record) {
    let mut phone = setup(2, "phone");
    phone.consent = consent;
    let mut joiner = Joiner::start(phone, cheat.code.clone(), NOW, rng).unwrap();
    let answer = published(&mut || joiner.poll(), &cheat.temp_name()).unwrap();
    (joiner, answer)
}

/// The last record that a machine wants to have published under a name.
pub fn published(poll: &mut dyn FnMut() -> Option<Effect>, name: &Name) -> Option<Record> {
    std::iter::from_fn(poll)
        .filter_map(|effect| match effect {
            Effect::Publish(record) if record.name() == name => Some(record),
            _ => None,
        })
        .last()
}

pub fn says(record: Record) -> Input {
    Input::Answer { router: 0, routers: 1, name: *record.name(), record: Some(record) }
}

/// What the joiner makes of a line.
fn hears(
    cheat: &mut Cheat,
    consent: Consent,
    lines: impl FnOnce(&mut Cheat, &SealedResponse, &Response) -> Vec<Vec<Message>>,
) -> Result<(), Failure> {
    let mut rng = StdRng::seed_from_u64(8);
    let (mut joiner, answer) = scans(cheat, consent, &mut rng);
    let (sealed, response) = cheat.open(&answer);
    for line in lines(cheat, &sealed, &response) {
        joiner.handle(NOW, &mut rng, says(cheat.line(&line)))?;
    }
    Ok(())
}

pub fn sealed(reveal: &Reveal, cheat: &mut Cheat, response: &Response) -> Message {
    let (session, to) = (cheat.code.hash(), response.identity.identity().exchange);
    Message::Reveal(ByteBuf::from(reveal.seal(&session, &to, &mut cheat.rng)))
}

/// A Reveal as it should be.
pub fn honest(
    cheat: &mut Cheat,
    locked: &SealedResponse,
    response: &Response,
) -> (Reveal, Message) {
    let reveal = cheat.reveal(locked.hash(), cheat.identity(cheat.nonce));
    let message = sealed(&reveal, cheat, response);
    (reveal, message)
}

#[test]
fn reveals_that_are_none() {
    type Forge = fn(&mut Cheat, &SealedResponse, &Response) -> Reveal;
    let cases: [(Forge, Result<(), Failure>); 8] = [
        (|cheat, s, _| cheat.reveal(s.hash(), cheat.identity(cheat.nonce)), Ok(())),
        // Another nonce than the code commits to.
        (
            |cheat, s, _| cheat.reveal(s.hash(), cheat.identity(Digest::from_bytes([1; 32]))),
            Err(Failure::Mismatch),
        ),
        // For another response.
        (
            |cheat, _, _| cheat.reveal(Digest::from_bytes([1; 32]), cheat.identity(cheat.nonce)),
            Err(Failure::CodeTaken),
        ),
        // By a device with other keys than the code's.
        (
            |cheat, s, _| {
                let mut identity = cheat.identity(cheat.nonce).identity().clone();
                let other = DeviceKeys::generate(&mut cheat.rng);
                identity = Identity::new(
                    &other,
                    identity.name,
                    identity.role,
                    identity.session,
                    identity.nonce,
                );
                cheat.reveal(s.hash(), SignedIdentity::sign(identity, &other))
            },
            Err(Failure::Mismatch),
        ),
        // In the wrong role.
        (
            |cheat, s, _| {
                let mut identity = cheat.identity(cheat.nonce).identity().clone();
                identity.role = Role::Joiner;
                let signed = SignedIdentity::sign(identity, &cheat.keys);
                cheat.reveal(s.hash(), signed)
            },
            Err(Failure::Mismatch),
        ),
        // Signed for another pairing.
        (
            |cheat, s, _| {
                let mut identity = cheat.identity(cheat.nonce).identity().clone();
                identity.session = Digest::from_bytes([1; 32]);
                let signed = SignedIdentity::sign(identity, &cheat.keys);
                cheat.reveal(s.hash(), signed)
            },
            Err(Failure::Mismatch),
        ),
        // With the joiner's own exchange key in it.
        (
            |cheat, s, response| {
                let mut identity = cheat.identity(cheat.nonce).identity().clone();
                identity.exchange = response.identity.identity().exchange;
                let signed = SignedIdentity::sign(identity, &cheat.keys);
                cheat.reveal(s.hash(), signed)
            },
            Err(Failure::Mismatch),
        ),
        // The joiner's own identity, reflected.
        (
            |cheat, s, response| cheat.reveal(s.hash(), response.identity.clone()),
            Err(Failure::Mismatch),
        ),
    ];
    for (index, (forge, expected)) in cases.into_iter().enumerate() {
        let heard = hears(&mut Cheat::new(1), Consent::Typed, |cheat, s, response| {
            let reveal = forge(cheat, s, response);
            vec![vec![sealed(&reveal, cheat, response)]]
        });
        assert_eq!(heard, expected, "case {index}");
    }
    // Sealed for another response, for somebody else, or rubbish: it does not open.
    for case in 0..3 {
        let heard = hears(&mut Cheat::new(1), Consent::Typed, |cheat, s, response| {
            let mut locked = s.hash();
            let mut response = response.clone();
            match case {
                0 => locked = Digest::from_bytes([1; 32]),
                1 => response = crate::intruder::response(cheat.identity(cheat.nonce)),
                _ => return vec![vec![Message::Reveal(ByteBuf::from(b"rubbish"))]],
            }
            let reveal = cheat.reveal(locked, cheat.identity(cheat.nonce));
            vec![vec![sealed(&reveal, cheat, &response)]]
        });
        assert_eq!(heard, Err(Failure::CodeTaken), "case {case}");
    }
}

#[test]
fn lines_that_contradict_themselves() {
    type Lines = fn(&mut Cheat, &SealedResponse, &Response) -> Vec<Vec<Message>>;
    let closed = || Message::Closed(Closed::Declined);
    fn confirmed(
        cheat: &mut Cheat,
        reveal: &Reveal,
        response: &Response,
        role: Role,
    ) -> (Message, Message) {
        let channel = Channel {
            transcript: &transcript(&cheat.code.hash(), response, reveal),
            own: &cheat.keys.exchange,
            peer: &response.identity.identity().exchange,
            role,
        };
        let grant = crate::party::grant();
        (channel.confirm(Some(&grant), &mut cheat.rng), channel.publish(b"", &mut cheat.rng))
    }
    let good: Lines = |cheat, s, response| {
        let (reveal, first) = honest(cheat, s, response);
        let (confirm, publish) = confirmed(cheat, &reveal, response, Role::Initiator);
        vec![
            vec![first.clone()],
            vec![first.clone(), confirm.clone()],
            // An older record, which a router has kept, is no news.
            vec![first.clone()],
            vec![first.clone(), confirm.clone(), publish.clone()],
            vec![first, confirm, publish],
        ]
    };
    assert_eq!(hears(&mut Cheat::new(1), Consent::Typed, good), Ok(()));
    let all_at_once: Lines = |cheat, s, response| {
        let (reveal, first) = honest(cheat, s, response);
        let (confirm, publish) = confirmed(cheat, &reveal, response, Role::Initiator);
        vec![vec![first, confirm, publish]]
    };
    assert_eq!(hears(&mut Cheat::new(1), Consent::Typed, all_at_once), Ok(()));

    let contradictions: [Lines; 10] = [
        // Something else than a Reveal at the beginning.
        |cheat, s, response| {
            let (reveal, _) = honest(cheat, s, response);
            vec![vec![confirmed(cheat, &reveal, response, Role::Initiator).0]]
        },
        // Two Reveals, in one line or in two.
        |cheat, s, response| {
            let (_, first) = honest(cheat, s, response);
            vec![vec![first.clone(), first]]
        },
        |cheat, s, response| {
            let first = honest(cheat, s, response).1;
            let second = honest(cheat, s, response).1;
            vec![vec![first], vec![second]]
        },
        // A confirmation sealed in the joiner's role: its own, reflected.
        |cheat, s, response| {
            let (reveal, first) = honest(cheat, s, response);
            let (confirm, _) = confirmed(cheat, &reveal, response, Role::Joiner);
            vec![vec![first, confirm]]
        },
        // One for another transcript.
        |cheat, s, response| {
            let (mut reveal, first) = honest(cheat, s, response);
            reveal.records += 1;
            let (confirm, _) = confirmed(cheat, &reveal, response, Role::Initiator);
            vec![vec![first, confirm]]
        },
        // Published as if it were Confirmed.
        |cheat, s, response| {
            let (reveal, first) = honest(cheat, s, response);
            let (_, publish) = confirmed(cheat, &reveal, response, Role::Initiator);
            let Message::Published(bytes) = publish else { panic!() };
            vec![vec![first, Message::Confirmed(bytes)]]
        },
        // Published without having confirmed.
        |cheat, s, response| {
            let (reveal, first) = honest(cheat, s, response);
            let (_, publish) = confirmed(cheat, &reveal, response, Role::Initiator);
            vec![vec![first, publish]]
        },
        // Confirmed twice, and taken back after it.
        |cheat, s, response| {
            let (reveal, first) = honest(cheat, s, response);
            let (confirm, _) = confirmed(cheat, &reveal, response, Role::Initiator);
            vec![vec![first, confirm.clone(), confirm]]
        },
        |cheat, s, response| {
            let (reveal, first) = honest(cheat, s, response);
            let (confirm, _) = confirmed(cheat, &reveal, response, Role::Initiator);
            vec![vec![first, confirm, Message::Closed(Closed::Declined)]]
        },
        // The end taken back.
        |cheat, s, response| {
            let (reveal, first) = honest(cheat, s, response);
            let (confirm, publish) = confirmed(cheat, &reveal, response, Role::Initiator);
            vec![vec![first.clone(), confirm], vec![first, publish]]
        },
    ];
    for (index, lines) in contradictions.into_iter().enumerate() {
        let heard = hears(&mut Cheat::new(1), Consent::Typed, lines);
        assert_eq!(heard, Err(Failure::Equivocation), "case {index}");
    }
    // An honest end, before the Reveal and after it.
    for reveals in [false, true] {
        let heard = hears(&mut Cheat::new(1), Consent::Typed, |cheat, s, response| {
            let first = honest(cheat, s, response).1;
            vec![if reveals { vec![first, closed()] } else { vec![closed()] }]
        });
        assert_eq!(heard, Err(Failure::Declined));
    }
    // A record whose sequence is not the number of its messages, or that carries something else.
    for (bytes, sequence) in [
        (canonical::encode(&[closed()]), 2),
        (canonical::encode(&("declined",)), 1),
        (canonical::encode(&[("withdrawn", ByteBuf::new())]), 1),
        (canonical::encode(&[("closed", ByteBuf::from(b"because"))]), 1),
        (b"rubbish".to_vec(), 1),
    ] {
        let cheat = Cheat::new(1);
        let mut rng = StdRng::seed_from_u64(8);
        let (mut joiner, _) = scans(&cheat, Consent::Typed, &mut rng);
        let record = carrying(&cheat.reply, &bytes, sequence);
        let heard = joiner.handle(NOW, &mut rng, says(record));
        assert_eq!(heard, Err(Failure::Equivocation));
    }
}

/// An initiator that says that it has a provider, and then hands nothing over.
#[test]
fn a_promised_provider_that_does_not_come() {
    let mut cheat = Cheat::new(1);
    let mut rng = StdRng::seed_from_u64(8);
    let mut phone = setup(2, "phone");
    (phone.provider, phone.consent) = (None, Consent::Compare);
    let mut joiner = Joiner::start(phone, cheat.code.clone(), NOW, &mut rng).unwrap();
    let answer = published(&mut || joiner.poll(), &cheat.temp_name()).unwrap();
    let (s, response) = cheat.open(&answer);
    let (reveal, first) = honest(&mut cheat, &s, &response);
    joiner.handle(NOW, &mut rng, says(cheat.line(std::slice::from_ref(&first)))).unwrap();
    joiner.handle(NOW, &mut rng, Input::Agreed).unwrap();
    let channel = Channel {
        transcript: &transcript(&cheat.code.hash(), &response, &reveal),
        own: &cheat.keys.exchange,
        peer: &response.identity.identity().exchange,
        role: Role::Initiator,
    };
    let confirm = channel.confirm(None, &mut cheat.rng);
    let line = says(cheat.line(&[first, confirm]));
    assert_eq!(joiner.handle(NOW, &mut rng, line), Err(Failure::NoProvider));
}

/// Who reads the whole of a pairing that has failed in one go asks nobody and confirms nothing.
#[test]
fn a_line_that_has_ended_already() {
    for consent in [Consent::Typed, Consent::Compare, Consent::Unseen] {
        let mut cheat = Cheat::new(1);
        let mut rng = StdRng::seed_from_u64(8);
        let (mut joiner, answer) = scans(&cheat, consent, &mut rng);
        let (locked, response) = cheat.open(&answer);
        let first = honest(&mut cheat, &locked, &response).1;
        let line = cheat.line(&[first, Message::Closed(Closed::Declined)]);
        let heard = joiner.handle(NOW, &mut rng, says(line));
        assert_eq!(heard, Err(Failure::Declined));
        for effect in std::iter::from_fn(|| joiner.poll()) {
            match effect {
                Effect::Publish(record) => {
                    assert_eq!(messages(&record), [Message::Closed(Closed::Declined)]);
                }
                Effect::Store | Effect::Watch(_) | Effect::Unwatch(_) => (),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A caller that had not come to asking its person when the pairing ended does not ask any more.
#[test]
fn what_was_not_asked_yet() {
    let mut cheat = Cheat::new(1);
    let mut rng = StdRng::seed_from_u64(8);
    let (mut joiner, answer) = scans(&cheat, Consent::Compare, &mut rng);
    let (locked, response) = cheat.open(&answer);
    let first = honest(&mut cheat, &locked, &response).1;
    joiner.handle(NOW, &mut rng, says(cheat.line(&[first]))).unwrap();
    assert_eq!(joiner.handle(NOW, &mut rng, Input::Declined), Err(Failure::Declined));
    let left: Vec<Effect> = std::iter::from_fn(|| joiner.poll()).collect();
    assert!(matches!(left.first(), Some(Effect::Store)));
    assert!(left.iter().any(|effect| matches!(effect, Effect::Publish(_))));
    assert!(!left.iter().any(|effect| matches!(effect, Effect::Ask(_))));
}
