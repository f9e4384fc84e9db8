//! Accepting connections: only so many, and none that stays silent for long.
//!
//! A request may be refused while its body is still being sent. A connection that is closed on
//! what nobody has read is reset, and the sender loses the answer with it; so the rest is read and
//! thrown away for a while (RFC 9112, 9.6).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;

/// How long what is still being sent is read, after the answer to it has gone out.
const LINGER: Duration = Duration::from_secs(5);
/// How much of it is read at a time.
const THROWN_AWAY: usize = 16 * 1024;

/// The address that a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub IpAddr);

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

/// Where connections come in.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    idle: Duration,
    stop: CancellationToken,
}

impl Door {
    /// A host that is told to `stop` does not listen to the end to whom it has answered.
    pub(crate) fn new(listener: TcpListener, limits: &Limits, stop: CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new(limits.connections));
        Self { listener, places, idle: limits.idle, stop }
    }
}

impl Listener for Door {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed; if it were, there would be no limit and no harm.
        let place = self.places.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let _ = stream.set_nodelay(true);
        let silence = Box::pin(tokio::time::sleep(self.idle));
        let connection = Connection {
            stream,
            idle: self.idle,
            silence,
            stop: self.stop.clone(),
            lingering: None,
            _place: place,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that breaks off when nothing has moved for a while.
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    stop: CancellationToken,
    /// The end of its lingering, once everything has been said.
    lingering: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Does something with the stream; where that has to wait, it does not wait forever.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match poll(Pin::new(&mut self.stream), cx) {
            Poll::Ready(done) => {
                self.silence.as_mut().reset(Instant::now() + self.idle);
                Poll::Ready(done)
            }
            Poll::Pending => {
                self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl Connection {
    /// Throws away what comes in, until the other side has closed too or this has lasted long
    /// enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stop = &self.stop;
        let lingering = self.lingering.get_or_insert_with(|| {
            let stop = stop.clone();
            Box::pin(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LINGER) => {}
                }
            })
        });
        let mut bytes = [0; THROWN_AWAY];
        while lingering.as_mut().poll(cx).is_pending() {
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(self.poll(cx, |stream, cx| stream.poll_shutdown(cx)))?;
        }
        self.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lingers_until_the_other_side_has_closed_or_the_host_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let mut door = Door::new(listener, &Limits::default(), stop.clone());
        let closing = async |door: &mut Door, other: TcpStream| {
            let (mut connection, _) = Listener::accept(door).await;
            let start = Instant::now();
            connection.shutdown().await.unwrap();
            drop(other);
            start.elapsed()
        };
        let open = TcpStream::connect(address).await.unwrap();
        assert!(closing(&mut door, open).await >= LINGER);
        let mut closed = TcpStream::connect(address).await.unwrap();
        closed.write_all(&[0; 100]).await.unwrap();
        closed.shutdown().await.unwrap();
        assert_eq!(closing(&mut door, closed).await, Duration::ZERO);
        stop.cancel();
        let open = TcpStream::connect(address).await.unwrap();
        assert_eq!(closing(&mut door, open).await, Duration::ZERO);
    }
}
