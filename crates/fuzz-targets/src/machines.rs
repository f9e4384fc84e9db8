//! The pairing machines: their stored sessions, what stands at their names, and whole pairings as
//! sequences of operations.
//!
//! An operation is a byte, sometimes with an argument behind it. Whatever the order in which a
//! network, two people and two processes that die do things, the machines don't panic, don't go
//! round in circles, can be stored and resumed at any time, admit nobody whom no person has
//! confirmed, and never anybody but the other device of the pairing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use handfast_ipfs::{Draft, EMPTY_PATH, Name, Record};
use handfast_keys::{CheckCode, IpnsSecret, Timestamp};
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::literal::Literal;
use handfast_pairing::qr::session::Unreadable;
use handfast_pairing::qr::{
    Code, Consent, Effect, Failure, Initiator, Input, Joiner, Question, ScannedCode, Setup,
};
use handfast_ring::SignedIdentity;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::seeds::{self, NOW};

/// The longest conversation, in operations: everything can happen in so many.
const MAX_OPERATIONS: usize = 400;

pub(crate) fn session(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let rng = &mut StdRng::seed_from_u64(1);
    let resumed = Machine::resume(kind % 3, bytes, 1, NOW, rng);
    if let Ok(mut machine) = resumed {
        let stored = machine.to_bytes(NOW);
        assert!(Machine::resume(kind % 3, &stored, 1, NOW, rng).is_ok());
        // The first thing that it is told ends it or not.
        let _ = machine.handle(NOW, rng, Input::Elapsed);
        drain(&mut machine);
    }
}

/// What others put at the names that a machine watches.
pub(crate) fn line(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let rng = &mut StdRng::seed_from_u64(1);
    let (mut machine, key) = if kind & 1 == 0 {
        let options = CodeOptions { lifetime: 600, ..CodeOptions::default() };
        let machine = Initiator::start(seeds::setup(1), options, NOW, rng);
        let seed = machine.code().map(|code| code.temp.clone());
        (Machine::Initiator(machine), seed)
    } else {
        let (code, reply) = seeds::code_of_another();
        let Ok(machine) = Joiner::start(seeds::setup(2), code, NOW, rng) else { return };
        (Machine::Joiner(machine), Some(reply))
    };
    let Some(key) = key else { return };
    let sequence = u64::from(kind >> 1);
    let Some(record) = carrying(&key, bytes, sequence) else { return };
    for router in 0..2 {
        let (name, record) = (*record.name(), Some(record.clone()));
        let answer = Input::Answer { router, routers: 2, name, record };
        let _ = machine.handle(NOW, rng, answer);
        drain(&mut machine);
    }
}

pub(crate) fn pairing(data: &[u8]) {
    World::new(false, data).run(data);
}

pub(crate) fn literal(data: &[u8]) {
    World::new(true, data).run(data);
}

fn carrying(key: &IpnsSecret, bytes: &[u8], sequence: u64) -> Option<Record> {
    let mut draft = Draft::new(EMPTY_PATH, sequence, NOW + Duration::from_secs(1 << 30));
    draft.extra.insert("_handfast".into(), bytes.to_vec());
    draft.sign(key).ok()
}

fn drain(machine: &mut Machine) -> Vec<Effect> {
    let effects: Vec<Effect> = std::iter::from_fn(|| machine.poll()).take(1_000).collect();
    assert!(effects.len() < 1_000, "the machine never comes to rest");
    effects
}

enum Machine {
    Initiator(Initiator),
    Joiner(Joiner),
    Literal(Literal),
}

impl Machine {
    fn kind(&self) -> u8 {
        match self {
            Machine::Initiator(_) => 0,
            Machine::Joiner(_) => 1,
            Machine::Literal(_) => 2,
        }
    }

