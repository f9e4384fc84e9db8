//! Doubles of other people's services, for tests: they answer as the services do, on loopback, and
//! misbehave when told to.
//!
//! | double | of |
//! |---|---|
//! | [`pinata`] | Pinata: version 1 of its API, the part of version 3 that its own client needs, its gateway |
//! | [`kubo`] | a Kubo node's RPC, with or without credentials; Infura is one with Basic |
//! | [`web3_storage`] | web3.storage's classic API |
//! | [`w3name`] | w3name |
//! | [`delegated`] | a delegated router |
//! | [`gateway`] | a trustless gateway, with names |
//!
//! What is stored at one of them is on the [`Network`] that it belongs to, so that the gateways of
//! the same network have it too. That the doubles are right is shown by the services' own clients:
//! `interop/services/run`.

mod control;
pub mod delegated;
pub mod gateway;
pub mod kubo;
mod network;
pub mod pinata;
mod unixfs;
pub mod w3name;
pub mod web3_storage;

use std::io;
use std::sync::Arc;

use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use control::{Control, Mood};
pub use network::Network;

/// A running double; it ends when it is dropped.
#[derive(Debug)]
pub struct Double {
    /// Its base URL, without a slash at the end.
    pub url: String,
    /// How it behaves.
    pub control: Control,
    task: AbortHandle,
}

/// What a double's routes work on.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub network: Network,
    pub control: Control,
    pub account: Arc<network::Account>,
}

impl Double {
    /// Starts a double on a free port of this machine.
    pub(crate) async fn start(
        network: &Network,
        routes: impl FnOnce(Service) -> Router,
    ) -> io::Result<Double> {
        let control = Control::default();
        let service =
            Service { network: network.clone(), control: control.clone(), account: Arc::default() };
        let routes = routes(service)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .layer(middleware::from_fn_with_state(control.clone(), control::supervise));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move { axum::serve(listener, routes).await }).abort_handle();
        Ok(Double { url, control, task })
    }
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}
