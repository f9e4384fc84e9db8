//! The world: homes on disk, and the devices that live in them, die, and are opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use handfast_host::{Host, Limits};
use handfast_ipfs::{Cid, Name, Record};
use handfast_providers::{Http, ProviderConfig};
use handfast_ring::DeviceName;
use tempfile::TempDir;
use tokio::sync::watch;

use super::net::{Line, Net};
use super::people::Seen;
use super::power::Power;
use crate::clock::Clock;
use crate::device::{Device, DeviceOptions};
use crate::error::{Error, Result};
use crate::key_store::KeyStore;
use crate::store::{cuts, logs, uploads};
use crate::sync::CHECK_OWN_NAME;

/// The one host that every world has.
pub const HOST: &str = "host";
/// A secret that must never be said.
pub const TOKEN: &str = "a-token-of-these-trials";
/// In virtual time: what takes longer than this hangs.
const FOR_EVER: Duration = Duration::from_secs(10 * 24 * 3_600);

/// What a record says: where it leads, and what it carries.
type Said = (String, Option<Vec<u8>>);

/// One acknowledged edit: collection, key, field, value.
pub type Edit = (String, String, String, String);

pub struct World {
    pub dir: TempDir,
    pub net: Arc<Net>,
    lives: Mutex<BTreeMap<String, Life>>,
    clocks: Mutex<BTreeMap<String, Clock>>,
    /// What was acknowledged.
    pub edits: Mutex<BTreeSet<Edit>>,
    /// Everything that people were shown.
    pub said: Mutex<Vec<String>>,
    /// What people see of the pairing that is going on.
    pub eyes: watch::Sender<Seen>,
    /// What rounds brought.
    reports: Mutex<Vec<String>>,
    /// How pairings failed.
    pub failures: Mutex<Vec<String>>,
}

struct Life {
    device: Device,
    power: Power,
}

/// What a story has left.
pub struct Past {
    dir: TempDir,
    names: Vec<String>,
    published: Vec<(String, Record)>,
    edits: BTreeSet<Edit>,
}

/// Runs a trial in one thread and virtual time.
pub fn trial<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let story = async { tokio::time::timeout(FOR_EVER, story).await.expect("it hangs") };
    runtime.block_on(story)
}

impl World {
    pub async fn new() -> World {
        let world = World::in_dir(scratch());
        world.place_host(HOST).await;
        world
    }

