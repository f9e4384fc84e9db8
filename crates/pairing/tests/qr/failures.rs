//! People say no, type something else, or are not there. Every end has a name, on both sides.

use handfast_keys::Timestamp;
use handfast_pairing::qr::session::{COMPARE_TIME, Question};
use handfast_pairing::qr::{Consent, Failure, Initiator, Input, Joiner};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::network::BEGINNING;
use crate::party::{Part, Party, options, scanned, setup};
use crate::person::Person;
use crate::world::{A, B, World, pair};

/// A check code in digits, but not the one that is shown (but once in 2^32).
const WRONG: &str = "0000000007";

#[test]
fn the_third_wrong_check_code_ends_it() {
    for who in [A, B] {
        let mut world = World::new(pair(), 2);
        world.parties[who].person = Person::Absent;
        world.run_until(|world| {
            let asked = world.parties[who].screen.question.is_some();
            asked && (who == A || world.parties[A].screen.digits)
        });
        let wrong = match world.parties[A].screen.check {
            Some(shown) => {
                let right: u8 = shown.back_digits().parse().unwrap();
                format!("{:02}", (right + 1) % 100)
            }
            None => WRONG.to_owned(),
        };
        // What is no check code at all costs no try.
        for rubbish in ["", "yes", "three blind mice", "123"] {
            world.tell(who, Input::Typed(rubbish.into()));
            let asked = world.parties[who].screen.question.clone();
            assert_eq!(asked, Some(Question::NotACheckCode));
        }
        for left in [2, 1] {
            world.tell(who, Input::Typed(wrong.clone()));
            let asked = world.parties[who].screen.question.clone();
            assert_eq!(asked, Some(Question::Wrong(left)));
            // Dying in between gives no try back.
            world.restart(who);
        }
        world.tell(who, Input::Typed(wrong));
        world.fails(Failure::Mismatch, Failure::Mismatch);
    }
}

#[test]
fn either_person_declines_at_any_time() {
    for consent in [Consent::Typed, Consent::Compare] {
        for who in [A, B] {
            let mut world = World::new(pair(), 2).consent(consent);
            world.parties[who].person = Person::Declines;
            world.fails(Failure::Declined, Failure::Declined);
            assert!(world.elapsed() <= 5);
        }
    }
    // Before the other side is there; the other side still learns of it.
    for who in [A, B] {
        let mut world = World::new(pair(), 2);
        world.shows();
        world.parties[who].person = Person::Cancels;
        world.step();
        world.let_in();
        world.fails(Failure::Declined, Failure::Declined);
    }
}

/// Who has confirmed waits for the other; a No of the other ends it for both.
#[test]
fn declined_after_the_other_has_confirmed() {
    for who in [A, B] {
        let mut world = World::new(pair(), 1).consent(Consent::Compare);
        world.parties[who].person = Person::Absent;
        world.run_until(|world| {
            world.parties[1 - who].machine.as_ref().is_some_and(|it| it.has_confirmed())
        });
        // Not even its own person takes a confirmation back.
        world.tell(1 - who, Input::Declined);
        assert_eq!(world.parties[1 - who].outcome, None);
        world.parties[who].person = Person::Declines;
        world.fails(Failure::Declined, Failure::Declined);
    }
}

#[test]
fn nobody_answers() {
    let mut world = World::new(pair(), 2);
    world.shows();
    world.run();
    assert_eq!(world.parties[A].outcome, Some(Err(Failure::Expired)));
    assert!((600..=606).contains(&world.elapsed()), "{}", world.elapsed());

    // Who scans the code now is told so at once.
    let elapsed = world.elapsed();
    world.let_in();
    world.run();
    assert_eq!(world.parties[B].outcome, Some(Err(Failure::Expired)));
    assert!(world.elapsed() <= elapsed + 10);
}

#[test]
fn nobody_reveals() {
    let mut world = World::new(pair(), 2);
    world.shows();
    world.parties[A].outcome = Some(Ok(()));
    world.let_in();
    world.run();
    assert_eq!(world.parties[B].outcome, Some(Err(Failure::PeerSilent)));
    assert!((600..=606).contains(&world.elapsed()), "{}", world.elapsed());
}

#[test]
fn a_code_says_how_long_to_wait_but_not_for_ever() {
    for (lifetime, waited) in [(1, 60), (600, 600), (u64::MAX, 24 * 3_600)] {
        let mut rng = StdRng::seed_from_u64(4711);
        let now = Timestamp(BEGINNING);
        let initiator = Initiator::start(setup(1, "laptop"), options(), now, &mut rng);
        let mut code = scanned(&initiator.code().unwrap().to_string());
        code.lifetime = lifetime;
        let mut joiner = Joiner::start(setup(2, "phone"), code, now, &mut rng).unwrap();
        // Besides that it says everything again from time to time.
        let (at, ended) = loop {
            let at = joiner.poll_timeout().unwrap();
            while joiner.poll().is_some() {}
            if let Err(failure) = joiner.handle(at, &mut rng, Input::Elapsed) {
                break (at, failure);
            }
        };
        assert_eq!(ended, Failure::PeerSilent);
        assert_eq!(at.since(now).as_secs(), waited);
        assert_eq!(joiner.poll_timeout(), None);
    }
}

