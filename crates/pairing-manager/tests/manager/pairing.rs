//! One member, one or more candidates.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use handfast_keys::MailboxSecret;
use handfast_pairing::invite::Invite;
use handfast_pairing_manager::memory::World;
use handfast_pairing_manager::network::Dht;
use handfast_pairing_manager::{
    AddWriterError, Answer, Consent, Device, Error, Failure, InviteOptions, InviteRequest, Join,
    MemberSetup, Peer, Person, Question, on_paired,
};
use handfast_ring::DeviceKeys;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;

use crate::app::{FOUR, Notes, check, invite, join, key, manager, name, set_up, store};

#[tokio::test(start_paused = true)]
async fn four_structures_live() {
    let (world, structures, other) = (World::default(), Notes::new(FOUR), Notes::new([""; 0]));
    let (a, b) = (manager(&structures, world.peer()), manager(&other, world.peer()));
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let begun = tokio::time::Instant::now();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
    assert_eq!(joined.named_keys()["metadata_key"], key("metadata"));
    assert_eq!(a.invites().unwrap()[0].ended, Some(Ok(())));
    a.close().await;
    b.close().await;
    assert_eq!(world.announced(), 0);
}

/// What both have already stays as it is.
#[tokio::test(start_paused = true)]
async fn a_structure_that_came_later_goes_with_another_invite() {
    let (world, structures, other) = (World::default(), Notes::new(FOUR), Notes::new([""; 0]));
    let (a, b) = (manager(&structures, world.peer()), manager(&other, world.peer()));
    for later in [None, Some("tasks")] {
        later.into_iter().for_each(|namespace| structures.register(namespace));
        let invitation = invite(&a).await;
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
        member.finished().await.unwrap();
        check(&structures, &joined, &paired, 1);
    }
    assert_eq!(structures.writers.lock().unwrap().len(), FOUR.len() + 1);
    a.close().await;
    b.close().await;
}

