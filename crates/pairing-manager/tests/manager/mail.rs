//! Through a DHT that is as slow and as unreliable as the real one, with others in it.

use std::time::Duration;

use handfast_keys::MailboxSecret;
use handfast_pairing::invite::Invite;
use handfast_pairing_manager::memory::World;
use handfast_pairing_manager::network::Dht;
use handfast_pairing_manager::{Error, Failure, InviteRequest, Nowhere};
use tokio::time::sleep;

use crate::app::{FOUR, Notes, check, invite, join, key, manager, set_up};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The member comes while the request is still being announced: what ends last is that the announcement
/// is taken back.
#[tokio::test(start_paused = true)]
async fn an_answer_overtakes_the_announcement() {
    for closed in [false, true] {
        let (world, structures) = (World::default().with_latency(SECOND), Notes::new(FOUR));
        let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
        let invitation = invite(&a).await;
        let member = async {
            sleep(SECOND * 5 / 2).await;
            assert_eq!(world.announced(), 1);
            set_up(&a, &invitation).await.unwrap()
        };
        let joining = async {
            let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
            if closed {
                b.close().await;
                assert_eq!(world.announced(), 0);
            }
            joined
        };
        let (joined, (member, paired)) = tokio::join!(joining, member);
        member.finished().await.unwrap();
        check(&structures, &joined, &paired, 1);
        sleep(MINUTE).await;
        assert_eq!(world.announced(), 0);
    }
}

/// A command ends as soon as it has what it came for.
#[tokio::test(start_paused = true)]
async fn closing_takes_the_announcement_back() {
    let world = World::default().without_connections().with_latency(SECOND);
    let structures = Notes::new(FOUR);
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    let request =
        InviteRequest { primary_key: Some(key("drive")), raw: true, ..InviteRequest::default() };
    let invitation = a.create_invite_with(request).await.unwrap();
    let (_member, _paired) = set_up(&a, &invitation).await.unwrap();
    b.join_raw(&invitation.invite_code, &key("writer")).await.unwrap();
    assert_eq!(world.announced(), 1);
    b.close().await;
    assert_eq!(world.announced(), 0);
}

/// Nothing was announced where the member was there at once: there is nothing to take back.
#[tokio::test(start_paused = true)]
async fn who_is_let_in_at_once_says_nothing_to_the_dht() {
    let (world, structures) = (World::default().with_latency(SECOND), Notes::new([""; 0]));
    let a = manager(&structures, (world.peer(), Nowhere));
    let b = manager(&structures, world.peer());
    let request =
        InviteRequest { primary_key: Some(key("drive")), raw: true, ..InviteRequest::default() };
    let invitation = a.create_invite_with(request).await.unwrap();
    let (member, _paired) = set_up(&a, &invitation).await.unwrap();
    b.join_raw(&invitation.invite_code, &key("writer")).await.unwrap();
    b.close().await;
    assert_eq!(world.requests(), 0);
    member.finished().await.unwrap();
}

/// What a process has announced before it died, the next one takes back, even if it is let in at once.
#[tokio::test(start_paused = true)]
async fn an_announcement_outlives_its_process_and_is_taken_back() {
    let directory = tempfile::tempdir().unwrap();
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let a = manager(&structures, world.peer());
    let b = || {
        let b = manager(&structures, world.peer());
        b.journal(directory.path().join("b")).unwrap()
    };
    let invitation = invite(&a).await;
    let first = b();
    tokio::select! {
        _ = join(&first, &invitation.invite_code, 1) => panic!("nobody is there"),
        () = sleep(SECOND) => drop(first),
    }
    assert_eq!(world.announced(), 1);
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let (second, begun) = (b(), tokio::time::Instant::now());
    let joined = join(&second, &invitation.invite_code, 1).await.unwrap();
    assert!(begun.elapsed() < SECOND / 10, "{:?}", begun.elapsed());
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
    second.close().await;
    assert_eq!(world.announced(), 0);
}

