//! Where blocks are kept.

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use handfast_ipfs::{Block, Cid};

use crate::ProviderError;

/// Uploads under way at a time.
const PARALLEL: usize = 8;

/// A store of blocks that are named by their hash: a pinning service, a host, a connected peer.
///
/// Everything here may be done twice without harm. [`conformance::block_store`] tells whether an
/// implementation keeps the promises.
///
/// [`conformance::block_store`]: crate::conformance::block_store
#[async_trait]
pub trait BlockStore: Send + Sync {
    /// Stores a block and pins it. The store's answer must name the block's own CID, else it is
    /// [`Nonsense`](crate::ErrorKind::Nonsense).
    async fn put(&self, block: &Block) -> Result<(), ProviderError>;

    /// Stores and pins several blocks, several at a time. On an error, any of them may have been
    /// stored: put them all again.
    async fn put_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        let uploads: Vec<_> = blocks.iter().map(|block| self.put(block)).collect();
        stream::iter(uploads).buffer_unordered(PARALLEL).try_collect().await
    }

    /// Fetches a block. What is returned has been verified against the CID and is at most
    /// [`MAX_BLOCK`](handfast_ipfs::MAX_BLOCK) bytes;
    /// [`NotFound`](crate::ErrorKind::NotFound) if the store does not hold it.
    async fn get(&self, cid: &Cid) -> Result<Vec<u8>, ProviderError>;

    /// Pins a block that is, or can be, fetched by the store itself.
    async fn pin(&self, cid: &Cid) -> Result<(), ProviderError>;

    /// Gives a block up. It is no error if it was not pinned. Where
    /// [`unpins`](Self::unpins) says no, it does nothing.
    async fn unpin(&self, cid: &Cid) -> Result<(), ProviderError>;

    /// Whether this account pins the block.
    async fn is_pinned(&self, cid: &Cid) -> Result<bool, ProviderError>;

    /// Checks that the store is there and accepts the credentials.
    async fn check(&self) -> Result<(), ProviderError>;

    /// Whether the service lets an account give blocks up at all.
    fn unpins(&self) -> bool {
        true
    }

    /// What and where it is, for people; without secrets.
    fn describe(&self) -> String;
}
