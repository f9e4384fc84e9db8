//! Devices over every type of provider, over different ones, and over services that fail.

use std::time::Duration;

use crate::home::{pair, text};
use handfast::{
    Clock, Device, DeviceName, DeviceOptions, Http, KeyStore, Operation, ProviderConfig, RecordId,
};
use handfast_doubles::{Double, Mood, Network, delegated, gateway, kubo, pinata, web3_storage};
use handfast_host::{Host, RunningHost};
use handfast_ipfs::Name;
use handfast_keys::{IpnsPublic, Timestamp};
use handfast_providers::{HttpOptions, Retry};
use tempfile::TempDir;

const TYPES: [&str; 5] = ["pinata", "pinata-jwt", "infura", "web3storage", "self-hosted"];

/// A public network with a double of every service, a host apart from it, and folders.
struct World {
    network: Network,
    pinata: Double,
    infura: Double,
    web3storage: Double,
    kubo: Double,
    router: Double,
    gateway: Double,
    host: RunningHost,
    dir: TempDir,
}

impl World {
    async fn new() -> World {
        let (network, dir) = (Network::new(), TempDir::new().unwrap());
        let host = Host::builder(dir.path().join("host")).token("a-token-of-this-test").unwrap();
        World {
            pinata: pinata::start(&network).await.unwrap(),
            infura: kubo::start_infura(&network).await.unwrap(),
            web3storage: web3_storage::start(&network).await.unwrap(),
            kubo: kubo::start(&network).await.unwrap(),
            router: delegated::start(&network).await.unwrap(),
            gateway: gateway::start(&network).await.unwrap(),
            host: host.start().await.unwrap(),
            network,
            dir,
        }
    }

    fn config(&self, kind: &str) -> ProviderConfig {
        self.config_with(kind, &[&self.router.url])
    }