/// The network comes up after the request could not be left: it is left soon after that, and the device
/// may go to sleep before the member is there.
#[tokio::test(start_paused = true)]
async fn a_request_is_left_once_there_is_a_network() {
    for minutes in [0, 1, 24 * 60] {
        let world = World::default().without_connections();
        world.set_offline(true);
        let structures = Notes::new(FOUR);
        let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
        let invitation = invite(&a).await;
        let code = invitation.invite_code.clone();
        let waking = async {
            sleep(SECOND * 10 + MINUTE * minutes).await;
            world.set_offline(false);
            sleep(MINUTE).await;
        };
        tokio::select! {
            _ = join(&b, &code, 1) => panic!("nobody is there"),
            () = waking => drop(b),
        }
        assert_eq!(world.announced(), 1, "after {minutes} minutes");
    }
}

/// One request in ten is lost, whatever it is for.
#[tokio::test(start_paused = true)]
async fn a_lossy_dht_leads_to_the_end_all_the_same() {
    let latency = Duration::from_millis(300);
    let world = World::default().without_connections().with_latency(latency).losing_one_in(10);
    let structures = Notes::new(FOUR);
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let begun = tokio::time::Instant::now();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
    assert!(begun.elapsed() < MINUTE * 3, "{:?}", begun.elapsed());
}

/// Somebody who was turned away is announced for as long as the DHT remembers: whoever has paired neither
/// looks nor answers any faster for that.
#[tokio::test(start_paused = true)]
async fn a_standing_request_keeps_nobody_busy() {
    let world = World::default().without_connections();
    let (structures, other) = (Notes::new(FOUR), Notes::new([""; 0]));
    let a = manager(&structures, world.peer());
    let (b, c) = (manager(&other, world.peer()), manager(&other, world.peer()));
    let invitation = invite(&a).await;
    let (member, _paired) = set_up(&a, &invitation).await.unwrap();
    join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    b.close().await;
    tokio::select! {
        // It dies before it hears that it has come too late.
        _ = join(&c, &invitation.invite_code, 2) => panic!("nobody has answered yet"),
        () = sleep(SECOND / 2) => drop(c),
    }
    let before = world.requests();
    sleep(MINUTE * 20).await;
    assert_eq!(world.announced(), 1);
    // A lookup a minute or so, and as often its request, and an answer to it.
    let asked = world.requests() - before;
    assert!((20..150).contains(&asked), "{asked} requests");
    // Who comes late is told so all the same.
    let late = manager(&other, world.peer());
    let late = join(&late, &invitation.invite_code, 3).await;
    assert!(matches!(late, Err(Error::Pairing(Failure::Denied(_)))), "{late:?}");
}

/// Those who announce themselves and have left nothing are asked for in every poll. That takes a while;
/// the candidate that was let in does not wait for it, and what cannot be asked for holds up nothing else.
#[tokio::test(start_paused = true)]
async fn who_was_let_in_does_not_wait_for_those_who_come_after() {
    for unreachable in [false, true] {
        let (world, structures) = (World::default().without_connections(), Notes::new(FOUR));
        let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
        let invitation = invite(&a).await;
        let flooder = world.peer();
        let key = Invite::parse(&invitation.invite_code).unwrap().discovery_key.unwrap();
        for number in 0..63 {
            let nobody = MailboxSecret::from_seed([number; 32]);
            flooder.announce(key.mailbox_topic(), &nobody).await.unwrap();
            if unreachable {
                world.set_unreachable(nobody.public());
            }
        }
        let _world = world.with_latency(SECOND);
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        let begun = tokio::time::Instant::now();
        let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
        member.finished().await.unwrap();
        check(&structures, &joined, &paired, 1);
        assert!(begun.elapsed() < MINUTE, "{:?}", begun.elapsed());
    }
}
