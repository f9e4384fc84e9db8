//! Starting and stopping a host.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_service::Service;

use crate::blocks::{Blocks, Collected};
use crate::connection::{Door, Peer};
use crate::files::Staging;
use crate::limits::{Limits, RateLimiter};
use crate::records::Records;
use crate::routes;
use crate::tokens::{TokenError, Tokens};

/// How long requests that are cut off have to notice.
const CUT: Duration = Duration::from_secs(1);

/// A host that can be started.
///
/// ```no_run
/// # async fn example() -> Result<(), handfast_host::HostError> {
/// let host = handfast_host::Host::builder("/var/lib/handfast")
///     .token("anna:3f1c9a5be07d4462")?
///     .listen("127.0.0.1:5001".parse().unwrap())
///     .start()
///     .await?;
/// println!("listening at {}", host.url());
/// host.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Host {
    dir: PathBuf,
    tokens: Tokens,
    limits: Limits,
    address: SocketAddr,
}

/// Why a host does not start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The data directory cannot be used.
    #[error("the data directory {} cannot be used", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another host uses the directory.
    #[error("another host uses the data directory {}: stop it, or choose another", .0.display())]
    InUse(PathBuf),
    /// The address cannot be listened at.
    #[error("{address} cannot be listened at")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A token cannot be used.
    #[error("line {line}: {error}")]
    Token {
        /// The line of the token file; 1 for a single token.
        line: usize,
        /// What is wrong with it.
        error: TokenError,
    },
    /// The file of tokens cannot be read.
    #[error("the token file {} cannot be read", file.display())]
    TokenFile {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Host {
    /// A host that keeps everything in `dir`, listens at 127.0.0.1 on a port that the system
    /// chooses, and has no tokens yet: names work, blocks can only be read.
    pub fn builder(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            tokens: Tokens::default(),
            limits: Limits::default(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        }
    }

    /// Accepts a token for storing blocks: `token`, or `account:token`; at least 16 characters,
    /// and hard to guess. Several tokens of one account share its pins and its quota.
    pub fn token(mut self, token: &str) -> Result<Self, HostError> {
        self.tokens.add(token).map_err(|error| HostError::Token { line: 1, error })?;
        Ok(self)
    }

    /// Accepts every token in a file: one a line, as for [`token`](Self::token). Empty lines and
    /// lines that begin with `#` do not count.
    pub fn token_file(mut self, file: impl AsRef<Path>) -> Result<Self, HostError> {
        let file = file.as_ref();
        let text = fs::read_to_string(file)
            .map_err(|source| HostError::TokenFile { file: file.to_owned(), source })?;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if !line.is_empty() && !line.starts_with('#') {
                let error = |error| HostError::Token { line: index + 1, error };
                self.tokens.add(line).map_err(error)?;
            }
        }
        Ok(self)
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the address to listen at. The host speaks plain HTTP: for other machines, put a proxy
    /// that speaks HTTPS in front of it.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Opens the directory without listening anywhere: for a program that has a server of its own.
    pub async fn open(self) -> Result<OpenHost, HostError> {
        let Self { dir, tokens, limits, .. } = self;
        let at = dir.clone();
        let opening = tokio::task::spawn_blocking(move || open(&at, tokens, limits));
        let (app, lock) = opening.await.unwrap_or_else(|error| {
            Err(HostError::Directory { dir, source: io::Error::other(error) })
        })?;
        let app = Arc::new(app);
        Ok(OpenHost { router: routes::router(app.clone()), app, lock })
    }

    /// Opens the directory, begins to listen, and serves until it is shut down or dropped.
    pub async fn start(self) -> Result<RunningHost, HostError> {
        let (dir, limits, address) = (self.dir.clone(), self.limits.clone(), self.address);
        let OpenHost { router, app, lock } = self.open().await?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| HostError::Listen { address, source })?;
        let local_addr =
            listener.local_addr().map_err(|source| HostError::Listen { address, source })?;

        let stop = app.stop.clone();
        let service = router.into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(Door::new(listener, &limits, stop.clone()), service)
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let collecting = collect_regularly(app.clone());
        let task = tokio::spawn(async move {
            let _ = tokio::join!(serving.into_future(), collecting);
            drop(lock);
        });
        tracing::info!(%local_addr, ?dir, "host started");
        let drain = limits.drain;
        Ok(RunningHost { local_addr, app, drain, task, _stop: stop.drop_guard() })
    }
}

