//! Who takes part in the demo: a host, devices, and what they bring.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use handfast::{
    Device, DeviceName, DeviceOptions, Fields, Importing, KeyStore, ProviderConfig, RecordId, Value,
};
use handfast_host::{Host, RunningHost};
use handfast_import::{Format, Source};

const AIRPORTS: &[u8] = include_bytes!("../../../data/airports.csv");
const EARTHQUAKES: &[u8] = include_bytes!("../../../data/earthquakes.jsonl");

/// Some of the demo's data: these rows of each file, counting from zero.
pub struct Share {
    pub airports: Range<usize>,
    pub earthquakes: Range<usize>,
}

/// Starts the self-hosted provider on a free port of this machine.
pub async fn host(dir: &Path) -> Result<(RunningHost, ProviderConfig)> {
    let token = format!("{:032x}", rand::random::<u128>());
    let host = Host::builder(dir.join("host")).token(&token)?.start().await?;
    let config = ProviderConfig::SelfHosted {
        endpoint: host.url(),
        auth_token: Some(token.into()),
        name_routers: None,
        gateways: None,
    };
    Ok((host, config))
}

/// Sets a device up.
pub fn device(dir: &Path, name: &str, provider: Option<&ProviderConfig>) -> Result<Device> {
    let options = DeviceOptions { key_store: KeyStore::File, ..DeviceOptions::default() };
    let device = Device::create(dir.join(name), DeviceName::new(name)?, options)?;
    if let Some(provider) = provider {
        device.set_provider(provider)?;
    }
    Ok(device)
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
