//! Name routers that lie, lose names, roll back, or show everybody something else, beside one that
//! does not; and one alone that does all that for a while.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Method, Response};
use bytes::Bytes;
use handfast_ipfs::{Draft, EMPTY_PATH, Name};
use handfast_keys::{IpnsSecret, Timestamp};

use super::net::{Call, Net, Outcome, Weather};
use super::people;
use super::story;
use super::world::{HOST, World, trial};

/// How a router misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// It takes every record and knows none.
    Forgets,
    /// It keeps the first record of every name and shows that for ever.
    Stuck,
    /// It goes back to an older record at every other question.
    RollsBack,
    /// Everybody sees only what he published himself.
    Splits,
    /// It shows records of other names.
    Swaps,
    /// It shows records with a signature that is wrong.
    Forges,
    /// It says that whatever is published is outdated.
    Refuses,
}

use Lie::*;

const LIES: [Lie; 7] = [Forgets, Stuck, RollsBack, Splits, Swaps, Forges, Refuses];

/// The router at this address lies until it has been asked so often.
struct Liar {
    at: &'static str,
    lie: Lie,
    until: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    asked: usize,
    /// By name, and who published it.
    records: BTreeMap<Name, Vec<(String, Bytes)>>,
}

impl Liar {
    fn new(at: &'static str, lie: Lie, until: usize) -> Liar {
        Liar { at, lie, until, held: Mutex::default() }
    }

    /// The lie; nothing once it has lied enough.
    fn answer(&self, call: &Call) -> Option<Response<Body>> {
        let mut held = self.held.lock().unwrap();
        held.asked += 1;
        let asked = held.asked;
        let name = call.name().filter(|_| call.service() == self.at && asked <= self.until)?;
        let status = |status: u16| Response::builder().status(status).body(Body::empty()).unwrap();
        if call.method() == Method::PUT {
            let record = (call.device.clone(), call.request.body().clone());
            held.records.entry(name).or_default().push(record);
            return Some(status(if self.lie == Refuses { 409 } else { 200 }));
        }
        let known = held.records.get(&name).map(Vec::as_slice).unwrap_or_default();
        let shown = match self.lie {
            Forgets | Refuses => None,
            Stuck => known.first(),
            RollsBack => known.iter().rev().nth(asked % 2),
            Splits => known.iter().rev().find(|(device, _)| *device == call.device),
            Swaps => held.records.values().next().and_then(|other| other.first()),
            Forges => known.last(),
        };
        let Some((_, bytes)) = shown else { return Some(status(404)) };
        let mut bytes = bytes.to_vec();
        if self.lie == Forges {
            let key = IpnsSecret::from_seed([9; 32]);
            let forged = Draft::new(EMPTY_PATH, u64::MAX >> 1, Timestamp(4_000_000_000_000));
            bytes = forged.sign(&key).unwrap().as_bytes().to_vec();
        }
        let kind = handfast_providers::delegated::RECORD_TYPE;
        Some(Response::builder().header("content-type", kind).body(Body::from(bytes)).unwrap())
    }
}

#[async_trait]
impl Weather for Liar {
    async fn carry(&self, net: &Net, call: Call) -> Outcome {
        match self.answer(&call) {
            Some(lie) => Ok(lie),
            None => net.deliver(call).await,
        }
    }
}

/// With one honest router a liar changes nothing.
#[test]
fn two_routers_of_which_one_lies() {
    for lie in LIES {
        for routers in [[HOST, "liar"], ["liar", HOST]] {
            trial(async {
                let world = World::new().await;
                world.place_host("liar").await;
                story::beginning(&world).await;
                world.device("a").set_provider(&world.config(Some(&routers))).unwrap();
                world.net.set_weather(Liar::new("liar", lie, usize::MAX));
                people::pair(&world, "a", "b").await;
                story::edits_with_noise(&world).await;
                world.check(&["a", "b"]);
                let failures = world.failures.lock().unwrap().clone();
                assert_eq!(failures, Vec::<String>::new(), "{lie:?}");
            });
        }
    }
}

/// A liar alone can only delay: when it stops, everything goes on by itself.
#[test]
fn one_router_that_lies_for_a_while() {
    for lie in LIES {
        trial(async {
            let world = World::new().await;
            story::beginning(&world).await;
            story::pairing(&world).await;
            world.net.set_weather(Liar::new(HOST, lie, 40));
            world.write("a", ["notes", "a", "text", "from a"]).await;
            world.write("b", ["notes", "b", "text", "from b"]).await;
            for _ in 0..25 {
                world.round(&["a", "b"]).await;
            }
            world.settle(&["a", "b"]).await;
            world.check(&["a", "b"]);
        });
    }
}
