//! Puts the client of delegated routers before a router that somebody else has made; see
//! `interop/router`.
//!
//! ```text
//! cargo run -p handfast-providers --example third_party_router -- URL        the conformance suite
//! cargo run -p handfast-providers --example third_party_router -- URL URL    two doors to one DHT
//! ```
//!
//! Prints what it saw as a line of JSON. Ends with an error if anything is not as it must be.

use std::error::Error;
use std::time::{Duration, Instant};

use handfast_ipfs::Record;
use handfast_providers::conformance::{name_router, random_records};
use handfast_providers::{
    ErrorKind, Http, HttpOptions, NameRouter, Resolve, Resolved, Retry, Validator, name_routers_at,
};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "the script reads it")]
async fn main() -> Outcome<()> {
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    // Tries once: nothing may be hidden by trying again.
    let options = HttpOptions { retry: Retry::never(), ..HttpOptions::default() };
    let routers = name_routers_at(&addresses, &Http::with_options(options)?)?;
    let seen = match routers.as_slice() {
        [router] => {
            name_router(router.as_ref()).await?;
            json!({ "conforms": true, "waits": router.longest_wait().is_some() })
        }
        [one, other] => doors(one.as_ref(), other.as_ref()).await?,
        _ => return Err("usage: third_party_router URL [URL]".into()),
    };
    println!("{seen}");
    Ok(())
}

/// What is published at one door of a DHT is found at the other, too; and what a lower record that
/// comes late does.
async fn doors(one: &dyn NameRouter, other: &dyn NameRouter) -> Outcome<Value> {
    let records = random_records(&[1, 2, 3, 4])?;
    let [lowest, .., highest] = records.as_slice() else { return Err("four records".into()) };
    let missing = one.resolve(lowest.name(), &Resolve::default()).await?;
    if !matches!(missing, Resolved::Missing) {
        return Err(format!("a name that nobody published is {missing:?}").into());
    }
    let (mut publishing, mut resolving) = (Duration::ZERO, Duration::ZERO);
    for (turn, record) in records.iter().enumerate() {
        let (here, there) = if turn % 2 == 0 { (one, other) } else { (other, one) };
        let start = Instant::now();
        here.publish(record).await?;
        publishing = publishing.max(start.elapsed());
        for router in [there, here] {
            let start = Instant::now();
            let validator = found(router, record).await?;
            resolving = resolving.max(start.elapsed());
            let query = Resolve::default().unless(validator);
            let again = router.resolve(record.name(), &query).await?;
            if !matches!(again, Resolved::Unchanged) {
                return Err(format!("what is known is {again:?}").into());
            }
        }
    }
    let mut refused = false;
    for door in [one, other] {
        match door.publish(lowest).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Outdated => refused = true,
            Err(error) => return Err(error.into()),
        }
    }
    let rolled_back = match one.resolve(lowest.name(), &Resolve::default()).await? {
        Resolved::Record(record, _) => record.sequence() < highest.sequence(),
        other => return Err(format!("after a lower record there is {other:?}").into()),
    };
    Ok(json!({
        "refuses_lower": refused,
        "rolls_back": rolled_back,
        "slowest_publish_ms": publishing.as_millis(),
        "slowest_resolve_ms": resolving.as_millis(),
    }))
}

async fn found(router: &dyn NameRouter, expected: &Record) -> Outcome<Validator> {
    match router.resolve(expected.name(), &Resolve::default()).await? {
        Resolved::Record(record, validator) if record == *expected => Ok(validator),
        other => Err(format!("{expected:?} was published, but there is {other:?}").into()),
    }
}
