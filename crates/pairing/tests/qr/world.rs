//! Two devices and the network between them: drives the machines as a program would, and checks at
//! every step what must hold always.

use std::collections::{BTreeMap, BTreeSet};

use handfast_ipfs::{Cid, Draft, Name, Record};
use handfast_keys::{Digest, IpnsPublic, Timestamp};
use handfast_pairing::qr::code::CodeOptions;
use handfast_pairing::qr::message::Message;
use handfast_pairing::qr::{Consent, Effect, Failure, Input, Question, Setup};
use handfast_ring::{DeviceId, SignedIdentity};

use crate::network::{BEGINNING, Network, carried, messages};
use crate::party::{Part, Party, options, scanned, setup};

/// The device that shows the code.
pub const A: usize = 0;
/// The device that scans it.
pub const B: usize = 1;

/// Somebody else on the network, who acts before each step. He sees the code once it is shown.
pub type Intruder = Box<dyn FnMut(&mut Network, Option<&str>)>;

/// What stands in a device's feed, as far as pairing is concerned.
#[derive(Default)]
pub struct Feed {
    identity: Option<SignedIdentity>,
    admitted: BTreeSet<(DeviceId, Digest)>,
}

pub struct World {
    pub network: Network,
    pub parties: [Party; 2],
    pub feeds: BTreeMap<IpnsPublic, Feed>,
    pub intruder: Option<Intruder>,
    /// What the joiner scans instead of what the initiator shows.
    pub other_code: Option<String>,
    /// Every code that was shown.
    pub codes: Vec<String>,
}

/// The two devices of most tests, both with a provider.
pub fn pair() -> [Setup; 2] {
    [setup(1, "laptop"), setup(2, "phone")]
}

impl World {
    /// Two devices that pair with version 2, and this many routers.
    pub fn new(devices: [Setup; 2], routers: usize) -> World {
        Self::with(devices, Part::Shows(options()), routers)
    }

    /// The same with other options for the code.
    pub fn with_options(devices: [Setup; 2], options: CodeOptions) -> World {
        Self::with(devices, Part::Shows(options), 2)
    }

    /// Two devices, the first of which shows this.
    pub fn with([a, b]: [Setup; 2], part: Part, routers: usize) -> World {
        World {
            network: Network::new(routers),
            parties: [Party::new(a, part), Party::new(b, Part::Scans)],
            feeds: BTreeMap::new(),
            intruder: None,
            other_code: None,
            codes: Vec::new(),
        }
    }

    pub fn consent(mut self, consent: Consent) -> World {
        self.parties.iter_mut().for_each(|party| party.setup.consent = consent);
        self
    }

    /// Seconds since the beginning.
    pub fn elapsed(&self) -> u64 {
        (self.network.now - BEGINNING) / 1_000
    }

    /// Goes on until the initiator shows its code. The joiner stays away until it
    /// [is let in](Self::let_in).
    pub fn shows(&mut self) {
        self.parties[B].outcome = Some(Ok(()));
        self.run_until(|world| world.parties[A].screen.code.is_some());
        self.other_code = self.codes.last().cloned();
    }

    /// Now the joiner scans the code.
    pub fn let_in(&mut self) {
        self.parties[B].outcome = None;
    }

    /// Goes on until both devices are done, or for an hour.
    pub fn run(&mut self) {
        self.run_until(|world| {
            world.parties.iter().all(|party| party.outcome.is_some()) || world.elapsed() > 3_600
        });
    }

    pub fn run_until(&mut self, mut done: impl FnMut(&World) -> bool) {
        let mut steps = 0;
        while !done(self) {
            self.step();
            steps += 1;
            assert!(steps < 5_000, "what is waited for does not come");
        }
    }

    pub fn outcomes(&self) -> [Option<Result<(), Failure>>; 2] {
        [self.parties[A].outcome, self.parties[B].outcome]
    }

    /// Runs, and expects both to be paired with each other.
    pub fn succeeds(&mut self) {
        self.run();
        assert_eq!(self.outcomes(), [Some(Ok(())), Some(Ok(()))]);
        self.check_success();
    }

    /// Runs, and expects these failures; and that nobody has admitted anybody.
    pub fn fails(&mut self, a: Failure, b: Failure) {
        self.run();
        assert_eq!(self.outcomes(), [Some(Err(a)), Some(Err(b))]);
        for party in &self.parties {
            assert!(party.admitted.is_empty() && party.granted.is_empty());
        }
    }

