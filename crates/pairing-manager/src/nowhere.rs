//! A network that reaches nobody.

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use handfast_keys::{MailboxPublic, MailboxSecret};
use handfast_pairing::invite::{ChunkHash, Topic};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::network::{Dht, Joining, Live, Offline, Opened};

/// A network that reaches nobody: to list invites and revoke them without going online. Where only one
/// of the two roads is wanted, it is the other, as in `(Nowhere, hyperswarm)`.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

struct Alone;

impl Joining for Alone {
    fn flushed(&self) -> BoxFuture<'static, ()> {
        // (Nobody will ever find it: there is nothing to wait for.)
        Box::pin(std::future::ready(()))
    }
}

fn offline<T>() -> Result<T, Offline> {
    Err(Offline("there is no network".to_owned()))
}

impl Live for Nowhere {
    fn join(&self, _: Topic, _: bool, _: bool) -> Box<dyn Joining> {
        Box::new(Alone)
    }

    fn open(&self, _: &'static str, _: [u8; 32], _: Opened) -> DropGuard {
        CancellationToken::new().drop_guard()
    }
}

#[async_trait]
impl Dht for Nowhere {
    async fn mutable_put(&self, _: &MailboxSecret, _: u64, _: &[u8]) -> Result<(), Offline> {
        offline()
    }

    async fn mutable_get(&self, _: &MailboxPublic) -> Result<Option<(u64, Vec<u8>)>, Offline> {
        offline()
    }

    async fn immutable_put(&self, _: &[u8]) -> Result<(), Offline> {
        offline()
    }

    async fn immutable_get(&self, _: &ChunkHash) -> Result<Option<Vec<u8>>, Offline> {
        offline()
    }

    async fn announce(&self, _: Topic, _: &MailboxSecret) -> Result<(), Offline> {
        offline()
    }

    async fn unannounce(&self, _: Topic, _: &MailboxSecret) -> Result<(), Offline> {
        offline()
    }

    async fn lookup(&self, _: Topic) -> Result<Vec<MailboxPublic>, Offline> {
        offline()
    }
}