    fn resume(
        kind: u8,
        bytes: &[u8],
        device: u64,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Result<Machine, Unreadable> {
        let keys = seeds::keys(device);
        Ok(match kind {
            0 => Machine::Initiator(Initiator::resume(bytes, keys, now, rng)?),
            1 => Machine::Joiner(Joiner::resume(bytes, keys, now, rng)?),
            _ => Machine::Literal(Literal::resume(bytes, keys, now)?),
        })
    }

    fn handle(&mut self, now: Timestamp, rng: &mut StdRng, it: Input) -> Result<(), Failure> {
        match self {
            Machine::Initiator(machine) => machine.handle(now, rng, it),
            Machine::Joiner(machine) => machine.handle(now, rng, it),
            Machine::Literal(machine) => machine.handle(now, it),
        }
    }

    fn poll(&mut self) -> Option<Effect> {
        match self {
            Machine::Initiator(machine) => machine.poll(),
            Machine::Joiner(machine) => machine.poll(),
            Machine::Literal(machine) => machine.poll(),
        }
    }

    fn poll_timeout(&mut self) -> Option<Timestamp> {
        match self {
            Machine::Initiator(machine) => machine.poll_timeout(),
            Machine::Joiner(machine) => machine.poll_timeout(),
            Machine::Literal(machine) => machine.poll_timeout(),
        }
    }

    fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        match self {
            Machine::Initiator(machine) => machine.to_bytes(now),
            Machine::Joiner(machine) => machine.to_bytes(now),
            Machine::Literal(machine) => machine.to_bytes(now),
        }
    }

    fn ended(&self) -> Option<Option<Failure>> {
        match self {
            Machine::Initiator(machine) => machine.ended(),
            Machine::Joiner(machine) => machine.ended(),
            Machine::Literal(machine) => machine.ended(),
        }
    }
}

/// One device, its person and its disk.
struct Side {
    device: u64,
    machine: Machine,
    stored: Option<Vec<u8>>,
    watched: BTreeSet<Name>,
    /// What is to be reported, once somebody does.
    reports: VecDeque<Input>,
    question: Option<Question>,
    asks_literal: bool,
    /// The check code that it shows.
    shown: Option<CheckCode>,
    /// The two digits too: it has confirmed.
    shows_back: bool,
    /// Whether its person has said yes, or typed something.
    answered: bool,
    identity: Option<SignedIdentity>,
    admitted: bool,
    over: bool,
}

struct World {
    literal: bool,
    consent: Consent,
    now: Timestamp,
    rng: StdRng,
    sides: [Side; 2],
    temp: IpnsSecret,
    published: BTreeMap<Name, Vec<Record>>,
    /// Whether somebody else has answered the code.
    intruded: bool,
}

impl World {
    fn new(literal: bool, data: &[u8]) -> World {
        let consent = match data.first().map_or(0, |byte| byte % 3) {
            0 => Consent::Typed,
            1 => Consent::Compare,
            _ => Consent::Unseen,
        };
        let mut rng = StdRng::seed_from_u64(7);
        let setup = |device| Setup { consent, ..seeds::setup(device) };
        let (machines, temp) = if literal {
            let life = Duration::from_secs(600);
            let shows = Literal::initiate(setup(1), None, life, NOW, &mut rng);
            let code = shows.code().cloned().expect("a new session shows its code");
            let temp = code.temp.clone();
            let scans = Literal::join(setup(2), code, NOW).expect("both have providers");
            ([Machine::Literal(shows), Machine::Literal(scans)], temp)
        } else {
            let options = CodeOptions { lifetime: 600, ..CodeOptions::default() };
            let shows = Initiator::start(setup(1), options, NOW, &mut rng);
            let text = shows.code().expect("a new session shows its code").to_string();
            let Ok(ScannedCode::Code(code)) = Code::parse(&text) else {
                panic!("a code that was shown can be scanned")
            };
            let temp = code.temp.clone();
            let scans =
                Joiner::start(setup(2), code, NOW, &mut rng).expect("nothing is against it");
            ([Machine::Initiator(shows), Machine::Joiner(scans)], temp)
        };
        let mut device = 0;
        let sides = machines.map(|machine| {
            device += 1;
            Side {
                device,
                machine,
                stored: None,
                watched: BTreeSet::new(),
                reports: VecDeque::new(),
                question: None,
                asks_literal: false,
                shown: None,
                shows_back: false,
                answered: false,
                identity: None,
                admitted: false,
                over: false,
            }
        });
        let published = BTreeMap::new();
        World { literal, consent, now: NOW, rng, sides, temp, published, intruded: false }
    }

