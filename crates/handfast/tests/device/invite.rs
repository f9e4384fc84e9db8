//! Devices that pair by invite, over a DHT of their own on loopback.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::home::{PATIENCE, World};
use handfast::{
    Answer, Consent, Device, Error, InviteFailure, InviteOptions, InviteState, JoinOptions,
    ManagerError, Online, PairOptions, Paired, Pairing, Question, Step, SwarmOptions,
};
use handfast_swarm::testnet::Testnet;

async fn online(device: &Device, net: &Testnet) -> Online {
    let options = SwarmOptions { host: Ipv4Addr::LOCALHOST, ..SwarmOptions::new(net.bootstrap()) };
    device.go_online(options).await.unwrap()
}

fn unseen() -> InviteOptions {
    InviteOptions { consent: None, ..InviteOptions::default() }
}

async fn both(one: Pairing, other: Pairing) -> (Paired, Paired) {
    let both = async { tokio::try_join!(one.finished(), other.finished()) };
    tokio::time::timeout(PATIENCE, both).await.unwrap().unwrap()
}

/// Two people who look.
async fn compared(mut member: Pairing, mut candidate: Pairing) -> (Paired, Paired) {
    let compared = async {
        let code = loop {
            match candidate.next().await.unwrap() {
                Step::Ask(Question::TypeBackDigits(_, code)) => break code,
                _ => continue,
            }
        };
        member.answer(Answer::Typed(code.emojis().emojis().map(|it| it.word).join(" ")));
        loop {
            if let Step::Show(shown) = member.next().await.unwrap() {
                assert_eq!(shown, code);
                candidate.answer(Answer::Typed(shown.back_digits()));
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, compared).await.unwrap();
    both(member, candidate).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_without_any_provider_have_everything_of_each_other() {
    let world = World::without_host();
    let net = Testnet::new(4).await.unwrap();
    let (a, b) = (world.bare("a"), world.bare("b"));
    a.records("notes").unwrap().put_key("milk", [("text", "milk")]).unwrap();
    b.records("notes").unwrap().put_key("bread", [("text", "bread")]).unwrap();
    b.records("photos").unwrap().put_key("sea", [("text", "sea")]).unwrap();
    let _online = (online(&a, &net).await, online(&b, &net).await);

    let member = a.invite(InviteOptions::default()).await.unwrap();
    let code = member.code().unwrap().to_owned();
    assert!(matches!(a.invites().unwrap()[0].state, InviteState::Open { .. }));
    let candidate = b.join(&code, JoinOptions::default()).await.unwrap();
    let (of_a, of_b) = compared(member, candidate).await;
    assert_eq!((of_a.id, of_b.id), (b.id(), a.id()));
    assert_eq!((a.record_count().unwrap(), b.record_count().unwrap()), (3, 3));
    assert_eq!(a.content_hash().unwrap(), b.content_hash().unwrap());
    assert_eq!(a.invites().unwrap()[0].state, InviteState::Used);

    // From then on they are in step.
    let _watch = (a.watch().unwrap(), b.watch().unwrap());
    let mut events = b.events();
    a.records("notes").unwrap().put_key("eggs", [("text", "eggs")]).unwrap();
    let arrived = async {
        while b.record_count().unwrap() < 4 {
            events.next().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, arrived).await.unwrap();
    net.close().await;
}

/// The provider of one is lent to the other, which can then go on without being online.
#[tokio::test(flavor = "multi_thread")]
async fn a_device_without_a_provider_is_lent_one() {
    let world = World::new().await;
    let net = Testnet::new(4).await.unwrap();
    for (member, candidate) in [("a", "b"), ("c", "d")] {
        // Once the member has it, once the candidate.
        let has_provider = |name: &str| {
            if matches!(name, "a" | "d") { world.device(name) } else { world.bare(name) }
        };
        let (a, b) = (has_provider(member), has_provider(candidate));
        a.records("notes").unwrap().put_key("milk", [("text", "milk")]).unwrap();
        let live = (online(&a, &net).await, online(&b, &net).await);
        let shown = a.invite(unseen()).await.unwrap();
        let code = shown.code().unwrap().to_owned();
        let joined = b.join(&code, JoinOptions::default()).await.unwrap();
        both(shown, joined).await;
        assert_eq!(b.record_count().unwrap(), 1);
        assert_eq!(a.provider_config().unwrap(), Some(world.config()));
        assert_eq!(b.provider_config().unwrap(), Some(world.config()));
        tokio::join!(live.0.close(), live.1.close());

        b.records("notes").unwrap().put_key("bread", [("text", "bread")]).unwrap();
        b.sync().await.unwrap();
        a.sync().await.unwrap();
        assert_eq!(a.record_count().unwrap(), 2);
    }
    net.close().await;
}

/// What was only ever on the devices' own shelves goes to the provider that they get later: also what
/// the other one has written, for it may never have one.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_comes_later_takes_over() {
    /// More than travels inside of an index.
    const MANY: u64 = 150;
    let world = World::new().await;
    let net = Testnet::new(4).await.unwrap();
    let (a, b) = (world.bare("a"), world.bare("b"));
    for (device, collection) in [(&a, "notes"), (&b, "photos")] {
        let records = device.records(collection).unwrap();
        for number in 0..MANY {
            records.put_key(&number.to_string(), [("text", "milk")]).unwrap();
        }
    }
    let live = (online(&a, &net).await, online(&b, &net).await);
    let member = a.invite(unseen()).await.unwrap();
    let code = member.code().unwrap().to_owned();
    let candidate = b.join(&code, JoinOptions::default()).await.unwrap();
    both(member, candidate).await;
    tokio::join!(live.0.close(), live.1.close());
    assert!(matches!(a.sync().await, Err(Error::NoProvider)));

    a.set_provider(&world.config()).unwrap();
    assert_eq!(a.sync().await.unwrap().trouble, Vec::<String>::new());
    // A third device reads all of it from there.
    let c = world.bare("c");
    crate::home::pair(&a, &c).await;
    assert_eq!(c.record_count().unwrap(), 2 * MANY);

    b.set_provider(&world.config()).unwrap();
    b.records("notes").unwrap().put_key("bread", [("text", "bread")]).unwrap();
    for device in [&b, &a, &c] {
        assert_eq!(device.sync().await.unwrap().trouble, Vec::<String>::new());
        assert_eq!(device.record_count().unwrap(), 2 * MANY + 1);
    }
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_let_nobody_in() {
    let world = World::without_host();
    let net = Testnet::new(4).await.unwrap();
    let (a, b) = (world.bare("a"), world.bare("b"));
    a.records("notes").unwrap().put_key("milk", [("text", "milk")]).unwrap();
    let _online = (online(&a, &net).await, online(&b, &net).await);
    let mut member = a.invite(InviteOptions::default()).await.unwrap();
    let code = member.code().unwrap().to_owned();
    let candidate = b.join(&code, JoinOptions::default()).await.unwrap();
    let failed = async {
        while let Some(step) = member.next().await {
            if let Step::Ask(Question::TypeCheckCode(_) | Question::Wrong(_)) = step {
                member.answer(Answer::Typed("00 0000 0000".to_owned()));
            }
        }
        (member.finished().await, candidate.finished().await)
    };
    let (one, other) = tokio::time::timeout(PATIENCE, failed).await.unwrap();
    for end in [one, other] {
        let failure = ManagerError::Pairing(InviteFailure::Mismatch);
        assert!(matches!(end, Err(Error::Invite(it)) if it.to_string() == failure.to_string()));
    }
    assert!(!a.is_paired().unwrap() && !b.is_paired().unwrap());
    assert_eq!(b.record_count().unwrap(), 0);
    assert_eq!(a.invites().unwrap()[0].state, InviteState::Failed(InviteFailure::Mismatch));
    net.close().await;
}

/// Who dies in the middle goes on where it was; the invite lets nobody else in.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_on_either_side_changes_nothing() {
    let world = World::without_host();
    let net = Testnet::new(4).await.unwrap();
    let (a, b, c) = (world.bare("a"), world.bare("b"), world.bare("c"));
    a.records("notes").unwrap().put_key("milk", [("text", "milk")]).unwrap();
    let (online_a, online_b) = (online(&a, &net).await, online(&b, &net).await);
    let member = a.invite(InviteOptions::default()).await.unwrap();
    let code = member.code().unwrap().to_owned();
    let mut candidate = b.join(&code, JoinOptions::default()).await.unwrap();
    let asked = async { while !matches!(candidate.next().await.unwrap(), Step::Ask(_)) {} };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
    tokio::join!(member.stop(), candidate.stop());
    drop((online_a, online_b, a, b));

    let (a, b) = (world.reopen("a"), world.reopen("b"));
    let _online = (online(&a, &net).await, online(&b, &net).await, online(&c, &net).await);
    let member = a.resume_pairing().await.unwrap().unwrap();
    assert_eq!(member.code(), None, "somebody has answered it");
    // Somebody else with the same invite comes too late.
    let late = c.join(&code, JoinOptions::default()).await.unwrap();
    let late = tokio::time::timeout(PATIENCE, late.finished()).await.unwrap();
    assert!(matches!(late, Err(Error::Invite(ManagerError::Pairing(InviteFailure::Denied(_))))));
    let candidate = b.resume_pairing().await.unwrap().unwrap();
    compared(member, candidate).await;
    assert_eq!(b.record_count().unwrap(), 1);
    assert!(b.resume_pairing().await.unwrap().is_none());
    assert!(!c.is_paired().unwrap());
    net.close().await;
}

#[tokio::test]
async fn invites_are_listed_revoked_and_dropped_with_a_copy() {
    let world = World::without_host();
    let net = Testnet::new(4).await.unwrap();
    let a = world.bare("a");
    assert!(matches!(a.invite(unseen()).await, Err(Error::Offline)));
    let live = online(&a, &net).await;
    a.invite(unseen()).await.unwrap().stop().await;
    let options = InviteOptions { lifetime: Duration::from_secs(60), ..unseen() };
    a.invite(options).await.unwrap().stop().await;
    let ids: Vec<_> = a.invites().unwrap().into_iter().map(|info| info.id).collect();
    assert_eq!(ids.len(), 2);
    a.revoke_invite(&ids[0]).await.unwrap();
    let states = a.invites().unwrap();
    let revoked = states.iter().find(|info| info.id == ids[0]).unwrap();
    assert_eq!(revoked.state, InviteState::Failed(InviteFailure::Revoked));
    let open = states.iter().find(|info| info.id == ids[1]).unwrap();
    let InviteState::Open { code, .. } = &open.state else { panic!("{open:?}") };
    assert!(!format!("{open:?}").contains(code), "whoever reads it in a log could answer");
    // It can be waited for again, also when another pairing has come in between.
    assert!(a.cancel_pairing().await.unwrap(), "the one that was made last");
    let longest = InviteOptions { lifetime: Duration::from_secs(7_200), ..unseen() };
    let kept = a.invite(longest).await.unwrap();
    let code = kept.code().unwrap().to_owned();
    kept.stop().await;
    a.pair(PairOptions::default()).await.unwrap().stop().await;
    assert!(a.cancel_pairing().await.unwrap());
    let resumed = a.resume_pairing().await.unwrap().unwrap();
    assert_eq!(resumed.code(), Some(&*code));
    resumed.stop().await;
    live.close().await;
    drop(a);

    // Of a copy and its original only the original answers.
    let (original, copy) = (world.dir.path().join("a"), world.dir.path().join("copy"));
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(&original).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let copy = crate::home::open(&copy);
    assert!(copy.invites().unwrap().is_empty());
    assert_eq!(world.reopen("a").invites().unwrap().len(), 3);
    net.close().await;
}

/// Two candidates with one invite at the same instant.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_have_the_invite_one_gets_in() {
    let world = World::without_host();
    let net = Testnet::new(4).await.unwrap();
    let (a, b, c) = (world.bare("a"), world.bare("b"), world.bare("c"));
    let _online = (online(&a, &net).await, online(&b, &net).await, online(&c, &net).await);
    let member = a.invite(unseen()).await.unwrap();
    let code = member.code().unwrap().to_owned();
    let one = b.join(&code, JoinOptions::default()).await.unwrap();
    let other = c.join(&code, JoinOptions::default()).await.unwrap();
    let ends = async { tokio::join!(member.finished(), one.finished(), other.finished()) };
    let (member, one, other) = tokio::time::timeout(PATIENCE, ends).await.unwrap();
    let let_in = member.unwrap().id;
    assert_eq!((one.is_ok(), other.is_ok()), (let_in == b.id(), let_in == c.id()));
    assert_eq!(a.devices().unwrap().len(), 2);
    net.close().await;
}

/// What a person compares is never left out silently.
#[tokio::test(flavor = "multi_thread")]
async fn yes_or_no_on_both() {
    let world = World::without_host();
    let net = Testnet::new(4).await.unwrap();
    let (a, b) = (world.bare("a"), world.bare("b"));
    let _online = (online(&a, &net).await, online(&b, &net).await);
    let consent = Consent::Compare;
    let options = InviteOptions { consent: Some(consent), ..InviteOptions::default() };
    let mut member = a.invite(options).await.unwrap();
    let code = member.code().unwrap().to_owned();
    let options = JoinOptions { consent, ..JoinOptions::default() };
    let mut candidate = b.join(&code, options).await.unwrap();
    let looked = async {
        for pairing in [&mut member, &mut candidate] {
            loop {
                if let Step::Ask(Question::Compare(peer, _)) = pairing.next().await.unwrap() {
                    assert!(["a", "b"].contains(&peer.name.as_str()));
                    break;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, looked).await.unwrap();
    member.answer(Answer::Yes);
    candidate.answer(Answer::Yes);
    both(member, candidate).await;
    net.close().await;
}
