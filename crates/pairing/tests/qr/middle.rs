//! Somebody who replaced the code on its way: a full man in the middle.

use data_encoding::BASE32_NOPAD;
use handfast_ipfs::Name;
use handfast_keys::{CheckCode, Digest, Label, Timestamp};
use handfast_pairing::qr::message::{Message, Response, Reveal, check_code};
use handfast_pairing::qr::{Consent, Effect, Failure, Initiator, Input, Question};
use handfast_ring::{DeviceKeys, Role};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cheat::{Cheat, honest, published, says, scans, sealed};
use crate::intruder::{identity, response};
use crate::network::{BEGINNING, carrying, messages};
use crate::party::{Part, Party, options, setup};
use crate::person::Person;
use crate::world::{A, B, World, pair};

const NOW: Timestamp = Timestamp(BEGINNING);

/// A man in the middle on whose side every machine plays along, with people who look.
#[test]
fn a_man_in_the_middle_is_seen() {
    for consent in [Consent::Typed, Consent::Compare] {
        // To the laptop he is a phone, to the phone a laptop.
        let mut left = World::new(pair(), 1).consent(consent);
        let mut right = World::new([setup(11, "laptop"), setup(2, "phone")], 1).consent(consent);
        left.parties[B] = Party::new(setup(12, "phone"), Part::Scans);
        left.parties[B].setup.consent = Consent::Unseen;
        right.parties[A].setup.consent = Consent::Unseen;
        left.parties[A].person = Person::Absent;
        right.parties[B].person = Person::Absent;
        left.run_until(|world| world.parties[A].screen.question.is_some());
        right.run_until(|world| world.parties[B].screen.question.is_some());
        // The two people look at each other's devices.
        let mut screens = [left.parties[A].screen.clone(), right.parties[B].screen.clone()];
        let [laptop, phone] = &mut screens;
        let mut outcome = None;
        for _ in 0..3 {
            let answer = Person::Careful.answers(laptop, phone).unwrap();
            left.tell(A, answer);
            outcome = left.parties[A].outcome;
            *laptop = left.parties[A].screen.clone();
        }
        let expected = match consent {
            Consent::Typed => Failure::Mismatch,
            _ => Failure::Declined,
        };
        assert_eq!(outcome, Some(Err(expected)));
        assert!(left.parties[A].admitted.is_empty() && right.parties[B].admitted.is_empty());
        let answer = Person::Careful.answers(phone, laptop);
        assert!(!matches!(answer, Some(Input::Agreed | Input::Typed(_))));
    }
}

/// The first `bits` of the check codes agree.
fn agree(a: &CheckCode, b: &CheckCode, bits: u32) -> bool {
    let [a, b] = [a, b].map(|code| u32::from_be_bytes(code.emojis().indices()));
    (a ^ b) >> (32 - bits) == 0
}

/// Changes what is still free in R′ (here the number of records, which nothing signs) until the
/// check code that it would have with this nonce begins like `wanted`.
fn grind(
    response: &Response,
    session: &Digest,
    nonce: &Digest,
    wanted: &CheckCode,
    bits: u32,
) -> Response {
    const FIRST: u64 = 1 << 40;
    let template = Response { records: FIRST, ..response.clone() };
    let mut bytes = template.encode();
    let number = FIRST.to_be_bytes();
    let at = bytes.windows(8).position(|it| it == number).unwrap();
    for records in FIRST.. {
        bytes[at..at + 8].copy_from_slice(&records.to_be_bytes());
        let code =
            CheckCode::new(Label::CHECK_CODE.hash([session.as_ref(), &bytes, nonce.as_ref()]));
        if agree(&code, wanted, bits) {
            let found = Response { records, ..template };
            assert_eq!(check_code(session, &found, nonce), code);
            return found;
        }
    }
    panic!("all numbers were tried")
}

