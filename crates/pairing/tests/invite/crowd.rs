//! Several candidates with one invite, on a network that loses, doubles, delays and reorders, in
//! processes that die: exactly one gets in, whatever comes first.

use handfast_keys::Timestamp;
use handfast_pairing::invite::{
    Candidate, CandidateSetup, Denial, Effect, Failure, Input, InviteOptions, Member, Request,
    Response, StructureKey, Terms, Via,
};
use handfast_pairing::qr::Consent;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::honest::raw;
use crate::network::Faults;
use crate::party::{map, name};
use crate::world::{MEMBER, World, envelope};

fn faults() -> impl Strategy<Value = Faults> {
    (0..70u8, 0..50u8, 0..10_000u64, 0..60u8, 0..90_000u64).prop_map(
        |(lost, doubled, delay, stale, until)| Faults { lost, doubled, delay, stale, until },
    )
}

/// As many as are sensible, unless somebody asks for more with `PROPTEST_CASES`.
fn config(cases: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = std::env::var_os("PROPTEST_CASES").map_or(cases, |_| default.cases);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 200, ..default }
}

#[derive(Debug, Clone)]
struct Schedule {
    seed: u64,
    faults: Faults,
    live: bool,
    dht: bool,
    deaths: Vec<std::collections::BTreeSet<usize>>,
    late: u64,
}

fn schedules(candidates: usize) -> impl Strategy<Value = Schedule> {
    let roads = prop_oneof![Just((true, true)), Just((true, false)), Just((false, true))];
    let deaths = vec(btree_set(0..40usize, 0..4), candidates + 1);
    (any::<u64>(), faults(), roads, deaths, 0..3_000u64).prop_map(
        |(seed, faults, (live, dht), deaths, late)| Schedule {
            seed,
            faults,
            live,
            dht,
            deaths,
            late,
        },
    )
}

fn exactly_one_gets_in(terms: Terms, schedule: Schedule) {
    let candidates = schedule.deaths.len() - 1;
    let mut world = World::new(terms, u8::try_from(candidates).unwrap());
    world.network = crate::network::Network::new(schedule.seed);
    world.network.faults = schedule.faults;
    (world.network.live, world.network.dht) = (schedule.live, schedule.dht);
    for (party, deaths) in world.parties.iter_mut().zip(schedule.deaths) {
        party.dies_at = deaths;
    }
    world.parties[candidates].awake = false;
    world.run_until(|world| world.elapsed() >= schedule.late);
    world.parties[candidates].awake = true;
    let winner = world.one_gets_in();
    for who in (1..=candidates).filter(|who| *who != winner) {
        assert_eq!(world.outcomes()[who], Some(Err(Failure::Denied(Denial::Used))));
    }
    for joining in &world.parties[MEMBER].paired {
        assert_eq!(*joining, world.parties[MEMBER].paired[0], "one pairing, one outcome");
    }
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn of_two_in_the_raw_profile(schedule in schedules(2)) {
        exactly_one_gets_in(raw(), schedule);
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn of_two_in_the_envelope_profile(schedule in schedules(2), compare: bool) {
        let verify = compare.then_some(Consent::Unseen);
        exactly_one_gets_in(envelope(verify), schedule);
    }
}

proptest! {
    #![proptest_config(config(10))]

    #[test]
    fn of_five(schedule in schedules(5), is_raw: bool) {
        exactly_one_gets_in(if is_raw { raw() } else { envelope(None) }, schedule);
    }
}

/// One thing that happens to the member.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A candidate's request comes, by one of the roads.
    Request(usize, bool),
    /// So many effects are performed.
    Perform(usize),
    /// What was asked of the app is done.
    Report,
    /// The process dies and starts again.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..2usize, any::<bool>()).prop_map(|(who, live)| Step::Request(who, live)),
        4 => (1..4usize).prop_map(Step::Perform),
        2 => Just(Step::Report),
        2 => Just(Step::Crash),
    ];
    vec(step, 4..24)
}

