//! Over real sockets, with somebody else there: who has found out where both meet, or has the invite.

use std::sync::Arc;

use handfast_keys::MailboxSecret;
use handfast_pairing::invite::codec::{framed, unframed};
use handfast_pairing::invite::{Denial, Invite, Mailboxes, Request, Response, Verdict};
use handfast_pairing_manager::Hyperswarm;
use handfast_pairing_manager::network::{Channel, Dht, Live};
use handfast_swarm::testnet::Testnet;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::app::{FOUR, Notes, check, invite, join, over, set_up};
use crate::swarm::{road, swarm};

/// How many announce what leads nowhere.
const FLOOD: u32 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_announcers_keeps_nobody_out() {
    let testnet = Testnet::new(10).await.unwrap();
    for live in [true, false] {
        let structures = Notes::new(FOUR);
        let (one, two, flooder) =
            (swarm(&testnet).await, swarm(&testnet).await, swarm(&testnet).await);
        let (a, b) = (over(&structures, road(&one, live)), over(&structures, road(&two, live)));
        let invitation = invite(&a).await;
        let key = Invite::parse(&invitation.invite_code).unwrap().discovery_key.unwrap();
        let flood = Hyperswarm::new(flooder.clone());
        for number in 0..FLOOD {
            let mut seed = [7; 32];
            seed[..4].copy_from_slice(&number.to_be_bytes());
            let nobody = MailboxSecret::from_seed(seed);
            // As a member to be dialled, and as a candidate with a request.
            flood.announce(key.topic(), &nobody).await.unwrap();
            flood.mutable_put(&nobody, 0, b"nonsense").await.unwrap();
            flood.announce(key.mailbox_topic(), &nobody).await.unwrap();
        }
        let (member, paired) = set_up(&a, &invitation).await.unwrap();
        let joined = join(&b, &invitation.invite_code, 1).await.unwrap();
        member.finished().await.unwrap();
        check(&structures, &joined, &paired, 1);
        a.close().await;
        b.close().await;
        for swarm in [one, two, flooder] {
            swarm.close().await;
        }
    }
    testnet.close().await;
}

/// Answers every request with rubbish and with a denial, on the connection and in the mailbox.
async fn deny(mut channel: Channel, invite: Invite, network: Hyperswarm) {
    let key = invite.key.public();
    while let Some((_, bytes)) = channel.receiver.recv().await {
        let Some(bytes) = unframed(&bytes) else { continue };
        let Ok(receipt) = Request::from_bytes(bytes).unwrap().open(&key) else { continue };
        let denial = Verdict::Denied(Denial::Used);
        let response = Response::new(&key, &receipt.session, &denial).to_bytes();
        for bytes in [b"rubbish".to_vec(), framed(b"rubbish"), framed(&response)] {
            let _ = channel.sender.send((1, bytes)).await;
        }
        let mailbox = Mailboxes::of(&key, receipt.user_data()).response;
        network.mutable_put(&mailbox, 7, &response).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_invite_and_denies_keeps_nobody_out() {
    let testnet = Testnet::new(10).await.unwrap();
    let structures = Notes::new(FOUR);
    let (one, two, third) = (swarm(&testnet).await, swarm(&testnet).await, swarm(&testnet).await);
    let (a, b) = (Hyperswarm::new(one.clone()), Hyperswarm::new(two.clone()));
    let (a, b) = (over(&structures, Box::new(a)), over(&structures, Box::new(b)));
    let invitation = invite(&a).await;
    let code = Invite::parse(&invitation.invite_code).unwrap();
    let key = code.discovery_key.unwrap();

    let forger = Hyperswarm::new(third.clone());
    let (opened, mut channels) = mpsc::unbounded_channel();
    let opened = Arc::new(move |channel| _ = opened.send(channel));
    let _opening = forger.open("blind-pairing", *key.as_bytes(), opened);
    let meets = forger.join(key.topic(), true, true);
    meets.flushed().await;
    let forges = tokio::spawn(async move {
        let mut answers = JoinSet::new();
        while let Some(channel) = channels.recv().await {
            answers.spawn(deny(channel, code.clone(), forger.clone()));
        }
    });
    let candidate = {
        let (b, code) = (Arc::new(b), invitation.invite_code.clone());
        tokio::spawn(async move { (join(&b, &code, 1).await, b) })
    };
    let (member, paired) = set_up(&a, &invitation).await.unwrap();
    let (joined, b) = candidate.await.unwrap();
    member.finished().await.unwrap();
    check(&structures, &joined.unwrap(), &paired, 1);
    forges.abort();
    drop(meets);
    a.close().await;
    b.close().await;
    for swarm in [one, two, third] {
        swarm.close().await;
    }
    testnet.close().await;
}
