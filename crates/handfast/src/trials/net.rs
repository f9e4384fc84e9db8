//! The network between devices and services. It carries what it is given; a [`Weather`] says what
//! goes wrong on the way.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Method, Request as HttpRequest, Response as HttpResponse};
use bytes::Bytes;
use handfast_host::OpenHost;
use handfast_ipfs::{Name, Record};
use handfast_providers::Transport;
use http_body_util::BodyExt;
use reqwest::{Request, Response};

use super::power::Power;

/// What comes of a request: an answer, or the reason why there is none.
pub type Outcome = Result<HttpResponse<Body>, Box<dyn Error + Send + Sync>>;

/// One request, as often as it is needed.
#[derive(Clone)]
pub struct Call {
    /// Whose.
    pub device: String,
    /// How many were made before it, by all devices.
    pub index: usize,
    pub request: HttpRequest<Bytes>,
}

impl Call {
    pub fn method(&self) -> &Method {
        self.request.method()
    }

    /// The service that is asked.
    pub fn service(&self) -> String {
        self.request.uri().authority().unwrap().to_string()
    }

    /// What is asked for, without what differs from run to run.
    pub fn what(&self) -> String {
        let path = self.request.uri().path();
        let path = if path.starts_with("/routing/") { "/routing/v1/ipns" } else { path };
        format!("{} {path}", self.method())
    }

    /// What tells the same call, made again, from another one.
    pub fn again(&self) -> String {
        let request = &self.request;
        let body = if self.is_never_again() { &[][..] } else { request.body() };
        format!("{} {} {} {body:?}", self.device, self.method(), request.uri())
    }

    /// How many files are uploaded with it.
    pub fn files(&self) -> usize {
        String::from_utf8_lossy(self.request.body()).matches("filename=").count()
    }

    /// Whether it is an attempt at a publication: the next one has other bytes. A feed is sealed
    /// anew, and what stands between the parts of a form is random.
    pub fn is_never_again(&self) -> bool {
        self.request.uri().path().ends_with("/put") || self.method() == Method::PUT
    }

    /// The name that is asked for or published at.
    pub fn name(&self) -> Option<Name> {
        Name::parse(self.request.uri().path().strip_prefix("/routing/v1/ipns/")?).ok()
    }

    /// The record that is published.
    pub fn record(&self) -> Option<Record> {
        let name = self.name().filter(|_| self.method() == Method::PUT)?;
        Record::parse(&name, self.request.body(), None).ok()
    }
}

/// What goes wrong, and what does not.
#[async_trait]
pub trait Weather: Send + Sync {
    async fn carry(&self, net: &Net, call: Call) -> Outcome;
}

/// Nothing goes wrong.
pub struct Fair;

#[async_trait]
impl Weather for Fair {
    async fn carry(&self, net: &Net, call: Call) -> Outcome {
        net.deliver(call).await
    }
}

/// The network.
pub struct Net {
    hosts: Mutex<BTreeMap<String, Arc<OpenHost>>>,
    weather: Mutex<Arc<dyn Weather>>,
    calls: Mutex<usize>,
    /// Every record that was sent off, and by whom, whether it arrived or not.
    published: Mutex<Vec<(String, Record)>>,
}

impl Net {
    pub fn new() -> Arc<Net> {
        Arc::new(Net {
            hosts: Mutex::default(),
            weather: Mutex::new(Arc::new(Fair)),
            calls: Mutex::default(),
            published: Mutex::default(),
        })
    }

    /// Puts a host behind an address.
    pub fn place(&self, at: &str, host: OpenHost) {
        self.hosts.lock().unwrap().insert(at.into(), Arc::new(host));
    }

    pub fn set_weather(&self, weather: impl Weather + 'static) {
        *self.weather.lock().unwrap() = Arc::new(weather);
    }

    pub fn published(&self) -> Vec<(String, Record)> {
        self.published.lock().unwrap().clone()
    }

    /// Remembers what was published in a world that this one goes on from.
    pub fn remember(&self, published: Vec<(String, Record)>) {
        *self.published.lock().unwrap() = published;
    }

    /// How many requests were made.
    pub fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    /// Takes a request to its service.
    pub async fn deliver(&self, call: Call) -> Outcome {
        let host = self.hosts.lock().unwrap().get(&call.service()).cloned();
        let Some(host) = host else { return Err("connection refused".into()) };
        let request = call.request.map(Body::from);
        Ok(host.respond(IpAddr::V4(Ipv4Addr::LOCALHOST), request).await)
    }

    /// Takes a request to its service once more, later; nobody waits for the answer.
    pub fn later(&self, delay: Duration, call: Call) {
        let host = self.hosts.lock().unwrap().get(&call.service()).cloned();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(host) = host {
                let request = call.request.map(Body::from);
                host.respond(IpAddr::V4(Ipv4Addr::LOCALHOST), request).await;
            }
        });
    }

    fn number(&self) -> usize {
        let mut calls = self.calls.lock().unwrap();
        *calls += 1;
        *calls - 1
    }
}

/// How one device reaches the network, while it has power.
pub struct Line {
    pub net: Arc<Net>,
    pub device: String,
    pub power: Power,
}

#[async_trait]
impl Transport for Line {
    async fn carry(&self, request: Request) -> Result<Response, Box<dyn Error + Send + Sync>> {
        let (parts, body) = HttpRequest::try_from(request)?.into_parts();
        let request = HttpRequest::from_parts(parts, body.collect().await?.to_bytes());
        let mut call = Call { device: self.device.clone(), index: 0, request };
        if !self.power.spend(call.what()) {
            return std::future::pending().await;
        }
        call.index = self.net.number();
        if let Some(record) = call.record() {
            self.net.published.lock().unwrap().push((self.device.clone(), record));
        }
        let weather = self.net.weather.lock().unwrap().clone();
        let answer = weather.carry(&self.net, call).await;
        if self.power.is_cut() {
            return std::future::pending().await;
        }
        let body = |body: Body| reqwest::Body::wrap_stream(body.into_data_stream());
        Ok(answer?.map(body).into())
    }
}
