//! A device: its machine, what it has stored, and what it has done.

use std::collections::{BTreeSet, VecDeque};

use handfast_ipfs::{Name, Record};
use handfast_keys::{Digest, Timestamp};
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::literal::{Literal, LiteralCode};
use handfast_pairing::qr::message::ProviderGrant;
use handfast_pairing::qr::session::{PeerKeys, Unreadable};
use handfast_pairing::qr::{
    Code, Consent, Effect, Failure, Initiator, Input, Introduction, Joiner, ScannedCode, Setup,
};
use handfast_ring::{DeviceKeys, DeviceName};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::person::{Person, Screen};

/// A provider config.
pub fn grant() -> ProviderGrant {
    let json = r#"{"authToken":"hush","endpoint":"https://pins.example","type":"self-hosted"}"#;
    ProviderGrant::new(json.into()).unwrap()
}

/// The options of a code that lives for ten minutes.
pub fn options() -> CodeOptions {
    CodeOptions { lifetime: 600, ..CodeOptions::default() }
}

/// Where a device's feed can be read.
pub fn reach(name: &str) -> ProviderGrant {
    ProviderGrant::new(format!("the reach of {name}")).unwrap()
}

/// A device that has a provider.
pub fn setup(seed: u64, name: &str) -> Setup {
    Setup {
        keys: DeviceKeys::generate(&mut StdRng::seed_from_u64(seed)),
        name: DeviceName::new(name).unwrap(),
        records: 1_000 * seed,
        provider: Some(grant()),
        reach: Some(reach(name)),
        consent: Consent::Typed,
        members: Vec::new(),
        again: false,
    }
}

/// The machine of any role and version.
pub enum Machine {
    Initiator(Initiator),
    Joiner(Joiner),
    Literal(Literal),
}

/// How a device pairs.
#[derive(Debug, Clone)]
pub enum Part {
    /// Shows a code of version 2.
    Shows(CodeOptions),
    /// Shows a code of version 1.
    ShowsLiteral(Option<ProviderGrant>),
    /// Scans whatever is shown.
    Scans,
}

impl Machine {
    pub fn handle(&mut self, now: Timestamp, rng: &mut StdRng, it: Input) -> Result<(), Failure> {
        match self {
            Machine::Initiator(machine) => machine.handle(now, rng, it),
            Machine::Joiner(machine) => machine.handle(now, rng, it),
            Machine::Literal(machine) => machine.handle(now, it),
        }
    }

    pub fn poll(&mut self) -> Option<Effect> {
        match self {
            Machine::Initiator(machine) => machine.poll(),
            Machine::Joiner(machine) => machine.poll(),
            Machine::Literal(machine) => machine.poll(),
        }
    }

    pub fn poll_timeout(&mut self) -> Option<Timestamp> {
        match self {
            Machine::Initiator(machine) => machine.poll_timeout(),
            Machine::Joiner(machine) => machine.poll_timeout(),
            Machine::Literal(machine) => machine.poll_timeout(),
        }
    }

    pub fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        match self {
            Machine::Initiator(machine) => machine.to_bytes(now),
            Machine::Joiner(machine) => machine.to_bytes(now),
            Machine::Literal(machine) => machine.to_bytes(now),
        }
    }

    pub fn ended(&self) -> Option<Option<Failure>> {
        match self {
            Machine::Initiator(machine) => machine.ended(),
            Machine::Joiner(machine) => machine.ended(),
            Machine::Literal(machine) => machine.ended(),
        }
    }

    pub fn has_confirmed(&self) -> bool {
        match self {
            Machine::Initiator(machine) => machine.has_confirmed(),
            Machine::Joiner(machine) => machine.has_confirmed(),
            Machine::Literal(machine) => machine.has_confirmed(),
        }
    }

    pub fn code(&self) -> Option<String> {
        match self {
            Machine::Initiator(machine) => machine.code().map(ToString::to_string),
            Machine::Joiner(_) => None,
            Machine::Literal(machine) => machine.code().map(ToString::to_string),
        }
    }

    /// The machine that takes this one's place after a restart.
    fn resume(
        &self,
        bytes: &[u8],
        keys: DeviceKeys,
        now: Timestamp,
        rng: &mut StdRng,
    ) -> Result<Machine, Unreadable> {
        Ok(match self {
            Machine::Initiator(_) => Machine::Initiator(Initiator::resume(bytes, keys, now, rng)?),
            Machine::Joiner(_) => Machine::Joiner(Joiner::resume(bytes, keys, now, rng)?),
            Machine::Literal(_) => Machine::Literal(Literal::resume(bytes, keys, now)?),
        })
    }
}

