//! What carries out a session: performs what its machine asks for, and tells it what happens.

mod look;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use handfast_pairing::invite::codec::{framed, unframed};
use handfast_pairing::invite::{Asking, Effect, Input, Machine, Request, Response, Via};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::look::{Look, Seen};
use crate::app::App;
use crate::clock::{Clock, rng};
use crate::hub::{Event, Hubs, Meaning, Subscription};
use crate::inbox::{Inbox, Told};
use crate::journal::{Journal, JournalError, Kind, Row};
use crate::mail;
use crate::network::{Joining, SharedNetwork};

const PAIRING: &str = "blind-pairing";
const REQUEST: u64 = 0;
const RESPONSE: u64 = 1;
const EXCHANGE: &str = "handfast/exchange/1";
const FRAME: u64 = 0;

/// How often the DHT is looked at, at first.
const FIRST_POLL: Duration = Duration::from_secs(1);

/// How many open invites ask the DHT at one moment.
pub(crate) const TURNS: usize = 8;

/// What all sessions of a manager share.
#[derive(Clone)]
pub(crate) struct Context {
    pub network: SharedNetwork,
    pub hubs: Hubs,
    pub journal: Journal,
    pub clock: Clock,
    /// Not all sessions ask the DHT at one moment.
    pub turns: Arc<Semaphore>,
    pub tasks: TaskTracker,
    /// What is on its way to a peer. The end waits a moment for it.
    pub deliveries: TaskTracker,
    pub over: CancellationToken,
    /// The manager was dropped, as if its process had died: nothing is taken back.
    pub dropped: CancellationToken,
}

pub(crate) struct Driver {
    context: Context,
    machine: Machine,
    app: Arc<dyn App>,
    row: Row,
    /// Where it is told what happens, by tasks, the app and the network.
    inbox: Inbox,
    pairing: Option<Subscription>,
    exchange: Option<Subscription>,
    joined: Option<Arc<dyn Joining>>,
    asking: Option<Asking>,
    /// What asks on the DHT, too, until the guard is dropped.
    mail: Option<(DropGuard, JoinHandle<()>)>,
    /// Whether it goes on where it was before a restart.
    resumed: bool,
    /// Whether the candidate lets itself be found, too.
    announced: bool,
    /// Whether the peer's line is watched.
    listens: bool,
    /// How many frames were sent on the open channels.
    said: usize,
    /// Tells the postman that the line has grown.
    letters: Option<mpsc::UnboundedSender<mail::Letter>>,
    seen: Arc<Mutex<Seen>>,
    next_poll: Instant,
    pace: Duration,
    /// For requests, or a response.
    mailbox: Look,
    /// For the peer's line.
    line: Look,
    done: bool,
}

impl Driver {
    /// What carries out this session; a member has joined its topic. (Boxed: thousands of invites
    /// wait, and a task would hold it several times.)
    pub fn new(
        context: Context,
        machine: Machine,
        app: Arc<dyn App>,
        row: Row,
        inbox: Inbox,
        joined: Option<Arc<dyn Joining>>,
    ) -> Box<Driver> {
        Box::new(Driver {
            context,
            machine,
            app,
            resumed: !row.session.is_empty(),
            // What is stored next is what the machine is then.
            row: Row { session: Vec::new(), ..row },
            inbox,
            pairing: None,
            exchange: None,
            joined,
            asking: None,
            mail: None,
            announced: false,
            listens: false,
            said: 0,
            letters: None,
            seen: Arc::default(),
            next_poll: Instant::now(),
            pace: FIRST_POLL,
            mailbox: Look::default(),
            line: Look::default(),
            done: false,
        })
    }

    /// Carries the session out until it is over or the manager is closed.
    pub async fn run(
        mut self: Box<Self>,
        mut told: mpsc::Receiver<Box<Told>>,
    ) -> Result<(), JournalError> {
        if matches!(self.machine, Machine::Member(_)) {
            self.open_pairing();
        }
        // Boxed, here and below: a session mostly waits.
        Box::pin(self.perform_all()).await?;
        let over = self.context.over.clone();
        while !self.done {
            let timeout = self.machine.poll_timeout().map(|at| self.context.clock.instant(at));
            let wake = timeout.map_or(self.next_poll, |timeout| timeout.min(self.next_poll));
            tokio::select! {
                () = over.cancelled() => break,
                Some(told) = told.recv() => Box::pin(self.hear(*told)).await?,
                () = tokio::time::sleep_until(wake) => {
                    if timeout.is_some_and(|timeout| timeout <= wake) {
                        Box::pin(self.tell(Input::Elapsed)).await?;
                    } else {
                        self.look();
                    }
                }
            }
        }
        if let Some((answered, task)) = self.mail.take() {
            drop(answered);
            // (It has not been aborted.)
            let _ = task.await;
        }
        Ok(())
    }

    async fn hear(&mut self, told: Told) -> Result<(), JournalError> {
        match told {
            Told::Input(input) => self.tell(input).await,
            Told::Revoked(answer) => {
                self.tell(Input::Declined).await?;
                // Nobody may wait for it any more.
                let _ = answer.send(matches!(self.machine.ended(), Some(Some(_))));
                Ok(())
            }
            Told::Pairing(Event::Opened(number)) => {
                self.ask(number);
                Ok(())
            }
            Told::Pairing(Event::Message(number, kind, bytes)) => {
                match self.read(Via::Live(number), kind, &bytes) {
                    Some(input) => self.tell(input).await,
                    None => Ok(()),
                }
            }
            Told::Exchange(Event::Opened(number)) => {
                self.repeat(number);
                Ok(())
            }
            Told::Exchange(Event::Message(_, FRAME, bytes)) => self.tell(Input::Frame(bytes)).await,
            Told::Exchange(Event::Message(..)) => Ok(()),
        }
    }

