//! What carries out a session: performs what its machine asks for, and tells it what happens.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use handfast_keys::{MailboxPublic, Timestamp};
use handfast_pairing::invite::{
    Asking, Candidate, Conversation, DiscoveryKey, Effect, Failure, Input, InviteId, Member,
    Request, Response, Topic, Via,
};
use rand::rngs::{StdRng, SysRng};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use handfast_pairing::invite::codec::{framed, unframed};

use crate::app::App;
use crate::hub::{Event, Hub, Hubs};
use crate::journal::{Journal, JournalError, Kind, Row};
use crate::mail;
use crate::network::{Joining, SharedNetwork};

const PAIRING: &str = "blind-pairing";
const REQUEST: u64 = 0;
const RESPONSE: u64 = 1;
const EXCHANGE: &str = "handfast/exchange/1";
const FRAME: u64 = 0;

/// How many announcers are looked at in one poll.
const MAX_ANNOUNCERS: usize = 64;
/// How many announcers are remembered as seen.
const MAX_SEEN: usize = 4_096;
/// How often a request is announced and a line is left anew: before the DHT forgets.
const RENEW: Duration = Duration::from_secs(10 * 60);
/// How often the DHT is looked at: at first, and in the end.
const FIRST_POLL: Duration = Duration::from_secs(1);
const LAST_POLL: Duration = Duration::from_secs(60);

pub(crate) enum Machine {
    Member(Member),
    Candidate(Candidate),
}

/// Calls a method that both machines have.
macro_rules! either {
    ($machine:expr, $name:ident($($argument:expr),*)) => {
        match $machine {
            Machine::Member(machine) => machine.$name($($argument),*),
            Machine::Candidate(machine) => machine.$name($($argument),*),
        }
    };
}

impl Machine {
    fn handle(&mut self, now: Timestamp, rng: &mut StdRng, input: Input) -> Result<(), Failure> {
        either!(self, handle(now, rng, input))
    }

    fn poll(&mut self) -> Option<Effect> {
        either!(self, poll())
    }

    fn poll_timeout(&mut self) -> Option<Timestamp> {
        either!(self, poll_timeout())
    }

    fn conversation(&self) -> Option<Conversation<'_>> {
        either!(self, conversation())
    }

    fn to_bytes(&self, now: Timestamp) -> Vec<u8> {
        either!(self, to_bytes(now))
    }

    fn discovery_key(&self) -> DiscoveryKey {
        either!(self, discovery_key())
    }

    fn kind(&self) -> Kind {
        match self {
            Machine::Member(_) => Kind::Member,
            Machine::Candidate(_) => Kind::Candidate,
        }
    }
}

/// What all sessions of a manager share.
#[derive(Clone)]
pub(crate) struct Context {
    pub network: SharedNetwork,
    pub hubs: Hubs,
    pub journal: Journal,
    pub clock: Clock,
    pub tasks: TaskTracker,
    /// What is on its way to a peer. The end waits a moment for it.
    pub deliveries: TaskTracker,
    pub over: CancellationToken,
}

/// The wall clock as it was at the start, and from there on a monotonic one.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Timestamp,
    since: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let millis = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        Clock { start: Timestamp(millis), since: Instant::now() }
    }

    pub fn now(&self) -> Timestamp {
        self.start + self.since.elapsed()
    }

    fn instant(&self, at: Timestamp) -> Instant {
        // (An instant has an end; a deadline in a thousand years is none.)
        let far = Duration::from_secs(365 * 24 * 3_600);
        self.since + at.since(self.start).min(self.since.elapsed() + far)
    }
}

/// Randomness for a machine.
pub(crate) fn rng() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|_| StdRng::from_rng(&mut rand::rng()))
}

pub(crate) struct Driver {
    context: Context,
    machine: Machine,
    app: Arc<dyn App>,
    row: Row,
    rng: StdRng,
    /// What is told the machine, from tasks and from the app.
    inbox: mpsc::Sender<Input>,
    pairing: Option<(Arc<Hub>, mpsc::Receiver<Event>)>,
    exchange: Option<(Arc<Hub>, mpsc::Receiver<Event>)>,
    joined: Option<Box<dyn Joining>>,
    asking: Option<Asking>,
    /// Whether the peer's line is watched.
    listens: bool,
    /// How many frames were sent on the open channels.
    said: usize,
    /// Tells the postman that the line has grown.
    letters: Option<mpsc::Sender<mail::Letter>>,
    /// Announcers that had nothing for this invite.
    seen: Arc<Mutex<BTreeSet<MailboxPublic>>>,
    next_poll: Instant,
    pace: Duration,
    renewed: Option<Instant>,
    polls: TaskTracker,
    done: bool,
}

