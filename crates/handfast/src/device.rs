//! The device: what an app embeds.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future;
use handfast_ipfs::Name;
use handfast_keys::{Fingerprint, Timestamp};
use handfast_ledger::Namespace;
use handfast_providers::{BlockStore, Http, Provider, ProviderConfig, Reach, Totals};
use handfast_ring::{
    DeviceId, DeviceKeys, DeviceName, DeviceRing, FeedKeys, Identity, Incarnation,
};
use handfast_swarm::SwarmOptions;
use rand::Rng;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::events::{Bus, Event, Events};
use crate::home::Home;
use crate::key_store::{self, KeyStore};
use crate::live::{Live, Online};
use crate::store::{Store, forks, meta, peers, reach, records};
use crate::sync::{self, Migrated, SyncReport, Watch};

/// One of a person's devices: its keys, its records, and the other devices that it knows.
///
/// Clones are the same device. Several processes may open the same one; only one at a time pairs
/// or syncs.
#[derive(Clone)]
pub struct Device(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub home: Home,
    pub store: Arc<Store>,
    pub keys: DeviceKeys,
    pub http: Http,
    pub clock: Clock,
    pub bus: Bus,
    /// Rung at every local edit.
    pub edited: Notify,
    /// What of the edits of other processes this one has heard.
    pub elsewhere: sync::Elsewhere,
    /// Which blocks are due to be given up.
    pub giving_up: sync::GivingUp,
    pub live: Live,
    /// Held while a feed is taken in.
    pub taking_in: tokio::sync::Mutex<()>,
    provider: Mutex<Option<Clients>>,
    /// When the own name was looked up last, in this process.
    own_name_checked: Mutex<Option<Instant>>,
}

/// The clients of a provider, and what they were made from.
struct Clients {
    config: ProviderConfig,
    others: Vec<Reach>,
    provider: Provider,
}

/// How a device is opened.
#[derive(Default, Clone)]
pub struct DeviceOptions {
    /// Where its keys go when it is created.
    pub key_store: KeyStore,
    /// The HTTP client to use; several devices may share one.
    pub http: Option<Http>,
    /// The clock to use.
    pub clock: Option<Clock>,
}

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its id.
    pub id: DeviceId,
    /// What it calls itself.
    pub name: DeviceName,
    /// Its IPNS key.
    pub ipns_public_key: [u8; 32],
    /// Its auth key, 65 bytes of uncompressed SEC1.
    pub auth_public_key: [u8; 65],
    /// For recognising it.
    pub fingerprint: Fingerprint,
    /// Whether it is this one.
    pub is_self: bool,
    /// Who admitted it; `None` for this device itself.
    pub admitted_by: Option<DeviceName>,
    /// When it had news last.
    pub last_seen: Option<Timestamp>,
}

impl Device {
    /// Sets a new device up in a folder.
    pub fn create(
        home: impl AsRef<Path>,
        name: DeviceName,
        options: DeviceOptions,
    ) -> Result<Device> {
        let home = Home::create(home.as_ref())?;
        let mut rng = rand::rng();
        let keys = DeviceKeys::generate(&mut rng);
        key_store::store(&home, &keys, options.key_store)?;
        let mut incarnation = [0; 16];
        rng.fill_bytes(&mut incarnation);
        // With the store the device is there; until then the folder is free.
        let store = Store::create(&home.database(), |tx| {
            meta::DEVICE.set(tx, &keys.device_id())?;
            meta::NAME.set(tx, &name)?;
            meta::INCARNATION.set(tx, &Incarnation::from_bytes(incarnation))?;
            meta::FEED_KEYS.set(tx, &FeedKeys::generate(&mut rng))?;
            meta::RING.set(tx, &DeviceRing::default())
        })?;
        Self::assemble(home, store, keys, options)
    }

    /// Opens the device in a folder.
    pub fn open(home: impl AsRef<Path>) -> Result<Device> {
        Self::open_with(home, DeviceOptions::default())
    }

    /// Opens the device in a folder.
    pub fn open_with(home: impl AsRef<Path>, options: DeviceOptions) -> Result<Device> {
        let home = Home::open(home.as_ref())?;
        let store = Store::open(&home.database())?;
        let keys = key_store::load(&home, store.read(|tx| meta::DEVICE.get(tx))?)?;
        Self::assemble(home, store, keys, options)
    }