#[test]
fn somebody_does_not_confirm() {
    for (absent, consent) in
        [(A, Consent::Typed), (B, Consent::Typed), (A, Consent::Compare), (B, Consent::Compare)]
    {
        let mut world = World::new(pair(), 2).consent(consent);
        world.parties[absent].person = Person::Absent;
        // Also ends the wait of the one who has confirmed.
        world.fails(Failure::Expired, Failure::Expired);
        assert!(world.elapsed() <= 620, "{}", world.elapsed());
    }
}

/// Whoever answers at the last moment still gets the time to compare.
#[test]
fn there_is_time_to_compare() {
    let mut world = World::new(pair(), 1);
    world.parties[A].person = Person::Absent;
    world.shows();
    world.run_until(|world| world.elapsed() > 580);
    world.let_in();
    world.run_until(|world| world.parties[A].screen.question.is_some());
    let asked = world.elapsed();
    world.run();
    assert_eq!(world.outcomes(), [Some(Err(Failure::Expired)); 2]);
    assert!(world.elapsed() - asked >= COMPARE_TIME.as_secs());
}

/// A device that slept through its deadline takes nothing in any more, whatever it is told first.
#[test]
fn what_comes_after_the_deadline_is_not_looked_at() {
    let sleeps = |world: &mut World| world.network.now += 100_000_000;
    // The initiator: the first thing that it hears is an answer to its code.
    let mut world = World::new(pair(), 1);
    world.shows();
    let code = scanned(&world.codes[0]);
    let mut phone = Party::new(setup(2, "phone"), Part::Scans);
    phone.start(world.network.now, Some(&code.to_string()));
    let name = handfast_ipfs::Name::of(code.temp.public());
    let record =
        std::iter::from_fn(|| phone.machine.as_mut().unwrap().poll()).find_map(|it| match it {
            handfast_pairing::qr::Effect::Publish(record) => Some(record),
            _ => None,
        });
    assert!(record.is_some());
    sleeps(&mut world);
    world.tell(A, Input::Answer { router: 0, routers: 1, name, record });
    assert_eq!(world.parties[A].outcome, Some(Err(Failure::Expired)));

    // Either, while it asks: the first thing that it hears is its person.
    for who in [A, B] {
        let mut world = World::new(pair(), 1).consent(Consent::Compare);
        world.parties.iter_mut().for_each(|party| party.person = Person::Absent);
        world.run_until(|world| world.parties.iter().all(|it| it.screen.question.is_some()));
        sleeps(&mut world);
        world.tell(who, Input::Agreed);
        assert_eq!(world.parties[who].outcome, Some(Err(Failure::Expired)));
    }

    // The joiner: the first thing that it hears is the Reveal.
    let mut world = World::new(pair(), 1);
    world.network.routers[0].view = Some(Box::new(|reader, _, held| held.filter(|_| reader != B)));
    world.run_until(|world| world.parties[A].screen.question.is_some());
    let name = handfast_ipfs::Name::of(scanned(&world.codes[0]).reply);
    let record = world.network.routers[0].held(&name);
    assert!(record.is_some());
    sleeps(&mut world);
    world.tell(B, Input::Answer { router: 0, routers: 1, name, record });
    assert_eq!(world.parties[B].outcome, Some(Err(Failure::PeerSilent)));
}

#[test]
fn the_own_code_and_the_code_of_a_member() {
    let [laptop, phone] = pair();
    let mut world = World::new([laptop.clone(), laptop.clone()], 1);
    world.run_until(|world| world.parties[B].outcome.is_some());
    assert_eq!(world.parties[B].outcome, Some(Err(Failure::OwnCode)));
    assert!(world.network.published.is_empty());

    let mut member = phone;
    member.members = vec![laptop.keys.auth.public()];
    let mut world = World::new([laptop.clone(), member.clone()], 1);
    world.run_until(|world| world.parties[B].outcome.is_some());
    assert_eq!(world.parties[B].outcome, Some(Err(Failure::AlreadyPaired)));
    assert!(world.network.published.is_empty());

    member.again = true;
    World::new([laptop, member], 1).succeeds();
}

/// The last word is said again after a restart: the other side may be waiting for nothing else.
#[test]
fn the_last_word_survives_its_speaker() {
    for (who, consent) in [(A, Consent::Compare), (B, Consent::Compare), (A, Consent::Typed)] {
        let mut world = World::new(pair(), 1).consent(consent);
        world.parties[who].person = Person::Absent;
        world.run_until(|world| {
            let asked = world.parties[who].screen.question.is_some();
            asked
                && (consent == Consent::Typed
                    || world.parties[1 - who].machine.as_ref().is_some_and(|it| it.has_confirmed()))
        });
        // It dies after it has stored its No, before it has published it: the first point is the
        // input, the second the Store.
        let points = world.parties[who].points;
        world.parties[who].dies_at.insert(points + 2);
        world.tell(who, Input::Declined);
        world.fails(Failure::Declined, Failure::Declined);
        assert_eq!(world.parties[who].restarts, 1);
    }
}

#[test]
fn every_failure_says_what_to_do() {
    let all = [
        Failure::Expired,
        Failure::Equivocation,
        Failure::CodeTaken,
        Failure::Mismatch,
        Failure::Declined,
        Failure::OwnCode,
        Failure::AlreadyPaired,
        Failure::NoProvider,
        Failure::UnsupportedVersion,
        Failure::PeerSilent,
    ];
    let texts: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), all.len());
    assert!(texts.iter().all(|text| text.ends_with('.')));
}
