//! Connections: dialling, accepting, and the encrypted stream with its channels.
//!
//! ```text
//! dialler: handshake ── any node that knows the peer ──► acceptor     Noise IK, over the DHT
//!          ◄─────────────────────────────────── reply: addresses, stream id, relays
//!          first packet of the stream ──► acceptor                    direct, or
//!          rounds of hole punching ── a relay of the acceptor's ──►   both behind a NAT, or
//!          pairing at a blind relay                                   if the acceptor asks for it
//! ```
//!
//! | module | |
//! |---|---|
//! | `dial`, `accept` | the two sides of a handshake |
//! | `arrival` | what the acceptor waits for then |
//! | `punch` | both sides of hole punching |
//! | `relayed` | both sides of a blind relay |
//! | `secret`, `pump` | the encrypted stream and the two tasks that drive it |
//! | `lanes` | further connections with the same peer, for bulk |

pub(crate) mod accept;
mod arrival;
pub(crate) mod dial;
mod handle;
pub(crate) mod lanes;
mod pump;
mod punch;
pub(crate) mod relayed;
mod secret;

pub use handle::Connection;
use handle::Opening;
pub use lanes::MAX_LANES;
pub use secret::SecretError;

use thiserror::Error;

use crate::dht::DhtError;
use crate::mux::ProtocolError;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed by this side")]
    Local,
    /// The peer closed it.
    #[error("closed by the peer")]
    Remote,
    /// Both sides dialled at once, or the peer came back: another connection took its place.
    #[error("another connection with the same peer took its place")]
    Duplicate,
    /// The peer no longer acknowledges what is sent.
    #[error("the peer has fallen silent")]
    Silent,
    /// The transport gave up.
    #[error("the stream broke")]
    Lost,
    /// The peer sent what this side's application did not read, beyond the limit.
    #[error("too much that the peer sent waited to be read")]
    Unread,
    /// The peer broke the rules of the channels.
    #[error(transparent)]
    Protocol(ProtocolError),
    /// The peer, or somebody in between, broke the encryption.
    #[error(transparent)]
    Secret(SecretError),
}

impl CloseReason {
    /// Whether the peer is gone already, so that nothing more can be said.
    fn is_remote(self) -> bool {
        matches!(self, Self::Remote | Self::Silent | Self::Lost)
    }

    /// Whether nothing that is queued goes out any more: the peer is gone, or has broken the rules.
    fn leaves_nothing_to_say(self) -> bool {
        self.is_remote() || matches!(self, Self::Protocol(_) | Self::Secret(_))
    }
}

/// Why a peer could not be connected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectError {
    /// Nobody in the DHT knows the way to this key: the peer is offline or does not listen.
    #[error("the peer is not to be found: it is offline or does not listen")]
    NotFound,
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer does not want this connection.
    #[error("the peer refused the connection")]
    Refused,
    /// A NAT that changes its mapping for every destination lies in between: there is no direct
    /// path. What goes over the DHT still works, and a relay helps.
    #[error("a symmetric NAT lies in between: no direct connection is possible without a relay")]
    SymmetricNat,
    /// The peer answers through the DHT, but no packet gets through.
    #[error("the peer answers, but no direct path to it opens")]
    NoPath,
    /// The relay that the peer asked for does not help.
    #[error("the relay that the peer asked for does not answer")]
    Relay,
    /// What the peer answered is no handshake.
    #[error("the peer's handshake is broken")]
    Handshake,
    /// This side has banned the peer, or it is this side's own key.
    #[error("connections with this key are not wanted here")]
    Banned,
    /// The swarm is suspended or closed.
    #[error("the swarm is suspended or closed")]
    Offline,
    /// The peer does not offer lanes.
    #[error("the peer does not open further connections")]
    NoLanes,
    /// The DHT node failed.
    #[error(transparent)]
    Dht(#[from] DhtError),
}

/// The number of a stream of ours. Not counted, so that nobody can guess which one is expected; in the
/// upper half, because the node counts those that it makes itself.
fn stream_id() -> u32 {
    rand::random::<u32>() | 1 << 31
}