impl Driver {
    /// Carries a session out until it is over or the manager is closed.
    pub async fn run(
        context: Context,
        machine: Machine,
        app: Arc<dyn App>,
        row: Row,
        mut commands: mpsc::Receiver<Input>,
    ) -> Result<(), JournalError> {
        let (inbox, mut inputs) = mpsc::channel(256);
        let mut driver = Driver {
            context: context.clone(),
            machine,
            app,
            row,
            rng: rng(),
            inbox,
            pairing: None,
            exchange: None,
            joined: None,
            asking: None,
            listens: false,
            said: 0,
            letters: None,
            seen: Arc::default(),
            next_poll: Instant::now(),
            pace: FIRST_POLL,
            renewed: None,
            polls: TaskTracker::new(),
            done: false,
        };
        if matches!(driver.machine, Machine::Member(_)) {
            driver.open_pairing();
        }
        driver.perform_all().await?;
        while !driver.done {
            let timeout = driver.machine.poll_timeout().map(|at| context.clock.instant(at));
            tokio::select! {
                () = context.over.cancelled() => break,
                Some(input) = commands.recv() => driver.tell(input).await?,
                Some(input) = inputs.recv() => driver.tell(input).await?,
                event = next(&mut driver.pairing) => driver.on_pairing(event).await?,
                event = next(&mut driver.exchange) => driver.on_exchange(event).await?,
                () = until(timeout) => driver.tell(Input::Elapsed).await?,
                () = tokio::time::sleep_until(driver.next_poll) => driver.look(),
            }
        }
        if let Some(asking) = driver.asking.take() {
            mail::withdraw(&context.network, &asking).await;
        }
        Ok(())
    }

    async fn tell(&mut self, input: Input) -> Result<(), JournalError> {
        let progress = !matches!(input, Input::Line(..) | Input::Elapsed | Input::Response(..));
        if progress {
            self.pace = FIRST_POLL;
            self.next_poll = self.next_poll.min(Instant::now() + self.pace);
        }
        let now = self.context.clock.now();
        if let Err(failure) = self.machine.handle(now, &mut self.rng, input) {
            // The app hears of it once it is stored.
            self.perform_all().await?;
            self.app.failed(failure);
            return Ok(());
        }
        let noted =
            matches!(&self.machine, Machine::Member(member) if member.ended() == Some(None));
        self.perform_all().await?;
        if noted {
            self.app.succeeded();
        }
        Ok(())
    }

