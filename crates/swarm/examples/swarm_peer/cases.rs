//! The cases.

use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use handfast_swarm::{
    Backoff, Bootstrap, Connection, Events, JoinOptions, KeyPair, Swarm, SwarmEvent, SwarmOptions,
    Topic,
};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::peer::{LONG, Peer};

const ANNOUNCE: JoinOptions = JoinOptions { announce: true, lookup: false };
const LOOKUP: JoinOptions = JoinOptions { announce: false, lookup: true };
/// Connections with one peer over which bulk is spread.
const LANES: usize = 4;
const BULK: usize = 2 * 1024 * 1024;
const RECONNECTS: usize = 50;
const MESSAGES: usize = 10_000;

pub async fn run(script: &str, bootstrap: &Bootstrap) {
    let start = Instant::now();
    let mut js = Peer::start(script, bootstrap).await;
    records(&mut js, bootstrap).await;
    topics(&mut js, bootstrap).await;
    channels(&mut js, bootstrap).await;
    messages(&mut js, bootstrap).await;
    bulk(&mut js, bootstrap).await;
    reconnects(&mut js, bootstrap).await;
    js.stop().await;
    println!("all cases held in {:.1?}", start.elapsed());
}

pub async fn swarm(bootstrap: &Bootstrap) -> (Swarm, Events) {
    let mut options = SwarmOptions::new(bootstrap.clone());
    let wait = Duration::from_millis(20);
    options.backoff = Backoff { first: wait, most: wait, ..Backoff::default() };
    let swarm = Swarm::new(options).await.unwrap();
    let events = swarm.subscribe();
    (swarm, events)
}

pub async fn connected(events: &mut Events) -> Connection {
    let wait = async {
        loop {
            if let SwarmEvent::Connected(connection) = events.next().await.unwrap() {
                return connection;
            }
        }
    };
    timeout(LONG, wait).await.expect("a connection")
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(LONG, what).await.expect("in time")
}

fn topic() -> (Topic, String) {
    let topic: [u8; 32] = rand::random();
    (Topic(topic), HEXLOWER.encode(&topic))
}

fn done(case: &str, since: Instant) {
    println!("  {case}: {:.0?}", since.elapsed());
}

/// Records and announcements of one are found by the other.
async fn records(js: &mut Peer, bootstrap: &Bootstrap) {
    let start = Instant::now();
    let (ours, _events) = swarm(bootstrap).await;
    let seed: [u8; 32] = rand::random();
    let keys = KeyPair::from_seed(seed);
    let put = json!({ "cmd": "put", "seed": HEXLOWER.encode(&seed), "text": "theirs", "seq": 4 });
    js.tell(put).await;
    let found = ours.dht().mutable_get(&keys.public_key(), 0).await.unwrap().unwrap();
    assert_eq!((found.seq, found.value.as_slice()), (4, b"theirs".as_slice()));
    ours.dht().mutable_put(&keys, 5, b"ours").await.unwrap();
    let get = json!({ "cmd": "get", "key": keys.public_key().to_string() });
    let found = js.tell(get).await;
    assert_eq!((&found["text"], &found["seq"]), (&json!("ours"), &json!(5)));

    let (here, hex) = topic();
    js.tell(json!({ "cmd": "announce", "topic": hex, "seed": HEXLOWER.encode(&seed) })).await;
    let found = ours.dht().lookup(here).await.unwrap();
    assert_eq!(found.iter().map(|peer| peer.public_key).collect::<Vec<_>>(), [keys.public_key()]);
    let (here, hex) = topic();
    ours.dht().announce(here, &keys).await.unwrap();
    let found = js.tell(json!({ "cmd": "find", "topic": hex })).await;
    assert_eq!(found["keys"], json!([keys.public_key().to_string()]));
    ours.dht().unannounce(here, &keys).await.unwrap();
    let found = js.tell(json!({ "cmd": "find", "topic": hex })).await;
    assert_eq!(found["keys"], json!([]));
    ours.close().await;
    done("records and announcements", start);
}

/// Under a topic they meet, whoever announces it.
async fn topics(js: &mut Peer, bootstrap: &Bootstrap) {
    for theirs_dials in [false, true] {
        let start = Instant::now();
        let (ours, mut events) = swarm(bootstrap).await;
        let (here, hex) = topic();
        let join =
            json!({ "cmd": "join", "topic": hex, "server": !theirs_dials, "client": theirs_dials });
        let joined;
        if theirs_dials {
            joined = ours.join(here, ANNOUNCE).unwrap();
            joined.flushed().await;
            js.tell(join).await;
        } else {
            js.tell(join).await;
            joined = ours.join(here, LOOKUP).unwrap();
        }
        let connection = connected(&mut events).await;
        let told = js.wait("connection").await;
        assert_eq!(connection.remote_public_key(), js.key);
        assert_eq!(told["key"], ours.public_key().to_string());
        assert_eq!(told["hash"], HEXLOWER.encode(connection.handshake_hash()));
        assert_eq!(told["initiator"], theirs_dials);
        echo(&connection, b"hello").await;
        js.tell(json!({ "cmd": "leave", "topic": hex })).await;
        joined.leave().await;
        ours.close().await;
        js.wait("disconnection").await;
        done(if theirs_dials { "topic, JS dials" } else { "topic, Rust dials" }, start);
    }
}