#[tokio::test(start_paused = true)]
async fn any_number_of_structures_on_both_roads() {
    for count in [1, 20, 500] {
        for live in [true, false] {
            let world = World::default();
            let world = if live { world } else { world.without_connections() };
            world.set_offline(live);
            let structures = Notes::new((0..count).map(|n| format!("structure {n}")));
            let other = Notes::new([""; 0]);
            let (a, b) = (manager(&structures, world.peer()), manager(&other, world.peer()));
            let invitation = invite(&a).await;
            let (member, paired) = set_up(&a, &invitation).await.unwrap();
            let begun = tokio::time::Instant::now();
            let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
            member.finished().await.unwrap();
            check(&structures, &joined, &paired, 1);
            a.close().await;
            b.close().await;
            assert_eq!(world.announced(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_candidates_one_gets_in() {
    for live in [true, false] {
        let world = World::default();
        let world = if live { world } else { world.without_connections() };
        let structures = Notes::new(FOUR);
        let other = Notes::new([""; 0]);
        let a = manager(&structures, world.peer());
        let (b, c) = (manager(&other, world.peer()), manager(&other, world.peer()));
        let invitation = invite(&a).await;
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        let code = &invitation.invite_code;
        let (first, second) = tokio::join!(join(&b, code, 1), join(&c, code, 2));
        member.finished().await.unwrap();
        match (first, second) {
            (Ok(joined), Err(Error::Pairing(Failure::Denied(_)))) => {
                check(&structures, &joined, &paired, 1);
            }
            (Err(Error::Pairing(Failure::Denied(_))), Ok(joined)) => {
                check(&structures, &joined, &paired, 2);
            }
            other => panic!("{other:?}"),
        }
        // And nobody after them.
        let third = join(&manager(&Notes::new([""; 0]), world.peer()), code, 3).await;
        assert!(matches!(third, Err(Error::Pairing(Failure::Denied(_)))), "{third:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn invites_that_are_no_good() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    assert!(matches!(join(&b, "rubbish", 1).await, Err(Error::Invite(_))));

    let revoked = invite(&a).await;
    let (member, _) = set_up(&a, &revoked).await.unwrap();
    a.revoke(&revoked.invite).await.unwrap();
    assert!(matches!(member.finished().await, Err(Error::Pairing(Failure::Revoked))));
    let answer = join(&b, &revoked.invite_code, 1).await;
    assert!(matches!(answer, Err(Error::Pairing(Failure::Denied(_)))), "{answer:?}");

    // Revoked before anybody waited for it.
    let unused = invite(&a).await;
    a.revoke(&unused.invite).await.unwrap();
    assert!(matches!(a.invites().unwrap()[..], [_, _]));
    assert!(a.invites().unwrap().iter().all(|it| it.ended == Some(Err(Failure::Revoked))));

    let options = InviteOptions { lifetime: Duration::from_secs(60), ..InviteOptions::default() };
    let request = InviteRequest { options, ..InviteRequest::default() };
    let expired = a.create_invite_with(request).await.unwrap();
    let (member, _) = set_up(&a, &expired).await.unwrap();
    assert!(matches!(member.finished().await, Err(Error::Pairing(Failure::Expired))));
    let answer = join(&b, &expired.invite_code, 1).await;
    assert!(matches!(answer, Err(Error::Pairing(Failure::Denied(_)))), "{answer:?}");
    // Somebody else's.
    let foreign = set_up(&b, &expired).await;
    assert!(matches!(foreign, Err(Error::UnknownInvite)));
    assert!(structures.writers.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_raw_profile() {
    for live in [true, false] {
        let world = World::default();
        let world = if live { world } else { world.without_connections() };
        let structures = Notes::new(FOUR);
        let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
        let request = InviteRequest {
            primary_key: Some(key("drive")),
            raw: true,
            additional: Some(b"hello".to_vec()),
            ..InviteRequest::default()
        };
        let invitation = a.create_invite_with(request).await.unwrap();
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        let wrong = join(&b, &invitation.invite_code, 1).await;
        assert!(matches!(wrong, Err(Error::Pairing(Failure::WrongProfile))));
        let all = invite(&a).await;
        let wrong = b.join_raw(&all.invite_code, &key("writer")).await;
        assert!(matches!(wrong, Err(Error::Pairing(Failure::ForApps))));
        let grant = b.join_raw(&invitation.invite_code, &key("writer")).await.unwrap();
        member.finished().await.unwrap();
        assert_eq!(grant.key, key("drive"));
        assert_eq!(grant.additional.unwrap().data(), b"hello");
        let added = structures.writers.lock().unwrap().clone();
        assert!(added.into_iter().eq([("drive".to_owned(), key("writer"))]));
        assert_eq!(paired.lock().unwrap().len(), 1);
    }
    // A candidate finds the member by the key that it receives: there is only one.
    let a = manager(&Notes::new(FOUR), World::default().peer());
    let request = InviteRequest {
        primary_key: Some(key("drive")),
        primary_autobase_key: Some(key("autobase")),
        raw: true,
        ..InviteRequest::default()
    };
    assert!(a.create_invite_with(request).await.is_err());
}

/// Both people sit in front of both screens.
struct Careful {
    own: watch::Sender<Option<String>>,
    other: watch::Receiver<Option<String>>,
    asked: Mutex<usize>,
}

#[async_trait]
impl Person for Careful {
    async fn ask(&self, question: Question) -> Answer {
        *self.asked.lock().unwrap() += 1;
        let Question::Compare(_, code) = question else { panic!("{question:?}") };
        self.own.send_replace(Some(code.digits()));
        let mut other = self.other.clone();
        let shown = other.wait_for(Option::is_some).await.unwrap().clone();
        if shown == Some(code.digits()) { Answer::Agreed } else { Answer::Declined }
    }

    fn show(&self, _: handfast_keys::CheckCode) {}
}

#[tokio::test(start_paused = true)]
async fn both_people_compare() {
    for intruder in [false, true] {
        let (world, structures) = (World::default(), Notes::new(FOUR));
        let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
        let verify = Some(Consent::Compare);
        let request = InviteRequest { verify, ..InviteRequest::default() };
        let invitation = a.create_invite_with(request).await.unwrap();
        let ((own, other), (own_b, other_b)) = (watch::channel(None), watch::channel(None));
        // (An intruder's screen is not the one that the person looks at.)
        let looked_at =
            if intruder { watch::channel(Some("something else".to_owned())).1 } else { other_b };
        let alice = Arc::new(Careful { own, other: looked_at, asked: Mutex::default() });
        let bob = Arc::new(Careful { own: own_b, other, asked: Mutex::default() });
        let setup = MemberSetup {
            primary_discovery_key: key("drive").discovery_key(),
            invite: invitation.invite.clone(),
            username: name("laptop"),
            on_paired: on_paired(|_| async {}),
            person: Some(alice.clone()),
        };
        let member = a.setup_member(setup).await.unwrap();
        let join = Join {
            invite_code: invitation.invite_code,
            store: Arc::new(store(1)),
            username: name("phone"),
            person: Some((bob, Consent::Compare)),
            insist: true,
        };
        let joined = b.join_with_invite(join).await;
        let finished = member.finished().await;
        if intruder {
            assert!(matches!(joined, Err(Error::Pairing(Failure::Declined))), "{joined:?}");
            assert!(matches!(finished, Err(Error::Pairing(Failure::Declined))));
            assert!(structures.writers.lock().unwrap().is_empty());
        } else {
            joined.unwrap();
            finished.unwrap();
        }
        assert_eq!(*alice.asked.lock().unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_cannot_be_added_at_once() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    *structures.busy.lock().unwrap() = 5;
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
}

/// A device behind a manager.
struct Behind {
    keys: DeviceKeys,
    admitted: Mutex<Vec<(Peer, Vec<u8>)>>,
}

impl Behind {
    fn new(seed: u64) -> Arc<Behind> {
        let keys = DeviceKeys::generate(&mut StdRng::seed_from_u64(seed));
        Arc::new(Behind { keys, admitted: Mutex::default() })
    }
}

#[async_trait]
impl Device for Behind {
    fn keys(&self) -> DeviceKeys {
        self.keys.clone()
    }

    async fn attach(&self, peer: &Peer) -> Vec<u8> {
        format!("entry for {}", peer.name).into_bytes()
    }

    async fn admit(&self, peer: &Peer, attachment: &[u8]) -> Result<(), AddWriterError> {
        self.admitted.lock().unwrap().push((peer.clone(), attachment.to_vec()));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn devices_behind_both_sides() {
    let (world, structures) = (World::default(), Notes::new(FOUR));
    let (laptop, phone) = (Behind::new(1), Behind::new(2));
    let a = manager(&structures, world.peer()).device(laptop.clone());
    let b = manager(&structures, world.peer()).device(phone.clone());
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    // Without a device one is turned away, and the invite stays as it is.
    let bare = join(&manager(&structures, world.peer()), &invitation.invite_code, 9).await;
    assert!(matches!(bare, Err(Error::Pairing(Failure::ForDevices))), "{bare:?}");
    let app = invite(&manager(&structures, world.peer())).await;
    let device = join(&b, &app.invite_code, 9).await;
    assert!(matches!(device, Err(Error::Pairing(Failure::ForApps))), "{device:?}");
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
    let (at_laptop, at_phone) =
        (laptop.admitted.lock().unwrap().clone(), phone.admitted.lock().unwrap().clone());
    let ([(peer, entry)], [(own, other)]) = (&at_laptop[..], &at_phone[..]) else {
        panic!("{at_laptop:?}, {at_phone:?}");
    };
    assert_eq!(
        (entry.as_slice(), other.as_slice()),
        (b"entry for alice-laptop".as_slice(), b"entry for alice-phone".as_slice(),)
    );
    let (theirs, ours) = (peer.introduction.as_ref().unwrap(), own.introduction.as_ref().unwrap());
    assert_eq!(theirs.transcript, ours.transcript);
    assert_eq!(theirs.peer.identity().auth, phone.keys.auth.public());
    assert_eq!(ours.peer.identity().auth, laptop.keys.auth.public());
}

/// A thousand who announce themselves and have nothing to say do not keep the one out who has.
#[tokio::test(start_paused = true)]
async fn a_flood_of_bogus_announcers() {
    let (world, structures) = (World::default().without_connections(), Notes::new(FOUR));
    let (a, b) = (manager(&structures, world.peer()), manager(&structures, world.peer()));
    let invitation = invite(&a).await;
    let flooder = world.peer();
    let discovery_key = Invite::parse(&invitation.invite_code).unwrap().discovery_key.unwrap();
    for number in 0..1_000u32 {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_be_bytes());
        let mailbox = MailboxSecret::from_seed(seed);
        if number % 2 == 0 {
            flooder.mutable_put(&mailbox, 0, b"nonsense").await.unwrap();
        }
        flooder.announce(discovery_key.mailbox_topic(), &mailbox).await.unwrap();
    }
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
}
