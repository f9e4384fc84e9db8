//! Blocks and what is made of them.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use handfast_ipfs::{Block, Cid};
use handfast_providers::{BlockStore, Provider};

use super::schedule::PARALLEL_FETCHES;
use crate::error::{Error, Result};

/// The blocks with these CIDs, in their order. What is returned was verified.
pub async fn blocks(provider: &Provider, cids: &[Cid]) -> Result<Vec<Vec<u8>>> {
    let store: &dyn BlockStore = provider.blocks.as_ref();
    let fetches: Vec<_> = cids.iter().map(|cid| store.get(cid)).collect();
    Ok(stream::iter(fetches).buffered(PARALLEL_FETCHES).try_collect().await?)
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
