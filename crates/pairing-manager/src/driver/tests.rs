use std::time::SystemTime;

use handfast_pairing::invite::{
    Candidate, CandidateSetup, Failure, InviteOptions, Member, Request, Terms,
};
use handfast_pairing::qr::Consent;
use handfast_ring::DeviceName;
use tokio::sync::watch;

use super::*;
use crate::nowhere::Nowhere;

/// An app that only hears whether somebody was let in, or how it failed.
struct Doorbell(watch::Sender<Option<Result<(), Failure>>>);

impl App for Doorbell {
    fn perform(self: Arc<Self>, effect: Effect, _: &Inbox, _: &Context) {
        if matches!(effect, Effect::Provide(_)) {
            self.0.send_replace(Some(Ok(())));
        }
    }

    fn failed(&self, failure: Failure) {
        self.0.send_replace(Some(Err(failure)));
    }

    fn broken(&self, error: JournalError) {
        panic!("the journal in memory is broken: {error}");
    }
}

/// A candidate's request.
fn request(invite: &handfast_pairing::invite::Invite, clock: &Clock) -> Request {
    let setup = CandidateSetup {
        name: DeviceName::new("phone").unwrap(),
        device: None,
        consent: Consent::Compare,
        insist: false,
    };
    let mut candidate = Candidate::start(setup, invite.clone(), clock.now(), &mut rng()).unwrap();
    let mut effects = std::iter::from_fn(|| candidate.poll());
    let asking = effects.find_map(|effect| match effect {
        Effect::Ask(asking) => Some(asking),
        _ => None,
    });
    Request::from_bytes(&asking.unwrap().request).unwrap()
}

/// An invite for an hour, after eight hours with the lid closed: who asks first thing in the morning is
/// not let in, and if nobody does, its end is noticed all the same.
#[tokio::test(start_paused = true)]
async fn an_invite_expires_while_the_machine_sleeps() {
    for (hours, asked) in [(0, true), (8, true), (8, false)] {
        let wall = Arc::new(Mutex::new(SystemTime::now()));
        let shown = wall.clone();
        let context = Context {
            network: Arc::new(Nowhere),
            hubs: Hubs::default(),
            journal: Journal::in_memory().unwrap(),
            clock: Clock::of(move || *shown.lock().unwrap()),
            turns: Arc::new(Semaphore::new(TURNS)),
            tasks: TaskTracker::new(),
            deliveries: TaskTracker::new(),
            over: CancellationToken::new(),
            dropped: CancellationToken::new(),
        };
        let (clock, tasks, over) =
            (context.clock.clone(), context.tasks.clone(), context.over.clone());
        let (terms, options) = (Terms::Envelope { verify: None }, InviteOptions::default());
        let member = Member::start(terms, options, None, clock.now(), &mut rng());
        let request = request(member.invite().unwrap(), &clock);
        let (bell, mut rung) = watch::channel(None);
        let (inbox, told) = Inbox::new();
        let row = Row { id: [1; 32], revision: 0, session: Vec::new(), terms: Vec::new() };
        let (machine, app) = (Machine::Member(member), Arc::new(Doorbell(bell)));
        let driver = Driver::new(context, machine, app, row, inbox.clone(), None);
        tasks.spawn(async move { driver.run(told).await.unwrap() });
        assert!(inbox.send(Input::Ready(DeviceName::new("laptop").unwrap())).await.is_ok());

        let begun = Instant::now();
        *wall.lock().unwrap() += Duration::from_secs(hours * 3_600);
        if asked {
            assert!(inbox.send(Input::Request(Via::Mailbox, request)).await.is_ok());
        }
        let ended = (*rung.wait_for(Option::is_some).await.unwrap()).unwrap();
        assert_eq!(ended, if hours == 0 { Ok(()) } else { Err(Failure::Expired) });
        assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", begun.elapsed());
        over.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
