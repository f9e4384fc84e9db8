//! Swarms on this machine, over a DHT of our own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

use std::time::Duration;

use handfast_swarm::testnet::Testnet;
use handfast_swarm::{
    Backoff, CloseReason, ConnectError, Connection, Events, JoinOptions, KeyPair, Swarm,
    SwarmEvent, SwarmOptions, Topic,
};
use tokio::time::timeout;

const TOPIC: Topic = Topic([5; 32]);
const LONG: Duration = Duration::from_secs(30);
const ANNOUNCE: JoinOptions = JoinOptions { announce: true, lookup: false };
const LOOKUP: JoinOptions = JoinOptions { announce: false, lookup: true };

async fn swarm(net: &Testnet) -> Swarm {
    let mut options = SwarmOptions::new(net.bootstrap());
    let wait = Duration::from_millis(20);
    options.backoff = Backoff { first: wait, most: wait, ..Backoff::default() };
    Swarm::new(options).await.unwrap()
}

async fn connected(events: &mut Events) -> Connection {
    let wait = async {
        loop {
            if let SwarmEvent::Connected(connection) = events.next().await.unwrap() {
                return connection;
            }
        }
    };
    timeout(LONG, wait).await.expect("a connection")
}

/// There nobody can tell which address is one's own.
#[tokio::test(flavor = "multi_thread")]
async fn two_meet_in_a_network_of_one_node() {
    let net = Testnet::new(1).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let mut at_a = a.subscribe();
    let _announced = a.join(TOPIC, ANNOUNCE).unwrap();
    a.listening().await;
    let dialled = b.connect(a.public_key()).await.unwrap();
    let accepted = connected(&mut at_a).await;
    assert_eq!(accepted.handshake_hash(), dialled.handshake_hash());
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_swarms_meet_under_a_topic_and_talk() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let (mut at_a, mut at_b) = (a.subscribe(), b.subscribe());
    let announced = a.join(TOPIC, ANNOUNCE).unwrap();
    announced.flushed().await;
    let _looked_up = b.join(TOPIC, LOOKUP).unwrap();
    let (ca, cb) = (connected(&mut at_a).await, connected(&mut at_b).await);
    assert_eq!(ca.remote_public_key(), b.public_key());
    assert_eq!(cb.remote_public_key(), a.public_key());
    assert_eq!(ca.handshake_hash(), cb.handshake_hash());
    assert!(cb.is_initiator() && !ca.is_initiator());

    let mut one = ca.mux().open("chat", Some(b"room"), b"from a").unwrap();
    let mut two = cb.mux().open("chat", Some(b"room"), b"from b").unwrap();
    assert_eq!(one.opened().await.unwrap(), "from b");
    assert_eq!(two.opened().await.unwrap(), "from a");
    one.send(3, b"hello").await.unwrap();
    let message = timeout(LONG, two.recv()).await.unwrap().unwrap();
    assert_eq!((message.kind, message.bytes.as_ref()), (3, b"hello".as_slice()));
    two.send(4, b"goodbye").await.unwrap();
    two.close();
    let message = timeout(LONG, one.recv()).await.unwrap().unwrap();
    assert_eq!((message.kind, message.bytes.as_ref()), (4, b"goodbye".as_slice()));
    assert_eq!(timeout(LONG, one.recv()).await.unwrap(), None);

    announced.leave().await;
    assert_eq!(b.dht().lookup(TOPIC).await.unwrap(), []);
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_a_connection_opens_arrives() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let (mut at_a, mut at_b) = (a.subscribe(), b.subscribe());
    let announced = a.join(TOPIC, ANNOUNCE).unwrap();
    announced.flushed().await;
    let _looked_up = b.join(TOPIC, LOOKUP).unwrap();
    let Some(SwarmEvent::Opening(opening)) = timeout(LONG, at_b.next()).await.unwrap() else {
        panic!("the dialler hears first that the connection opens");
    };
    assert_eq!(opening.remote_public_key(), a.public_key());
    // Not waiting for the peer, neither to be there nor to open it.
    let mut early = opening.mux().meet("chat", Some(b"room")).early().unwrap();
    early.send(0, b"early").await.unwrap();
    let mut heard = connected(&mut at_a).await.mux().meet("chat", Some(b"room"));
    let message = timeout(LONG, heard.next()).await.unwrap().unwrap().recv().await.unwrap();
    assert_eq!(message.bytes.as_ref(), b"early".as_slice());
    assert!(connected(&mut at_b).await.is_same(&opening));
    // The peer had enough and closed it; if it wants more it opens it again.
    assert_eq!(timeout(LONG, early.recv()).await.unwrap(), None);
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_stored_and_found() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let keys = KeyPair::generate();
    a.dht().mutable_put(&keys, 1, b"one").await.unwrap();
    a.dht().mutable_put(&keys, 2, b"two").await.unwrap();
    let found = b.dht().mutable_get(&keys.public_key(), 0).await.unwrap().unwrap();
    assert_eq!((found.seq, found.value.as_slice()), (2, b"two".as_slice()));
    assert_eq!(b.dht().mutable_get(&keys.public_key(), 3).await.unwrap(), None);
    let hash = a.dht().immutable_put(b"content").await.unwrap();
    assert_eq!(b.dht().immutable_get(&hash).await.unwrap().unwrap(), b"content");
    assert!(a.dht().mutable_put(&keys, 3, &[0; 1001]).await.is_err());
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_key_is_dialled_and_nobody_is_not_found() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    a.listen();
    a.listening().await;
    let connection = b.connect(a.public_key()).await.unwrap();
    assert_eq!(connection.remote_public_key(), a.public_key());
    assert!(b.connect(a.public_key()).await.unwrap().is_same(&connection));
    let nobody = KeyPair::generate().public_key();
    assert_eq!(b.connect(nobody).await.unwrap_err(), ConnectError::NotFound);
    assert_eq!(b.connect(b.public_key()).await.unwrap_err(), ConnectError::Banned);
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_comes_back() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let (mut at_a, mut at_b) = (a.subscribe(), b.subscribe());
    a.listen();
    a.listening().await;
    b.join_peer(a.public_key());
    for round in 0..6 {
        let (ca, cb) = (connected(&mut at_a).await, connected(&mut at_b).await);
        if round % 2 == 0 {
            ca.close()
        } else {
            cb.close()
        }
        timeout(LONG, async { tokio::join!(ca.closed(), cb.closed()) }).await.unwrap();
    }
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_dial_each_other_at_once_end_with_one_connection() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    for swarm in [&a, &b] {
        swarm.listen();
        swarm.listening().await;
    }
    for _ in 0..5 {
        let (one, two) = tokio::join!(a.connect(b.public_key()), b.connect(a.public_key()));
        one.unwrap();
        two.unwrap();
        // Whichever is left, both sides have the same one and it works.
        let settled = async {
            loop {
                let live = (a.connection(&b.public_key()), b.connection(&a.public_key()));
                if let (Some(ca), Some(cb)) = live
                    && ca.handshake_hash() == cb.handshake_hash()
                    && let (Ok(mut one), Ok(mut two)) =
                        (ca.mux().open("x", None, b""), cb.mux().open("x", None, b""))
                    && one.opened().await.is_ok()
                    && two.opened().await.is_ok()
                {
                    return (ca, cb);
                }
                tokio::task::yield_now().await;
            }
        };
        let (ca, cb) = timeout(LONG, settled).await.unwrap();
        ca.close();
        timeout(LONG, async { tokio::join!(ca.closed(), cb.closed()) }).await.unwrap();
        let gone = async {
            while !a.connections().is_empty() || !b.connections().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, gone).await.unwrap();
    }
    a.close().await;
    b.close().await;
    net.close().await;
}