    fn assemble(
        home: Home,
        store: Store,
        keys: DeviceKeys,
        options: DeviceOptions,
    ) -> Result<Device> {
        let http = match options.http {
            Some(http) => http,
            None => Http::new().map_err(|error| Error::Http(error.to_string()))?,
        };
        let copied = home.was_copied()?;
        if copied {
            home.forget_invites()?;
            store.write(|tx| {
                meta::INVITE.clear(tx)?;
                forks::retire(tx, &keys)
            })?;
        }
        let store = Arc::new(store);
        let live = Live::new(&store, &keys);
        home.note_whereabouts()?;
        Ok(Device(Arc::new(Inner {
            home,
            store,
            live,
            keys,
            http,
            clock: options.clock.unwrap_or_else(Clock::start),
            bus: Bus::new(copied.then_some(Event::NewIncarnation)),
            edited: Notify::new(),
            elsewhere: sync::Elsewhere::default(),
            giving_up: sync::GivingUp::default(),
            taking_in: tokio::sync::Mutex::default(),
            provider: Mutex::new(None),
            own_name_checked: Mutex::new(None),
        })))
    }

    /// The folder that it lives in.
    pub fn home(&self) -> &Path {
        self.0.home.path()
    }

    /// Its id.
    pub fn id(&self) -> DeviceId {
        self.0.keys.device_id()
    }

    /// Its name.
    pub fn name(&self) -> Result<DeviceName> {
        self.0.store.read(|tx| meta::NAME.get(tx))
    }

    /// What happens on it from now on. The first who asks is also told what happened while it was
    /// opened: that the home is a copy.
    pub fn events(&self) -> Events {
        self.0.bus.subscribe()
    }

    /// The requests that it has made and the bytes that it has sent, to services and to the devices
    /// that were connected.
    pub fn traffic(&self) -> Totals {
        self.0.http.traffic().totals()
    }

    /// The provider that it uses. Secret.
    pub fn provider_config(&self) -> Result<Option<ProviderConfig>> {
        self.0.store.read(meta::provider)
    }

    /// Uses a provider from now on. Whether it works, [`test_provider`](Self::test_provider) tells.
    /// At another account than before, what this device has published is published anew by the next
    /// round; [`migrate_provider`](Self::migrate_provider) also takes along what it passes on of
    /// others.
    pub fn set_provider(&self, config: &ProviderConfig) -> Result<()> {
        Provider::from_config(config, &self.0.http)?;
        self.0.set_provider(config)
    }

    /// Moves to another provider: uploads there what this device's feed still refers to, then
    /// publishes the feed from there, and once more where the other devices still look. If it
    /// fails, it can be begun again.
    pub async fn migrate_provider(&self, config: &ProviderConfig) -> Result<Migrated> {
        let _lock = self.0.home.lock()?;
        if !self.is_paired()? {
            self.test_provider(config).await?;
            self.set_provider(config)?;
            return Ok(Migrated::default());
        }
        sync::migrate(&self.0, config).await
    }

    /// Checks that a provider is there and accepts the credentials, and that each of its name
    /// routers answers.
    pub async fn test_provider(&self, config: &ProviderConfig) -> Result<()> {
        let provider = Provider::from_config(config, &self.0.http)?;
        provider.blocks.check().await?;
        let name = Name::of(self.0.keys.ipns.public());
        let routers =
            provider.names.iter().map(|router| sync::check_router(router.as_ref(), &name));
        future::try_join_all(routers).await?;
        Ok(())
    }

    /// A collection of records; it comes into being with its first record.
    pub fn records(&self, collection: &str) -> Result<Collection> {
        Ok(Collection::new(self.0.clone(), Namespace::new(collection)?))
    }

    /// The devices that belong together, this one first.
    pub fn devices(&self) -> Result<Vec<DeviceInfo>> {
        let inner = &self.0;
        let own = inner.keys.device_id();
        inner.store.read(|tx| {
            let mut devices = vec![DeviceInfo {
                id: own,
                name: meta::NAME.get(tx)?,
                ipns_public_key: *inner.keys.ipns.public().as_bytes(),
                auth_public_key: inner.keys.auth.public().uncompressed(),
                fingerprint: inner.keys.fingerprint(),
                is_self: true,
                admitted_by: None,
                last_seen: None,
            }];
            let own_name = meta::NAME.get(tx)?;
            let ring = meta::RING.get(tx)?;
            let members = ring.members(&own);
            for (id, admission) in &members {
                let identity = admission.device();
                let admitter = admission.admitter();
                let admitted_by = if admitter == own {
                    Some(own_name.clone())
                } else {
                    members.get(&admitter).map(|admission| admission.device().name.clone())
                };
                devices.push(DeviceInfo {
                    id: *id,
                    name: identity.name.clone(),
                    ipns_public_key: *identity.ipns.as_bytes(),
                    auth_public_key: identity.auth.uncompressed(),
                    fingerprint: identity.fingerprint(),
                    is_self: false,
                    admitted_by,
                    last_seen: peers::get(tx, id)?.seen,
                });
            }
            Ok(devices)
        })
    }