async fn echo(connection: &Connection, word: &[u8]) {
    let mut channel = connection.mux().open("echo", None, b"").unwrap();
    channel.send(0, word).await.unwrap();
    assert_eq!(within(channel.recv()).await.unwrap().bytes, word);
}

/// Channels are opened and closed in every order.
async fn channels(js: &mut Peer, bootstrap: &Bootstrap) {
    let start = Instant::now();
    let (ours, mut events) = swarm(bootstrap).await;
    js.tell(json!({ "cmd": "listen" })).await;
    ours.join_peer(js.key);
    let connection = connected(&mut events).await;
    js.wait("connection").await;
    let mux = connection.mux();

    for round in 0..5_u8 {
        // Nobody knows it.
        let mut unknown = mux.open("unknown", Some(&[round]), b"").unwrap();
        assert!(within(unknown.opened()).await.is_err());
        js.open("n", "unknown to us", &[round]).await;
        assert_eq!(js.named("closed", "n").await["remote"], true);
        // They listen; they close.
        let mut one = mux.open("echo", Some(&[round]), b"").unwrap();
        assert_eq!(within(one.opened()).await.unwrap(), "echo");
        one.send(2, b"").await.unwrap();
        assert_eq!(within(one.recv()).await, None);
        // We listen; they close.
        let mut listener = mux.listen("offered", Some(&[round]));
        js.open("o", "offered", &[round]).await;
        let offer = within(listener.next()).await.unwrap();
        assert_eq!((offer.id(), offer.handshake()), ([round].as_slice(), b"from js".as_slice()));
        let mut two = offer.accept(b"from rust").unwrap();
        assert_eq!(js.named("opened", "o").await["handshake"], "from rust");
        js.tell(json!({ "cmd": "say", "name": "o", "text": "word" })).await;
        assert_eq!(within(two.recv()).await.unwrap().bytes, "word");
        js.tell(json!({ "cmd": "close", "name": "o" })).await;
        assert_eq!(within(two.recv()).await, None);
        // They open, and we open the same without accepting their offer; we close; once more.
        let mut listener_of_both = mux.listen("both", None);
        js.open("b", "both", &[round]).await;
        let offer = within(listener_of_both.next()).await.unwrap();
        let mut three = mux.open("both", Some(&[round]), b"one").unwrap();
        assert!(offer.accept(b"").is_err());
        assert_eq!(js.named("opened", "b").await["handshake"], "one");
        assert_eq!(within(three.opened()).await.unwrap(), "from js");
        three.close();
        assert_eq!(js.named("closed", "b").await["remote"], true);
        js.open("b2", "both", &[round]).await;
        let offer = within(listener_of_both.next()).await.unwrap();
        let mut four = mux.open("both", Some(&[round]), b"two").unwrap();
        drop(offer);
        assert_eq!(js.named("opened", "b2").await["handshake"], "two");
        within(four.opened()).await.unwrap();
        // Both close at once.
        js.start_telling(json!({ "cmd": "close", "name": "b2" })).await;
        four.close();
        js.wait("done").await;
        js.named("closed", "b2").await;
        // We open and close before they know; then it works nevertheless.
        for _ in 0..3 {
            drop(mux.open("echo", Some(b"quick"), b""));
        }
        let mut five = mux.open("echo", Some(b"quick"), b"").unwrap();
        within(five.opened()).await.unwrap();
        // We listen no more: rejected.
        drop(listener);
        js.open("r", "offered", &[round]).await;
        assert_eq!(js.named("closed", "r").await["remote"], true);
    }
    // A connection that survived all this still speaks.
    echo(&connection, b"alive").await;
    ours.close().await;
    js.wait("disconnection").await;
    done("channels in every order", start);
}

/// Many messages both ways at once, on one connection.
async fn messages(js: &mut Peer, bootstrap: &Bootstrap) {
    let start = Instant::now();
    let (ours, mut events) = swarm(bootstrap).await;
    ours.join_peer(js.key);
    let connection = connected(&mut events).await;
    js.wait("connection").await;
    let mut channel = connection.mux().open("echo", None, b"").unwrap();
    within(channel.opened()).await.unwrap();
    let sender = channel.sender();
    let sending = tokio::spawn(async move {
        for number in 0..MESSAGES as u32 {
            sender.send(1, &number.to_le_bytes()).await.unwrap();
        }
    });
    // Beside the echoes, which have kind 1, as many of theirs, which have kind 0.
    channel.send(3, format!("{MESSAGES} 100").as_bytes()).await.unwrap();
    let (mut echoes, mut theirs) = (0_u32, 0);
    while (echoes as usize) < MESSAGES || theirs < MESSAGES {
        let message = within(channel.recv()).await.unwrap();
        if message.kind == 1 {
            assert_eq!(message.bytes.as_ref(), echoes.to_le_bytes());
            echoes += 1;
        } else {
            assert_eq!(message.bytes.len(), 100);
            theirs += 1;
        }
    }
    sending.await.unwrap();
    ours.close().await;
    js.wait("disconnection").await;
    done("10 000 messages there and back, 10 000 from there, at once", start);
}

