//! Services that fail: every call of every scenario, one after the other, in every way. Afterwards
//! everything goes on by itself; what a person reads meanwhile has a name and no secret.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::net::{Call, Net, Outcome, Weather};
use super::story;
use super::world::{TOKEN, World, trial};
use super::{crashes, people};
use crate::ErrorKind;
use crate::error::Error;

/// One way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nobody is there.
    Refused,
    /// It arrives, but no answer comes back.
    AnswerLost,
    /// Neither an answer nor an end.
    Silent,
    /// It arrives, and the answer comes much later than anybody waits.
    Late,
    /// It arrives twice.
    Twice,
    /// It is answered at once, and arrives once more when everything has moved on.
    Echo,
    /// The answer breaks off.
    Torn,
    /// A login page.
    Html,
    /// The right answer, said to be something else.
    OtherType,
    /// Other bytes than were asked for.
    OtherBytes,
    /// An upload is said to have another CID.
    OtherCid,
    /// More than anybody can want.
    Flood,
    /// It leads in a circle.
    Circle,
    /// This status, with this `Retry-After`.
    Status(u16, Option<&'static str>),
}

use Fault::*;

/// All but the statuses.
const FAULTS: [Fault; 13] = [
    Refused, AnswerLost, Silent, Late, Twice, Echo, Torn, Html, OtherType, OtherBytes, OtherCid,
    Flood, Circle,
];

const STATUSES: [u16; 12] = [400, 401, 402, 403, 404, 409, 410, 413, 429, 500, 502, 503];

/// Statuses that say how long to wait.
const WAITS: [(u16, &str); 3] = [(429, "7"), (429, "50"), (503, "7")];

fn statuses() -> impl Iterator<Item = Fault> {
    let waits = WAITS.map(|(status, wait)| Status(status, Some(wait)));
    STATUSES.map(|status| Status(status, None)).into_iter().chain(waits)
}

/// What a body of 100 MB was read of, at most, in any trial.
static POURED: AtomicUsize = AtomicUsize::new(0);

impl Fault {
    async fn befall(self, net: &Net, call: Call) -> Outcome {
        let status = |status: u16| Response::builder().status(status);
        Ok(match self {
            Refused => return Err("connection refused".into()),
            AnswerLost => {
                let _ = net.deliver(call).await;
                return Err("connection reset by peer".into());
            }
            Silent => std::future::pending().await,
            Late => {
                let answer = net.deliver(call).await;
                tokio::time::sleep(Duration::from_secs(600)).await;
                return answer;
            }
            Twice => {
                let _ = net.deliver(call.clone()).await;
                return net.deliver(call).await;
            }
            Echo => {
                let answer = net.deliver(call.clone()).await;
                net.later(Duration::from_secs(30), call);
                return answer;
            }
            Torn => {
                let pieces = [Ok(Bytes::from_static(b"{")), Err("broken pipe")];
                Response::new(Body::from_stream(stream::iter(pieces)))
            }
            Html => status(200)
                .header("content-type", "text/html")
                .body(Body::from("<!doctype html><title>Welcome</title>"))?,
            OtherType => {
                let mut answer = net.deliver(call).await?;
                let headers: &mut HeaderMap = answer.headers_mut();
                headers.insert("content-type", "application/octet-stream".parse()?);
                answer
            }
            OtherBytes => Response::new(Body::from("not what was asked for")),
            OtherCid => {
                let line =
                    r#"{"Key":"bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"}"#;
                status(200).header("content-type", "application/json").body(Body::from(line))?
            }
            Flood => {
                let pieces = stream::iter(0..1_600).map(|_| {
                    POURED.fetch_add(1 << 16, Ordering::Relaxed);
                    Ok::<_, std::io::Error>(Bytes::from_static(&[0; 1 << 16]))
                });
                Response::new(Body::from_stream(pieces))
            }
            Circle => {
                status(307).header("location", call.request.uri().path()).body(Body::empty())?
            }
            Status(code, wait) => {
                let answer = match wait {
                    Some(wait) => status(code).header("retry-after", wait),
                    None => status(code),
                };
                // It says what it was told, be that a secret.
                let headers = call.request.headers();
                answer
                    .body(Body::from(format!("no, not with {:?}", headers.get("authorization"))))?
            }
        })
    }
}

/// Every call of a story meets one fault, once: the first time that it is made.
struct Each {
    fault: Fault,
    met: Mutex<BTreeSet<String>>,
}

