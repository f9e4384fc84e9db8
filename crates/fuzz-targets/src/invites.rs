//! Pairing by invite: what stands in invites, requests, responses and messages, stored sessions, and
//! whole pairings as sequences of operations.
//!
//! An operation is a byte, sometimes with a number behind it. Whatever the order in which two roads,
//! two people and two processes that die do things, and whatever others who have the invite say: the
//! machines don't panic and come to rest, can be stored and resumed at any time, hand nothing over
//! before the people have compared where they were to, and the candidate ends with what the member
//! has handed over.

use handfast_keys::{InviteSecret, Timestamp};
use handfast_pairing::invite::message::{Closed, Envelope, Reveal};
use handfast_pairing::invite::{
    Asking, Candidate, CandidateSetup, ChunkHash, Conversation, Effect, Failure, Input, Invite,
    Joined, Map, Member, Question, Receipt, Request, Response, Structure, StructureKey, Terms, Via,
    Writers,
};
use handfast_pairing::qr::Consent;
use handfast_ring::DeviceName;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_bytes::ByteBuf;

use crate::decoders::round;
use crate::seeds::{self, NOW};

/// The longest conversation, in operations.
const MAX_OPERATIONS: usize = 300;

/// Numbers of this encoding have more than one form, so it is what is read that comes back.
pub(crate) fn invite(data: &[u8]) {
    let text = std::str::from_utf8(data).ok().and_then(|text| Invite::parse(text).ok());
    for invite in Invite::from_bytes(data).ok().into_iter().chain(text) {
        // Nodes that nobody could reach are left out.
        let again = Invite::from_bytes(&invite.to_bytes()).expect("its own bytes");
        assert_eq!(again.to_bytes(), invite.to_bytes());
        assert_eq!(Invite::parse(&again.to_string()).as_ref(), Ok(&again));
    }
    let key = InviteSecret::from_seed([3; 32]);
    if let Ok(request) = Request::from_bytes(data) {
        assert_eq!(Request::from_bytes(&request.to_bytes()).as_ref(), Ok(&request));
        let _ = request.open(&key.public());
    }
    if let Ok(receipt) = Receipt::from_bytes(data) {
        assert_eq!(Receipt::from_bytes(&receipt.to_bytes()).as_ref(), Ok(&receipt));
    }
    if let Ok(response) = Response::from_bytes(data) {
        assert_eq!(Response::from_bytes(&response.to_bytes()).as_ref(), Ok(&response));
    }
    // Past the seal, too.
    let receipt = Request::new(&key, data).open(&key.public());
    assert_eq!(receipt.is_ok(), !data.is_empty());
    let hash = seeds::invite().hash();
    if let Some(envelope) = Envelope::decode(data, &hash) {
        assert_eq!(envelope.encode(), data);
    }
    round::<Reveal>(data);
    round::<Closed>(data);
    round::<Map>(data);
    round::<Writers>(data);
}

/// Stored sessions of both sides.
pub(crate) fn invited(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    let rng = &mut StdRng::seed_from_u64(1);
    let Some(mut machine) = Machine::resume(kind & 1 == 0, bytes, NOW, rng) else { return };
    drain(&mut machine);
    let stored = machine.to_bytes(NOW);
    assert!(Machine::resume(kind & 1 == 0, &stored, NOW, rng).is_some());
    let _ = machine.handle(NOW, rng, Input::Elapsed);
    drain(&mut machine);
}

/// Whole pairings.
pub(crate) fn exchange(data: &[u8]) {
    World::new(data).run(data);
}

enum Machine {
    Member(Member),
    Candidate(Candidate),
}

impl Machine {
    fn resume(member: bool, bytes: &[u8], now: Timestamp, rng: &mut StdRng) -> Option<Machine> {
        Some(match member {
            true => Machine::Member(Member::resume(bytes, None, now, rng).ok()?),
            false => Machine::Candidate(Candidate::resume(bytes, now, rng).ok()?),
        })
    }

