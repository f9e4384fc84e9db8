//! What survives, and what is thrown away.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod running;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use handfast_host::{Collected, Host, HostError, Limits};
use handfast_ipfs::{Block, Cid};
use handfast_providers::conformance::random_records;
use handfast_providers::{ErrorKind, Resolve, Resolved};
use running::{OTHER, Running, TOKEN, http, start, start_in};

fn block(text: &str) -> Block {
    Block::new(text.as_bytes().to_vec()).unwrap()
}

fn file_of(running: &Running, cid: &Cid) -> PathBuf {
    let name = cid.to_string();
    running.dir.path().join("blocks").join(&name[name.len() - 2..]).join(&name)
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let running = start(Limits::default()).await;
    let http = http();
    let [kept, given_up] = ["kept", "given up"].map(block);
    let [_, record] = random_records(&[1, 2]).unwrap().try_into().unwrap();
    let provider = running.provider(TOKEN, &http);
    provider.blocks.put_all(&[kept.clone(), given_up.clone()]).await.unwrap();
    provider.blocks.unpin(given_up.cid()).await.unwrap();
    provider.names[0].publish(&record).await.unwrap();
    let Running { host, dir } = running;
    host.shutdown().await;
    // As after a kill.
    fs::write(dir.path().join("tmp/99"), "half a block").unwrap();

    let running = start_in(dir, Limits::default()).await;
    assert_eq!(fs::read_dir(running.dir.path().join("tmp")).unwrap().count(), 0);
    let provider = running.provider(TOKEN, &http);
    assert_eq!(provider.blocks.get(kept.cid()).await.unwrap(), b"kept");
    assert!(provider.blocks.is_pinned(kept.cid()).await.unwrap());
    assert!(!provider.blocks.is_pinned(given_up.cid()).await.unwrap());
    let resolved = provider.names[0].resolve(record.name(), &Resolve::default()).await.unwrap();
    assert!(matches!(resolved, Resolved::Record(got, _) if got == record));
}

#[tokio::test]
async fn a_spoilt_block_is_not_served_and_heals() {
    let running = start(Limits::default()).await;
    let blocks = running.provider(TOKEN, &http()).blocks;
    let block = block("sound");
    let file = file_of(&running, block.cid());
    let spoil = || fs::write(&file, "spoilt").unwrap();

    blocks.put(&block).await.unwrap();
    spoil();
    let error = blocks.get(block.cid()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!file.exists());
    blocks.put(&block).await.unwrap();
    assert_eq!(blocks.get(block.cid()).await.unwrap(), b"sound");
    // Before anybody has read it, too.
    spoil();
    blocks.put(&block).await.unwrap();
    assert_eq!(blocks.get(block.cid()).await.unwrap(), b"sound");
    // A pin that lost its block still counts once.
    spoil();
    blocks.get(block.cid()).await.unwrap_err();
    blocks.put(&block).await.unwrap();
    blocks.unpin(block.cid()).await.unwrap();
    assert!(!blocks.is_pinned(block.cid()).await.unwrap());
    assert_eq!(running.host.collect(Duration::ZERO).await, Collected { blocks: 1, bytes: 5 });
}

#[tokio::test]
async fn only_what_nobody_pins_is_thrown_away() {
    let running = start(Limits::default()).await;
    let http = http();
    let [anna, other] = [TOKEN, OTHER].map(|token| running.provider(token, &http).blocks);
    let [shared, own] = ["shared", "own"].map(block);
    anna.put_all(&[shared.clone(), own.clone()]).await.unwrap();
    other.put(&shared).await.unwrap();
    anna.unpin(shared.cid()).await.unwrap();
    anna.unpin(own.cid()).await.unwrap();

    assert_eq!(running.host.collect(Duration::from_secs(60)).await, Collected::default());
    assert_eq!(anna.get(own.cid()).await.unwrap(), b"own");
    assert_eq!(running.host.collect(Duration::ZERO).await, Collected { blocks: 1, bytes: 3 });
    assert_eq!(anna.get(own.cid()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(anna.get(shared.cid()).await.unwrap(), b"shared");
    assert!(!file_of(&running, own.cid()).exists());

    // A host without the token keeps what it pinned.
    let Running { host, dir } = running;
    host.shutdown().await;
    let host = Host::builder(dir.path()).token(TOKEN).unwrap().start().await.unwrap();
    assert_eq!(host.collect(Duration::ZERO).await, Collected::default());
    host.shutdown().await;
}

#[tokio::test]
async fn one_host_for_a_directory() {
    let running = start(Limits::default()).await;
    let second = || Host::builder(running.dir.path()).start();
    assert!(matches!(second().await, Err(HostError::InUse(_))));
    let Running { host, dir } = running;
    host.shutdown().await;
    Host::builder(dir.path()).start().await.unwrap().shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    fs::write(&file, "# the family\n\nanna:0123456789abcdef\nben:short\n").unwrap();
    let error = Host::builder(dir.path()).token_file(&file).unwrap_err().to_string();
    assert!(error.starts_with("line 4: ") && !error.contains("short:"), "{error}");
    let missing = Host::builder(dir.path()).token_file(dir.path().join("none"));
    assert!(matches!(missing, Err(HostError::TokenFile { .. })));
    let error = Host::builder(file).start().await.unwrap_err();
    assert!(matches!(error, HostError::Directory { .. }), "{error}");
    let running = start(Limits::default()).await;
    let taken = Host::builder(dir.path()).listen(running.host.local_addr()).start().await;
    assert!(matches!(taken, Err(HostError::Listen { .. })));
}
