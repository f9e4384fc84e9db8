//! Who takes part in the demo: a provider or a network, devices, and what they bring.

use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use handfast::{
    Device, DeviceName, DeviceOptions, Fields, Importing, KeyStore, Online, ProviderConfig,
    RecordId, SwarmOptions, Value,
};
use handfast_host::{Host, RunningHost};
use handfast_import::{Format, Source};
use handfast_swarm::testnet::Testnet;

const AIRPORTS: &[u8] = include_bytes!("../../../data/airports.csv");
const EARTHQUAKES: &[u8] = include_bytes!("../../../data/earthquakes.jsonl");

/// How many nodes the network has.
const NODES: usize = 10;

/// Some of the demo's data: these rows of each file, counting from zero.
pub struct Share {
    pub airports: Range<usize>,
    pub earthquakes: Range<usize>,
}

/// By which road the devices meet, and where they leave data for each other.
pub enum Stage {
    /// A self-hosted provider.
    Provider(RunningHost, ProviderConfig),
    /// No provider at all: a network on which they are online together.
    Network(Testnet, Vec<Online>),
}

impl Stage {
    /// With a provider of its own, on a free port of this machine.
    pub async fn with_provider(dir: &Path) -> Result<Stage> {
        let token = format!("{:032x}", rand::random::<u128>());
        let host = Host::builder(dir.join("host")).token(&token)?.start().await?;
        let config = ProviderConfig::SelfHosted {
            endpoint: host.url(),
            auth_token: Some(token.into()),
            name_routers: None,
            gateways: None,
        };
        Ok(Stage::Provider(host, config))
    }

    /// With a network of its own, on free ports of this machine.
    pub async fn with_network() -> Result<Stage> {
        Ok(Stage::Network(Testnet::new(NODES).await?, Vec::new()))
    }

    /// What there is.
    pub fn describe(&self) -> String {
        match self {
            Stage::Provider(host, _) => format!("A provider of our own runs at {}", host.url()),
            Stage::Network(..) => {
                format!("A network of our own, {NODES} nodes, and no provider at all")
            }
        }
    }

    /// Sets a device up. The first one has the provider, if there is one; the others are lent it.
    pub async fn device(&mut self, dir: &Path, name: &str, is_first: bool) -> Result<Device> {
        let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
        let device = Device::create(dir.join(name), DeviceName::new(name)?, options)?;
        match self {
            Stage::Provider(_, config) if is_first => device.set_provider(config)?,
            Stage::Provider(..) => (),
            Stage::Network(net, online) => {
                let options = SwarmOptions::new(net.bootstrap());
                let options = SwarmOptions { host: Ipv4Addr::LOCALHOST, ..options };
                online.push(device.go_online(options).await?);
            }
        }
        Ok(device)
    }

    /// Whether devices are paired by invite.
    pub fn is_network(&self) -> bool {
        matches!(self, Stage::Network(..))
    }

    /// Ends it.
    pub async fn close(self) {
        match self {
            Stage::Provider(host, _) => host.shutdown().await,
            Stage::Network(net, online) => {
                for online in online {
                    online.close().await;
                }
                net.close().await;
            }
        }
    }
}

/// Gives a device its share of the data, each record under its natural key. Returns how many
/// records it has then.
pub fn import(device: &Device, share: &Share) -> Result<u64> {
    add(device, "airports", "iata", rows(AIRPORTS, Format::Csv, &share.airports)?)?;
    add(device, "earthquakes", "id", rows(EARTHQUAKES, Format::JsonLines, &share.earthquakes)?)?;
    Ok(device.record_count()?)
}

/// These rows of a file.
fn rows(
    file: &'static [u8],
    format: Format,
    range: &Range<usize>,
) -> Result<impl Iterator<Item = Result<Fields>>> {
    let rows = handfast_import::rows(Source::new(file)?, format);
    Ok(rows.skip(range.start).take(range.len()).map(|row| Ok(row?.fields)))
}

fn add(
    device: &Device,
    collection: &str,
    key: &str,
    rows: impl Iterator<Item = Result<Fields>>,
) -> Result<()> {
    let records = device.records(collection)?;
    let rows = rows.map(|fields| {
        let fields = fields?;
        let id = records.id_of_key(fields.get(key).context("a record without its key")?)?;
        Ok::<_, Failed>((id, fields))
    });
    records
        .import(rows, |told| match told {
            Importing::Refused { error, .. } => Err(error.into()),
            _ => Ok(()),
        })
        .map_err(|Failed(error)| error)?;
    Ok(())
}

/// The airport with this code.
pub fn airport(device: &Device, code: &str) -> Result<RecordId> {
    Ok(device.records("airports")?.id_of_key(&Value::string(code)?)?)
}

/// The airports in these rows.
pub fn airports(device: &Device, range: Range<usize>) -> Result<Vec<RecordId>> {
    let airports = device.records("airports")?;
    let key = |fields: Fields| {
        let code = fields.get("iata").context("an airport without a code")?;
        Ok(airports.id_of_key(code)?)
    };
    rows(AIRPORTS, Format::Csv, &range)?.map(|fields| key(fields?)).collect()
}

/// An error on the way through the library's import.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed(error.into())
    }
}