    fn handle(&mut self, now: Timestamp, rng: &mut StdRng, it: Input) -> Result<(), Failure> {
        match self {
            Machine::Member(machine) => machine.handle(now, rng, it),
            Machine::Candidate(machine) => machine.handle(now, rng, it),
        }
    }

    fn poll(&mut self) -> Option<Effect> {
        match self {
            Machine::Member(machine) => machine.poll(),
            Machine::Candidate(machine) => machine.poll(),
        }
    }

    fn poll_timeout(&mut self) -> Option<Timestamp> {
        match self {
            Machine::Member(machine) => machine.poll_timeout(),
            Machine::Candidate(machine) => machine.poll_timeout(),
        }
    }

    fn ended(&self) -> Option<Option<Failure>> {
        match self {
            Machine::Member(machine) => machine.ended(),
            Machine::Candidate(machine) => machine.ended(),
        }
    }

    fn conversation(&self) -> Option<Conversation<'_>> {
        match self {
            Machine::Member(machine) => machine.conversation(),
            Machine::Candidate(machine) => machine.conversation(),
        }
    }

    fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        match self {
            Machine::Member(machine) => machine.to_bytes(now),
            Machine::Candidate(machine) => machine.to_bytes(now),
        }
    }
}

fn drain(machine: &mut Machine) -> Vec<Effect> {
    let effects: Vec<Effect> = std::iter::from_fn(|| machine.poll()).take(1_000).collect();
    assert!(effects.len() < 1_000, "the machine never comes to rest");
    effects
}

/// One device, its person and its disk.
struct Side {
    machine: Machine,
    stored: Vec<u8>,
    /// What its person has to answer.
    question: Option<Question>,
    /// Whether its person has said yes, or typed something.
    answered: bool,
    /// What it still has to report.
    reports: Vec<Input>,
    fetches: Vec<ChunkHash>,
}

struct World {
    now: Timestamp,
    rng: StdRng,
    compares: bool,
    /// The member and the candidate.
    sides: [Side; 2],
    asking: Option<Asking>,
    responses: Vec<Response>,
    /// What the candidate has come to.
    joined: Option<Joined>,
    /// Whether somebody else has answered the invite.
    intruded: bool,
}

impl World {
    fn new(data: &[u8]) -> World {
        let mut rng = StdRng::seed_from_u64(7);
        let (verify, raw) = match data.first().map_or(0, |byte| byte % 4) {
            0 => (None, false),
            1 => (Some(Consent::Typed), false),
            2 => (Some(Consent::Compare), false),
            _ => (None, true),
        };
        let terms = match raw {
            true => seeds::raw_terms(),
            false => Terms::Envelope { verify },
        };
        let mut member = Member::start(terms, Default::default(), None, NOW, &mut rng);
        let _ = member.handle(NOW, &mut rng, Input::Ready(name("laptop")));
        let invite = member.invite().cloned().expect("an invite");
        let consent = verify.unwrap_or(Consent::Unseen);
        let setup = CandidateSetup { name: name("phone"), device: None, consent, insist: false };
        let candidate = match raw {
            true => Candidate::start_raw(invite, &key(9), NOW),
            false => Candidate::start(setup, invite, NOW, &mut rng),
        };
        let candidate = candidate.expect("an invite that can be answered");
        let machines = [Machine::Member(member), Machine::Candidate(candidate)];
        let sides = machines.map(|machine| Side {
            stored: machine.to_bytes(NOW),
            machine,
            question: None,
            answered: false,
            reports: Vec::new(),
            fetches: Vec::new(),
        });
        let mut world = World {
            now: NOW,
            rng,
            compares: verify.is_some(),
            sides,
            asking: None,
            responses: Vec::new(),
            joined: None,
            intruded: false,
        };
        world.take_effects(0);
        world.take_effects(1);
        world
    }