    async fn tell(&mut self, input: Input) -> Result<(), JournalError> {
        let (now, stored) = (self.context.clock.now(), self.row.revision);
        let comes_in = matches!(input, Input::Chunk(_));
        let result = self.machine.handle(now, &mut rng(), input);
        let noted =
            matches!(&self.machine, Machine::Member(member) if member.ended() == Some(None));
        self.perform_all().await?;
        // What is said again changes nothing; after what does, more may follow soon.
        if comes_in || self.row.revision != stored {
            self.pace = FIRST_POLL;
            self.next_poll = self.next_poll.min(Instant::now() + self.pace);
        }
        // (The app hears of it once it is stored.)
        match result {
            Err(failure) => self.app.failed(failure),
            Ok(()) if noted => self.app.succeeded(),
            Ok(()) => (),
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
                if let Some(hub) = &self.pairing {
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
                self.mail = Some(self.ask_by_mail(asking.as_ref().clone()));
                self.asking = Some(*asking);
                self.open_pairing();
                self.next_poll = Instant::now() + mail::HEAD_START;
            }
            Effect::Withdraw => {
                self.asking = None;
                self.mail = None;
            }
            Effect::Converse => {
                if let Some(talk) = self.machine.conversation() {
                    let id = *talk.channel.as_bytes();
                    let (hub, open) = self.subscribe(EXCHANGE, id, Told::Exchange);
                    self.exchange = Some(hub);
                    open.into_iter().for_each(|number| self.repeat(number));
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
        let kind = match self.machine {
            Machine::Member(_) => Kind::Member,
            Machine::Candidate(_) => Kind::Candidate,
        };
        let (id, revision, terms) = (self.row.id, self.row.revision, self.row.terms.clone());
        let row = Row { id, revision, session, terms };
        self.row.revision = self.context.journal.store(kind, row).await?;
        Ok(())
    }

    fn open_pairing(&mut self) {
        let key = self.machine.discovery_key();
        let (hub, open) = self.subscribe(PAIRING, *key.as_bytes(), Told::Pairing);
        self.pairing = Some(hub);
        open.into_iter().for_each(|number| self.ask(number));
        if matches!(self.machine, Machine::Candidate(_)) {
            // It looks first, and lets itself be found later: see `look_for_response`.
            self.joined = Some(self.context.network.join(key.topic(), false, true).into());
        }
    }

    fn subscribe(
        &self,
        protocol: &'static str,
        id: [u8; 32],
        meaning: Meaning,
    ) -> (Subscription, Vec<u64>) {
        let Context { hubs, network, .. } = &self.context;
        hubs.subscribe(network, protocol, id, self.inbox.clone(), meaning)
    }

    /// The candidate's request, on a channel that is open now.
    fn ask(&self, number: u64) {
        if let (Some(asking), Some(hub)) = (&self.asking, &self.pairing) {
            hub.send(number, REQUEST, framed(&asking.request));
        }
    }

    /// The candidate's request, on the DHT. The announcement is taken back even if the manager is
    /// closed meanwhile, unless it was dropped.
    fn ask_by_mail(&self, asking: Asking) -> (DropGuard, JoinHandle<()>) {
        let Context { network, over, dropped, tasks, .. } = &self.context;
        let (answered, dropped) = (over.child_token(), dropped.clone());
        let asks = mail::ask(network.clone(), asking, self.resumed, answered.clone());
        let task = tasks.spawn(async move {
            tokio::select! {
                biased;
                () = dropped.cancelled() => (),
                () = asks => (),
            }
        });
        (answered.drop_guard(), task)
    }

    /// The whole own line, on a channel that is open now.
    fn repeat(&self, number: u64) {
        if let (Some(talk), Some(hub)) = (self.machine.conversation(), &self.exchange) {
            talk.own.frames(0).for_each(|frame| hub.send(number, FRAME, frame));
        }
    }

    /// A message of blind-pairing, if it is one for this session.
    fn read(&self, via: Via, kind: u64, bytes: &[u8]) -> Option<Input> {
        let bytes = unframed(bytes)?;
        match (kind, &self.machine) {
            (REQUEST, Machine::Member(member)) => {
                let request = Request::from_bytes(bytes).ok()?;
                (request.invite == member.id()).then_some(Input::Request(via, request))
            }
            (RESPONSE, Machine::Candidate(_)) => {
                Some(Input::Response(via, Response::from_bytes(bytes).ok()?))
            }
            _ => None,
        }
    }

    /// The own line has grown: on every channel, and on the DHT.
    fn say(&mut self) {
        let Some(talk) = self.machine.conversation() else { return };
        if let Some(hub) = &self.exchange {
            let frames: Vec<Vec<u8>> = talk.own.frames(self.said).collect();
            for number in hub.broadcast(FRAME, &frames) {
                self.context.deliveries.spawn(hub.closed(number));
            }
            self.said = talk.own.len();
        }
        let (key, line) = (talk.own.key().clone(), talk.own.clone());
        let letters = self.letters.get_or_insert_with(|| {
            // (A line has few messages: the queue has an end.)
            let (sender, receiver) = mpsc::unbounded_channel();
            let postman = mail::postman(self.context.network.clone(), key, receiver);
            let over = self.context.over.clone();
            self.context.tasks.spawn(async move { over.run_until_cancelled(postman).await });
            sender
        });
        let _ = letters.send((line, self.context.deliveries.token()));
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let over = self.context.over.clone();
        self.context.tasks.spawn(async move { over.run_until_cancelled(task).await });
    }
}

#[cfg(test)]
mod tests;
