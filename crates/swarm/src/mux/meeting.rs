//! A channel that both sides want, whoever comes to it first.

use super::{Channel, Listener, Mux};

/// Opens a channel and, when the peer does not know it yet or has closed it, waits until the peer
/// opens it. See [`Mux::meet`].
pub struct Meeting {
    first: Option<Channel>,
    listener: Listener,
}

impl Mux {
    /// A channel that the peer may want later than this side, and again after it has closed it.
    pub fn meet(&self, protocol: &str, id: Option<&[u8]>) -> Meeting {
        // A channel of this name that this side has already is somebody else's business: then only
        // the peer's opens count.
        let first = self.open(protocol, id, b"").ok();
        Meeting { first, listener: self.listen(protocol, id) }
    }
}

impl Meeting {
    /// The first channel at once, without waiting for the peer: what is sent on it waits there until
    /// the peer opens it, too. If the peer rejects it, it is closed, and [`next`](Self::next) has the
    /// one that the peer opens later. `None` if this side could not open it.
    pub fn early(&mut self) -> Option<Channel> {
        self.first.take()
    }

    /// The channel, open on both sides, each time anew; `None` when the connection has ended.
    pub async fn next(&mut self) -> Option<Channel> {
        if let Some(mut channel) = self.first.take()
            && channel.opened().await.is_ok()
        {
            return Some(channel);
        }
        loop {
            if let Ok(channel) = self.listener.next().await?.accept(b"") {
                return Some(channel);
            }
        }
    }
}