    /// What holds of two devices that are done: each has admitted the other, under one transcript.
    pub fn check_success(&self) {
        let [a, b] = &self.parties;
        assert!(a.transcript().is_some());
        assert_eq!(a.transcript(), b.transcript());
        for (own, peer) in [(a, b), (b, a)] {
            let introduction = own.admitted.first().unwrap();
            assert_eq!(introduction.peer.identity().auth, peer.setup.keys.auth.public());
            assert_eq!(introduction.peer.identity().name, peer.setup.name);
            assert_eq!(introduction.peer, peer.admitted.first().unwrap().own);
        }
    }

    /// What was ever published under a name, without repetitions.
    pub fn published(&self, name: &Name) -> BTreeSet<Vec<u8>> {
        let records = self.network.published.iter();
        records.filter(|it| it.name() == name).map(|it| carried(it).to_vec()).collect()
    }

    /// The distinct sealed responses to the (version 2) code that was shown last.
    pub fn responses(&self) -> BTreeSet<Vec<u8>> {
        self.published(&Name::of(scanned(self.codes.last().unwrap()).temp.public()))
    }

    /// The distinct sealed Reveals to it.
    pub fn reveals(&self) -> BTreeSet<Vec<u8>> {
        let name = Name::of(scanned(self.codes.last().unwrap()).reply);
        let lines = self.network.published.iter().filter(|it| *it.name() == name).map(messages);
        lines
            .filter_map(|line| match line.into_iter().next() {
                Some(Message::Reveal(sealed)) => Some(sealed.into_vec()),
                _ => None,
            })
            .collect()
    }

    /// Lets time pass and everybody act.
    pub fn step(&mut self) {
        let pace = match self.elapsed() {
            0..20 => 100,
            20..120 => 1_000,
            _ => 5_000,
        };
        self.network.advance(pace);
        if let Some(mut intruder) = self.intruder.take() {
            intruder(&mut self.network, self.codes.last().map(String::as_str));
            self.intruder = Some(intruder);
        }
        for who in [A, B] {
            self.act(who);
        }
    }

    fn act(&mut self, who: usize) {
        if self.parties[who].outcome.is_some() {
            return;
        }
        if self.parties[who].machine.is_none() {
            let code = self.other_code.as_ref().or(self.parties[A].screen.code.as_ref()).cloned();
            let now = self.network.now;
            self.parties[who].start(now, code.as_deref());
            self.perform_all(who);
        }
        let due = self.timeout(who).is_some_and(|at| at <= self.clock(who));
        if due {
            self.tell(who, Input::Elapsed);
            let now = self.clock(who);
            assert!(self.timeout(who).is_none_or(|at| at > now), "a timer that has fired is gone");
        }
        let routers = self.network.routers.len();
        for name in self.parties[who].watched.clone() {
            for router in 0..routers {
                if let Some(record) = self.network.ask(who, router, &name) {
                    self.tell(who, Input::Answer { router, routers, name, record });
                }
            }
        }
        self.look_at_feeds(who);
        while let Some(input) = self.parties[who].replies.pop_front() {
            self.tell(who, input);
        }
        let other = self.parties[1 - who].screen.clone();
        let party = &mut self.parties[who];
        if party.machine.is_some()
            && let Some(input) = party.person.answers(&mut party.screen, &other)
        {
            self.tell(who, input);
        }
    }

    fn clock(&self, who: usize) -> Timestamp {
        self.parties[who].clock(self.network.now)
    }

    fn timeout(&mut self, who: usize) -> Option<Timestamp> {
        self.parties[who].machine.as_mut()?.poll_timeout()
    }

    /// Tells a machine something, and does what it says then.
    pub fn tell(&mut self, who: usize, input: Input) {
        let now = self.network.now;
        let party = &mut self.parties[who];
        if party.outcome.is_some() || party.machine.is_none() {
            return;
        }
        let reported = matches!(input, Input::Published(_) | Input::Found(_) | Input::Imported);
        if reported && party.dies() {
            return self.restart(who);
        }
        let clock = party.clock(now);
        let unseen = party.setup.consent == Consent::Unseen;
        let human = matches!(input, Input::Typed(_) | Input::Agreed);
        let machine = party.machine.as_mut().unwrap();
        let confirmed = machine.has_confirmed();
        let result = machine.handle(clock, &mut party.rng, input);
        assert_eq!(result.err(), machine.ended().flatten(), "an error ends the session");
        if !confirmed && machine.has_confirmed() {
            assert!(human || unseen, "only the person confirms");
        }
        self.perform_all(who);
    }

    /// A device's process dies and starts again.
    pub fn restart(&mut self, who: usize) {
        self.parties[who].restart(self.network.now);
        self.perform_all(who);
    }

