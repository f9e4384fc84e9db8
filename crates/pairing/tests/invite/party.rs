//! A device: its machine, its app and its person.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use handfast_keys::{CheckCode, Timestamp};
use handfast_pairing::invite::{
    Asking, Candidate, CandidateSetup, ChunkHash, Failure, Input, Invite, InviteOptions, Joined,
    Joining, Machine, Map, Member, Profile, Question, Structure, StructureKey, Terms, Writers,
};
use handfast_pairing::qr::Consent;
use handfast_ring::{DeviceKeys, DeviceName};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_bytes::ByteBuf;

/// What a device does in a pairing.
#[derive(Clone)]
pub enum Part {
    Member { terms: Terms, options: InviteOptions, map: Map },
    Candidate { consent: Consent, insist: bool },
}

/// What a person does when asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    Careful,
    Declines,
    Absent,
}

#[derive(Debug, Clone, Default)]
pub struct Screen {
    pub question: Option<Question>,
    /// How often something was asked.
    pub asked: usize,
    pub check: Option<CheckCode>,
    pub digits: bool,
}

pub struct Party {
    pub part: Part,
    pub number: u8,
    pub device: Option<DeviceKeys>,
    pub person: Person,
    pub rng: StdRng,
    pub machine: Option<Machine>,
    pub stored: Option<Vec<u8>>,
    /// Whether its process runs.
    pub awake: bool,

    pub screen: Screen,
    pub asking: Option<Asking>,
    pub converses: bool,
    pub hushed: bool,
    pub fetches: BTreeSet<ChunkHash>,
    pub put_due: bool,
    /// What it still has to leave on the DHT.
    pub replies: VecDeque<Input>,
    /// When it next polls the DHT, and says everything again on its connections.
    pub polls_at: u64,
    pub connects_at: u64,

    pub dies_at: BTreeSet<usize>,
    pub points: usize,
    pub restarts: usize,

    pub outcome: Option<Result<(), Failure>>,
    pub joined: Option<Joined>,
    /// What was added to the member's structures: a set, as `add_writer` is idempotent.
    pub added: BTreeSet<(String, StructureKey)>,
    pub paired: Vec<Joining>,
}

pub fn name(number: u8) -> DeviceName {
    DeviceName::new(&format!("device {number}")).unwrap()
}

pub fn structure_key(owner: u8, namespace: &str) -> StructureKey {
    let digest = handfast_keys::Digest::sha256(format!("{owner} {namespace}").as_bytes());
    StructureKey::from_bytes(*digest.as_bytes())
}

/// The map of a member with these structures.
pub fn map(namespaces: &[&str]) -> Map {
    let structure = |namespace: &&str| Structure {
        namespace: (*namespace).to_owned(),
        key: structure_key(0, namespace),
        config: ByteBuf::from(vec![7; 20]),
    };
    Map {
        primary: Some(structure_key(0, "primary")),
        structures: namespaces.iter().map(structure).collect(),
        ..Map::default()
    }
}

/// The writers that a device makes for a map.
pub fn writers(number: u8, map: &Map) -> Writers {
    let key = |it: &Structure| (it.namespace.clone(), structure_key(number, &it.namespace));
    Writers { keys: map.structures.iter().map(key).collect(), attachment: ByteBuf::from([number]) }
}

impl Party {
    pub fn new(number: u8, part: Part) -> Party {
        Party {
            part,
            number,
            device: None,
            person: Person::Careful,
            rng: StdRng::seed_from_u64(number.into()),
            machine: None,
            stored: None,
            awake: true,
            screen: Screen::default(),
            asking: None,
            converses: false,
            hushed: false,
            fetches: BTreeSet::new(),
            put_due: false,
            replies: VecDeque::new(),
            polls_at: 0,
            connects_at: 0,
            dies_at: BTreeSet::new(),
            points: 0,
            restarts: 0,
            outcome: None,
            joined: None,
            added: BTreeSet::new(),
            paired: Vec::new(),
        }
    }

    /// Counts a point at which the process may die; whether it does.
    pub fn dies(&mut self) -> bool {
        self.points += 1;
        self.dies_at.contains(&(self.points - 1))
    }

    /// Begins, if there is something to begin with.
    pub fn start(&mut self, now: Timestamp, invite: Option<&Invite>) {
        let rng = &mut self.rng;
        let machine = match (self.part.clone(), invite) {
            (Part::Member { terms, options, .. }, _) => {
                let mut member = Member::start(terms, options, self.device.clone(), now, rng);
                member.handle(now, rng, Input::Ready(name(self.number))).unwrap();
                Ok(Machine::Member(member))
            }
            (Part::Candidate { .. }, None) => return,
            (Part::Candidate { .. }, Some(invite)) if invite.profile() == Profile::Raw => {
                let key = structure_key(self.number, "raw");
                Candidate::start_raw(invite.clone(), &key, now).map(Machine::Candidate)
            }
            (Part::Candidate { consent, insist }, Some(invite)) => {
                let device = self.device.clone();
                let setup = CandidateSetup { name: name(self.number), device, consent, insist };
                Candidate::start(setup, invite.clone(), now, rng).map(Machine::Candidate)
            }
        };
        match machine {
            Ok(machine) => self.machine = Some(machine),
            Err(failure) => self.outcome = Some(Err(failure)),
        }
    }

    /// The process dies and starts again from what it has stored, if it has stored anything.
    pub fn restart(&mut self, now: Timestamp) {
        self.restarts += 1;
        self.screen = Screen::default();
        self.asking = None;
        self.replies.clear();
        self.fetches.clear();
        (self.converses, self.hushed, self.put_due) = (false, false, false);
        (self.polls_at, self.connects_at) = (0, 0);
        let Some(died) = self.machine.take() else { return };
        let Some(bytes) = &self.stored else { return };
        let rng = &mut self.rng;
        self.machine = Some(match died {
            Machine::Member(_) => {
                Machine::Member(Member::resume(bytes, self.device.clone(), now, rng).unwrap())
            }
            Machine::Candidate(_) => {
                Machine::Candidate(Candidate::resume(bytes, now, rng).unwrap())
            }
        });
    }

    /// What the person does, looking at both screens.
    pub fn answers(&mut self, other: &Screen) -> Option<Input> {
        let question = self.screen.question.clone()?;
        let answer = match (self.person, question) {
            (Person::Absent, _) => None,
            (Person::Declines, _) => Some(Input::Declined),
            (_, Question::TypeCheckCode(_)) => Some(Input::Typed(other.check?.digits())),
            (_, Question::TypeBackDigits(..)) => {
                let shown = other.check.filter(|_| other.digits)?;
                Some(Input::Typed(shown.back_digits()))
            }
            (_, Question::Compare(_, code)) => Some(match other.check? == code {
                true => Input::Agreed,
                false => Input::Declined,
            }),
            (_, Question::NotACheckCode | Question::Wrong(_)) => None,
        };
        if answer.is_some() {
            self.screen.question = None;
        }
        answer
    }

    /// By what its structures' writers are known.
    pub fn added_by_owner(&self, number: u8) -> BTreeMap<String, StructureKey> {
        let own = self.added.iter().filter(|(namespace, key)| {
            *key == structure_key(number, namespace) || *key == structure_key(number, "raw")
        });
        own.cloned().collect()
    }
}