    fn in_dir(dir: TempDir) -> World {
        World {
            dir,
            net: Net::new(),
            lives: Mutex::default(),
            clocks: Mutex::default(),
            edits: Mutex::default(),
            said: Mutex::default(),
            eyes: watch::Sender::default(),
            reports: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// A world that goes on from what a story has left, all of its devices open. The devices do not
    /// notice that they were moved.
    pub async fn going_on(from: &Past) -> World {
        let world = World::in_dir(scratch());
        copy_dir(from.dir.path(), world.dir.path(), &["incarnation", "lock"]);
        world.place_host(HOST).await;
        world.net.remember(from.published.clone());
        *world.edits.lock().unwrap() = from.edits.clone();
        for name in &from.names {
            world.open(name, Power::lasting());
        }
        world
    }

    /// Ends all devices and keeps what they leave.
    pub async fn past(self) -> Past {
        let names: Vec<String> = self.lives.lock().unwrap().keys().cloned().collect();
        for name in &names {
            self.end(name).await;
        }
        let (published, edits) = (self.net.published(), self.edits.into_inner().unwrap());
        Past { dir: self.dir, names, published, edits }
    }

    /// Puts a host at an address; its data are in a folder of that name.
    pub async fn place_host(&self, at: &str) {
        let limits = Limits { publish_burst: u32::MAX, publish_rate: 1e9, ..Limits::default() };
        let host = Host::builder(self.home(at)).token(TOKEN).unwrap().limits(limits);
        self.net.place(at, host.open().await.unwrap());
    }

    pub fn config(&self, routers: Option<&[&str]>) -> ProviderConfig {
        ProviderConfig::SelfHosted {
            endpoint: format!("http://{HOST}"),
            auth_token: Some(TOKEN.into()),
            name_routers: routers.map(|all| all.iter().map(|at| format!("http://{at}")).collect()),
            gateways: None,
        }
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sets a device up.
    pub fn create(&self, name: &str) {
        let power = Power::lasting();
        let device_name = DeviceName::new(name).unwrap();
        let device = Device::create(self.home(name), device_name, self.options(name, &power));
        let device = device.unwrap();
        power.feed(&device);
        self.lives.lock().unwrap().insert(name.into(), Life { device, power });
    }

    /// Opens a device with this power; it must not be open.
    pub fn open(&self, name: &str, power: Power) -> Device {
        let device = Device::open_with(self.home(name), self.options(name, &power)).unwrap();
        power.feed(&device);
        let life = Life { device: device.clone(), power };
        let before = self.lives.lock().unwrap().insert(name.into(), life);
        assert!(before.is_none(), "{name} is open");
        device
    }

    fn options(&self, name: &str, power: &Power) -> DeviceOptions {
        static HTTP: OnceLock<Http> = OnceLock::new();
        let (net, power) = (self.net.clone(), power.clone());
        let line = Line { net, device: name.into(), power };
        let http = HTTP.get_or_init(|| Http::new().unwrap()).carried_by(Arc::new(line));
        let clock = self.clocks.lock().unwrap().get(name).copied();
        DeviceOptions { key_store: KeyStore::File, http: Some(http), clock }
    }

    /// Puts an older copy of a device's store in the place of its store: the same files as far as
    /// the system tells. The device must not be open.
    pub fn restore(&self, name: &str, copy: &Path) {
        for file in ["handfast.db", "handfast.db-wal"] {
            let (from, to) = (copy.join(file), self.home(name).join(file));
            match fs::read(&from) {
                Ok(bytes) => fs::write(&to, bytes).unwrap(),
                Err(_) => drop(fs::remove_file(&to)),
            }
        }
        let _ = fs::remove_file(self.home(name).join("handfast.db-shm"));
    }

    /// Gives a device a clock of its own from the next time on that it is opened.
    pub fn set_clock(&self, name: &str, clock: Clock) {
        self.clocks.lock().unwrap().insert(name.into(), clock);
    }

    /// The device, which is open.
    pub fn device(&self, name: &str) -> Device {
        self.lives.lock().unwrap()[name].device.clone()
    }

    /// What it did since it was opened.
    pub fn power(&self, name: &str) -> Power {
        self.lives.lock().unwrap()[name].power.clone()
    }

    /// Ends a device's life and waits until nothing of it is left but its home.
    pub async fn end(&self, name: &str) {
        let Life { device, power } = self.lives.lock().unwrap().remove(name).unwrap();
        power.cut();
        let rest = Arc::downgrade(&device.0);
        drop(device);
        for _ in 0..1_000 {
            if rest.strong_count() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("something of {name} lives on");
    }

    /// Opens a device anew.
    pub async fn restart(&self, name: &str, power: Power) -> Device {
        self.end(name).await;
        self.open(name, power)
    }

    /// Lets a device do something. If its power is cut meanwhile, it is opened again and begins
    /// anew.
    pub async fn alive<T>(&self, name: &str, mut work: impl AsyncFnMut(Device) -> Result<T>) -> T {
        loop {
            let power = self.power(name);
            let result = tokio::select! {
                biased;
                () = power.gone() => None,
                result = work(self.device(name)) => Some(result),
            };
            match result {
                Some(result) if !power.is_cut() => {
                    return result.unwrap_or_else(|error| panic!("{name}: {error}"));
                }
                _ => drop(self.restart(name, Power::lasting()).await),
            }
        }
    }

    /// Writes a field, as often as it takes until that is acknowledged.
    pub async fn write(&self, name: &str, edit: [&str; 4]) {
        let [collection, key, field, value] = edit;
        self.alive(name, async |device| {
            device.records(collection)?.put_key(key, [(field, value)])?;
            Ok(())
        })
        .await;
        let [collection, key, field, value] = edit.map(str::to_owned);
        let mut edits = self.edits.lock().unwrap();
        edits.retain(|(c, k, f, _)| (c, k, f) != (&collection, &key, &field));
        edits.insert((collection, key, field, value));
    }

    /// One round of each of these devices.
    pub async fn round(&self, names: &[&str]) -> bool {
        let mut news = false;
        for name in names {
            let report = self.alive(name, async |device| device.sync().await).await;
            self.said.lock().unwrap().extend(report.trouble.iter().cloned());
            let quiet = crate::SyncReport::default();
            if report != quiet {
                self.reports.lock().unwrap().push(format!("{name}: {report:?}"));
                news = true;
            }
        }
        news
    }

    /// Rounds of all these devices until nothing is left to be said.
    pub async fn settle(&self, names: &[&str]) {
        let mut quiet = 0;
        for _ in 0..40 {
            quiet = if self.round(names).await { 0 } else { quiet + 1 };
            // Their people come back later; once all is quiet, much later.
            tokio::time::sleep(match quiet {
                5 => return,
                // What a router has lost without a word is found out, and the attempt to put it
                // right may meet the same fate.
                2 | 3 => 2 * CHECK_OWN_NAME,
                _ => Duration::from_secs(60),
            })
            .await;
        }
        let reports = self.reports.lock().unwrap();
        panic!("they never settle: {:#?}", &reports[reports.len().saturating_sub(20)..]);
    }

    /// What must hold of devices that have settled, if no two of them had one home.
    pub fn check(&self, names: &[&str]) {
        self.check_sequences();
        self.check_uploads(names);
        assert!(names.iter().all(|name| self.forks(name) == 0), "a log has forked");
        self.check_same(names);
    }

    /// What must hold of devices that have settled.
    pub fn check_same(&self, names: &[&str]) {
        let first = self.device(names[0]).content_hash().unwrap();
        for name in names {
            let device = self.device(name);
            let status = device.status().unwrap();
            let same = device.content_hash().unwrap() == first;
            assert!(
                same,
                "{name} differs: {:#?}",
                names.iter().map(|name| self.logs(name)).collect::<Vec<_>>()
            );
            assert_eq!(device.check().unwrap().findings, [], "{name}");
            assert!(!status.pairing_pending, "{name}");
            assert_eq!(status.unpublished, 0, "{name}");
            let known: BTreeSet<_> =
                device.devices().unwrap().iter().map(|it| it.name.as_str().to_owned()).collect();
            // A copied home has the name of the original.
            let names = names.iter().map(|name| name.split('-').next().unwrap().to_owned());
            assert_eq!(known, names.collect(), "{name}");
            self.check_edits(&device, name);
        }
        self.check_secrets();
    }

    /// Nothing that was acknowledged is missing: the value stands, or stands in a conflict.
    fn check_edits(&self, device: &Device, name: &str) {
        let conflicts = device.conflicts().unwrap();
        for (collection, key, field, value) in &*self.edits.lock().unwrap() {
            let records = device.records(collection).unwrap();
            let wanted = crate::Value::string(value).unwrap();
            let id = records.id_of_key(&crate::Value::string(key).unwrap()).unwrap();
            let record = records.get(&id).unwrap();
            let stands = record.is_some_and(|record| {
                record.fields.iter().any(|(n, v)| n.as_str() == field && *v == wanted)
            });
            let disputed = conflicts.iter().any(|conflict| {
                conflict.record.id == id
                    && conflict.fields.iter().any(|it| {
                        it.field == *field && it.values.iter().any(|it| it.value == wanted)
                    })
            });
            assert!(stands || disputed, "{name} lost {collection}/{key}.{field} = {value}");
        }
    }

    /// No name ever says two different things under one sequence: no sequence was used again, no
    /// line was rewritten, no scan made a second S.
    fn check_sequences(&self) {
        let mut said: BTreeMap<(Name, u64), Said> = BTreeMap::new();
        let mut lines: BTreeMap<Name, BTreeSet<(String, Vec<u8>)>> = BTreeMap::new();
        for (device, record) in self.net.published() {
            let carried = record.extra("_handfast").map(<[u8]>::to_vec);
            let what = (record.value().to_owned(), carried.clone());
            let before = said.entry((*record.name(), record.sequence())).or_insert(what.clone());
            let sequence = record.sequence();
            assert_eq!(*before, what, "{device} used sequence {sequence} of a name twice");
            if let Some(carried) = carried {
                lines.entry(*record.name()).or_default().insert((device, carried));
            }
        }
        // What stands at a temp name is not a line but one S; a line is a CBOR list.
        for said in lines.values() {
            let responses = said.iter().filter(|(_, bytes)| bytes[0] & 0xe0 != 0x80).count();
            assert!(responses <= 1, "a scan made {responses} S");
        }
    }

    /// Every block at the host is one that a device remembers, and will give up in its time.
    fn check_uploads(&self, names: &[&str]) {
        let mut known = BTreeSet::new();
        for name in names {
            let device = self.device(name);
            known.extend(device.0.store.read(uploads::all).unwrap());
        }
        let mut unknown = Vec::new();
        for shard in fs::read_dir(self.home(HOST).join("blocks")).unwrap() {
            for block in fs::read_dir(shard.unwrap().path()).unwrap() {
                let name = block.unwrap().file_name().into_string().unwrap();
                let cid = Cid::parse(&name).unwrap();
                unknown.extend((!known.contains(&cid)).then_some(cid));
            }
        }
        assert_eq!(unknown, Vec::new(), "blocks that nobody will ever give up");
    }

    /// No secret was ever shown.
    fn check_secrets(&self) {
        for said in &*self.said.lock().unwrap() {
            assert!(!said.contains(TOKEN) && !said.contains("HANDFAST:"), "{said}");
            assert!(said.len() < 1_000, "{said}");
        }
    }

    /// The logs that a device has, for people who look for a fault.
    fn logs(&self, name: &str) -> Vec<String> {
        let device = self.device(name);
        let logs = device.0.store.read(logs::all).unwrap();
        let line = |log: &logs::Log| {
            let cuts = device.0.store.read(|tx| cuts::of_log(tx, log.id)).unwrap();
            format!(
                "{name}: {} {} of {}, own {}, end {}, tip {:?}, cut {:?}, fork {}",
                log.log.namespace.as_str(),
                log.log.writer,
                device.0.name_of(&log.device).unwrap().unwrap(),
                log.secret.is_some(),
                log.end.id,
                log.tip.as_ref().map(|tip| tip.position.id),
                cuts.iter().map(|cut| cut.last).collect::<Vec<_>>(),
                log.fork.is_some(),
            )
        };
        logs.iter().map(line).collect()
    }

    /// How many logs of any device have forked.
    pub fn forks(&self, name: &str) -> usize {
        let device = self.device(name);
        let logs = device.0.store.read(logs::all).unwrap();
        logs.iter().filter(|log| log.fork.is_some()).count()
    }

    pub fn say(&self, words: impl Into<String>) {
        self.said.lock().unwrap().push(words.into());
    }

    pub fn fail(&self, error: &Error) {
        self.failures.lock().unwrap().push(error.to_string());
    }
}

/// A folder that is gone after the trial; in memory where that is possible, for the thousands of
/// commits that must be durable.
pub fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}

/// Copies a folder, but for what tells a copy from the original.
pub fn copy_dir(from: &Path, to: &Path, leave_out: &[&str]) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if leave_out.iter().any(|left_out| name == *left_out) {
            continue;
        }
        let to = to.join(&name);
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to, leave_out);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