    async fn perform_all(&mut self) -> Result<(), JournalError> {
        while let Some(effect) = self.machine.poll() {
            self.perform(effect).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, effect: Effect) -> Result<(), JournalError> {
        match effect {
            Effect::Store => self.store().await?,
            Effect::Respond(Via::Live(number), response, _) => {
                if let Some((hub, _)) = &self.pairing {
                    hub.send(number, RESPONSE, framed(&response.to_bytes()));
                    self.context.deliveries.spawn(hub.closed(number));
                }
            }
            Effect::Respond(Via::Mailbox, response, mailbox) => {
                let (network, on_its_way) =
                    (self.context.network.clone(), self.context.deliveries.token());
                self.spawn(async move {
                    mail::respond(&network, &mailbox, response).await;
                    drop(on_its_way);
                });
            }
            Effect::Ask(asking) => {
                self.asking = Some(*asking);
                self.open_pairing();
                self.next_poll = Instant::now();
            }
            Effect::Withdraw => {
                if let Some(asking) = self.asking.take() {
                    let network = self.context.network.clone();
                    self.spawn(async move { mail::withdraw(&network, &asking).await });
                }
            }
            Effect::Converse => {
                if let Some(talk) = self.machine.conversation() {
                    let id = *talk.channel.as_bytes();
                    let hub = self.context.hubs.subscribe(&self.context.network, EXCHANGE, id);
                    self.exchange = Some(hub);
                    self.listens = true;
                    self.next_poll = self.next_poll.min(Instant::now() + FIRST_POLL);
                }
            }
            Effect::Say => self.say(),
            Effect::Fetch(hashes) => {
                for hash in hashes {
                    let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
                    self.spawn(async move {
                        if let Ok(Some(chunk)) = network.immutable_get(&hash).await {
                            let _ = inbox.send(Input::Chunk(chunk)).await;
                        }
                    });
                }
            }
            Effect::Hush => self.listens = false,
            Effect::Retire => self.retire()?,
            effect => {
                // A candidate that is in needs nothing any more.
                self.done |= matches!(effect, Effect::Joined(_));
                self.app.clone().perform(effect, &self.inbox, &self.context);
            }
        }
        Ok(())
    }

    /// Nothing of the conversation is needed any more. What the peer has not fetched yet is still
    /// sent: a channel is closed by both sides.
    fn retire(&mut self) -> Result<(), JournalError> {
        self.letters = None;
        self.listens = false;
        if let Machine::Member(member) = &self.machine
            && member.is_forgotten()
        {
            self.context.journal.delete(Kind::Member, &self.row.id)?;
            self.done = true;
        }
        if let Machine::Candidate(candidate) = &self.machine {
            self.done = candidate.ended() != Some(None);
            self.exchange = None;
            self.pairing = None;
            self.joined = None;
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<(), JournalError> {
        let session = self.machine.to_bytes(self.context.clock.now());
        let kind = self.machine.kind();
        let (id, revision, terms) = (self.row.id, self.row.revision, self.row.terms.clone());
        let journal = self.context.journal.clone();
        let put = move || journal.put(kind, &Row { id, revision, session, terms });
        let stored = tokio::task::spawn_blocking(put).await;
        self.row.revision = stored.unwrap_or(Err(JournalError::Overtaken))?;
        Ok(())
    }

    fn open_pairing(&mut self) {
        let key = self.machine.discovery_key();
        let network = &self.context.network;
        self.pairing = Some(self.context.hubs.subscribe(network, PAIRING, *key.as_bytes()));
        let candidate = matches!(self.machine, Machine::Candidate(_));
        // As in blind-pairing, the candidate lets itself be found, too, once it has announced.
        self.joined = Some(network.join(key.topic(), true, candidate));
    }

    async fn on_pairing(&mut self, event: Event) -> Result<(), JournalError> {
        let input = match event {
            Event::Opened(number) => {
                if let (Some(asking), Some((hub, _))) = (&self.asking, &self.pairing) {
                    hub.send(number, REQUEST, framed(&asking.request));
                }
                return Ok(());
            }
            Event::Message(number, kind, bytes) => {
                let Some(bytes) = unframed(&bytes) else { return Ok(()) };
                let via = Via::Live(number);
                match (kind, &self.machine) {
                    (REQUEST, Machine::Member(member)) => match Request::from_bytes(bytes) {
                        Ok(request) if request.invite == member.id() => {
                            Input::Request(via, request)
                        }
                        _ => return Ok(()),
                    },
                    (RESPONSE, Machine::Candidate(_)) => match Response::from_bytes(bytes) {
                        Ok(response) => Input::Response(via, response),
                        Err(_) => return Ok(()),
                    },
                    _ => return Ok(()),
                }
            }
        };
        self.tell(input).await
    }

    async fn on_exchange(&mut self, event: Event) -> Result<(), JournalError> {
        match event {
            Event::Opened(number) => {
                if let (Some(talk), Some((hub, _))) = (self.machine.conversation(), &self.exchange)
                {
                    talk.own.frames(0).for_each(|frame| hub.send(number, FRAME, frame));
                }
                Ok(())
            }
            Event::Message(_, FRAME, bytes) => self.tell(Input::Frame(bytes)).await,
            Event::Message(..) => Ok(()),
        }
    }

    /// The own line has grown: on every channel, and on the DHT.
    fn say(&mut self) {
        let Some(talk) = self.machine.conversation() else { return };
        if let Some((hub, _)) = &self.exchange {
            let frames: Vec<Vec<u8>> = talk.own.frames(self.said).collect();
            for number in hub.broadcast(FRAME, &frames) {
                self.context.deliveries.spawn(hub.closed(number));
            }
            self.said = talk.own.len();
        }
        let (key, line) = (talk.own.key().clone(), talk.own.clone());
        let letters = self.letters.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(8);
            let postman = mail::postman(self.context.network.clone(), key, receiver);
            let over = self.context.over.clone();
            self.context.tasks.spawn(async move { over.run_until_cancelled(postman).await });
            sender
        });
        // A full queue is no loss: the line is left again, whole.
        let _ = letters.try_send((line, self.context.deliveries.token()));
    }

    /// Looks into the DHT, unless it is still looking.
    fn look(&mut self) {
        let busy = !self.polls.is_empty();
        self.pace = (self.pace * 5 / 4).min(LAST_POLL);
        let spread = self.rng.random_range(0.9..1.1);
        let mut pace = self.pace;
        if matches!(&self.machine, Machine::Member(member) if !member.is_pairing()) {
            // Many open invites share the same patience.
            let open = u32::try_from(self.context.tasks.len()).unwrap_or(u32::MAX);
            pace = self.pace.max(Duration::from_millis(200) * open);
        }
        self.next_poll = Instant::now() + pace.mul_f64(spread);
        if busy {
            return;
        }
        if let Some(asking) = self.asking.clone() {
            self.look_for_response(asking);
        }
        if let Machine::Member(member) = &self.machine
            && !member.is_forgotten()
        {
            self.look_for_requests(member.id(), member.discovery_key().mailbox_topic());
        }
        // A line that is heard live need not be looked for.
        let live = self.exchange.as_ref().is_some_and(|(hub, _)| hub.is_live());
        if let Some(peer) = self.machine.conversation().map(|talk| talk.peer)
            && self.listens
            && (!live || self.pace > FIRST_POLL * 2)
        {
            let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
            self.spawn_poll(async move {
                if let Ok(Some((sequence, value))) = network.mutable_get(&peer).await {
                    let _ = inbox.send(Input::Line(sequence, value)).await;
                }
            });
        }
    }

    fn look_for_response(&mut self, asking: Asking) {
        let renew = self.renewed.is_none_or(|at| at.elapsed() > RENEW);
        if renew {
            self.renewed = Some(Instant::now());
        }
        let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
        self.spawn_poll(async move {
            if renew {
                mail::ask(&network, &asking).await;
            }
            if let Ok(Some((_, bytes))) = network.mutable_get(&asking.response).await
                && let Ok(response) = Response::from_bytes(&bytes)
            {
                let _ = inbox.send(Input::Response(Via::Mailbox, response)).await;
            }
        });
    }

    fn look_for_requests(&self, id: InviteId, topic: Topic) {
        let seen = self.seen.clone();
        let (network, inbox) = (self.context.network.clone(), self.inbox.clone());
        self.spawn_poll(async move {
            let Ok(announcers) = network.lookup(topic).await else { return };
            let new: Vec<MailboxPublic> = {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() > MAX_SEEN {
                    seen.clear();
                }
                announcers.into_iter().filter(|key| !seen.contains(key)).collect()
            };
            // Anybody may announce anything: among a flood, each has the same chance in each poll.
            let new = new.sample(&mut rng(), MAX_ANNOUNCERS).copied().collect::<Vec<_>>();
            for key in new {
                let Ok(found) = network.mutable_get(&key).await else { return };
                match found.map(|(_, bytes)| Request::from_bytes(&bytes)) {
                    Some(Ok(request)) if request.invite == id => {
                        let _ = inbox.send(Input::Request(Via::Mailbox, request)).await;
                    }
                    None => (),
                    Some(_) => {
                        seen.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
                    }
                }
            }
        });
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let over = self.context.over.clone();
        self.context.tasks.spawn(async move { over.run_until_cancelled(task).await });
    }

    fn spawn_poll(&self, task: impl Future<Output = ()> + Send + 'static) {
        let over = self.context.over.clone();
        self.polls.spawn(async move { over.run_until_cancelled(task).await });
    }
}

async fn next(hub: &mut Option<(Arc<Hub>, mpsc::Receiver<Event>)>) -> Event {
    if let Some((_, receiver)) = hub
        && let Some(event) = receiver.recv().await
    {
        return event;
    }
    std::future::pending().await
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
