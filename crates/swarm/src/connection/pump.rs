//! Two tasks a connection: one reads, one writes, and neither waits for the other.
//!
//! A write of the transport is done when the peer has acknowledged it, so the writer gathers what is
//! queued into one write of up to [`WRITE`] bytes, and before it writes it lets those speak who are
//! about to. A write that nobody acknowledges for [`DEAD`] ends the connection; [`ALIVE`] of silence
//! are broken by an empty message, which also keeps a NAT's mapping.

use std::sync::Arc;
use std::time::Duration;

use libudx::UdxAsyncStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::CloseReason;
use super::handle::Link;
use super::secret::{Opener, Sealer};

/// Bytes that leave in one write.
const WRITE: usize = 64 * 1024;
/// How often everybody else has a turn before a write.
const TURNS: usize = 8;
/// How long nothing is said before an empty message is.
const ALIVE: Duration = Duration::from_secs(5);
/// How long a write may go unacknowledged.
const DEAD: Duration = Duration::from_secs(20);
/// How long both sides may take to say that they have ended.
const LAST_WORD: Duration = Duration::from_secs(3);
/// Free space that a read finds.
const READ: usize = 16 * 1024;

/// Reads until the stream ends and says why. `proven` is told when the peer has shown its keys.
pub(super) async fn read(
    link: Arc<Link>,
    mut opener: Opener,
    mut stream: ReadHalf<UdxAsyncStream>,
    proven: oneshot::Sender<()>,
) {
    let mut proven = Some(proven);
    let mut ended = std::pin::pin!(link.ended());
    let reason = loop {
        match opener.next() {
            Ok(Some(frame)) => {
                if let Err(error) = link.mux.receive(frame) {
                    break CloseReason::Protocol(error);
                }
                if link.mux.unread() > link.unread_limit {
                    break CloseReason::Unread;
                }
                continue;
            }
            Ok(None) => {}
            Err(error) => break CloseReason::Secret(error),
        }
        if opener.is_proven()
            && let Some(proven) = proven.take()
        {
            // Whoever dialled may have given up.
            let _ = proven.send(());
        }
        opener.buffer().reserve(READ);
        tokio::select! {
            read = stream.read_buf(opener.buffer()) => match read {
                Ok(0) => break CloseReason::Remote,
                Ok(_) => {}
                Err(_) => break CloseReason::Lost,
            },
            reason = &mut ended => break reason,
        }
    };
    link.end(reason);
    if !reason.is_remote() {
        // While we wait for the peer's end, the transport acknowledges what it still sends.
        let _ = timeout(LAST_WORD, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
    }
}

/// Writes until the connection is over; what this side queued before its own end goes out too, but not
/// to a peer that has broken the rules.
pub(super) async fn write(
    link: Arc<Link>,
    mut sealer: Sealer,
    mut stream: WriteHalf<UdxAsyncStream>,
) {
    // The stream's header goes first, with what is said at once.
    loop {
        for _ in 0..TURNS {
            yield_now().await;
        }
        link.mux.frames(WRITE).iter().for_each(|frame| sealer.seal(frame));
        let sealed = sealer.take();
        tokio::select! {
            biased;
            () = link.lost() => break,
            written = write_all(&mut stream, &sealed) => if let Err(reason) = written {
                link.end(reason);
                break;
            },
        }
        match timeout(ALIVE, link.mux.ready()).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(_) => sealer.seal(b""),
        }
    }
    let _ = timeout(LAST_WORD, stream.shutdown()).await;
}

async fn write_all(
    stream: &mut WriteHalf<UdxAsyncStream>,
    bytes: &[u8],
) -> Result<(), CloseReason> {
    match timeout(DEAD, stream.write_all(bytes)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(CloseReason::Lost),
        Err(_) => Err(CloseReason::Silent),
    }
}
