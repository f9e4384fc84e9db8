//! Every type of provider and of name router before the conformance suites and before all that a
//! service can say, over doubles.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod script;

use std::time::Duration;

use handfast_doubles::{
    Double, Mood, Network, delegated, gateway, kubo, pinata, w3name, web3_storage,
};
use handfast_ipfs::{Cid, MAX_BLOCK};
use handfast_providers::conformance::{self, random_block, random_records};
use handfast_providers::{
    ErrorKind, Provider, ProviderConfig, ProviderError, Resolve, Resolved, name_routers_at,
};
use script::{http, stubborn};

/// The double of a type, and the config of the one account there.
async fn service(kind: &str, network: &Network) -> (Double, ProviderConfig) {
    let (double, credentials) = match kind {
        "pinata" => (
            pinata::start(network).await,
            format!(
                r#""type":"pinata","apiKey":"{}","secretKey":"{}""#,
                pinata::KEY,
                pinata::SECRET
            ),
        ),
        "pinata-jwt" => {
            (pinata::start(network).await, format!(r#""type":"pinata","apiKey":"{}""#, pinata::JWT))
        }
        "infura" => {
            let (id, secret) = kubo::PROJECT;
            let keys = format!(r#""type":"infura","projectId":"{id}","projectSecret":"{secret}""#);
            (kubo::start_infura(network).await, keys)
        }
        "web3storage" => (
            web3_storage::start(network).await,
            format!(r#""type":"web3storage","token":"{}""#, web3_storage::TOKEN),
        ),
        _ => (
            kubo::start(network).await,
            format!(r#""type":"self-hosted","authToken":"{}""#, kubo::TOKEN),
        ),
    };
    let double = double.unwrap();
    let json = format!(r#"{{{credentials},"endpoint":"{}"}}"#, double.url);
    (double, serde_json::from_str(&json).unwrap())
}

const KINDS: [&str; 5] = ["pinata", "pinata-jwt", "infura", "web3storage", "self-hosted"];

fn kind<T>(result: Result<T, ProviderError>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it must fail"),
        Err(error) => {
            assert!(error.to_string().ends_with(error.advice()), "{error}");
            error.kind()
        }
    }
}

#[tokio::test]
async fn every_type_conforms() {
    for name in KINDS {
        let network = Network::new();
        let (_double, config) = service(name, &network).await;
        let provider = Provider::from_config(&config, &http()).unwrap();
        conformance::block_store(&*provider.blocks).await.unwrap_or_else(|breach| {
            panic!("{name}: {breach}");
        });
    }
}

#[tokio::test]
async fn every_name_router_conforms() {
    let network = Network::new();
    let (node, name, router) = tokio::join!(
        kubo::start_open(&network),
        w3name::start(&network),
        delegated::start(&network),
    );
    let (node, name, router) = (node.unwrap(), name.unwrap(), router.unwrap());
    let addresses =
        [format!("kubo+{}", node.url), format!("w3name+{}", name.url), router.url.clone()];
    for router in name_routers_at(&addresses, &http()).unwrap() {
        conformance::name_router(&*router).await.unwrap();
    }
    let (_node, config) = service("self-hosted", &network).await;
    let provider = Provider::from_config(&config, &http()).unwrap();
    conformance::name_router(&*provider.names[0]).await.unwrap();
}

#[tokio::test]
async fn a_gateway_resolves_and_takes_nothing() {
    let network = Network::new();
    let (gateway, router) = (gateway::start(&network).await, delegated::start(&network).await);
    let (gateway, router) = (gateway.unwrap(), router.unwrap());
    let addresses = [format!("gateway+{}", gateway.url), router.url.clone()];
    let [gateway, router] = name_routers_at(&addresses, &http()).unwrap().try_into().ok().unwrap();
    let [one, two] = random_records(&[1, 2]).unwrap().try_into().unwrap();
    let query = Resolve::default();
    assert!(matches!(gateway.resolve(one.name(), &query).await, Ok(Resolved::Missing)));
    router.publish(&one).await.unwrap();
    let held = gateway.resolve(one.name(), &query).await.unwrap();
    assert!(matches!(held, Resolved::Record(record, _) if record == one));
    assert!(!gateway.publishes() && router.publishes());
    assert_eq!(kind(gateway.publish(&two).await), ErrorKind::Rejected);
}

/// Each status of each service, with the body that goes with it there.
#[tokio::test]
async fn every_status_becomes_the_right_error() {
    let wait = Some(Duration::from_secs(7));
    let pinata = |reason: &str| format!(r#"{{"error":{{"reason":"{reason}","details":"x"}}}}"#);
    let web3 = |code: &str| format!(r#"{{"code":"{code}","message":"x"}}"#);
    let kubo = |message: &str| format!(r#"{{"Message":"{message}","Code":0,"Type":"error"}}"#);
    let none = String::new;
    for name in KINDS {
        let mut rows = vec![
            (401, none(), ErrorKind::BadCredentials),
            (403, none(), ErrorKind::BadCredentials),
            (402, none(), ErrorKind::Quota),
            (507, none(), ErrorKind::Quota),
            (410, none(), ErrorKind::Sunset),
            (413, none(), ErrorKind::TooLarge),
            (418, none(), ErrorKind::Rejected),
            (429, none(), ErrorKind::RateLimited { wait }),
            (408, none(), ErrorKind::Broken),
            (425, none(), ErrorKind::Broken),
            (502, none(), ErrorKind::Broken),
            (504, none(), ErrorKind::Broken),
            (520, none(), ErrorKind::Broken),
            (511, none(), ErrorKind::Nonsense),
            (200, "<html>Welcome</html>".into(), ErrorKind::Nonsense),
        ];
        rows.extend(match name {
            "pinata" | "pinata-jwt" => vec![
                (401, pinata("INVALID_CREDENTIALS"), ErrorKind::BadCredentials),
                (401, pinata("KEYS_MUST_BE_STRINGS"), ErrorKind::BadCredentials),
                (403, pinata("API_KEY_REVOKED"), ErrorKind::BadCredentials),
                (400, pinata("INVALID"), ErrorKind::Rejected),
                (500, pinata("INTERNAL_SERVER_ERROR"), ErrorKind::Broken),
            ],
            "web3storage" => vec![
                (401, web3("ERROR_USER_NOT_FOUND"), ErrorKind::BadCredentials),
                (401, web3("TOKEN_NOT_FOUND"), ErrorKind::BadCredentials),
                (403, web3("TOKEN_BLOCKED"), ErrorKind::BadCredentials),
                (403, web3("ACCOUNT_RESTRICTED"), ErrorKind::Quota),
                (403, web3("NEW_USER_DENIED_TRY_OTHER_PRODUCT"), ErrorKind::Sunset),
                (410, web3("ERROR_FEATURE_HAS_BEEN_SUNSET"), ErrorKind::Sunset),
                (503, web3("MAINTENANCE"), ErrorKind::RateLimited { wait }),
            ],
            _ => vec![
                (403, "Kubo RPC Access Denied".into(), ErrorKind::BadCredentials),
                (500, kubo("no space left on device"), ErrorKind::Quota),
                (500, kubo("merkledag: something"), ErrorKind::Rejected),
                (404, "404 page not found".into(), ErrorKind::Nonsense),
                (405, none(), ErrorKind::Nonsense),
            ],
        });
        let (double, config) = service(name, &Network::new()).await;
        let blocks = || Provider::from_config(&config, &http()).unwrap().blocks;
        let block = random_block(10).unwrap();
        for (status, body, expected) in rows {
            // A client that was asked to wait would do so in the next row.
            let blocks = blocks();
            let row = format!("{name}: {status} {body}");
            double.control.be(Mood::Says(status, vec![("retry-after", "7".into())], body));
            assert_eq!(kind(blocks.put(&block).await), expected, "{row}");
            if status != 200 {
                assert_eq!(kind(blocks.is_pinned(block.cid()).await), expected, "{row}");
            }
            let checked = kind(blocks.check().await);
            assert_eq!(checked, expected, "{row}");
        }
        let blocks = blocks();
        double.control.be(Mood::Down);
        assert_eq!(kind(blocks.put(&block).await), ErrorKind::Unreachable);
        double.control.be(Mood::Fine);
        blocks.put(&block).await.unwrap();
    }
}

#[tokio::test]
async fn wrong_and_revoked_credentials_quota_and_size() {
    for name in KINDS {
        let (double, config) = service(name, &Network::new()).await;
        let json = serde_json::to_string(&config).unwrap();
        let wrong = json.replace("-of-a-test", "-of-nobody");
        let wrong: ProviderConfig = serde_json::from_str(&wrong).unwrap();
        let stranger = Provider::from_config(&wrong, &http()).unwrap().blocks;
        assert_eq!(kind(stranger.check().await), ErrorKind::BadCredentials, "{name}");
        let blocks = Provider::from_config(&config, &http()).unwrap().blocks;
        blocks.check().await.unwrap();
        double.control.revoke(true);
        for result in [blocks.check().await, blocks.put(&random_block(9).unwrap()).await] {
            assert_eq!(kind(result), ErrorKind::BadCredentials, "{name}");
        }
        double.control.revoke(false);
        double.control.set_quota(1000);
        assert_eq!(
            kind(blocks.put(&random_block(1001).unwrap()).await),
            ErrorKind::Quota,
            "{name}"
        );
        double.control.set_quota(usize::MAX);
        double.control.set_largest(MAX_BLOCK - 1);
        let put = blocks.put(&random_block(MAX_BLOCK).unwrap()).await;
        // Kubo has no status for it, only words.
        let expected = match name {
            "infura" | "self-hosted" => ErrorKind::Rejected,
            _ => ErrorKind::TooLarge,
        };
        assert_eq!(kind(put), expected, "{name}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    for name in KINDS {
        let (double, config) = service(name, &Network::new()).await;
        let blocks = Provider::from_config(&config, &stubborn()).unwrap().blocks;
        let busy = Mood::Says(429, vec![("retry-after", "0".into())], String::new());
        double.control.be_next([busy.clone(), Mood::Down, busy]);
        blocks.put(&random_block(100).unwrap()).await.unwrap();
        assert_eq!(double.control.seen().len(), 4, "{name}");
    }
}

#[tokio::test]
async fn what_pinata_is_asked() {
    let (double, config) = service("pinata", &Network::new()).await;
    let blocks = Provider::from_config(&config, &http()).unwrap().blocks;
    let block = random_block(10).unwrap();
    let cid = block.cid();
    blocks.put(&block).await.unwrap();
    blocks.get(cid).await.unwrap();
    blocks.is_pinned(cid).await.unwrap();
    blocks.unpin(cid).await.unwrap();
    blocks.unpin(cid).await.unwrap();
    blocks.pin(cid).await.unwrap();
    assert_eq!(
        double.control.seen(),
        [
            "POST /pinning/pinFileToIPFS".to_owned(),
            format!("GET /ipfs/{cid}?format=raw"),
            format!("GET /data/pinList?status=pinned&cid={cid}&includeCount=false"),
            format!("DELETE /pinning/unpin/{cid}"),
            format!("DELETE /pinning/unpin/{cid}"),
            "POST /pinning/pinByHash".to_owned(),
        ]
    );
}

#[tokio::test]
async fn web3_storage_keeps_what_a_token_cannot_give_up() {
    let (_double, config) = service("web3storage", &Network::new()).await;
    let blocks = Provider::from_config(&config, &http()).unwrap().blocks;
    let block = random_block(10).unwrap();
    blocks.put(&block).await.unwrap();
    blocks.unpin(block.cid()).await.unwrap();
    assert!(!blocks.unpins() && blocks.is_pinned(block.cid()).await.unwrap());
    let elsewhere = random_block(10).unwrap();
    assert_eq!(kind(blocks.pin(elsewhere.cid()).await), ErrorKind::Rejected);
}

#[tokio::test]
async fn blocks_come_from_whoever_is_first() {
    let network = Network::new();
    let (own, config) = service("pinata", &Network::new()).await;
    let (one, two) =
        (gateway::start(&network).await.unwrap(), gateway::start(&network).await.unwrap());
    let json = serde_json::to_string(&config).unwrap();
    let with = format!(r#","gateways":["{}","{}"]}}"#, one.url, two.url);
    let config: ProviderConfig =
        serde_json::from_str(&(json.strip_suffix('}').unwrap().to_owned() + &with)).unwrap();
    let blocks = Provider::from_config(&config, &http()).unwrap().blocks;

    // The own provider has it: nobody else is asked.
    let mine = random_block(100).unwrap();
    blocks.put(&mine).await.unwrap();
    assert_eq!(blocks.get(mine.cid()).await.unwrap(), mine.bytes());
    assert!(one.control.seen().is_empty() && two.control.seen().is_empty());

    // It has not: the next one is asked at once.
    let (_other, config) = service("self-hosted", &network).await;
    let theirs = random_block(100).unwrap();
    Provider::from_config(&config, &http()).unwrap().blocks.put(&theirs).await.unwrap();
    assert_eq!(blocks.get(theirs.cid()).await.unwrap(), theirs.bytes());
    assert_eq!((one.control.seen().len(), two.control.seen().len()), (1, 0));

    // Wrong bytes, a page, a broken connection: the one after it.
    for mood in [
        Mood::Says(200, Vec::new(), "something else".into()),
        Mood::Says(451, Vec::new(), String::new()),
        Mood::Says(429, vec![("retry-after", "60".into())], String::new()),
        Mood::Down,
    ] {
        one.control.be_next([mood]);
        assert_eq!(blocks.get(theirs.cid()).await.unwrap(), theirs.bytes());
    }
    // One that does not answer gets company.
    one.control.delay(Duration::from_secs(3600));
    own.control.delay(Duration::from_secs(3600));
    assert_eq!(blocks.get(theirs.cid()).await.unwrap(), theirs.bytes());

    // Nobody has it: that is what the own provider says.
    one.control.delay(Duration::ZERO);
    own.control.delay(Duration::ZERO);
    one.control.be(Mood::Down);
    assert_eq!(kind(blocks.get(&Cid::of(b"nobody's")).await), ErrorKind::NotFound);
}
