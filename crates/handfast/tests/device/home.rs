//! A host and devices in folders of their own, all on loopback.

use std::path::Path;
use std::time::Duration;

use handfast::{
    Answer, Consent, Device, DeviceName, DeviceOptions, Fields, JoinOptions, KeyStore, PairOptions,
    Paired, Pairing, ProviderConfig, Question, Step, Value,
};
use handfast_host::{Host, RunningHost};
use tempfile::TempDir;

/// What a test must not take longer than; only ever reached when something hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A host, and a folder for devices.
pub struct World {
    host: Option<RunningHost>,
    pub dir: TempDir,
}

impl World {
    pub async fn new() -> World {
        let dir = TempDir::new().unwrap();
        let host = Host::builder(dir.path().join("host")).token("a-token-of-this-test").unwrap();
        World { host: Some(host.start().await.unwrap()), dir }
    }

    pub fn without_host() -> World {
        World { host: None, dir: TempDir::new().unwrap() }
    }

    pub fn host(&self) -> &RunningHost {
        self.host.as_ref().unwrap()
    }

    pub async fn stop_host(&mut self) {
        self.host.take().unwrap().shutdown().await;
    }

    pub fn config(&self) -> ProviderConfig {
        ProviderConfig::SelfHosted {
            endpoint: self.host().url(),
            auth_token: Some("a-token-of-this-test".into()),
            name_routers: None,
            gateways: None,
        }
    }

    /// A device without a provider.
    pub fn bare(&self, name: &str) -> Device {
        let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
        Device::create(self.dir.path().join(name), DeviceName::new(name).unwrap(), options).unwrap()
    }

    /// A device with a provider.
    pub fn device(&self, name: &str) -> Device {
        let device = self.bare(name);
        device.set_provider(&self.config()).unwrap();
        device
    }

    pub fn reopen(&self, name: &str) -> Device {
        open(&self.dir.path().join(name))
    }
}

pub fn open(home: &Path) -> Device {
    let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
    Device::open_with(home, options).unwrap()
}

pub fn fields(json: &str) -> Fields {
    Fields::parse(json).unwrap()
}

pub fn text(value: &str) -> Value {
    Value::string(value).unwrap()
}

/// Pairs two devices whose people look.
pub async fn pair(a: &Device, b: &Device) -> (Paired, Paired) {
    let (a, b) = begin(a, b, Consent::Typed, false).await;
    tokio::time::timeout(PATIENCE, compare(a, b)).await.unwrap()
}

pub async fn begin(a: &Device, b: &Device, consent: Consent, literal: bool) -> (Pairing, Pairing) {
    let pairing = a.pair(PairOptions { consent, literal, ..PairOptions::default() }).await.unwrap();
    let code = pairing.code().unwrap().to_owned();
    let options = JoinOptions { consent, literal, ..JoinOptions::default() };
    let joined = b.join(&code, options).await.unwrap();
    (pairing, joined)
}

/// Both people do what they are asked.
pub async fn compare(mut a: Pairing, mut b: Pairing) -> (Paired, Paired) {
    let (mut check_code, mut asked) = (None, false);
    while check_code.is_none() || !asked {
        tokio::select! {
            Some(step) = a.next() => asked |= matches!(step, Step::Ask(Question::TypeCheckCode(_))),
            Some(step) = b.next() => {
                if let Step::Ask(Question::TypeBackDigits(_, code)) = step {
                    check_code = Some(code);
                }
            }
        }
    }
    let check_code = check_code.unwrap();
    let words = check_code.emojis().emojis().map(|emoji| emoji.word).join(" ");
    a.answer(Answer::Typed(words));
    loop {
        if let Some(Step::Show(shown)) = a.next().await {
            assert_eq!(shown, check_code);
            b.answer(Answer::Typed(shown.back_digits()));
            break;
        }
    }
    tokio::try_join!(a.finished(), b.finished()).unwrap()
}
