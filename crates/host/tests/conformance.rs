//! The host through our own client.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod running;

use handfast_host::Limits;
use handfast_providers::conformance::{self, random_block};
use handfast_providers::delegated::Delegated;
use handfast_providers::{ErrorKind, NameRouter, name_routers_at};
use running::{OTHER, TOKEN, http, start};

#[tokio::test]
async fn self_hosted() {
    let running = start(Limits::default()).await;
    let http = http();
    for token in [TOKEN, "Bearer 0123456789abcdef", OTHER] {
        let provider = running.provider(token, &http);
        conformance::block_store(&*provider.blocks).await.unwrap();
        let router = &*provider.names[0];
        // Asked once before, so that it is known to let queries wait.
        conformance::name_router(router).await.unwrap();
        assert!(router.longest_wait().is_some());
        conformance::name_router(router).await.unwrap();
    }
    running.host.shutdown().await;
}

#[tokio::test]
async fn delegated() {
    let running = start(Limits::default()).await;
    let router = Delegated::new(&running.host.url(), &http()).unwrap();
    conformance::name_router(&router).await.unwrap();
    assert_eq!(router.longest_wait(), Some(Limits::default().wait));
    conformance::name_router(&router).await.unwrap();
}

#[tokio::test]
async fn few_requests_and_few_bytes() {
    let running = start(Limits::default()).await;
    let http = http();
    let provider = running.provider(TOKEN, &http);
    let blocks: Vec<_> = (0..60).map(|_| random_block(10_000).unwrap()).collect();
    provider.blocks.put_all(&blocks).await.unwrap();
    let totals = http.traffic().totals();
    assert_eq!(totals.requests, 1);
    assert!((600_000..620_000).contains(&totals.sent), "{totals:?}");
    provider.blocks.get(blocks[0].cid()).await.unwrap();
    let more = http.traffic().totals().since(totals);
    assert_eq!(more.requests, 1);
    assert!((10_000..10_500).contains(&more.received), "{more:?}");
}

#[tokio::test]
async fn wrong_credentials() {
    let running = start(Limits::default()).await;
    let http = http();
    let blocks: Vec<_> = (0..32).map(|_| random_block(250_000).unwrap()).collect();
    for token in ["0123456789abcdeF", "anna:wrong", ""] {
        let provider = running.provider(token, &http);
        let kind = |error: handfast_providers::ProviderError| error.kind();
        assert_eq!(provider.blocks.check().await.map_err(kind), Err(ErrorKind::BadCredentials));
        let put = provider.blocks.put(&blocks[0]).await;
        assert_eq!(put.map_err(kind), Err(ErrorKind::BadCredentials));
        // However much was on its way already.
        for _ in 0..5 {
            let put = provider.blocks.put_all(&blocks).await;
            assert_eq!(put.map_err(kind), Err(ErrorKind::BadCredentials));
        }
    }
    // Names need no token.
    let routers = name_routers_at(&[running.host.url()], &http).unwrap();
    let record = conformance::random_records(&[1]).unwrap().remove(0);
    routers[0].publish(&record).await.unwrap();
}