proptest! {
    #![proptest_config(config(3_000))]

    /// The member alone, and every order of two requests, crashes and all that it asks for: its
    /// app hears of one candidate, and one candidate is confirmed.
    #[test]
    fn only_one_is_ever_locked(steps in steps(), is_raw in prop::bool::weighted(0.9)) {
        let rng = &mut StdRng::seed_from_u64(1);
        let terms = if is_raw { raw() } else { envelope(None) };
        let now = Timestamp(1);
        let mut member = Member::start(terms, InviteOptions::default(), None, now, rng);
        member.handle(now, rng, Input::Ready(name(0))).unwrap();
        let invite = member.invite().unwrap().clone();
        let requests = [1, 2].map(|number| {
            if is_raw {
                return Request::new(&invite.key, &[number; 32]);
            }
            let (name, consent) = (name(number), Consent::Unseen);
            let setup = CandidateSetup { name, device: None, consent, insist: false };
            let mut candidate = Candidate::start(setup, invite.clone(), now, rng).unwrap();
            match (candidate.poll(), candidate.poll()) {
                (_, Some(Effect::Ask(asking))) => Request::from_bytes(&asking.request).unwrap(),
                other => panic!("{other:?}"),
            }
        });
        let mut stored = Vec::new();
        let mut reports = Vec::new();
        let mut confirmed = std::collections::BTreeSet::new();
        let mut told = std::collections::BTreeSet::new();
        let drain = steps.len();
        for (turn, step) in steps.into_iter().chain([Step::Perform(99); 3]).enumerate() {
            match step {
                Step::Request(who, live) => {
                    let via = if live { Via::Live(who as u64) } else { Via::Mailbox };
                    member.handle(now, rng, Input::Request(via, requests[who].clone())).unwrap();
                }
                Step::Perform(count) => for _ in 0..count {
                    match member.poll() {
                        None => break,
                        Some(Effect::Store) => stored = member.to_bytes(now),
                        Some(Effect::Provide(_)) => {
                            reports.push(Input::Map(Box::new(map(&["notes"]))));
                        }
                        Some(Effect::AddWriters(joining)) => {
                            told.insert(joining.writers.keys[0].1);
                            reports.push(Input::Added);
                        }
                        Some(Effect::Paired(joining)) => {
                            told.insert(joining.writers.keys[0].1);
                            reports.push(Input::Noted);
                        }
                        Some(Effect::Respond(_, response, _)) => {
                            confirmed.extend(confirms(&invite, &requests, &response));
                        }
                        Some(_) => (),
                    }
                },
                Step::Report => for input in reports.drain(..) {
                    member.handle(now, rng, input).unwrap();
                },
                Step::Crash if !stored.is_empty() => {
                    reports.clear();
                    member = Member::resume(&stored, None, now, rng).unwrap();
                }
                Step::Crash => (),
            }
            if turn >= drain {
                for input in reports.drain(..) {
                    member.handle(now, rng, input).unwrap();
                }
            }
        }
        prop_assert!(confirmed.len() <= 1 && told.len() <= 1);
        let expected: Vec<StructureKey> =
            confirmed.iter().map(|who| StructureKey::from_bytes([*who as u8 + 1; 32])).collect();
        prop_assert!(!is_raw || told.into_iter().eq(expected));
    }
}

/// Which of the two requests a response confirms.
fn confirms(
    invite: &handfast_pairing::invite::Invite,
    requests: &[Request; 2],
    response: &Response,
) -> Option<usize> {
    use handfast_pairing::invite::Verdict;
    let (key, discovery_key) = (invite.key.public(), invite.discovery_key.unwrap());
    let opened = requests.iter().map(|it| response.open(&key, &it.session, &discovery_key));
    let verdicts: Vec<_> = opened.collect();
    assert_eq!(verdicts.iter().filter(|it| it.is_ok()).count(), 1);
    verdicts.iter().position(|it| matches!(it, Ok(Verdict::Confirmed(_))))
}
