//! From what a person enters to clients.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod script;

use handfast_providers::{ConfigError, DEFAULT_GATEWAYS, Http, Provider, ProviderConfig, Reach};

fn provider(json: &str) -> Result<Provider, ConfigError> {
    let config: ProviderConfig = serde_json::from_str(json).unwrap();
    Provider::from_config(&config, &Http::new().unwrap())
}

#[test]
fn self_hosted() {
    let provider = provider(r#"{"type":"self-hosted","endpoint":"https://home.example/api/v0"}"#);
    assert_eq!(
        format!("{:?}", provider.unwrap()),
        "Provider { blocks: \"self-hosted provider at https://home.example\", \
         names: [\"self-hosted provider at https://home.example\"] }"
    );
}

#[test]
fn name_routers_replace_the_endpoint() {
    let provider = provider(
        r#"{"type":"self-hosted","endpoint":"http://10.0.0.7:5001",
            "nameRouters":["https://one.example/","https://two.example/routing/v1"]}"#,
    );
    let names: Vec<_> = provider.unwrap().names.iter().map(|name| name.describe()).collect();
    assert_eq!(names, ["name router at https://one.example", "name router at https://two.example"]);
}

/// Nobody else is asked where the endpoint is another one than the service's own.
#[test]
fn public_services_go_with_public_providers() {
    let names = |json| {
        let provider = provider(json).unwrap();
        let names: Vec<_> = provider.names.iter().map(|name| name.describe()).collect();
        (provider.blocks.describe(), names)
    };
    let public = "name router at https://delegated-ipfs.dev".to_owned();
    let (blocks, routers) = names(r#"{"type":"pinata","apiKey":"K"}"#);
    assert_eq!(
        (blocks.as_str(), routers),
        ("Pinata at https://api.pinata.cloud", vec![public.clone()])
    );
    let (blocks, routers) = names(r#"{"type":"infura","projectId":"I","projectSecret":"S"}"#);
    assert_eq!(
        (blocks.as_str(), routers),
        ("Infura at https://ipfs.infura.io:5001", vec![public.clone()])
    );
    let (blocks, routers) = names(r#"{"type":"web3storage","token":"T"}"#);
    assert_eq!(blocks, "web3.storage at https://api.web3.storage");
    assert_eq!(routers, ["w3name at https://name.web3.storage".to_owned(), public]);

    let reach = |json: &str| Reach::of(&serde_json::from_str::<ProviderConfig>(json).unwrap());
    let pinata = reach(r#"{"type":"pinata","apiKey":"hush"}"#);
    assert_eq!(pinata.gateways[0], "https://gateway.pinata.cloud");
    assert_eq!(pinata.gateways[1..], *DEFAULT_GATEWAYS);
    let home = reach(r#"{"type":"self-hosted","endpoint":"https://h","authToken":"hush"}"#);
    assert_eq!((home.routers, home.gateways), (vec!["https://h".into()], vec!["https://h".into()]));
}

#[test]
fn what_other_devices_use_is_added_once() {
    let config: ProviderConfig =
        serde_json::from_str(r#"{"type":"self-hosted","endpoint":"https://h"}"#).unwrap();
    let other = Reach {
        routers: vec!["https://h".into(), "https://r".into(), "no address".into()],
        gateways: vec!["https://h".into(), "https://g".into()],
    };
    let http = Http::new().unwrap();
    let provider = Provider::reaching(&config, &[other.clone(), other], &http).unwrap();
    let names: Vec<_> = provider.names.iter().map(|name| name.describe()).collect();
    assert_eq!(names, ["self-hosted provider at https://h", "name router at https://r"]);
}

#[test]
fn a_reach_is_bounded() {
    let many: Vec<String> = (0..100).map(|n| format!("https://{n}")).collect();
    let reach = Reach { routers: many, gateways: vec!["x".repeat(300), "a".into(), "a".into()] };
    let reach = reach.bounded();
    assert_eq!((reach.routers.len(), reach.gateways), (8, vec!["a".to_owned()]));
}

#[test]
fn what_cannot_be_used_says_so() {
    let address = provider(r#"{"type":"self-hosted","endpoint":"home.example"}"#);
    assert!(matches!(address, Err(ConfigError::Address(_))));
    let token =
        provider("{\"type\":\"self-hosted\",\"endpoint\":\"http://h\",\"authToken\":\"a\\nb\"}");
    assert_eq!(token.unwrap_err(), ConfigError::Credentials);
}
