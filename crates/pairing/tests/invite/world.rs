//! A member, candidates, and the network between them: drives the machines as a program would,
//! and checks at every step what must hold always.

use handfast_keys::Timestamp;
use handfast_pairing::invite::{
    Effect, Failure, Input, Invite, InviteOptions, Joined, Machine, Map, Request, Response, Terms,
    Via,
};
use handfast_pairing::qr::Consent;

use crate::network::{BEGINNING, Network, Packet};
use crate::party::{Part, Party, map, writers};

/// The device that made the invite. All others are candidates.
pub const MEMBER: usize = 0;

/// How often a device looks into the DHT, and how often its connections are made anew.
const POLL: u64 = 2_000;
const RECONNECT: u64 = 7_000;

/// Somebody who has the invite, and acts before each step.
pub type Forger = Box<dyn FnMut(&mut Network, &Invite)>;

pub struct World {
    pub network: Network,
    pub parties: Vec<Party>,
    pub invite: Option<Invite>,
    pub forger: Option<Forger>,
    /// Which candidate's screen the member's person looks at, if not at the one that shows a check
    /// code.
    pub looks_at: Option<usize>,
    /// What came over the forger's connection.
    pub to_forger: Vec<Packet>,
}

pub fn envelope(verify: Option<Consent>) -> Terms {
    Terms::Envelope { verify }
}

impl World {
    pub fn new(terms: Terms, candidates: u8) -> World {
        Self::with(
            terms,
            InviteOptions::default(),
            map(&["notes", "ledger", "日記 📔"]),
            candidates,
        )
    }

    pub fn with(terms: Terms, options: InviteOptions, map: Map, candidates: u8) -> World {
        let consent = match &terms {
            Terms::Envelope { verify: Some(consent) } => *consent,
            _ => Consent::Unseen,
        };
        let member = Part::Member { terms, options, map };
        let candidate = Part::Candidate { consent, insist: false };
        let candidates = (1..=candidates).map(|number| Party::new(number, candidate.clone()));
        World {
            network: Network::new(1),
            parties: [Party::new(0, member)].into_iter().chain(candidates).collect(),
            invite: None,
            forger: None,
            looks_at: None,
            to_forger: Vec::new(),
        }
    }

