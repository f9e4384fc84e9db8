//! A server that says what it is told to say, one connection after another, and remembers what it
//! was asked.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handfast_providers::{Http, HttpOptions, Provider, ProviderConfig, Retry, SecretText};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What to do with one request.
pub enum Reply {
    /// Say this and close.
    Say(Vec<u8>),
    /// Say this and stay silent.
    SayAndHang(Vec<u8>),
    /// Say this, then send zeros as long as anybody takes them.
    SayAndPour(Vec<u8>),
}

/// An answer with this status, these header lines and this body.
pub fn answer(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut text = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
    for header in headers {
        text += &format!("{header}\r\n");
    }
    text += &format!("content-length: {}\r\n\r\n", body.len());
    Reply::Say([text.as_bytes(), body].concat())
}

/// An answer that is JSON.
pub fn json(status: u16, body: impl AsRef<[u8]>) -> Reply {
    answer(status, &["content-type: application/json"], body)
}

/// Kubo's way of saying that a command failed.
pub fn kubo_error(message: &str) -> Reply {
    json(500, format!(r#"{{"Message":"{message}","Code":0,"Type":"error"}}"#))
}

/// A login page or the like.
pub fn html(status: u16) -> Reply {
    answer(status, &["content-type: text/html"], "<!doctype html><title>Welcome</title>")
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// The server.
pub struct Script {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    /// Starts a server that plays these replies; after them, it has none.
    pub async fn play(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: VecDeque<_> = replies.into_iter().collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(run(listener, replies, seen.clone()));
        Self { url, seen }
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The request lines so far, without the protocol.
    pub fn lines(&self) -> Vec<String> {
        let line = |seen: Seen| seen.line.strip_suffix(" HTTP/1.1").unwrap().to_owned();
        self.seen().into_iter().map(line).collect()
    }
}

async fn run(listener: TcpListener, mut replies: VecDeque<Reply>, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut hanging = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let Some(request) = read(&mut stream).await else {
            continue;
        };
        seen.lock().unwrap().push(request);
        let reply = replies.pop_front().unwrap_or_else(|| answer(500, &[], "the script is over"));
        match reply {
            Reply::Say(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
            Reply::SayAndHang(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                hanging.push(stream);
            }
            Reply::SayAndPour(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                while stream.write_all(&[0; 64 * 1024]).await.is_ok() {}
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let (line, head) = text.split_once("\r\n").unwrap();
    let mut seen = Seen { line: line.into(), head: head.into(), body: bytes.split_off(head_end) };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    while seen.body.len() < length {
        if stream.read_buf(&mut seen.body).await.ok()? == 0 {
            return None;
        }
    }
    Some(seen)
}

/// A client that tries once and does not wait long.
pub fn http() -> Http {
    with_retry(Retry::never())
}

/// A client that tries again, quickly.
pub fn stubborn() -> Http {
    with_retry(Retry { first: Duration::from_millis(1), ..Retry::default() })
}

fn with_retry(retry: Retry) -> Http {
    let long = Duration::from_secs(20);
    let options = HttpOptions { answer: long, slow_answer: long, retry, ..HttpOptions::default() };
    Http::with_options(options).unwrap()
}

/// A client whose patience is short.
pub fn hasty() -> Http {
    Http::with_options(HttpOptions {
        answer: Duration::from_millis(200),
        slow_answer: Duration::from_millis(200),
        slowest_line: u64::MAX,
        retry: Retry::never(),
        ..HttpOptions::default()
    })
    .unwrap()
}

/// The self-hosted provider at an address.
pub fn provider(url: &str, token: Option<&str>, http: &Http) -> Provider {
    let config = ProviderConfig::SelfHosted {
        endpoint: url.into(),
        auth_token: token.map(SecretText::from),
        name_routers: None,
        gateways: None,
    };
    Provider::from_config(&config, http).unwrap()
}
