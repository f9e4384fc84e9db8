//! What a block and a name cost over loopback, disk included.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot run has nothing better to do than to stop"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use handfast_host::{Host, Limits};
use handfast_ipfs::{Block, Draft, EMPTY_PATH};
use handfast_keys::{IpnsSecret, Timestamp};
use handfast_providers::{Http, Provider, ProviderConfig, Resolve, Validator};
use tokio::runtime::Runtime;

const TOKEN: &str = "bench:0123456789abcdef";
/// 2100-01-01.
const EOL: Timestamp = Timestamp(4_102_444_800_000);

fn host(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let host = Host::builder(dir.path()).token(TOKEN).unwrap().limits(Limits {
        account_bytes: u64::MAX,
        account_pins: usize::MAX,
        ..Limits::default()
    });
    let host = runtime.block_on(host.start()).unwrap();
    let config = ProviderConfig::SelfHosted {
        endpoint: host.url(),
        auth_token: Some(TOKEN.into()),
        name_routers: None,
        gateways: None,
    };
    let provider = Provider::from_config(&config, &Http::new().unwrap()).unwrap();
    blocks(criterion, &runtime, &provider);
    records(criterion, &runtime, &provider);
    runtime.block_on(host.shutdown());
}

fn blocks(criterion: &mut Criterion, runtime: &Runtime, provider: &Provider) {
    let mut counter = 0_u64;
    let mut fresh = move |size: usize| {
        counter += 1;
        let mut bytes = counter.to_le_bytes().to_vec();
        bytes.resize(size, 0);
        Block::new(bytes).unwrap()
    };
    for (name, size) in [("2 KiB", 2 << 10), ("256 KiB", 256 << 10)] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("block/put", |bencher| {
            bencher.iter(|| {
                let block = fresh(size);
                runtime.block_on(provider.blocks.put(&block)).unwrap();
            });
        });
        let block = fresh(size);
        runtime.block_on(provider.blocks.put(&block)).unwrap();
        group.bench_function("block/get", |bencher| {
            bencher.iter(|| runtime.block_on(provider.blocks.get(block.cid())).unwrap());
        });
        group.finish();
    }
    let mut group = criterion.benchmark_group("32 blocks of 32 KiB");
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("block/put", |bencher| {
        bencher.iter(|| {
            let blocks: Vec<_> = (0..32).map(|_| fresh(32 << 10)).collect();
            runtime.block_on(provider.blocks.put_all(&blocks)).unwrap();
        });
    });
    group.finish();
}

fn records(criterion: &mut Criterion, runtime: &Runtime, provider: &Provider) {
    let router = &provider.names[0];
    let key = IpnsSecret::from_seed([7; 32]);
    let mut sequence = 0;
    let mut next = move || {
        sequence += 1;
        Draft::new(EMPTY_PATH, sequence, EOL).sign(&key).unwrap()
    };
    let mut group = criterion.benchmark_group("record");
    group.bench_function("publish", |bencher| {
        bencher.iter(|| runtime.block_on(router.publish(&next())).unwrap());
    });
    let record = next();
    runtime.block_on(router.publish(&record)).unwrap();
    let query = Resolve::default();
    group.bench_function("resolve", |bencher| {
        bencher.iter(|| runtime.block_on(router.resolve(record.name(), &query)).unwrap());
    });
    let known = query.unless(Validator::of(&record));
    group.bench_function("resolve unchanged", |bencher| {
        bencher.iter(|| runtime.block_on(router.resolve(record.name(), &known)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, host);
criterion_main!(benches);