/// A device and its person.
pub struct Party {
    pub setup: Setup,
    pub part: Part,
    pub person: Person,
    /// By how much its clock is wrong, in milliseconds.
    pub wrong_clock: i64,
    /// By how much more its clock is wrong after a restart.
    pub clock_jump: i64,
    pub rng: StdRng,

    pub machine: Option<Machine>,
    pub stored: Option<Vec<u8>>,
    pub screen: Screen,
    pub watched: BTreeSet<Name>,
    /// What has come of effects, to be told to the machine.
    pub replies: VecDeque<Input>,
    pub finds: Option<PeerKeys>,
    pub imports: Option<Option<Record>>,

    /// At which of its points the process dies, counted from zero: before each effect, and after
    /// each that has to be reported. (To die on another input is to die before its first effect.)
    pub dies_at: BTreeSet<usize>,
    pub points: usize,

    pub outcome: Option<Result<(), Failure>>,
    pub admitted: Vec<Introduction>,
    pub granted: Vec<ProviderGrant>,
    pub restarts: usize,
}

impl Party {
    pub fn new(setup: Setup, part: Part) -> Party {
        Party {
            rng: StdRng::seed_from_u64(setup.records),
            setup,
            part,
            person: Person::Careful,
            wrong_clock: 0,
            clock_jump: 0,
            machine: None,
            stored: None,
            screen: Screen::default(),
            watched: BTreeSet::new(),
            replies: VecDeque::new(),
            finds: None,
            imports: None,
            dies_at: BTreeSet::new(),
            points: 0,
            outcome: None,
            admitted: Vec::new(),
            granted: Vec::new(),
            restarts: 0,
        }
    }

    /// What its clock says.
    pub fn clock(&self, now: u64) -> Timestamp {
        Timestamp(now.saturating_add_signed(self.wrong_clock))
    }

    /// Counts a point at which the process may die; whether it does.
    pub fn dies(&mut self) -> bool {
        self.points += 1;
        self.dies_at.contains(&(self.points - 1))
    }

    /// The process dies and starts again from what it has stored, if it has stored anything.
    pub fn restart(&mut self, now: u64) {
        self.restarts += 1;
        self.wrong_clock += self.clock_jump;
        // Nobody shows the emojis of version 1 again to who has confirmed; people remember them.
        let literal = self.screen.literal.map(|(fingerprint, _)| (fingerprint, false));
        self.screen = Screen { literal, ..Screen::default() };
        self.watched.clear();
        self.replies.clear();
        (self.finds, self.imports) = (None, None);
        let died = self.machine.take();
        let now = self.clock(now);
        if let (Some(died), Some(bytes)) = (died, &self.stored) {
            let keys = self.setup.keys.clone();
            let machine = died.resume(bytes, keys, now, &mut self.rng).unwrap();
            self.screen.code = machine.code();
            self.machine = Some(machine);
        }
    }

    /// Begins to pair, if there is something to begin with.
    pub fn start(&mut self, now: u64, shown: Option<&str>) {
        let (setup, now) = (self.setup.clone(), self.clock(now));
        let rng = &mut self.rng;
        let started = match (&self.part, shown) {
            (Part::Shows(options), _) => {
                let machine = Initiator::start(setup, options.clone(), now, rng);
                Ok(Machine::Initiator(machine))
            }
            (Part::ShowsLiteral(provider), _) => {
                let lifetime = std::time::Duration::from_secs(600);
                let machine = Literal::initiate(setup, provider.clone(), lifetime, now, rng);
                Ok(Machine::Literal(machine))
            }
            (Part::Scans, None) => return,
            (Part::Scans, Some(text)) => match Code::parse(text).unwrap() {
                ScannedCode::Code(code) => {
                    Joiner::start(setup, code, now, rng).map(Machine::Joiner)
                }
                ScannedCode::Literal(code) => Literal::join(setup, code, now).map(Machine::Literal),
            },
        };
        match started {
            Ok(machine) => self.machine = Some(machine),
            Err(failure) => self.outcome = Some(Err(failure)),
        }
    }

    /// The transcript under which it has admitted its peer; there is never more than one.
    pub fn transcript(&self) -> Option<Digest> {
        let transcripts: BTreeSet<Digest> = self.admitted.iter().map(|it| it.transcript).collect();
        assert!(transcripts.len() <= 1, "one pairing, one transcript");
        transcripts.into_iter().next()
    }
}

/// The code of version 2 in a text.
pub fn scanned(text: &str) -> Code {
    match Code::parse(text).unwrap() {
        ScannedCode::Code(code) => code,
        ScannedCode::Literal(_) => panic!("a code of version 1"),
    }
}

/// The code of version 1 in a text.
pub fn scanned_literal(text: &str) -> LiteralCode {
    match Code::parse(text).unwrap() {
        ScannedCode::Literal(code) => code,
        ScannedCode::Code(_) => panic!("a code of version 2"),
    }
}