    /// Performs the operations; says whether the candidate has got in.
    fn run(mut self, data: &[u8]) -> bool {
        let mut bytes = data.iter().skip(1).copied();
        for _ in 0..MAX_OPERATIONS {
            let Some(operation) = bytes.next() else { break };
            let at = usize::from(operation & 1);
            match operation / 2 % 16 {
                0 => self.ask(at),
                1 => self.respond(at, bytes.next()),
                2 | 3 => self.deliver_frames(at, bytes.next()),
                4 => self.deliver_letter(at),
                5 => self.deliver_chunk(at),
                6 | 7 => self.report(at),
                8 | 9 => self.person_answers(at),
                10 => self.elapse(at),
                11 => self.restart(at),
                12 => self.intrude(bytes.by_ref().take(8).collect()),
                13 => self.say(at, bytes.by_ref().take(8).collect()),
                14 => self.tell(at, Input::Typed("wrong wrong wrong wrong".to_owned())),
                _ => self.tell(at, Input::Declined),
            }
        }
        self.joined.is_some()
    }

    fn ask(&mut self, road: usize) {
        let Some(asking) = &self.asking else { return };
        let request = Request::from_bytes(&asking.request).expect("its own request");
        self.tell(0, Input::Request(via(road), request));
    }

    fn respond(&mut self, road: usize, which: Option<u8>) {
        let which = usize::from(which.unwrap_or(u8::MAX));
        let last = self.responses.len().saturating_sub(1);
        if let Some(response) = self.responses.get(which.min(last)).cloned() {
            self.tell(1, Input::Response(via(road), response));
        }
    }

    /// The other side's frames from one on.
    fn deliver_frames(&mut self, at: usize, from: Option<u8>) {
        let Some(talk) = self.sides[1 - at].machine.conversation() else { return };
        let frames: Vec<_> = talk.own.frames(from.unwrap_or(0).into()).collect();
        frames.into_iter().for_each(|frame| self.tell(at, Input::Frame(frame)));
    }

    fn deliver_letter(&mut self, at: usize) {
        let Some(talk) = self.sides[1 - at].machine.conversation() else { return };
        let letter = talk.own.letter(0);
        self.tell(at, Input::Line(letter.sequence, letter.value));
    }

    fn deliver_chunk(&mut self, at: usize) {
        let Some(wanted) = self.sides[at].fetches.pop() else { return };
        let Some(talk) = self.sides[1 - at].machine.conversation() else { return };
        let mut chunks = talk.own.letter(0).chunks.into_iter();
        let found = chunks.find(|it| handfast_pairing::invite::derive::chunk_hash(it) == wanted);
        if let Some(chunk) = found {
            self.tell(at, Input::Chunk(chunk));
        }
    }

    fn report(&mut self, at: usize) {
        if let Some(report) = self.sides[at].reports.pop() {
            self.tell(at, report);
        }
    }

    /// A person who sees both devices.
    fn person_answers(&mut self, at: usize) {
        let other = self.sides[1 - at].question.clone();
        let input = match (self.sides[at].question.take(), other) {
            (Some(Question::TypeCheckCode(_)), Some(Question::TypeBackDigits(_, code))) => {
                Input::Typed(code.digits())
            }
            (Some(question @ Question::TypeBackDigits(..)), _) if !self.sides[0].answered => {
                self.sides[at].question = Some(question);
                return;
            }
            (Some(Question::TypeBackDigits(_, code)), _) => Input::Typed(code.back_digits()),
            (Some(Question::Compare(..)), _) => Input::Agreed,
            (question, _) => {
                self.sides[at].question = question;
                return;
            }
        };
        self.sides[at].answered = true;
        self.tell(at, input);
    }

    fn elapse(&mut self, at: usize) {
        if let Some(then) = self.sides[at].machine.poll_timeout() {
            self.now = self.now.max(then);
        }
        self.tell(at, Input::Elapsed);
    }

    /// The process dies and starts again from what it has stored.
    fn restart(&mut self, at: usize) {
        let side = &mut self.sides[at];
        side.machine = Machine::resume(at == 0, &side.stored, self.now, &mut self.rng)
            .expect("what was stored can be resumed");
        (side.question, side.reports, side.fetches) = Default::default();
        self.take_effects(at);
    }

    /// Somebody else who has the invite asks with these bytes.
    fn intrude(&mut self, bytes: Vec<u8>) {
        let Machine::Member(member) = &self.sides[0].machine else { return };
        let Some(invite) = member.invite() else { return };
        let request = Request::new(&invite.key, &bytes);
        self.intruded = true;
        self.tell(0, Input::Request(Via::Live(9), request));
    }