    fn perform_all(&mut self, who: usize) {
        let now = self.network.now;
        while let Some(effect) = self.parties[who].machine.as_mut().and_then(|it| it.poll()) {
            if self.parties[who].dies() {
                self.parties[who].restart(now);
            } else {
                self.perform(who, effect);
            }
        }
        let party = &mut self.parties[who];
        if let Some(Some(failure)) = party.machine.as_ref().and_then(|it| it.ended()) {
            party.outcome = Some(Err(failure));
        }
    }

    fn perform(&mut self, who: usize, effect: Effect) {
        let clock = self.clock(who);
        let party = &mut self.parties[who];
        let machine = party.machine.as_ref().unwrap();
        let confirmed = machine.has_confirmed() || machine.ended() == Some(None);
        match effect {
            Effect::Store => {
                party.stored = Some(machine.to_bytes(clock));
                party.screen.code = machine.code();
                if let Some(code) = &party.screen.code {
                    self.codes.push(code.clone());
                }
            }
            Effect::Publish(record) => {
                if matches!(machine, crate::party::Machine::Initiator(_)) {
                    check_line(&record, confirmed);
                }
                self.network.publish(&record);
            }
            Effect::Watch(name) => _ = party.watched.insert(name),
            Effect::Unwatch(name) => _ = party.watched.remove(&name),
            Effect::Ask(question) => {
                if let Question::TypeBackDigits(_, code) | Question::Compare(_, code) = &question {
                    party.screen.check = Some(*code);
                }
                party.screen.question = Some(question);
            }
            Effect::AskLiteral(fingerprint) => party.screen.literal = Some((fingerprint, true)),
            Effect::Show(code) => {
                assert!(confirmed);
                party.screen.check = Some(code);
                party.screen.digits = true;
            }
            Effect::UseProvider(grant) => {
                assert!(confirmed, "a provider is used once the person has confirmed");
                party.granted.push(grant);
            }
            Effect::Announce(identity) => {
                let feed = self.feeds.entry(identity.identity().ipns).or_default();
                feed.identity.get_or_insert(*identity);
            }
            Effect::FindPeer(keys) => party.finds = Some(*keys),
            Effect::Admit(introduction) => {
                assert!(confirmed, "nobody is admitted before the person has confirmed");
                assert!(party.setup.provider.is_some() || !party.granted.is_empty());
                let keys = &party.setup.keys;
                let feed = self.feeds.entry(keys.ipns.public()).or_default();
                let peer = introduction.peer.identity().device_id();
                feed.identity = Some(introduction.own.clone());
                feed.admitted.insert((peer, introduction.transcript));
                let value = Cid::of(introduction.transcript.as_ref()).path();
                let record = Draft::new(value, 7, Timestamp(self.network.now + 9_000));
                party.replies.push_back(Input::Published(record.sign(&keys.ipns).unwrap()));
                party.admitted.push(*introduction);
            }
            Effect::Import(record) => party.imports = Some(record.map(|record| *record)),
            Effect::Finished => party.outcome = Some(Ok(())),
        }
    }

    /// Looks for what a device waits for in its peer's feed.
    fn look_at_feeds(&mut self, who: usize) {
        let party = &mut self.parties[who];
        if let Some(keys) = &party.finds
            && let Some(feed) = self.feeds.get(&keys.ipns)
            && let Some(identity) = feed.identity.clone().filter(|it| keys.matches(it))
        {
            party.finds = None;
            party.replies.push_back(Input::Found(Box::new(identity)));
        }
        if let Some(record) = &party.imports
            && let Some(introduction) = party.admitted.last()
        {
            let peer = introduction.peer.identity().ipns;
            assert!(record.as_ref().is_none_or(|it: &Record| *it.name() == Name::of(peer)));
            let entry = (party.setup.keys.device_id(), introduction.transcript);
            if self.feeds.get(&peer).is_some_and(|feed| feed.admitted.contains(&entry)) {
                party.imports = None;
                party.replies.push_back(Input::Imported);
            }
        }
    }
}

/// No confirmation leaves before the person has confirmed; and what has once been confirmed is
/// not taken back.
fn check_line(record: &Record, confirmed: bool) {
    let line = messages(record);
    let confirmation = line.iter().position(|it| matches!(it, Message::Confirmed(_)));
    assert!(confirmed || confirmation.is_none());
    if confirmation.is_some() {
        assert!(!line.iter().any(|it| matches!(it, Message::Closed(_))));
    }
    assert_eq!(record.sequence(), line.len() as u64);
}