    /// Goes through the operations, and tells which sides have finished.
    fn run(mut self, data: &[u8]) -> [bool; 2] {
        self.take_effects(0);
        self.take_effects(1);
        let mut bytes = data.iter().copied().skip(1);
        for _ in 0..MAX_OPERATIONS {
            let Some(byte) = bytes.next() else { break };
            let at = usize::from(byte & 1);
            match (byte >> 1) % 16 {
                0..=2 => self.answer(at, None),
                3 => {
                    let back = usize::from(bytes.next().unwrap_or(0));
                    self.answer(at, Some(back));
                }
                4 | 5 => self.report(at),
                6 | 7 => self.person_answers(at),
                8 => {
                    let count = usize::from(bytes.next().unwrap_or(0) % 24);
                    let typed: Vec<u8> = bytes.by_ref().take(count).collect();
                    // What nobody has read off the other device is nobody's confirmation, unless
                    // it is right by chance, which a fuzzer has no time for.
                    self.tell(at, Input::Typed(String::from_utf8_lossy(&typed).into_owned()));
                }
                9 => self.tell(at, Input::Declined),
                10 => self.elapse(at),
                11 => {
                    let seconds = u64::from(bytes.next().unwrap_or(0)) * 8;
                    self.now = Timestamp(self.now.0.saturating_add(seconds * 1_000));
                }
                12 => {
                    let seconds = u64::from(bytes.next().unwrap_or(0)) * 8;
                    self.now = Timestamp(self.now.0.saturating_sub(seconds * 1_000));
                }
                13 => self.restart(at),
                14 => self.intrude(),
                _ => {
                    let count = usize::from(bytes.next().unwrap_or(0));
                    let junk: Vec<u8> = bytes.by_ref().take(count).collect();
                    self.publish_at_temp(&junk);
                }
            }
        }
        self.sides.map(|side| side.machine.ended() == Some(None))
    }

    /// A router answers about every watched name: with the latest record, or an older one.
    fn answer(&mut self, at: usize, back: Option<usize>) {
        let names: Vec<Name> = self.sides[at].watched.iter().copied().collect();
        for name in names {
            let records = self.published.get(&name).map_or(&[][..], Vec::as_slice);
            let index = match back {
                None => records.len().checked_sub(1),
                Some(back) => (back % (records.len() + 1)).checked_sub(1),
            };
            let record = index.and_then(|index| records.get(index)).cloned();
            for router in 0..2 {
                let answer = Input::Answer { router, routers: 2, name, record: record.clone() };
                self.tell(at, answer);
            }
        }
    }

    /// What was asked for is done.
    fn report(&mut self, at: usize) {
        let found = self.sides[1 - at].identity.clone();
        if let Some(report) = self.sides[at].reports.pop_front() {
            match (report, found) {
                (Input::Elapsed, Some(found)) => self.tell(at, Input::Found(Box::new(found))),
                (Input::Elapsed, None) => self.sides[at].reports.push_back(Input::Elapsed),
                (report, _) => self.tell(at, report),
            }
        }
    }

    /// A careful person answers what is asked, from what both devices show.
    fn person_answers(&mut self, at: usize) {
        let other = &self.sides[1 - at];
        let (code, back) = (other.shown, other.shows_back);
        let own = self.sides[at].shown;
        let input = match &self.sides[at].question {
            _ if self.sides[at].asks_literal => Some(Input::Agreed),
            Some(Question::TypeCheckCode(_)) => code.map(|code| Input::Typed(code.digits())),
            Some(Question::TypeBackDigits(..)) => {
                let seen = code.filter(|code| back && own == Some(*code));
                seen.map(|code| Input::Typed(code.back_digits()))
            }
            Some(Question::Compare(..)) => (code.is_some() && own == code).then_some(Input::Agreed),
            _ => None,
        };
        if let Some(input) = input {
            self.sides[at].answered = true;
            self.tell(at, input);
        }
    }

    fn elapse(&mut self, at: usize) {
        if let Some(then) = self.sides[at].machine.poll_timeout() {
            self.now = self.now.max(then);
        }
        self.tell(at, Input::Elapsed);
    }

    /// The process dies and starts again from what it has stored.
    fn restart(&mut self, at: usize) {
        let (now, rng) = (self.now, &mut self.rng);
        let side = &mut self.sides[at];
        let (Some(stored), kind) = (&side.stored, side.machine.kind()) else { return };
        side.machine = Machine::resume(kind, stored, side.device, now, rng)
            .expect("what was stored can be resumed");
        side.watched.clear();
        side.reports.clear();
        side.question = None;
        side.asks_literal = false;
        self.take_effects(at);
    }