/// Bulk in both directions over several connections at once.
async fn bulk(js: &mut Peer, bootstrap: &Bootstrap) {
    let start = Instant::now();
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (ours, mut events) = swarm(bootstrap).await;
        ours.join_peer(js.key);
        let connection = connected(&mut events).await;
        js.wait("connection").await;
        lanes.spawn(async move {
            let mut up = connection.mux().open("sink", None, b"").unwrap();
            let mut down = connection.mux().open("echo", None, b"").unwrap();
            let send = async {
                for _ in 0..BULK / 65536 {
                    up.send(0, &[8; 65536]).await.unwrap();
                }
                up.send(1, b"").await.unwrap();
                within(up.recv()).await.unwrap().bytes
            };
            let receive = async {
                down.send(3, format!("{} 65536", BULK / 65536).as_bytes()).await.unwrap();
                let mut got = 0;
                while got < BULK {
                    got += within(down.recv()).await.unwrap().bytes.len();
                }
                got
            };
            let (sent, got) = tokio::join!(send, receive);
            assert_eq!((sent.as_ref(), got), (BULK.to_string().as_bytes(), BULK));
            ours.close().await;
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    let rate = (LANES * BULK) as f64 / start.elapsed().as_secs_f64() / 1e6;
    for _ in 0..LANES {
        js.wait("disconnection").await;
    }
    done(&format!("{LANES} × 2 MiB each way at once, {rate:.1} MB/s each way"), start);
}

/// Connections come back, in both roles, whoever ended them.
async fn reconnects(js: &mut Peer, bootstrap: &Bootstrap) {
    let start = Instant::now();
    let (ours, mut events) = swarm(bootstrap).await;
    ours.join_peer(js.key);
    let mut took = Vec::new();
    for round in 0..RECONNECTS {
        let since = Instant::now();
        let connection = connected(&mut events).await;
        took.push(since.elapsed());
        js.wait("connection").await;
        echo(&connection, b"round").await;
        if round % 2 == 0 {
            connection.close();
        } else {
            js.tell(json!({ "cmd": "drop" })).await;
        }
        within(connection.closed()).await;
        js.wait("disconnection").await;
    }
    took.sort();
    ours.leave_peer(js.key);
    ours.close().await;
    done(
        &format!("{RECONNECTS} reconnects, Rust dials, median {:.0?}", took[RECONNECTS / 2]),
        start,
    );

    let start = Instant::now();
    let (ours, mut events) = swarm(bootstrap).await;
    ours.listen();
    ours.listening().await;
    let key = ours.public_key().to_string();
    js.tell(json!({ "cmd": "peer", "key": key })).await;
    for round in 0..RECONNECTS {
        let connection = connected(&mut events).await;
        let is_ours = |told: &serde_json::Value| told["key"] == key;
        js.wait_for("connection", is_ours).await;
        echo(&connection, b"round").await;
        if round + 1 == RECONNECTS {
            js.tell(json!({ "cmd": "forget", "key": key })).await;
        }
        if round % 2 == 0 {
            connection.close();
        } else {
            js.tell(json!({ "cmd": "drop" })).await;
        }
        within(connection.closed()).await;
        js.wait_for("disconnection", is_ours).await;
    }
    done(&format!("{RECONNECTS} reconnects, JS dials"), start);

    let start = Instant::now();
    let serve = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let SwarmEvent::Connected(connection) = event {
                tokio::spawn(say_back(connection));
            }
        }
    });
    let dialled = js.tell(json!({ "cmd": "dials", "key": key, "times": RECONNECTS })).await;
    ours.close().await;
    serve.await.unwrap();
    let case = format!(
        "{RECONNECTS} dials by JS with one word said back, median {:.1} ms, worst {:.1} ms",
        dialled["median"].as_f64().unwrap(),
        dialled["worst"].as_f64().unwrap()
    );
    done(&case, start);
}

pub async fn say_back(connection: Connection) {
    let mut listener = connection.mux().listen("echo", None);
    while let Some(offer) = listener.next().await {
        let mut channel = offer.accept(b"").unwrap();
        while let Some(message) = channel.recv().await {
            if channel.send(message.kind, &message.bytes).await.is_err() {
                break;
            }
        }
    }
}