/// What all requests share.
pub(crate) struct App {
    pub blocks: Blocks,
    pub records: Records,
    pub tokens: Tokens,
    pub limits: Limits,
    pub publishing: RateLimiter,
    pub uploads: Semaphore,
    pub waiting: Semaphore,
    /// Queries stop waiting, no more connections are taken.
    pub stop: CancellationToken,
    /// Requests that are still going on are given up.
    pub cut: CancellationToken,
}

/// Opens a directory for this process alone; the lock lasts as long as the file is open.
pub(crate) fn open(dir: &Path, tokens: Tokens, limits: Limits) -> Result<(App, File), HostError> {
    let failed = |source| HostError::Directory { dir: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    let lock = File::create(dir.join("lock")).map_err(failed)?;
    lock.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => HostError::InUse(dir.to_owned()),
        TryLockError::Error(source) => failed(source),
    })?;
    let staging = Arc::new(Staging::open(dir.join("tmp")).map_err(failed)?);
    let app = App {
        blocks: Blocks::open(dir, staging.clone(), &tokens, limits.clone()).map_err(failed)?,
        records: Records::open(dir, staging, limits.names).map_err(failed)?,
        tokens,
        publishing: RateLimiter::new(limits.publish_burst, limits.publish_rate),
        uploads: Semaphore::new(limits.uploads),
        waiting: Semaphore::new(limits.waiting),
        stop: CancellationToken::new(),
        cut: CancellationToken::new(),
        limits,
    };
    Ok((app, lock))
}

/// Throws away unpinned blocks at the start and whenever some may have come of age.
async fn collect_regularly(app: Arc<App>) {
    let grace = app.limits.grace;
    let mut ticks = tokio::time::interval(grace.max(Duration::from_secs(60)));
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = ticks.tick() => {
                let collected = collect(&app, grace).await;
                if collected.blocks > 0 {
                    tracing::info!(?collected, "unpinned blocks thrown away");
                }
            }
        }
    }
}

async fn collect(app: &Arc<App>, grace: Duration) -> Collected {
    let app = app.clone();
    tokio::task::spawn_blocking(move || app.blocks.collect(grace)).await.unwrap_or_default()
}

/// A host that listens nowhere. It holds its directory until it is dropped.
pub struct OpenHost {
    router: Router,
    app: Arc<App>,
    lock: File,
}

impl OpenHost {
    /// Answers one request that came from this address.
    pub async fn respond(&self, from: IpAddr, mut request: Request) -> Response {
        request.extensions_mut().insert(ConnectInfo(Peer(from)));
        match self.router.clone().call(request).await {
            Ok(response) => response,
            Err(impossible) => match impossible {},
        }
    }

    /// Throws away the blocks that nobody has pinned for at least `grace`; nobody else does.
    pub async fn collect(&self, grace: Duration) -> Collected {
        collect(&self.app, grace).await
    }
}

impl fmt::Debug for OpenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenHost").field("lock", &self.lock).finish_non_exhaustive()
    }
}

/// A host at work. Dropping it stops it without waiting.
pub struct RunningHost {
    local_addr: SocketAddr,
    app: Arc<App>,
    drain: Duration,
    task: JoinHandle<()>,
    _stop: DropGuard,
}

impl RunningHost {
    /// The address that it listens at.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The base URL under which this machine reaches it, without a slash at the end.
    pub fn url(&self) -> String {
        let mut address = self.local_addr;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => [127, 0, 0, 1].into(),
                SocketAddr::V6(_) => [0, 0, 0, 0, 0, 0, 0, 1].into(),
            });
        }
        format!("http://{address}")
    }

    /// Throws away the blocks that nobody has pinned for at least `grace`.
    pub async fn collect(&self, grace: Duration) -> Collected {
        collect(&self.app, grace).await
    }

    /// Stops: answers the queries that wait, lets requests finish, and closes. Returns when the
    /// directory can be opened again, little more than [`Limits::drain`] later at the latest.
    pub async fn shutdown(self) {
        let Self { app, drain, mut task, .. } = self;
        app.stop.cancel();
        if tokio::time::timeout(drain, &mut task).await.is_err() {
            tracing::warn!("requests are cut off");
            app.cut.cancel();
            if tokio::time::timeout(CUT, &mut task).await.is_err() {
                task.abort();
                let _ = task.await;
            }
        }
        tracing::info!("host stopped");
    }
}

impl fmt::Debug for RunningHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningHost").field("url", &self.url()).finish_non_exhaustive()
    }
}
