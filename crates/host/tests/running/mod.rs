//! A host on a port of its own, in a directory of its own, and clients for it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use handfast_host::{Host, Limits, RunningHost};
use handfast_providers::{Http, HttpOptions, Provider, ProviderConfig, Retry, SecretText};
use reqwest::{Client, Method, RequestBuilder};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub const TOKEN: &str = "anna:0123456789abcdef";
pub const OTHER: &str = "fedcba9876543210";
pub const RECORD: &str = "application/vnd.ipfs.ipns-record";

/// A running host and its directory.
pub struct Running {
    pub host: RunningHost,
    pub dir: TempDir,
}

/// Starts a host with both tokens.
pub async fn start(limits: Limits) -> Running {
    start_in(tempfile::tempdir().unwrap(), limits).await
}

/// Starts a host in a directory that there is.
pub async fn start_in(dir: TempDir, limits: Limits) -> Running {
    let host = Host::builder(dir.path()).token(TOKEN).unwrap().token(OTHER).unwrap();
    let host = host.limits(limits).start().await.unwrap();
    Running { host, dir }
}

impl Running {
    /// Our own client, with one of the tokens.
    pub fn provider(&self, token: &str, http: &Http) -> Provider {
        let config = ProviderConfig::SelfHosted {
            endpoint: self.host.url(),
            auth_token: Some(SecretText::from(token)),
            name_routers: None,
            gateways: None,
        };
        Provider::from_config(&config, http).unwrap()
    }

    /// A request as anybody could send it.
    pub fn request(&self, client: &Client, method: Method, path: &str) -> RequestBuilder {
        client.request(method, format!("{}{path}", self.host.url()))
    }

    /// The status line of a GET without any header that says what is wanted.
    pub async fn status_without_accept(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.host.local_addr()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap().to_owned()
    }

    /// A call of the RPC with a token.
    pub fn rpc(&self, client: &Client, command: &str) -> RequestBuilder {
        let path = format!("/api/v0/{command}");
        self.request(client, Method::POST, &path).bearer_auth("0123456789abcdef")
    }
}

/// Our own client, trying once.
pub fn http() -> Http {
    Http::with_options(HttpOptions { retry: Retry::never(), ..HttpOptions::default() }).unwrap()
}

/// Somebody else's client.
pub fn client() -> Client {
    // An error says that another test has done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}