/// The same with what is free in code′: its lifetime, which nothing commits to.
fn grind_code(cheat: &Cheat, bet: &Response, wanted: &CheckCode, bits: u32) -> u64 {
    const FIRST: u64 = 1 << 40;
    let mut code = cheat.code.clone();
    code.lifetime = FIRST;
    let text = code.to_string();
    let mut bytes = BASE32_NOPAD.decode(&text.as_bytes()["HANDFAST:".len()..]).unwrap();
    bytes.truncate(bytes.len() - 4);
    let at = bytes.windows(8).position(|it| it == FIRST.to_be_bytes()).unwrap();
    let bet = bet.encode();
    for lifetime in FIRST.. {
        bytes[at..at + 8].copy_from_slice(&lifetime.to_be_bytes());
        let session = Label::CODE.hash([&bytes]);
        let fields = [session.as_ref(), &bet, cheat.nonce.as_ref()];
        if agree(&CheckCode::new(Label::CHECK_CODE.hash(fields)), wanted, bits) {
            code.lifetime = lifetime;
            assert_eq!(code.hash(), session);
            return lifetime;
        }
    }
    panic!("all numbers were tried")
}

/// A real initiator's machine, and what it reveals to a response.
fn locks(
    response: &Response,
    initiator: &mut Initiator,
    keys: &DeviceKeys,
    rng: &mut StdRng,
) -> Digest {
    let code = initiator.code().unwrap().clone();
    let s = response.seal(&code, rng);
    while initiator.poll().is_some() {}
    let answer = carrying(&code.temp, s.as_bytes(), 1);
    initiator.handle(NOW, rng, says(answer)).unwrap();
    let line = published(&mut || initiator.poll(), &Name::of(code.reply)).unwrap();
    let Some(Message::Reveal(sealed)) = messages(&line).into_iter().next() else { panic!() };
    let reveal = Reveal::open(&sealed, &code.hash(), &s.hash(), &keys.exchange).unwrap();
    assert!(code.opens(&reveal.nonce()));
    reveal.nonce()
}

/// One attempt to make both devices show the same: who replaced the code deals with the joiner
/// first, and then grinds his response to the initiator. Returns what the two devices show.
fn joiner_first(seed: u64, bits: u32) -> (CheckCode, CheckCode) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut initiator = Initiator::start(setup(1, "laptop"), options(), NOW, &mut rng);
    let code = initiator.code().unwrap().clone();
    let cheat = Cheat::new(seed ^ 0xc0de);
    let (_, answer) = scans(&cheat, Consent::Typed, &mut rng);
    let (_, theirs) = cheat.open(&answer);
    // This is what the joiner will show; it is fixed.
    let shown = check_code(&cheat.code.hash(), &theirs, &cheat.nonce);
    // The initiator's nonce is not known yet: the best he can do is to bet on one.
    let bet = Digest::from_bytes(rng.random());
    let mine = response(identity(&cheat.keys, Role::Joiner, code.hash(), 5));
    let mine = grind(&mine, &code.hash(), &bet, &shown, bits);
    let nonce = locks(&mine, &mut initiator, &cheat.keys, &mut rng);
    (check_code(&code.hash(), &mine, &nonce), shown)
}

/// The other way about: he has the initiator lock him and reveal, and makes his code then.
fn initiator_first(seed: u64, bits: u32) -> (CheckCode, CheckCode) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut initiator = Initiator::start(setup(1, "laptop"), options(), NOW, &mut rng);
    let code = initiator.code().unwrap().clone();
    let keys = setup(9, "stranger").keys;
    let mine = response(identity(&keys, Role::Joiner, code.hash(), 5));
    let nonce = locks(&mine, &mut initiator, &keys, &mut rng);
    let shown = check_code(&code.hash(), &mine, &nonce);
    // The joiner's nonce is not known yet: the best that he can do is to bet on its response, and
    // to change what is free in his code until that would show the same.
    let mut cheat = Cheat::new(seed ^ 0xc0de);
    let bet = response(identity(&setup(2, "phone").keys, Role::Joiner, code.hash(), 6));
    cheat.code.lifetime = grind_code(&cheat, &bet, &shown, bits);
    let (mut joiner, answer) = scans(&cheat, Consent::Compare, &mut rng);
    let (s, theirs) = cheat.open(&answer);
    let (_, reveal) = honest(&mut cheat, &s, &theirs);
    joiner.handle(NOW, &mut rng, says(cheat.line(&[reveal]))).unwrap();
    (shown, check_code(&cheat.code.hash(), &theirs, &cheat.nonce))
}