impl Each {
    fn is_first(&self, call: &Call) -> bool {
        if self.fault == Status(409, None) && call.record().is_none() {
            // Only routers say so.
            return false;
        }
        if self.fault == Status(413, None) && call.files() == 1 {
            // What is too large is several blocks in one request.
            return false;
        }
        let mut met = self.met.lock().unwrap();
        let what = call.again();
        // What is published has other bytes every time, so every other attempt is a first one.
        !(call.is_never_again() && met.remove(&what)) && met.insert(what)
    }
}

#[async_trait]
impl Weather for Each {
    async fn carry(&self, net: &Net, call: Call) -> Outcome {
        if self.is_first(&call) {
            self.fault.befall(net, call).await
        } else {
            net.deliver(call).await
        }
    }
}

/// Every call meets a fault.
struct Always(Fault);

#[async_trait]
impl Weather for Always {
    async fn carry(&self, net: &Net, call: Call) -> Outcome {
        self.0.befall(net, call).await
    }
}

/// Two devices are paired and kept in step, while every call that they make fails once.
fn every_call_meets(fault: Fault) {
    let started = Instant::now();
    trial(async {
        let world = World::new().await;
        story::beginning(&world).await;
        world.net.set_weather(Each { fault, met: Mutex::default() });
        people::pair(&world, "a", "b").await;
        story::edits(&world).await;
        world.check(&["a", "b"]);
        let failures = world.failures.lock().unwrap().clone();
        assert_eq!(failures, Vec::<String>::new(), "{fault:?}");
        println!("{fault:?}: {} calls, {:?}", world.net.calls(), started.elapsed());
    });
}

/// A third device comes, while every call that any of the three makes fails once.
fn every_call_with_a_third_meets(fault: Fault) {
    let past = crashes::paired();
    trial(async {
        let world = World::going_on(&past).await;
        story::newcomer(&world).await;
        world.net.set_weather(Each { fault, met: Mutex::default() });
        story::third(&world).await;
        story::edits_of_three(&world).await;
        world.check(&["a", "b", "c"]);
        let failures = world.failures.lock().unwrap().clone();
        assert_eq!(failures, Vec::<String>::new(), "{fault:?}");
    });
}

#[test]
fn every_call_fails_once() {
    FAULTS.into_iter().for_each(every_call_meets);
    // Of a flood not much more is read than is allowed, and a connection may hold.
    let calls = 400;
    assert!(POURED.load(Ordering::Relaxed) < calls * (2 << 20));
}

#[test]
fn every_call_is_refused_once() {
    statuses().for_each(every_call_meets);
}

#[test]
fn every_call_with_a_third_device_fails_once() {
    [AnswerLost, Html, Status(503, None)].into_iter().for_each(every_call_with_a_third_meets);
}

/// The test of a provider says which fault it is, and changes nothing.
#[test]
fn testing_a_provider_names_the_fault() {
    for fault in FAULTS.into_iter().chain(statuses()) {
        trial(async {
            let world = World::new().await;
            world.create("a");
            world.net.set_weather(Always(fault));
            let device = world.device("a");
            let tested = device.test_provider(&world.config(None)).await;
            if matches!(fault, Twice | Echo | OtherType) {
                return tested.unwrap();
            }
            let Err(Error::Provider(error)) = tested else { panic!("{fault:?}: {tested:?}") };
            let kind = match fault {
                Refused | AnswerLost | Silent | Late | Torn => ErrorKind::Unreachable,
                Status(401 | 403, _) => ErrorKind::BadCredentials,
                Status(402, _) => ErrorKind::Quota,
                Status(400 | 409, _) => ErrorKind::Rejected,
                Status(410, _) => ErrorKind::Sunset,
                Status(413, _) => ErrorKind::TooLarge,
                Status(429, wait) | Status(503, wait @ Some(_)) => {
                    let wait = wait.map(|wait| Duration::from_secs(wait.parse().unwrap()));
                    ErrorKind::RateLimited { wait }
                }
                Status(500 | 502 | 503, _) => ErrorKind::Broken,
                _ => ErrorKind::Nonsense,
            };
            assert_eq!(error.kind(), kind, "{fault:?}: {error}");
            assert!(!error.to_string().contains(TOKEN), "{error}");
            assert!(device.provider_config().unwrap().is_none());
        });
    }
}
