//! `handfast devices`: the devices that belong together.

use handfast::DeviceInfo;
use serde_json::{Value, json};

use crate::home::Home;
use crate::report::wording::{ago, count, emojis, emojis_json, hex, moment};
use crate::report::{CliError, Report};

/// Nothing to choose.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The emojis are for recognising a device, not for trusting it: that is what pairing is for.

Examples:
  handfast devices
  handfast devices --json")]
pub struct Args {}

/// Runs it.
pub fn run(Args {}: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    let devices = device.devices()?;
    let ink = report.ink();
    for device in &devices {
        let name = ink.bold(&device.name);
        let mut facts = Vec::new();
        if device.is_self {
            facts.push("this device".to_owned());
        }
        if let Some(admitter) = &device.admitted_by {
            facts.push(format!("admitted by {admitter}"));
        }
        if let Some(seen) = device.last_seen {
            facts.push(format!("last news {}", ago(seen)));
        } else if !device.is_self {
            facts.push("no news yet".to_owned());
        }
        let facts = ink.dim(facts.join(", "));
        report.say(format_args!("{name}  {facts}"))?;
        report.say(format_args!("  {}", emojis(&device.fingerprint)))?;
        report.say(format_args!("  {}", ink.dim(format_args!("id {}", device.id))))?;
    }
    if devices.len() == 1 {
        report.say("")?;
        report.hint("It knows no other device yet: `handfast pair` introduces it to one.");
    } else {
        report.say(format_args!("\n{}", count(devices.len() as u64, "device")))?;
    }
    report.json(json!({ "devices": devices.iter().map(to_json).collect::<Vec<_>>() }))
}

fn to_json(device: &DeviceInfo) -> Value {
    json!({
        "id": device.id.to_string(),
        "name": device.name.as_str(),
        "is_self": device.is_self,
        "ipns_public_key": hex(&device.ipns_public_key),
        "auth_public_key": hex(&device.auth_public_key),
        "fingerprint": emojis_json(&device.fingerprint),
        "admitted_by": device.admitted_by.as_ref().map(|name| name.as_str()),
        "last_seen": device.last_seen.map(moment),
    })
}
