//! Over real sockets: a DHT of ten nodes on this machine.

use handfast_pairing_manager::network::Network;
use handfast_pairing_manager::{Hyperswarm, InviteRequest, Nowhere};
use handfast_swarm::testnet::Testnet;
use handfast_swarm::{Swarm, SwarmOptions};

use crate::app::{FOUR, Notes, check, invite, join, key, manager, over, set_up};

pub async fn swarm(testnet: &Testnet) -> Swarm {
    let mut options = SwarmOptions::new(testnet.bootstrap());
    options.host = std::net::Ipv4Addr::LOCALHOST;
    Swarm::new(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_hyperswarm() {
    let testnet = Testnet::new(10).await.unwrap();
    let (one, two) = (swarm(&testnet).await, swarm(&testnet).await);
    let structures = Notes::new(FOUR);
    let a = manager(&structures, Hyperswarm::new(one.clone()));
    let b = manager(&structures, Hyperswarm::new(two.clone()));
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    member.flushed().await;
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);

    let request =
        InviteRequest { primary_key: Some(key("drive")), raw: true, ..InviteRequest::default() };
    let invitation = a.create_invite_with(request).await.unwrap();
    let (member, _) = set_up(&a, &invitation).await.unwrap();
    let grant = b.join_raw(&invitation.invite_code, &key("writer")).await.unwrap();
    member.finished().await.unwrap();
    assert_eq!(grant.key, key("drive"));
    a.close().await;
    b.close().await;
    one.close().await;
    two.close().await;
    testnet.close().await;
}

/// A swarm with both roads, or with that through the DHT alone.
pub fn road(swarm: &Swarm, live: bool) -> Box<dyn Network> {
    let hyperswarm = Hyperswarm::new(swarm.clone());
    if live { Box::new(hyperswarm) } else { Box::new((Nowhere, hyperswarm)) }
}

/// Many structures, named in any script, on both roads.
#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_structures() {
    const SCRIPTS: [&str; 6] =
        ["notes", "Über alles", "共有フォルダー", "ملفات مشتركة", "कार्य सूची", "👩‍👩‍👧 e\u{301}"];
    let testnet = Testnet::new(10).await.unwrap();
    for count in [1, 20, 500] {
        let name = |number: usize| format!("{} {number}", SCRIPTS[number % SCRIPTS.len()]);
        let structures = Notes::new((0..count).map(name));
        for live in [true, false] {
            let (one, two) = (swarm(&testnet).await, swarm(&testnet).await);
            structures.writers.lock().unwrap().clear();
            let (a, b) = (over(&structures, road(&one, live)), over(&structures, road(&two, live)));
            let invitation = invite(&a).await;
            let (member, paired) = set_up(&a, &invitation).await.unwrap();
            let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
            member.finished().await.unwrap();
            check(&structures, &joined, &paired, 1);
            a.close().await;
            b.close().await;
            one.close().await;
            two.close().await;
        }
    }
    testnet.close().await;
}

/// A member that is closed at once has still answered: the candidate that comes back finds it.
#[tokio::test(flavor = "multi_thread")]
async fn closing_waits_for_the_answer() {
    let testnet = Testnet::new(10).await.unwrap();
    let structures = Notes::new(FOUR);
    for live in [true, false] {
        let (one, two) = (swarm(&testnet).await, swarm(&testnet).await);
        let (a, b) = (over(&structures, road(&one, live)), over(&structures, road(&two, live)));
        let request = InviteRequest {
            primary_key: Some(key("drive")),
            raw: true,
            ..InviteRequest::default()
        };
        let invitation = a.create_invite_with(request).await.unwrap();
        let (member, _) = set_up(&a, &invitation).await.unwrap();
        let joining = async { b.join_raw(&invitation.invite_code, &key("writer")).await.unwrap() };
        let leaving = async {
            member.finished().await.unwrap();
            a.close().await;
            one.close().await;
        };
        let (grant, ()) = tokio::join!(joining, leaving);
        assert_eq!(grant.key, key("drive"));
        b.close().await;
        two.close().await;
    }
    testnet.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_dht_alone() {
    let testnet = Testnet::new(10).await.unwrap();
    let (one, two) = (swarm(&testnet).await, swarm(&testnet).await);
    let structures = Notes::new(FOUR);
    let a = manager(&structures, (Nowhere, Hyperswarm::new(one.clone())));
    let b = manager(&structures, (Nowhere, Hyperswarm::new(two.clone())));
    let invitation = invite(&a).await;
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined, &paired, 1);
    a.close().await;
    b.close().await;
    one.close().await;
    two.close().await;
    testnet.close().await;
}