    /// Another device answers the code.
    fn intrude(&mut self) {
        self.intruded = true;
        let rng = &mut StdRng::seed_from_u64(9);
        let Ok(ScannedCode::Code(code)) = Code::parse(&seeds::shown_code()) else { return };
        if self.literal {
            return self.publish_at_temp(b"{}");
        }
        let Ok(joiner) = Joiner::start(seeds::setup(3), code, NOW, rng) else { return };
        let mut machine = Machine::Joiner(joiner);
        for effect in drain(&mut machine) {
            if let Effect::Publish(record) = effect {
                self.published.entry(*record.name()).or_default().push(record);
            }
        }
    }

    fn publish_at_temp(&mut self, bytes: &[u8]) {
        let records = self.published.entry(Name::of(self.temp.public())).or_default();
        let sequence = records.last().map_or(0, |it| it.sequence().saturating_add(1));
        records.extend(carrying(&self.temp, bytes, sequence));
    }

    fn tell(&mut self, at: usize, input: Input) {
        let side = &mut self.sides[at];
        let before = side.machine.ended();
        let result = side.machine.handle(self.now, &mut self.rng, input);
        if let Some(ended) = before {
            assert_eq!(side.machine.ended(), Some(ended), "what has ended stays as it ended");
            assert_eq!(result, ended.map_or(Ok(()), Err));
        }
        self.take_effects(at);
    }

    fn take_effects(&mut self, at: usize) {
        let effects = drain(&mut self.sides[at].machine);
        let (consent, literal, other) = (self.consent, self.literal, 2 - at as u64);
        let side = &mut self.sides[at];
        for effect in effects {
            match effect {
                Effect::Store => side.stored = Some(side.machine.to_bytes(self.now)),
                Effect::Publish(record) => {
                    self.published.entry(*record.name()).or_default().push(record);
                }
                Effect::Watch(name) => drop(side.watched.insert(name)),
                Effect::Unwatch(name) => drop(side.watched.remove(&name)),
                Effect::Ask(question) => {
                    if let Question::TypeBackDigits(_, code) | Question::Compare(_, code) =
                        &question
                    {
                        side.shown = Some(*code);
                    }
                    if !matches!(question, Question::NotACheckCode | Question::Wrong(_)) {
                        side.question = Some(question);
                    }
                }
                Effect::AskLiteral(_) => side.asks_literal = true,
                Effect::Show(code) => (side.shown, side.shows_back) = (Some(code), true),
                Effect::UseProvider(_) => assert!(side.answered || consent == Consent::Unseen),
                Effect::Announce(identity) => side.identity = Some(*identity),
                // Stands for a report that needs what the other side has announced.
                Effect::FindPeer(_) => side.reports.push_back(Input::Elapsed),
                Effect::Admit(introduction) => {
                    assert!(!side.over, "nobody is admitted behind the end");
                    assert!(side.answered || consent == Consent::Unseen, "nobody has confirmed");
                    let looked = consent != Consent::Unseen && !literal;
                    if looked || !self.intruded {
                        let peer = introduction.peer.identity();
                        assert_eq!(peer.auth, seeds::keys(other).auth.public(), "a stranger");
                    }
                    side.admitted = true;
                    side.identity = Some(introduction.own.clone());
                    let feed = Draft::new(EMPTY_PATH, 1, self.now + Duration::from_secs(3_600));
                    let feed = feed.sign(&seeds::keys(side.device).ipns);
                    side.reports.extend(feed.ok().map(Input::Published));
                }
                Effect::Import(_) => side.reports.push_back(Input::Imported),
                Effect::Finished => {
                    assert!(side.admitted, "done means admitted");
                    side.over = true;
                }
            }
        }
        side.over |= side.machine.ended().is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_that_goes_well_ends_well() {
        for (is_literal, target) in [(false, "pairing"), (true, "literal")] {
            for operations in seeds::of(target) {
                let finished = World::new(is_literal, &operations).run(&operations);
                assert_eq!(finished, [true, true], "{target} {}", operations[0]);
            }
        }
    }
}