#[test]
fn grinding_stays_at_chance() {
    type Attempt = fn(u64, u32) -> (CheckCode, CheckCode);
    for attempt in [joiner_first as Attempt, initiator_first] {
        let successes = |attempts: u64, bits: u32| {
            (0..attempts)
                .filter(|seed| {
                    let (a, b) = attempt(1_000 + seed, bits);
                    agree(&a, &b, bits)
                })
                .count()
        };
        // At 8 bits: 40 attempts at 1 in 256. By chance, 4 hits or more come once in 50 000 times.
        let hits = successes(40, 8);
        assert!(hits < 4, "{hits} of 40 at 8 bits");
        // At 16 bits, once: 1 in 65 536.
        assert_eq!(successes(1, 16), 0);
    }
}

/// Without the commitment, that is with a nonce known in advance, the same grinding always works:
/// it is not for want of skill that it fails.
#[test]
fn grinding_works_on_a_nonce_that_is_known() {
    for seed in [4711, 4712] {
        let mut rng = StdRng::seed_from_u64(seed);
        let initiator = Initiator::start(setup(1, "laptop"), options(), NOW, &mut rng);
        let code = initiator.code().unwrap();
        let keys = setup(9, "stranger").keys;
        let nonce = Digest::from_bytes(rng.random());
        let shown = CheckCode::new(Digest::from_bytes(rng.random()));
        let mine = response(identity(&keys, Role::Joiner, code.hash(), 5));
        let mine = grind(&mine, &code.hash(), &nonce, &shown, 16);
        assert!(agree(&check_code(&code.hash(), &mine, &nonce), &shown, 16));
    }
}

/// Once the joiner's response is known, a nonce that fits is found at once; but it is not the one
/// that the code commits to, and the rest of a Reveal does not change what is shown.
#[test]
fn grinding_the_reveal() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut cheat = Cheat::new(1);
    let wanted = CheckCode::new(Digest::from_bytes(rng.random()));
    let (mut joiner, answer) = scans(&cheat, Consent::Compare, &mut rng);
    let (s, theirs) = cheat.open(&answer);
    let (session, bytes) = (cheat.code.hash(), theirs.encode());
    let ground = (0u64..)
        .map(|attempt| {
            Digest::from_bytes(
                [[0; 8], [0; 8], [0; 8], attempt.to_be_bytes()].concat().try_into().unwrap(),
            )
        })
        .find(|nonce| {
            let hash = Label::CHECK_CODE.hash([session.as_ref(), &bytes, nonce.as_ref()]);
            agree(&CheckCode::new(hash), &wanted, 16)
        })
        .unwrap();
    assert!(agree(&check_code(&session, &theirs, &ground), &wanted, 16));
    let reveal = cheat.reveal(s.hash(), cheat.identity(ground));
    let message = sealed(&reveal, &mut cheat, &theirs);
    let heard = joiner.handle(NOW, &mut rng, says(cheat.line(&[message])));
    assert_eq!(heard, Err(Failure::Mismatch));

    // Whatever else stands in the Reveal, the joiner shows the same.
    let mut shown = Vec::new();
    for records in [0, 1, u64::MAX] {
        let (mut joiner, answer) = scans(&cheat, Consent::Compare, &mut StdRng::seed_from_u64(8));
        let (s, theirs) = cheat.open(&answer);
        let mut reveal = cheat.reveal(s.hash(), cheat.identity(cheat.nonce));
        reveal.records = records;
        let message = sealed(&reveal, &mut cheat, &theirs);
        joiner.handle(NOW, &mut rng, says(cheat.line(&[message]))).unwrap();
        shown.extend(std::iter::from_fn(|| joiner.poll()).filter_map(|effect| match effect {
            Effect::Ask(Question::Compare(_, code)) => Some(code),
            _ => None,
        }));
    }
    assert_eq!(shown.len(), 3);
    assert!(shown.iter().all(|code| *code == shown[0]));
}
