//! How long a pairing takes the machines, over a host on loopback, and what a poll costs.
//!
//! `cargo bench -p handfast --bench pairing`

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::panic, missing_docs)]

#[allow(dead_code, reason = "not every measurement needs everything")]
#[path = "../tests/device/home.rs"]
mod home;

use std::time::{Duration, Instant};

use handfast::{Answer, Consent, Question, Step, Totals};
use home::{World, begin};

const ROUNDS: usize = 10;

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let (mut ready, mut handed) = (Vec::new(), Vec::new());
        let mut requests = Totals::default();
        for _ in 0..ROUNDS {
            let (until_ready, until_handed, total) = one_pairing().await;
            ready.push(until_ready);
            handed.push(until_handed);
            requests = total;
        }
        println!("from \"B has the code\" to \"both ready to compare\": {}", spread(&mut ready));
        println!("from both confirmed to both holding each other's data: {}", spread(&mut handed));
        println!("requests of a pairing, both devices: {}", requests.requests);
        println!("bytes sent {}, received {}", requests.sent, requests.received);
        poll().await;
    });
}

async fn one_pairing() -> (Duration, Duration, Totals) {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    a.records("notes").unwrap().put_key("a", [("v", "1")]).unwrap();
    b.records("notes").unwrap().put_key("b", [("v", "2")]).unwrap();
    let start = Instant::now();
    let (mut one, mut two) = begin(&a, &b, Consent::Typed, false).await;
    let (mut asked, mut check_code) = (false, None);
    while !asked || check_code.is_none() {
        tokio::select! {
            Some(step) = one.next() => asked |= matches!(step, Step::Ask(Question::TypeCheckCode(_))),
            Some(step) = two.next() => {
                if let Step::Ask(Question::TypeBackDigits(_, code)) = step {
                    check_code = Some(code);
                }
            }
        }
    }
    let ready = start.elapsed();
    let code = check_code.unwrap();
    one.answer(Answer::Typed(code.digits()));
    let start = Instant::now();
    two.answer(Answer::Typed(code.back_digits()));
    tokio::try_join!(one.finished(), two.finished()).unwrap();
    let handed = start.elapsed();
    let (x, y) = (a.traffic(), b.traffic());
    let total = Totals {
        requests: x.requests + y.requests,
        sent: x.sent + y.sent,
        received: x.received + y.received,
    };
    (ready, handed, total)
}

/// A round that finds nothing, at different lengths of history.
async fn poll() {
    let world = World::new().await;
    let (a, b) = (world.device("a"), world.bare("b"));
    home::pair(&a, &b).await;
    for records in [1, 1_000, 10_000] {
        let rows = (0..records).map(|n| {
            let id = handfast::RecordId::natural(
                &handfast::Namespace::new("notes").unwrap(),
                &handfast::Value::string(&n.to_string()).unwrap(),
            );
            Ok::<_, handfast::Error>((id.unwrap(), home::fields(r#"{"text":"milk and bread"}"#)))
        });
        a.records("notes").unwrap().import(rows, |_| Ok(())).unwrap();
        for device in [&a, &b, &a, &b] {
            device.sync().await.unwrap();
        }
        let before = b.traffic();
        b.sync().await.unwrap();
        let poll = b.traffic().since(before);
        println!(
            "poll that finds nothing, {records} records: {} request(s), {} bytes sent, {} received",
            poll.requests, poll.sent, poll.received
        );
    }
}

fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at = |index: usize| times.get(index).copied().unwrap_or_default();
    format!(
        "median {:.0?}, min {:.0?}, max {:.0?}",
        at(times.len() / 2),
        at(0),
        at(times.len() - 1)
    )
}
