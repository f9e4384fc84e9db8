//! `block/put`: several blocks a request where the server can, in the dialect that it speaks.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use handfast_ipfs::{Block, Cid};
use serde::Deserialize;

use super::{Kubo, lines};
use crate::http::{Answer, Body, Call};
use crate::{BlockStore as _, ErrorKind, ProviderError};

/// Most bytes and files of one upload request, and how many such requests go on at a time.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
const BATCH_FILES: usize = 256;
const BATCHES: usize = 2;
/// Uploads of single blocks that go on at a time, for each batch.
const SINGLES: usize = 4;
/// A line about an uploaded block is a CID and a number.
const PUT_LINE: usize = 512;
const DOING: &str = "storing a block";

/// The dialect in which an upload is phrased.
#[derive(Clone, Copy)]
enum Dialect {
    Modern,
    Legacy,
}

#[derive(Deserialize)]
struct PutLine {
    #[serde(rename = "Key")]
    key: String,
}

impl Kubo {
    /// Uploads and pins a block.
    pub(super) async fn upload_one(&self, block: &Block) -> Result<(), ProviderError> {
        let one = std::slice::from_ref(block);
        match self.service.retry().run(|| self.upload(one)).await? {
            true => Ok(()),
            false => Err(self.service.nonsense(DOING, "an empty answer")),
        }
    }

    /// Uploads and pins blocks in as few requests as the server allows.
    pub(super) async fn upload_all(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        let uploads: Vec<_> = batches(blocks).map(|batch| self.upload_batch(batch)).collect();
        stream::iter(uploads).buffer_unordered(BATCHES).try_collect().await
    }

    /// Uploads blocks in one request if the server can, else one by one.
    async fn upload_batch(&self, blocks: &[Block]) -> Result<(), ProviderError> {
        if blocks.len() > 1 && !self.one_file.load(Ordering::Relaxed) {
            match self.service.retry().run(|| self.upload(blocks)).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // A proxy in front may take less than the provider does.
                Err(error) if error.kind() == ErrorKind::TooLarge => {}
                Err(error) => return Err(error),
            }
            tracing::debug!(service = %self.describe(), "takes one block a request");
            self.one_file.store(true, Ordering::Relaxed);
        }
        let uploads: Vec<_> = blocks.iter().map(|block| self.upload_one(block)).collect();
        stream::iter(uploads).buffer_unordered(SINGLES).try_collect().await
    }

    /// Uploads blocks in one request. `false`: the server answered for fewer than it was sent.
    async fn upload(&self, blocks: &[Block]) -> Result<bool, ProviderError> {
        if self.legacy.load(Ordering::Relaxed) {
            let answer =
                self.service.send(DOING, &self.upload_call(blocks, Dialect::Legacy)).await?;
            return self.uploaded(&answer, blocks);
        }
        let answer = self.service.send(DOING, &self.upload_call(blocks, Dialect::Modern)).await?;
        let outcome = self.uploaded(&answer, blocks);
        if outcome.is_ok() {
            self.modern.store(true, Ordering::Relaxed);
            return outcome;
        }
        // An unknown option is a 400 for a Kubo. js-ipfs stores another kind of block: a 500, unless
        // the bytes happen to be one, as no bytes at all are.
        let maybe_dialect = matches!(answer.status.as_u16(), 200 | 400 | 500);
        if self.modern.load(Ordering::Relaxed) || !maybe_dialect {
            return outcome;
        }
        let answer = self.service.send(DOING, &self.upload_call(blocks, Dialect::Legacy)).await?;
        match self.uploaded(&answer, blocks) {
            Ok(all) => {
                self.legacy.store(true, Ordering::Relaxed);
                Ok(all)
            }
            Err(_) => outcome,
        }
    }

    fn upload_call(&self, blocks: &[Block], dialect: Dialect) -> Call {
        let parameters: &[_] = match dialect {
            Dialect::Modern => &[("cid-codec", "raw"), ("mhtype", "sha2-256"), ("pin", "true")],
            Dialect::Legacy => {
                &[("format", "raw"), ("mhtype", "sha2-256"), ("version", "1"), ("pin", "true")]
            }
        };
        let files = blocks.iter().map(|block| Bytes::copy_from_slice(block.bytes()));
        let mut call = self.command("block/put", parameters);
        call.body = Body::Files { part: "data", files: files.collect(), fields: Vec::new() };
        call.cap = call.cap.max(blocks.len() * PUT_LINE);
        call
    }

    /// Reads the answer to an upload: a line for each file, in order. `false`: there are fewer.
    fn uploaded(&self, answer: &Answer, blocks: &[Block]) -> Result<bool, ProviderError> {
        if !answer.status.is_success() {
            return Err(self.command_error(DOING, answer));
        }
        let stored = lines::<PutLine>(&answer.body)
            .take(blocks.len())
            // Compared as parsed: some answer in base58.
            .map(|line| line.map(|line| Cid::parse(&line.key).ok()))
            .collect::<serde_json::Result<Vec<_>>>()
            .map_err(|_| self.service.nonsense(DOING, "not Kubo's JSON"))?;
        let sent: Vec<_> = blocks.iter().map(|block| Some(*block.cid())).collect();
        if stored.len() < sent.len() && stored.iter().all(|cid| sent.contains(cid)) {
            return Ok(false);
        }
        if stored != sent {
            return Err(self.service.nonsense(DOING, "it computed another CID"));
        }
        Ok(true)
    }
}

/// Cuts blocks into what one request may hold.
fn batches(mut blocks: &[Block]) -> impl Iterator<Item = &[Block]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = blocks
            .iter()
            .take(BATCH_FILES)
            .take_while(|block| {
                bytes += block.bytes().len();
                bytes <= BATCH_BYTES
            })
            .count();
        let (batch, rest) = blocks.split_at_checked(fit.max(1))?;
        blocks = rest;
        Some(batch)
    })
}