    fn config_with(&self, kind: &str, routers: &[&str]) -> ProviderConfig {
        let (id, secret) = kubo::PROJECT;
        let (at, credentials) = match kind {
            "pinata" => (
                &self.pinata.url,
                format!(r#""apiKey":"{}","secretKey":"{}""#, pinata::KEY, pinata::SECRET),
            ),
            "pinata-jwt" => (&self.pinata.url, format!(r#""apiKey":"{}""#, pinata::JWT)),
            "infura" => {
                (&self.infura.url, format!(r#""projectId":"{id}","projectSecret":"{secret}""#))
            }
            "web3storage" => {
                (&self.web3storage.url, format!(r#""token":"{}""#, web3_storage::TOKEN))
            }
            "self-hosted" => (&self.kubo.url, format!(r#""authToken":"{}""#, kubo::TOKEN)),
            _ => {
                let (url, token) = (self.host.url(), "a-token-of-this-test");
                let json =
                    format!(r#"{{"type":"self-hosted","endpoint":"{url}","authToken":"{token}"}}"#);
                return serde_json::from_str(&json).unwrap();
            }
        };
        let kind = kind.trim_end_matches("-jwt");
        let routers = serde_json::to_string(routers).unwrap();
        let gateway = &self.gateway.url;
        let json = format!(
            r#"{{"type":"{kind}",{credentials},"endpoint":"{at}","nameRouters":{routers},
                "gateways":["{gateway}"]}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn bare(&self, name: &str) -> Device {
        let home = self.dir.path().join(name);
        Device::create(home, DeviceName::new(name).unwrap(), options(None)).unwrap()
    }

    fn device(&self, name: &str, kind: &str) -> Device {
        let device = self.bare(name);
        device.set_provider(&self.config(kind)).unwrap();
        device
    }

    /// The process begins anew, so many days later.
    fn reopen(&self, name: &str, days: u64) -> Device {
        let clock = Clock::start().now() + Duration::from_secs(days * 24 * 3_600);
        Device::open_with(self.dir.path().join(name), options(Some(clock))).unwrap()
    }

    /// Two paired devices over Pinata, with a note each.
    async fn paired(&self) -> (Device, Device) {
        let (a, b) = (self.device("a", "pinata"), self.bare("b"));
        note(&a, 1);
        note(&b, 2);
        pair(&a, &b).await;
        settle(&[&a, &b]).await;
        (a, b)
    }
}

/// Tries again at once, and not often.
fn options(now: Option<Timestamp>) -> DeviceOptions {
    let retry = Retry { attempts: 2, first: Duration::from_millis(1), ..Retry::default() };
    let http = Http::with_options(HttpOptions { retry, ..HttpOptions::default() }).unwrap();
    DeviceOptions {
        key_store: KeyStore::File,
        http: Some(http),
        clock: now.map(Clock::starting_at),
    }
}

fn note(device: &Device, number: u8) {
    let id = RecordId::from_bytes([number; 16]);
    device.records("notes").unwrap().set(&id, "by", text("somebody")).unwrap();
}

/// So much that its segments travel in blocks of their own.
fn much(device: &Device) {
    let rows = (0..2_000).map(|n: u64| {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let noise = handfast_keys::Label::STATE.hash([&n.to_be_bytes()[..]]);
        let fields = crate::home::fields(&format!(r#"{{"text":"{noise}"}}"#));
        Ok::<_, handfast::Error>((RecordId::from_bytes(id), fields))
    });
    device.records("much").unwrap().import(rows, |_| Ok(())).unwrap();
}

async fn settle(devices: &[&Device]) {
    for _ in 0..3 {
        for device in devices {
            let report = device.sync().await.unwrap();
            assert_eq!(report.trouble, Vec::<String>::new(), "{:?}", device.name());
        }
    }
}

/// A round in which something fails; what the person reads then, now and at any time.
async fn trouble(device: &Device) -> String {
    let report = device.sync().await.unwrap();
    let first = report.trouble.into_iter().next().unwrap();
    assert_eq!(device.status().unwrap().trouble.unwrap().1, first);
    first
}

fn in_step(devices: &[&Device], notes: u64) {
    let hashes: Vec<_> = devices.iter().map(|it| it.content_hash().unwrap()).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]));
    for device in devices {
        assert_eq!(device.records("notes").unwrap().len().unwrap(), notes);
        let status = device.status().unwrap();
        assert_eq!((status.trouble, status.unpublished), (None, 0));
        assert!(device.check().unwrap().findings.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_pairs_and_syncs() {
    for kind in TYPES {
        let world = World::new().await;
        let (a, b) = (world.device("a", kind), world.bare("b"));
        note(&a, 1);
        note(&b, 2);
        much(&b);
        pair(&a, &b).await;
        assert_eq!(b.provider_config().unwrap(), a.provider_config().unwrap(), "handed over");
        settle(&[&a, &b]).await;
        note(&b, 3);
        settle(&[&b, &a]).await;
        in_step(&[&a, &b], 3);
    }
}

/// Two blocks and a record at each router, and nothing is asked before.
#[tokio::test(flavor = "multi_thread")]
async fn ten_edits_are_two_uploads_and_one_record_for_each_router() {
    let world = World::new().await;
    let elsewhere = Network::new();
    let second = delegated::start(&elsewhere).await.unwrap();
    let (a, b) = (world.bare("a"), world.bare("b"));
    let config = world.config_with("pinata", &[&world.router.url, &second.url]);
    a.set_provider(&config).unwrap();
    pair(&a, &b).await;
    settle(&[&a, &b]).await;
    for number in 0..10 {
        note(&a, number);
    }
    let doubles = [&world.pinata, &world.router, &second];
    doubles.iter().for_each(|double| double.control.forget());
    assert!(a.sync().await.unwrap().published.is_some());
    assert_eq!(world.pinata.control.seen(), ["POST /pinning/pinFileToIPFS"; 2]);
    let routers = [&world.router, &second];
    let puts = |double: &Double| {
        double.control.seen().iter().filter(|line| line.starts_with("PUT")).count()
    };
    // One of them has taken the record before anything was asked; the other may be behind.
    let begins = |double: &&Double| double.control.seen()[0].starts_with("PUT");
    assert!(routers.iter().any(begins));
    let all = async {
        while routers.iter().any(|double| puts(double) == 0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::home::PATIENCE, all).await.unwrap();
    assert!(routers.iter().all(|double| puts(double) == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_may_have_different_providers() {
    for (one, other) in [
        ("pinata", "host"),
        ("host", "pinata-jwt"),
        ("infura", "host"),
        ("host", "web3storage"),
        ("pinata", "infura"),
    ] {
        let world = World::new().await;
        let (a, b) = (world.device("a", one), world.device("b", other));
        much(&a);
        note(&a, 1);
        note(&b, 2);
        pair(&a, &b).await;
        assert_ne!(b.provider_config().unwrap(), a.provider_config().unwrap(), "each its own");
        settle(&[&a, &b]).await;
        note(&a, 3);
        note(&b, 4);
        much(&b);
        settle(&[&a, &b]).await;
        in_step(&[&a, &b], 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_device_finds_what_it_never_was_told() {
    let world = World::new().await;
    let (a, b, c) = (world.device("a", "pinata"), world.device("b", "host"), world.bare("c"));
    note(&a, 1);
    pair(&a, &b).await;
    settle(&[&a, &b]).await;
    note(&c, 2);
    // C meets B alone, and gets B's provider.
    pair(&b, &c).await;
    settle(&[&b, &c, &a]).await;
    note(&a, 3);
    note(&c, 4);
    settle(&[&a, &b, &c]).await;
    in_step(&[&a, &b, &c], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_router_is_down_and_comes_back() {
    let world = World::new().await;
    let elsewhere = Network::new();
    let second = delegated::start(&elsewhere).await.unwrap();
    let (a, b) = (world.bare("a"), world.bare("b"));
    let config = world.config_with("pinata", &[&second.url, &world.router.url]);
    a.set_provider(&config).unwrap();
    note(&a, 1);
    second.control.be(Mood::Down);
    pair(&a, &b).await;
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 1);
    // It comes back, and is told what it missed.
    second.control.be(Mood::Fine);
    drop((a, b));
    let (a, b) = (world.reopen("a", 0), world.reopen("b", 0));
    settle(&[&a, &b]).await;
    world.router.control.be(Mood::Down);
    note(&a, 2);
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_rolls_back_is_not_believed_and_put_right() {
    let world = World::new().await;
    let (a, b) = world.paired().await;
    let key = b.devices().unwrap()[0].ipns_public_key;
    let name = Name::of(IpnsPublic::from_bytes(key));
    let old = world.network.record(&name).unwrap();
    note(&b, 3);
    settle(&[&b, &a]).await;
    let new = world.network.record(&name).unwrap();
    assert!(new.newer_than(&old));
    world.network.roll_back_to(old);
    settle(&[&a]).await;
    assert_eq!(world.network.record(&name), Some(new), "A has put it back, without B's key");
    settle(&[&b, &a]).await;
    in_step(&[&a, &b], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_routers_are_down() {
    let world = World::new().await;
    let (a, b) = world.paired().await;
    world.router.control.be(Mood::Down);
    note(&a, 3);
    note(&b, 4);
    assert!(trouble(&a).await.contains("could not be reached"));
    assert!(trouble(&b).await.contains("could not be reached"));
    world.router.control.be(Mood::Fine);
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_down_for_a_week() {
    let world = World::new().await;
    drop(world.paired().await);
    for down in [&world.pinata, &world.router, &world.gateway] {
        down.control.be(Mood::Down);
    }
    let mut since = None;
    for day in 1..=7 {
        let (a, b) = (world.reopen("a", day), world.reopen("b", day));
        note(&a, 10 + day as u8);
        note(&b, 20 + day as u8);
        trouble(&a).await;
        trouble(&b).await;
        let told = a.status().unwrap().trouble.unwrap().0;
        assert_eq!(*since.get_or_insert(told), told, "since the first day");
        assert_eq!(a.status().unwrap().unpublished, day, "each edit waits");
    }
    for back in [&world.pinata, &world.router, &world.gateway] {
        back.control.be(Mood::Fine);
    }
    let (a, b) = (world.reopen("a", 8), world.reopen("b", 8));
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_revoked_in_between() {
    let world = World::new().await;
    let (a, b) = world.paired().await;
    world.pinata.control.revoke(true);
    note(&a, 3);
    let told = trouble(&a).await;
    assert!(told.contains("refused the credentials") && told.contains("revoked"), "{told}");
    assert!(!told.contains(pinata::SECRET));
    // Reading still works for the other one; the edit waits.
    settle(&[&b]).await;
    world.pinata.control.revoke(false);
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_is_reached() {
    let world = World::new().await;
    let (a, b) = world.paired().await;
    world.pinata.control.set_quota(100);
    note(&a, 3);
    much(&a);
    let told = trouble(&a).await;
    assert!(told.contains("no room left") && told.contains("nothing is lost"), "{told}");
    world.pinata.control.set_quota(usize::MAX);
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_asks_to_wait() {
    let world = World::new().await;
    let (a, b) = world.paired().await;
    let busy = Mood::Says(429, vec![("retry-after", "600".into())], String::new());
    world.pinata.control.be(busy);
    note(&a, 3);
    assert!(trouble(&a).await.contains("asks to wait 600 s"));
    // It is left alone that long, whether it would take anything or not.
    world.pinata.control.be(Mood::Fine);
    assert!(trouble(&a).await.contains("asks to wait"));
    drop(a);
    let a = world.reopen("a", 1);
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_takes_everything_along() {
    let world = World::new().await;
    let (a, b) = world.paired().await;
    much(&a);
    much(&b);
    settle(&[&a, &b]).await;
    let migrated = a.migrate_provider(&world.config("host")).await.unwrap();
    assert!(migrated.copied > 0 && migrated.left == 0, "{migrated:?}");
    note(&a, 3);
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 3);
    // The old service is gone for good; B moves too.
    let old = &world.pinata.control;
    old.be(Mood::Says(410, Vec::new(), String::new()));
    world.network.lose_blocks();
    note(&b, 4);
    let told = trouble(&b).await;
    assert!(told.contains("has ended this service"), "{told}");
    b.migrate_provider(&world.config("host")).await.unwrap();
    settle(&[&b, &a]).await;
    in_step(&[&a, &b], 4);
    // A newcomer gets it all from the new place.
    let c = world.bare("c");
    pair(&a, &c).await;
    settle(&[&c, &a, &b]).await;
    in_step(&[&a, &b, &c], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_just_set_anew_is_told_of_at_the_old_one_when_it_is_back() {
    let world = World::new().await;
    let (a, b) = world.paired().await;
    much(&a);
    settle(&[&a, &b]).await;
    for down in [&world.pinata, &world.gateway] {
        down.control.be(Mood::Down);
    }
    a.set_provider(&world.config("host")).unwrap();
    note(&a, 3);
    settle(&[&a]).await;
    // B sees that there is news, and can't read it yet.
    trouble(&b).await;
    for back in [&world.pinata, &world.gateway] {
        back.control.be(Mood::Fine);
    }
    settle(&[&a, &b]).await;
    in_step(&[&a, &b], 3);
}

#[tokio::test]
async fn a_provider_is_tried_out() {
    let world = World::new().await;
    let device = world.bare("a");
    for kind in TYPES {
        let trials = device.try_provider(&world.config(kind)).await.unwrap();
        let done: Vec<_> = trials.iter().map(|trial| trial.what).collect();
        let all = [
            Operation::Credentials,
            Operation::Put,
            Operation::Get,
            Operation::Pin,
            Operation::Publish,
            Operation::Resolve,
        ];
        assert_eq!(done, all, "{kind}");
        assert!(trials.iter().all(|trial| trial.outcome.is_ok()), "{trials:?}");
    }
    world.pinata.control.revoke(true);
    world.router.control.be(Mood::Down);
    let trials = device.try_provider(&world.config("pinata")).await.unwrap();
    let done: Vec<_> = trials.iter().map(|trial| trial.what).collect();
    assert_eq!(done, [Operation::Credentials, Operation::Publish, Operation::Resolve]);
    assert!(trials.iter().all(|trial| trial.outcome.is_err()));
}