/// One dials the other: the connection as the other has it, and as it has it itself.
async fn dial(one: &Swarm, other: &Swarm) -> (Connection, Connection) {
    let mut at_other = other.subscribe();
    other.listen();
    other.listening().await;
    let dialled = one.connect(other.public_key()).await.unwrap();
    (connected(&mut at_other).await, dialled)
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_carry_bulk_in_both_directions() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let (accepted, dialled) = dial(&b, &a).await;
    let accept = async {
        for _ in 0..3 {
            timeout(LONG, accepted.accept_lane()).await.unwrap().unwrap();
        }
    };
    let (lanes, ()) = tokio::join!(dialled.lanes(3), accept);
    assert_eq!(lanes.unwrap().len(), 3);
    // The side that was dialled asks, and the other one dials.
    let more = accepted.lanes(2).await.unwrap();
    assert_eq!(more.len(), 2);
    let far = timeout(LONG, dialled.accept_lane()).await.unwrap().unwrap();
    let near = more.iter().find(|lane| lane.handshake_hash() == far.handshake_hash()).unwrap();
    let out = near.mux().open("bulk", None, b"").unwrap();
    let mut into = far.mux().open("bulk", None, b"").unwrap();
    out.send(0, &vec![7; 300_000]).await.unwrap();
    assert_eq!(timeout(LONG, into.recv()).await.unwrap().unwrap().bytes.len(), 300_000);
    assert_eq!((a.connections().len(), b.connections().len()), (1, 1));
    dialled.close();
    timeout(LONG, async { tokio::join!(near.closed(), far.closed()) }).await.unwrap();
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_opened_when_somebody_takes_them() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let (accepted, dialled) = dial(&b, &a).await;
    assert_eq!(dialled.lanes(1).await.unwrap_err(), ConnectError::NoLanes);
    let (taken, lanes) = tokio::join!(accepted.accept_lane(), dialled.lanes(1));
    assert_eq!(taken.unwrap().handshake_hash(), lanes.unwrap()[0].handshake_hash());
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_listens_a_little_late_misses_nothing() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let mut at_a = a.subscribe();
    a.listen();
    a.listening().await;
    let cb = b.connect(a.public_key()).await.unwrap();
    let mut late = cb.mux().open("late", None, b"").unwrap();
    late.send(0, b"word").await.unwrap();
    let mut unknown = cb.mux().open("unknown", None, b"").unwrap();
    let _first = cb.mux().open("first", None, b"").unwrap();
    let ca = connected(&mut at_a).await;
    // What was opened before it has arrived too.
    timeout(LONG, ca.mux().listen("first", None).next()).await.unwrap().unwrap();
    let offer = timeout(LONG, ca.mux().listen("late", None).next()).await.unwrap().unwrap();
    let mut channel = offer.accept(b"").unwrap();
    assert_eq!(timeout(LONG, channel.recv()).await.unwrap().unwrap().bytes, "word");
    assert!(late.opened().await.is_ok());
    assert!(timeout(LONG, unknown.opened()).await.unwrap().is_err());
    a.close().await;
    b.close().await;
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_ends_the_connection_and_closing_ends_every_task() {
    let net = Testnet::new(10).await.unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.num_alive_tasks();
    let mut options = SwarmOptions::new(net.bootstrap());
    options.limits.unread = 64 * 1024;
    let a = Swarm::new(options).await.unwrap();
    let b = swarm(&net).await;
    let mut at_a = a.subscribe();
    let discovery = a.join(TOPIC, ANNOUNCE).unwrap();
    a.listening().await;
    let cb = b.connect(a.public_key()).await.unwrap();
    let ca = connected(&mut at_a).await;
    let near = cb.mux().open("bulk", None, b"").unwrap();
    let _far = ca.mux().open("bulk", None, b"").unwrap();
    let pour = async { while near.send(0, &[0; 16 * 1024]).await.is_ok() {} };
    timeout(LONG, pour).await.unwrap();
    assert_eq!(timeout(LONG, ca.closed()).await.unwrap(), CloseReason::Unread);
    a.close().await;
    b.close().await;
    drop(discovery);
    let ended = async {
        while metrics.num_alive_tasks() > before {
            tokio::task::yield_now().await;
        }
    };
    let waited = timeout(LONG, ended).await;
    assert!(waited.is_ok(), "{} tasks, {before} before", metrics.num_alive_tasks());
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_let_in_up_to_the_limit_and_who_is_joined_by_key_in_any_case() {
    let net = Testnet::new(10).await.unwrap();
    let mut options = SwarmOptions::new(net.bootstrap());
    options.limits.peers = 2;
    let a = Swarm::new(options).await.unwrap();
    let mut at_a = a.subscribe();
    a.listen();
    a.listening().await;
    let mut strangers = Vec::new();
    for _ in 0..6 {
        strangers.push(swarm(&net).await);
    }
    // All handshakes are under way before the first of them has led to a connection.
    let dials = strangers.iter().map(|stranger| {
        let (stranger, a) = (stranger.clone(), a.public_key());
        tokio::spawn(async move { stranger.connect(a).await })
    });
    let dials: Vec<_> = dials.collect();
    let friend = swarm(&net).await;
    for _ in 0..2 {
        connected(&mut at_a).await;
    }
    for dial in dials {
        // Some are refused, at once or once connected.
        let _ = dial.await.unwrap();
    }
    assert_eq!(a.connections().len(), 2);
    a.join_peer(friend.public_key());
    let dialled = friend.connect(a.public_key()).await.unwrap();
    // The first to come after the two is the friend: none of the strangers did.
    let third = connected(&mut at_a).await;
    assert_eq!(third.handshake_hash(), dialled.handshake_hash());
    for swarm in strangers.iter().chain([&a, &friend]) {
        swarm.close().await;
    }
    net.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bans_suspension_and_closing_hold() {
    let net = Testnet::new(10).await.unwrap();
    let (a, b) = (swarm(&net).await, swarm(&net).await);
    let mut at_b = b.subscribe();
    a.listen();
    a.listening().await;
    b.join_peer(a.public_key());
    let connection = connected(&mut at_b).await;
    b.suspend();
    timeout(LONG, connection.closed()).await.unwrap();
    assert_eq!(b.connect(a.public_key()).await.unwrap_err(), ConnectError::Offline);
    b.resume();
    let connection = connected(&mut at_b).await;
    b.network_changed();
    timeout(LONG, connection.closed()).await.unwrap();
    let connection = connected(&mut at_b).await;
    a.ban(b.public_key());
    timeout(LONG, connection.closed()).await.unwrap();
    assert!(b.connect(a.public_key()).await.is_err());
    a.unban(b.public_key());
    b.connect(a.public_key()).await.unwrap();
    a.close().await;
    b.close().await;
    let ended = async { while at_b.next().await.is_some() {} };
    timeout(LONG, ended).await.unwrap();
    assert_eq!(b.connect(a.public_key()).await.unwrap_err(), ConnectError::Offline);
    assert!(b.join(TOPIC, ANNOUNCE).is_err());
    net.close().await;
}
