//! From what a person enters to clients.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    reason = "what fails here is a test that fails"
)]

mod script;

use handfast_providers::{ConfigError, Http, Provider, ProviderConfig};

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

#[test]
fn what_cannot_be_used_says_so() {
    for (json, service) in [
        (r#"{"type":"pinata","apiKey":"K"}"#, "Pinata"),
        (r#"{"type":"infura","projectId":"I","projectSecret":"S"}"#, "Infura"),
        (r#"{"type":"web3storage","token":"T"}"#, "web3.storage"),
    ] {
        let error = provider(json).unwrap_err();
        assert_eq!(error, ConfigError::NotSupported(service));
        assert!(error.to_string().contains("not supported by this version"), "{error}");
    }
    let address = provider(r#"{"type":"self-hosted","endpoint":"home.example"}"#);
    assert!(matches!(address, Err(ConfigError::Address(_))));
    let token =
        provider("{\"type\":\"self-hosted\",\"endpoint\":\"http://h\",\"authToken\":\"a\\nb\"}");
    assert_eq!(token.unwrap_err(), ConfigError::Credentials);
}
