//! What carries requests to where they go, and answers back.

use std::error::Error;
use std::net::IpAddr;

use async_trait::async_trait;
use reqwest::{Client, Request, Response};
use rustls::ClientConfig;
use url::{Host, Url};

use super::{HttpOptions, HttpSetupError, USER_AGENT};

/// Carries requests. [`Http`](super::Http) brings one that uses the network; a program whose
/// platform has a network stack of its own brings another, and whoever speaks to a service in the
/// same process needs no socket.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request; returns the head of the answer, with the body to come.
    ///
    /// Redirects are left to the caller, and so is all patience: the future may be dropped at any
    /// time. An error means that no answer came. Its innermost cause is shown to people and must
    /// hold no secret.
    async fn carry(&self, request: Request) -> Result<Response, Box<dyn Error + Send + Sync>>;
}

/// The network.
pub(super) struct Network {
    client: Client,
    /// For this machine itself: never through a proxy.
    loopback: Client,
}

impl Network {
    pub fn new(options: &HttpOptions, tls: &ClientConfig) -> Result<Network, HttpSetupError> {
        let loopback = client(options, tls, true)?;
        Ok(Network { client: client(options, tls, false)?, loopback })
    }

    /// What requests are made with.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

#[async_trait]
impl Transport for Network {
    async fn carry(&self, request: Request) -> Result<Response, Box<dyn Error + Send + Sync>> {
        let client = if is_loopback(request.url()) { &self.loopback } else { &self.client };
        Ok(client.execute(request).await.map_err(reqwest::Error::without_url)?)
    }
}

fn client(
    options: &HttpOptions,
    tls: &ClientConfig,
    loopback: bool,
) -> Result<Client, HttpSetupError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .user_agent(USER_AGENT)
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(options.connect);
    let builder = if loopback { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| HttpSetupError(error.to_string()))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}
