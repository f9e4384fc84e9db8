//! Blocks and what is made of them.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use handfast_ipfs::{Block, Cid};
use handfast_providers::{BlockStore, Provider};

use super::import::nonsense;
use super::schedule::PARALLEL_FETCHES;
use crate::error::{Error, Result};
use crate::feed::MAX_INDEX;

/// The most blocks that a part of a feed may have: those of the largest index, and some more for what
/// sealing adds.
const MAX_PART: usize = MAX_INDEX / handfast_ipfs::MAX_BLOCK + 8;

/// The blocks with these CIDs, in their order. What is returned was verified.
pub async fn blocks(provider: &Provider, cids: &[Cid]) -> Result<Vec<Vec<u8>>> {
    let store: &dyn BlockStore = provider.blocks.as_ref();
    let fetches: Vec<_> = cids.iter().map(|cid| store.get(cid)).collect();
    Ok(stream::iter(fetches).buffered(PARALLEL_FETCHES).try_collect().await?)
}

/// The blocks of a part of a feed.
pub async fn part(provider: &Provider, cids: &[Cid]) -> Result<Vec<Vec<u8>>> {
    if cids.len() > MAX_PART {
        return Err(nonsense("a part of it is too large"));
    }
    blocks(provider, cids).await
}

/// Cuts bytes that are published as they are into blocks.
pub fn plain_blocks(bytes: &[u8]) -> Result<Vec<Block>> {
    bytes.chunks(handfast_ipfs::MAX_BLOCK).map(|chunk| block(chunk.to_vec())).collect()
}

/// Makes blocks of what was sealed.
pub fn sealed_blocks(blocks: Vec<Vec<u8>>) -> Result<Vec<Block>> {
    blocks.into_iter().map(block).collect()
}

fn block(bytes: Vec<u8>) -> Result<Block> {
    Block::new(bytes).map_err(|_| Error::Damaged("block"))
}
