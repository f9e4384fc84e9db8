//! Networks that lose, double, delay and reorder, processes that die: whatever comes first, the
//! devices never disagree, and once the network heals they finish.

use handfast_ipfs::{Name, record};
use handfast_pairing::qr::{Code, Consent, Failure};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::intruder::own_response;
use crate::network::{Faults, Keep, Network, Router, carrying};
use crate::party::{Part, options, scanned};
use crate::person::Person;
use crate::world::{A, B, World, pair};

fn faults() -> impl Strategy<Value = Faults> {
    (0..70u8, 0..50u8, 0..20_000u64, 0..60u8, 0..60u8, 0..90_000u64).prop_map(
        |(lost, doubled, delay, silent, stale, until)| Faults {
            lost,
            doubled,
            delay,
            silent,
            stale,
            until,
        },
    )
}

fn consents() -> impl Strategy<Value = Consent> {
    prop_oneof![Just(Consent::Typed), Just(Consent::Compare), Just(Consent::Unseen)]
}

/// A few, unless somebody asks for more with `PROPTEST_CASES`.
fn cases() -> u32 {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default().cases,
        None => 24,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn two_devices_always_come_together(
        seed: u64,
        faults in faults(),
        consents in [consents(), consents()],
        keeps in vec(any::<bool>(), 1..4),
        without in proptest::option::of(0..2usize),
        deaths in [btree_set(0..80usize, 0..4), btree_set(0..80usize, 0..4)],
        literal in prop::bool::weighted(0.2),
    ) {
        let mut devices = pair();
        // Version 1 can't hand a provider over without a word about it in the code.
        if let Some(without) = without.filter(|_| !literal) {
            devices[without].provider = None;
        }
        let part = if literal { Part::ShowsLiteral(None) } else { Part::Shows(options()) };
        let mut world = World::with(devices, part, keeps.len());
        world.network.seed(seed);
        world.network.faults = faults;
        world.network.routers = keeps
            .iter()
            .map(|last| Router::new(if *last { Keep::Last } else { Keep::Highest }))
            .collect();
        for who in [A, B] {
            // A device on which nobody looks shows no emojis in version 1.
            world.parties[who].setup.consent = consents[if literal { A } else { who }];
            world.parties[who].dies_at = deaths[who].clone();
        }
        world.run();
        prop_assert_eq!(world.outcomes(), [Some(Ok(())); 2]);
        world.check_success();
        if !literal {
            prop_assert_eq!(world.responses().len(), 1);
            prop_assert_eq!(world.reveals().len(), 1);
        }
    }

    /// Whatever somebody does who saw the code and has the routers in his hand: either the two
    /// devices are paired with each other, or nobody with anybody, and both know.
    #[test]
    fn an_intruder_never_gets_in(
        seed: u64,
        delay in 0..5_000u64,
        stale in 0..60u8,
        routers in 1..4usize,
        consent in prop_oneof![Just(Consent::Typed), Just(Consent::Compare)],
        people in [people(), people()],
        deeds in vec((0..120u64, deeds(), 0..4usize), 1..6),
    ) {
        let mut world = World::new(pair(), routers).consent(consent);
        world.network.seed(seed);
        world.network.faults = Faults { delay, stale, until: 60_000, ..Faults::default() };
        for (party, person) in world.parties.iter_mut().zip(people) {
            party.person = person;
        }
        let mut turn = 0;
        world.intruder = Some(Box::new(move |network, text| {
            turn += 1;
            if turn == 300 {
                // Who has confirmed waits for as long as he is kept from hearing; not for ever.
                network.routers.iter_mut().for_each(|router| router.view = None);
            }
            for (_, deed, router) in deeds.iter().filter(|(at, ..)| *at == turn) {
                if let Some(code) = text.map(scanned) {
                    deed.done(network, *router % routers, &code);
                }
            }
        }));
        world.run();
        match world.outcomes() {
            [Some(Ok(())), Some(Ok(()))] => world.check_success(),
            [Some(Err(a)), Some(Err(b))] => {
                for failure in [a, b] {
                    prop_assert!(!matches!(failure, Failure::Mismatch | Failure::NoProvider));
                }
                prop_assert!(world.parties.iter().all(|party| party.admitted.is_empty()));
            }
            outcomes => prop_assert!(false, "{outcomes:?}"),
        }
    }
}

fn people() -> impl Strategy<Value = Person> {
    prop_oneof![
        6 => Just(Person::Careful),
        1 => Just(Person::Declines),
        1 => Just(Person::Absent),
    ]
}

/// What an intruder does with one router.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// Publishes his own response at this sequence.
    Answers(u64),
    /// Publishes rubbish at this sequence.
    Spoils(u64),
    /// Shows one side his own response.
    Lies(usize),
    /// Keeps everything from one side.
    Hides(usize),
    /// Has the router tell the truth again.
    Repents,
}

fn deeds() -> impl Strategy<Value = Deed> {
    let sequence = prop_oneof![4 => 1..9u64, 1 => Just(record::MAX_SEQUENCE)];
    prop_oneof![
        sequence.clone().prop_map(Deed::Answers),
        sequence.prop_map(Deed::Spoils),
        (0..2usize).prop_map(Deed::Lies),
        (0..2usize).prop_map(Deed::Hides),
        Just(Deed::Repents),
    ]
}

impl Deed {
    fn done(self, network: &mut Network, router: usize, code: &Code) {
        let now = network.now;
        let temp = Name::of(code.temp.public());
        let router = &mut network.routers[router];
        match self {
            Deed::Answers(sequence) => {
                router.take(carrying(&code.temp, &own_response(code), sequence), now);
            }
            Deed::Spoils(sequence) => router.take(carrying(&code.temp, b"rubbish", sequence), now),
            Deed::Lies(victim) => {
                let forged = carrying(&code.temp, &own_response(code), 3);
                router.view = Some(Box::new(move |reader, name, held| {
                    if reader == victim && *name == temp { Some(forged.clone()) } else { held }
                }));
            }
            Deed::Hides(victim) => {
                let view =
                    move |reader, _: &Name, held: Option<_>| held.filter(|_| reader != victim);
                router.view = Some(Box::new(view));
            }
            Deed::Repents => router.view = None,
        }
    }
}