    pub fn elapsed(&self) -> u64 {
        self.network.now - BEGINNING
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.network.now)
    }

    /// Goes on until everybody is done, or for three days.
    pub fn run(&mut self) {
        self.run_until(|world| {
            world.parties.iter().all(|party| party.outcome.is_some())
                || world.elapsed() > 72 * 3_600_000
        });
    }

    pub fn run_until(&mut self, mut done: impl FnMut(&World) -> bool) {
        let mut steps = 0;
        while !done(self) {
            self.step();
            steps += 1;
            assert!(steps < 20_000, "what is waited for does not come");
        }
    }

    pub fn outcomes(&self) -> Vec<Option<Result<(), Failure>>> {
        self.parties.iter().map(|party| party.outcome).collect()
    }

    /// Who got in. Checks that the member knows it, and nobody else.
    pub fn winners(&self) -> Vec<usize> {
        let member = &self.parties[MEMBER];
        let in_: Vec<usize> =
            (1..self.parties.len()).filter(|who| self.parties[*who].joined.is_some()).collect();
        for who in 1..self.parties.len() {
            let added = member.added_by_owner(self.parties[who].number);
            assert!(in_.contains(&who) || in_.is_empty() || added.is_empty(), "nobody else got in");
        }
        in_
    }

    /// Runs, and expects exactly one candidate to get in, fully.
    pub fn one_gets_in(&mut self) -> usize {
        self.run();
        assert_eq!(self.outcomes()[MEMBER], Some(Ok(())), "{:?}", self.outcomes());
        let winners = self.winners();
        assert_eq!(winners.len(), 1, "{:?}", self.outcomes());
        let winner = winners[0];
        self.check_pair(winner);
        winner
    }

    /// What holds of a member and a candidate that are done.
    pub fn check_pair(&self, who: usize) {
        let (member, candidate) = (&self.parties[MEMBER], &self.parties[who]);
        let Part::Member { map, .. } = &member.part else { panic!("another profile or part") };
        assert_eq!(candidate.outcome, Some(Ok(())));
        assert!(!member.paired.is_empty());
        if member.restarts == 0 {
            assert_eq!(member.paired.len(), 1);
        }
        match candidate.joined.as_ref().unwrap() {
            Joined::Raw(grant) => {
                assert_eq!(member.added.len(), 1);
                let Part::Member {
                    terms: Terms::Raw { key, encryption_key, additional, .. }, ..
                } = &member.part
                else {
                    panic!("another profile or part")
                };
                assert_eq!(grant.key, *key);
                assert_eq!(grant.encryption_key, *encryption_key);
                assert_eq!(grant.additional.as_ref().map(|it| it.data()), additional.as_deref());
            }
            Joined::Envelope(offer, own) => {
                assert_eq!(offer.map, *map);
                assert_eq!(**own, writers(candidate.number, map));
                assert_eq!(member.added, own.keys.iter().cloned().collect());
                assert!(member.paired.iter().all(|it| it.writers == **own));
                let peer = member.paired[0].peer.as_ref().unwrap();
                assert_eq!(peer.name, crate::party::name(candidate.number));
                assert_eq!(offer.peer.name, crate::party::name(member.number));
                match (&peer.introduction, &offer.peer.introduction) {
                    (Some(theirs), Some(ours)) => {
                        assert_eq!(theirs.transcript, ours.transcript);
                        assert_eq!((&theirs.peer, &theirs.own), (&ours.own, &ours.peer));
                    }
                    (None, None) => assert!(member.device.is_none()),
                    _ => panic!("one side knows a device that the other does not"),
                }
            }
        }
    }

    /// Lets time pass and everybody act.
    pub fn step(&mut self) {
        let pace = match self.elapsed() {
            0..20_000 => 50,
            20_000..200_000 => 1_000,
            200_000..7_200_000 => 60_000,
            _ => 3_600_000,
        };
        self.network.now += pace;
        if let (Some(mut forger), Some(invite)) = (self.forger.take(), &self.invite) {
            forger(&mut self.network, invite);
            self.forger = Some(forger);
        }
        for who in 0..self.parties.len() {
            if self.parties[who].awake {
                self.act(who);
            }
        }
        let everybody = self.parties.len();
        let packets = self.network.receive(everybody);
        self.to_forger.extend(packets.into_iter().map(|(_, packet)| packet));
    }

    fn act(&mut self, who: usize) {
        let now = self.now();
        if self.parties[who].machine.is_none() && self.parties[who].outcome.is_none() {
            let invite = self.invite.clone();
            self.parties[who].start(now, invite.as_ref());
            self.perform_all(who);
        }
        if self.parties[who].machine.is_none() {
            return;
        }
        if self.parties[who].machine.as_mut().unwrap().poll_timeout().is_some_and(|at| at <= now) {
            self.tell(who, Input::Elapsed);
        }
        if self.network.now >= self.parties[who].connects_at {
            self.parties[who].connects_at = self.network.now + RECONNECT;
            self.say_again(who);
        }
        if self.network.now >= self.parties[who].polls_at {
            self.parties[who].polls_at = self.network.now + POLL;
            self.poll_dht(who);
        }
        self.fetch(who);
        for (from, packet) in self.network.receive(who) {
            let via = Via::Live(from as u64);
            let input = match packet {
                Packet::Request(bytes) => match Request::from_bytes(&bytes) {
                    Ok(request) => Input::Request(via, request),
                    Err(_) => continue,
                },
                Packet::Response(bytes) => match Response::from_bytes(&bytes) {
                    Ok(response) => Input::Response(via, response),
                    Err(_) => continue,
                },
                Packet::Frame(bytes) => Input::Frame(bytes),
            };
            self.tell(who, input);
        }
        while let Some(input) = self.parties[who].replies.pop_front() {
            self.tell(who, input);
        }
        let other = if who == MEMBER { self.candidate_in_conversation() } else { MEMBER };
        let other = self.parties[other].screen.clone();
        if let Some(input) = self.parties[who].answers(&other) {
            self.tell(who, input);
        }
    }

    fn candidate_in_conversation(&self) -> usize {
        let locked = (1..self.parties.len()).find(|who| self.parties[*who].screen.check.is_some());
        self.looks_at.or(locked).unwrap_or(1)
    }

    /// A connection is new: everything that is said on it from the start is said.
    fn say_again(&mut self, who: usize) {
        for peer in self.peers(who) {
            if let Some(asking) = &self.parties[who].asking {
                self.network.send(who, peer, Packet::Request(asking.request.clone()));
            }
            if let Some(talk) = self.parties[who].machine.as_ref().unwrap().conversation()
                && self.parties[who].converses
            {
                let frames: Vec<_> = talk.own.frames(0).collect();
                frames.into_iter().for_each(|it| self.network.send(who, peer, Packet::Frame(it)));
            }
        }
    }

    /// Everybody meets everybody on the topic: a candidate's frames reach other candidates, too.
    fn peers(&self, who: usize) -> Vec<usize> {
        (0..=self.parties.len()).filter(|peer| *peer != who).collect()
    }

    fn poll_dht(&mut self, who: usize) {
        if let Some(asking) = self.parties[who].asking.clone() {
            let key = asking.mailbox.public();
            if self.network.put(key, 0, asking.request) {
                let topic = asking.discovery_key.mailbox_topic();
                self.network.announced.entry(topic).or_default().insert(key);
            }
            let answer = self.network.get(&asking.response);
            if let Some(response) = answer.and_then(|(_, bytes)| Response::from_bytes(&bytes).ok())
            {
                self.tell(who, Input::Response(Via::Mailbox, response));
            }
        }
        if let Some(Machine::Member(member)) = &self.parties[who].machine
            && !member.is_forgotten()
        {
            let topic = member.discovery_key().mailbox_topic();
            for key in self.network.announced.get(&topic).cloned().unwrap_or_default() {
                let request = self.network.get(&key).map(|(_, bytes)| Request::from_bytes(&bytes));
                if let Some(Ok(request)) = request {
                    self.tell(who, Input::Request(Via::Mailbox, request));
                }
            }
        }
        if self.parties[who].put_due {
            self.leave_line(who);
        }
        let party = &self.parties[who];
        let talk = party.machine.as_ref().and_then(|it| it.conversation());
        if let Some(peer) = talk.map(|talk| talk.peer).filter(|_| party.converses && !party.hushed)
            && let Some((sequence, value)) = self.network.get(&peer)
        {
            self.tell(who, Input::Line(sequence, value));
        }
    }

    fn leave_line(&mut self, who: usize) {
        let Some(talk) = self.parties[who].machine.as_ref().and_then(|it| it.conversation()) else {
            return;
        };
        let (letter, key) = (talk.own.letter(0), talk.own.key().public());
        let all_there = letter.chunks.into_iter().all(|chunk| self.network.put_chunk(chunk));
        if all_there && self.network.put(key, letter.sequence, letter.value) {
            self.parties[who].put_due = false;
        }
    }

    fn fetch(&mut self, who: usize) {
        for hash in std::mem::take(&mut self.parties[who].fetches) {
            if let Some(chunk) = self.network.get_chunk(&hash) {
                self.tell(who, Input::Chunk(chunk));
            }
        }
    }

    /// Tells a machine something, and does what it says then.
    pub fn tell(&mut self, who: usize, input: Input) {
        let now = self.now();
        let reported =
            matches!(input, Input::Map(_) | Input::Writers(_) | Input::Added | Input::Noted);
        let party = &mut self.parties[who];
        if party.machine.is_none() {
            return;
        }
        if reported && party.dies() {
            return self.restart(who);
        }
        let machine = party.machine.as_mut().unwrap();
        if let Err(failure) = machine.handle(now, &mut party.rng, input) {
            assert_eq!(machine.ended(), Some(Some(failure)), "an error ends the session");
        }
        self.perform_all(who);
    }

    /// A device's process dies and starts again.
    pub fn restart(&mut self, who: usize) {
        let now = self.now();
        self.parties[who].restart(now);
        self.perform_all(who);
    }

    fn perform_all(&mut self, who: usize) {
        let now = self.now();
        while let Some(effect) = self.parties[who].machine.as_mut().and_then(|it| it.poll()) {
            if self.parties[who].dies() {
                self.parties[who].restart(now);
            } else {
                self.perform(who, effect);
            }
        }
        let party = &mut self.parties[who];
        match party.machine.as_ref().and_then(|it| it.ended()) {
            Some(Some(failure)) => party.outcome = Some(Err(failure)),
            Some(None) if who == MEMBER => party.outcome = Some(Ok(())),
            _ => (),
        }
    }

    fn perform(&mut self, who: usize, effect: Effect) {
        let now = self.now();
        let peers = self.peers(who);
        let party = &mut self.parties[who];
        let machine = party.machine.as_ref().unwrap();
        match effect {
            Effect::Store => {
                party.stored = Some(machine.to_bytes(now));
                if let Machine::Member(member) = machine
                    && let Some(invite) = member.invite()
                {
                    self.invite = Some(invite.clone());
                }
            }
            Effect::Respond(Via::Live(peer), response, _) => {
                let packet = Packet::Response(response.to_bytes());
                self.network.send(who, peer as usize, packet);
            }
            Effect::Respond(Via::Mailbox, response, mailbox) => {
                self.network.put(mailbox.public(), 0, response.to_bytes());
            }
            Effect::Ask(asking) => {
                party.asking = Some(*asking);
                party.connects_at = 0;
                party.polls_at = 0;
            }
            Effect::Withdraw => {
                if let Some(asking) = party.asking.take() {
                    let topic = asking.discovery_key.mailbox_topic();
                    let announced = self.network.announced.entry(topic).or_default();
                    announced.remove(&asking.mailbox.public());
                }
            }
            Effect::Converse => {
                assert!(machine.conversation().is_some());
                party.converses = true;
                party.connects_at = 0;
            }
            Effect::Say => {
                party.put_due = true;
                let talk = machine.conversation().unwrap();
                let frames: Vec<_> = talk.own.frames(0).collect();
                for peer in peers {
                    for frame in &frames {
                        self.network.send(who, peer, Packet::Frame(frame.clone()));
                    }
                }
            }
            Effect::Fetch(hashes) => party.fetches.extend(hashes),
            Effect::Hush => party.hushed = true,
            Effect::Retire => party.converses = false,
            Effect::Question(question) => {
                use handfast_pairing::invite::Question as Q;
                if let Q::TypeBackDigits(_, code) | Q::Compare(_, code) = &question {
                    party.screen.check = Some(*code);
                }
                party.screen.question = Some(question);
                party.screen.asked += 1;
            }
            Effect::Show(code) => {
                party.screen.check = Some(code);
                party.screen.digits = true;
            }
            Effect::Provide(_) => {
                let Part::Member { map, .. } = &party.part else {
                    panic!("another profile or part")
                };
                party.replies.push_back(Input::Map(Box::new(map.clone())));
            }
            Effect::MakeWriters(offer) => {
                let writers = writers(party.number, &offer.map);
                party.replies.push_back(Input::Writers(Box::new(writers)));
            }
            Effect::AddWriters(joining) => {
                party.added.extend(joining.writers.keys.iter().cloned());
                party.replies.push_back(Input::Added);
            }
            Effect::Paired(joining) => {
                party.paired.push(*joining);
                party.replies.push_back(Input::Noted);
            }
            Effect::Denied(_) => (),
            Effect::Joined(joined) => {
                assert!(party.joined.as_ref().is_none_or(|it| *it == *joined));
                party.joined = Some(*joined);
                party.outcome = Some(Ok(()));
            }
        }
    }
}