    /// Somebody else says this on every road.
    fn say(&mut self, at: usize, bytes: Vec<u8>) {
        self.tell(at, Input::Frame(bytes.clone()));
        self.tell(at, Input::Chunk(bytes.clone()));
        self.tell(at, Input::Line(u64::from(bytes.first().copied().unwrap_or(0)), bytes));
    }

    fn tell(&mut self, at: usize, input: Input) {
        let side = &mut self.sides[at];
        let before = side.machine.ended();
        let _ = side.machine.handle(self.now, &mut self.rng, input);
        if let Some(ended) = before {
            assert_eq!(side.machine.ended(), Some(ended), "what has ended stays as it ended");
        }
        self.take_effects(at);
    }

    fn take_effects(&mut self, at: usize) {
        let compared = !self.compares || self.sides.iter().all(|side| side.answered);
        let (member, effects) = (at == 0, drain(&mut self.sides[at].machine));
        let side = &mut self.sides[at];
        for effect in effects {
            match effect {
                Effect::Store => side.stored = side.machine.to_bytes(self.now),
                Effect::Respond(_, response, _) => self.responses.push(response),
                Effect::Ask(asking) => self.asking = Some(*asking),
                Effect::Withdraw => self.asking = None,
                Effect::Fetch(hashes) => side.fetches.extend(hashes),
                Effect::Question(question) => {
                    if !matches!(question, Question::NotACheckCode | Question::Wrong(_)) {
                        side.question = Some(question);
                    }
                }
                Effect::Provide(_) => {
                    assert!(member && compared, "handed over before anybody has looked");
                    side.reports.push(Input::Map(Box::new(map())));
                }
                Effect::MakeWriters(offer) => {
                    assert!(!member && offer.map == map(), "not what was handed over");
                    side.reports.push(Input::Writers(Box::new(writers())));
                }
                Effect::AddWriters(joining) => {
                    assert!(member && compared);
                    assert!(
                        self.intruded || joining.peer.is_none() || joining.writers == writers()
                    );
                    side.reports.push(Input::Added);
                }
                Effect::Paired(_) => side.reports.push(Input::Noted),
                Effect::Joined(joined) => {
                    if let Joined::Envelope(offer, own) = &*joined {
                        assert_eq!((&offer.map, &**own), (&map(), &writers()));
                    }
                    self.joined = Some(*joined);
                }
                Effect::Converse
                | Effect::Say
                | Effect::Hush
                | Effect::Retire
                | Effect::Show(_)
                | Effect::Denied(_) => (),
            }
        }
    }
}

fn via(road: usize) -> Via {
    if road == 0 { Via::Live(1) } else { Via::Mailbox }
}

fn name(text: &str) -> DeviceName {
    DeviceName::new(text).expect("a name")
}

fn key(byte: u8) -> StructureKey {
    StructureKey::from_bytes([byte; 32])
}

/// What the member hands over.
pub(crate) fn map() -> Map {
    let namespace = "notes".to_owned();
    let structure = Structure { namespace, key: key(4), config: ByteBuf::from(vec![7; 900]) };
    Map { primary: Some(key(5)), structures: vec![structure], ..Map::default() }
}

/// The candidate's writers.
pub(crate) fn writers() -> Writers {
    let keys = [("notes".to_owned(), key(6))].into_iter().collect();
    Writers { keys, attachment: ByteBuf::from([1]) }
}

/// The sessions of both sides as they begin, behind the number of their kind.
pub(crate) fn sessions() -> Vec<Vec<u8>> {
    (0..4u8)
        .flat_map(|terms| {
            let sides = World::new(&[terms]).sides;
            [0u8, 1].map(|at| [&[at], &sides[usize::from(at)].stored[..]].concat())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_that_goes_well_ends_well() {
        for operations in seeds::of("exchange") {
            assert!(World::new(&operations).run(&operations), "{}", operations[0]);
        }
    }
}