    /// One round of synchronisation: takes in what other devices have published, and publishes
    /// what has changed here. Does nothing on a device that is not paired.
    pub async fn sync(&self) -> Result<SyncReport> {
        let _lock = self.0.home.lock()?;
        if !self.is_paired()? {
            return Ok(SyncReport::default());
        }
        let report = sync::full_round(&self.0).await?;
        self.0.giving_up.go_on(&self.0).await;
        Ok(report)
    }

    /// Keeps the device in step until the result is dropped.
    pub fn watch(&self) -> Result<Watch> {
        let lock = self.0.home.lock()?;
        Ok(Watch::start(self.0.clone(), lock))
    }

    /// Goes online, until the result is dropped: connects to the other devices wherever they are,
    /// whenever they are online too. With [`watch`](Self::watch), what is edited on one is on the
    /// other at once, and no provider is needed.
    ///
    /// `options` say which network; its keys are not used but the device's own.
    pub async fn go_online(&self, options: SwarmOptions) -> Result<Online> {
        Online::start(self.0.clone(), options).await
    }

    /// Whether it knows any other device.
    pub fn is_paired(&self) -> Result<bool> {
        Ok(!self.0.members()?.is_empty())
    }

    /// How many records it has in all.
    pub fn record_count(&self) -> Result<u64> {
        self.0.store.read(records::count_all)
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Device").field(&self.id()).finish()
    }
}

impl Inner {
    /// Where this device publishes: at the provider that is configured; without one it keeps what it
    /// publishes for the devices that connect.
    pub fn provider(&self) -> Result<Provider> {
        self.configured()?.or_else(|| self.live.own_provider()).ok_or(Error::NoProvider)
    }

    /// Where to look for what other devices have published: at the provider, and at the devices
    /// that are connected.
    pub fn roads(&self) -> Result<Provider> {
        Ok(self.live.beside(&self.provider()?))
    }

    /// Where the provider that is configured keeps blocks.
    pub fn provider_blocks(&self) -> Option<Arc<dyn BlockStore>> {
        self.configured().ok().flatten().map(|provider| provider.blocks)
    }

    /// The clients of the provider that is configured, if one is.
    fn configured(&self) -> Result<Option<Provider>> {
        let (config, others) = self.store.read(|tx| Ok((meta::provider(tx)?, reach::all(tx)?)))?;
        let Some(config) = config else { return Ok(None) };
        let others: Vec<Reach> = others.into_iter().map(|(_, reach)| reach).collect();
        let mut cached = self.provider.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cached {
            Some(clients) if clients.config == config && clients.others == others => {
                Ok(Some(clients.provider.clone()))
            }
            _ => {
                let provider = Provider::reaching(&config, &others, &self.http)?;
                *cached = Some(Clients { config, others, provider: provider.clone() });
                Ok(Some(provider))
            }
        }
    }

    pub fn set_provider(&self, config: &ProviderConfig) -> Result<()> {
        let now = self.clock.now();
        self.store.write(|tx| match meta::provider(tx)? {
            Some(before) if before.is_same_account(config) => meta::set_provider(tx, config),
            before => {
                meta::set_provider(tx, config)?;
                sync::leave_provider(tx, before.as_ref(), now)
            }
        })
    }

    /// The devices that this one trusts, itself aside.
    pub fn members(&self) -> Result<Vec<Identity>> {
        let own = self.keys.device_id();
        let ring = self.store.read(|tx| meta::RING.get(tx))?;
        Ok(ring.members(&own).values().map(|admission| admission.device().clone()).collect())
    }

    /// What a device that this one knows calls itself.
    pub fn name_of(&self, device: &DeviceId) -> Result<Option<DeviceName>> {
        if *device == self.keys.device_id() {
            return self.store.read(|tx| meta::NAME.find(tx));
        }
        let members = self.members()?;
        Ok(members.into_iter().find(|m| m.device_id() == *device).map(|m| m.name))
    }

    /// Whether the own name was looked up lately.
    pub fn own_name_checked(&self) -> bool {
        let checked = *self.own_name_checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.is_some_and(|checked| checked.elapsed() < sync::CHECK_OWN_NAME)
    }

    pub fn set_own_name_checked(&self, checked: bool) {
        *self.own_name_checked.lock().unwrap_or_else(PoisonError::into_inner) =
            checked.then(Instant::now);
    }
}
