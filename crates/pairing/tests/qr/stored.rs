//! Stored sessions, and what machines print of themselves.

use handfast_keys::Timestamp;
use handfast_pairing::qr::literal::Literal;
use handfast_pairing::qr::session::Unreadable;
use handfast_pairing::qr::{Consent, Initiator, Joiner};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::network::BEGINNING;
use crate::party::{Machine, Part, grant, setup};
use crate::person::Person;
use crate::world::{A, B, World, pair};

const NOW: Timestamp = Timestamp(BEGINNING);

/// Reads it as a session of an initiator (0), a joiner (1) or of version 1 (2).
fn resume(kind: usize, bytes: &[u8]) -> Result<(), Unreadable> {
    let (keys, rng) = (setup(1, "laptop").keys, &mut StdRng::seed_from_u64(1));
    match kind {
        0 => Initiator::resume(bytes, keys, NOW, rng).map(|_| ()),
        1 => Joiner::resume(bytes, keys, NOW, rng).map(|_| ()),
        _ => Literal::resume(bytes, keys, NOW).map(|_| ()),
    }
}

/// Reads it as every kind of session there is.
fn read(bytes: &[u8]) -> [Result<(), Unreadable>; 3] {
    [0, 1, 2].map(|kind| resume(kind, bytes))
}

/// Sessions of every kind, in every state that is stored.
fn sessions() -> Vec<(usize, Vec<u8>)> {
    let mut sessions: Vec<(usize, Vec<u8>)> = Vec::new();
    for part in [Part::Shows(crate::party::options()), Part::ShowsLiteral(Some(grant()))] {
        let mut devices = pair();
        devices[B].provider = None;
        let mut world = World::with(devices, part, 1).consent(Consent::Compare);
        while world.outcomes().iter().any(Option::is_none) {
            world.step();
            for party in &world.parties {
                let kind = match party.machine {
                    Some(Machine::Initiator(_)) => 0,
                    Some(Machine::Joiner(_)) => 1,
                    Some(Machine::Literal(_)) => 2,
                    None => continue,
                };
                let session = party.stored.clone().unwrap();
                if !sessions.iter().any(|(_, known)| *known == session) {
                    sessions.push((kind, session));
                }
            }
        }
    }
    assert!(sessions.len() >= 12);
    sessions
}

#[test]
fn damaged_sessions_are_unreadable() {
    for (kind, session) in sessions() {
        assert_eq!(read(&session)[kind], Ok(()));
        // As another kind of session it is none, unless nothing is left of it.
        let others: Vec<_> = (0..3).filter(|it| *it != kind).collect();
        let over = session.windows(5).any(|it| it == b"Ended");
        if !over {
            assert!(others.iter().all(|other| read(&session)[*other] == Err(Unreadable)));
        }
        for end in (0..session.len()).step_by(149) {
            assert_eq!(resume(kind, &session[..end]), Err(Unreadable));
        }
        let longer = [session.as_slice(), &[0]].concat();
        assert_eq!(read(&longer), [Err(Unreadable); 3]);
        // Some bytes (of a nonce, say) may be turned without anybody noticing here; none may bring
        // the program down.
        for index in (0..session.len()).step_by(101) {
            let mut damaged = session.clone();
            damaged[index] ^= 0x41;
            let _ = resume(kind, &damaged);
        }
    }
    assert_eq!(read(&vec![0x9f; 200 << 10]), [Err(Unreadable); 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rubbish_is_unreadable(bytes: Vec<u8>) {
        prop_assert_eq!(read(&bytes), [Err(Unreadable); 3]);
    }
}

#[test]
fn nothing_secret_is_printed() {
    let mut world = World::new(pair(), 1);
    world.parties[A].person = Person::Absent;
    let rng = &mut StdRng::seed_from_u64(4711);
    let mut printed = String::new();
    let options = crate::party::options();
    let initiator = Initiator::start(setup(1, "laptop"), options, NOW, rng);
    let code = initiator.code().unwrap().clone();
    let joiner = Joiner::start(setup(2, "phone"), code.clone(), NOW, rng).unwrap();
    let lifetime = std::time::Duration::from_secs(600);
    let literal = Literal::initiate(setup(1, "laptop"), Some(grant()), lifetime, NOW, rng);
    let literal_code = literal.code().unwrap().clone();
    for line in [
        format!("{initiator:?}"),
        format!("{joiner:?}"),
        format!("{literal:?}"),
        format!("{:?}", grant()),
        format!("{literal_code:?}"),
        format!("{code:?}"),
        format!("{:?}", setup(1, "laptop")),
    ] {
        printed += &line;
        printed.push('\n');
    }
    let short = |digest: handfast_keys::Digest| digest.to_string()[..8].to_owned();
    assert_eq!(
        printed,
        format!(
            "Initiator {{ state: \"Open\", .. }}\n\
             Joiner {{ state: \"Answering\", .. }}\n\
             Literal {{ state: \"Running\", .. }}\n\
             ProviderGrant(…)\n\
             LiteralCode {{ hash: Digest({}…), .. }}\n\
             Code {{ hash: Digest({}…), .. }}\n\
             Setup {{ keys: DeviceKeys {{ auth: AuthSecret(…), exchange: ExchangeSecret(…), \
             ipns: IpnsSecret(Secret(…)), swarm: SwarmSecret(Secret(…)) }}, \
             name: DeviceName(\"laptop\"), records: 1000, provider: Some(ProviderGrant(…)), \
             reach: Some(ProviderGrant(…)), consent: Typed, members: [], again: false }}\n",
            short(literal_code.hash()),
            short(code.hash()),
        )
    );
    world.run_until(|world| world.parties[B].screen.check.is_some());
    for party in &world.parties {
        let printed = match party.machine.as_ref().unwrap() {
            Machine::Initiator(machine) => format!("{machine:?}"),
            Machine::Joiner(machine) => format!("{machine:?}"),
            Machine::Literal(machine) => format!("{machine:?}"),
        };
        assert!(printed.len() < 50, "{printed}");
    }
}
