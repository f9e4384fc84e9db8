//! Who takes part in the demo: a host, devices, and what they bring.

use std::path::Path;

use anyhow::{Context, Result};
use handfast::{
    Device, DeviceName, DeviceOptions, FieldName, Fields, Importing, KeyStore, ProviderConfig,
    RecordId, Value,
};
use handfast_host::{Host, RunningHost};

const AIRPORTS: &[u8] = include_bytes!("../../../data/airports.csv");
const EARTHQUAKES: &[u8] = include_bytes!("../../../data/earthquakes.jsonl");

/// Some of the demo's data: these rows of each file, counting from zero.
pub struct Share {
    pub airports: std::ops::Range<usize>,
    pub earthquakes: std::ops::Range<usize>,
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
    let mut csv = csv::Reader::from_reader(AIRPORTS);
    let headers = csv.headers()?.clone();
    let airports = csv.records().skip(share.airports.start).take(share.airports.len()).map(|row| {
        let row = row?;
        let mut fields = Fields::new();
        for (name, cell) in headers.iter().zip(&row) {
            let value = cell.parse::<f64>().ok().and_then(|_| Value::parse(cell).ok());
            fields.insert(FieldName::new(name)?, value.map_or_else(|| Value::string(cell), Ok)?)?;
        }
        Ok(fields)
    });
    add(device, "airports", "iata", airports)?;
    let lines = EARTHQUAKES.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let earthquakes = lines
        .skip(share.earthquakes.start)
        .take(share.earthquakes.len())
        .map(|line| Ok(Fields::parse(std::str::from_utf8(line)?)?));
    add(device, "earthquakes", "id", earthquakes)?;
    Ok(device.record_count()?)
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
            Importing::Done(_) => Ok(()),
            Importing::Refused(error) => Err(error.into()),
        })
        .map_err(|Failed(error)| error)?;
    Ok(())
}

/// The airport with this code.
pub fn airport(device: &Device, code: &str) -> Result<RecordId> {
    Ok(device.records("airports")?.id_of_key(&Value::string(code)?)?)
}

/// The codes of the airports in these rows.
pub fn codes(rows: std::ops::Range<usize>) -> Result<Vec<String>> {
    let mut csv = csv::Reader::from_reader(AIRPORTS);
    let rows = csv.records().skip(rows.start).take(rows.len());
    rows.map(|row| Ok(row?.get(0).context("an airport without a code")?.to_owned())).collect()
}

/// An error on the way through the library's import.
struct Failed(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed(error.into())
    }
}
