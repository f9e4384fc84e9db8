//! `handfast init`: sets a device up.

use std::fs;

use handfast::DeviceName;
use serde_json::json;

use crate::home::Home;
use crate::report::wording::{emojis, emojis_json, hex};
use crate::report::{CliError, Report};

/// What to set up.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast init
  handfast init --name \"Ada's laptop\"
  handfast --home /srv/handfast init --name server")]
pub struct Args {
    /// What the device calls itself, for the people at the other devices [default: the name of
    /// this machine]
    #[arg(long)]
    name: Option<String>,
}

/// Runs it.
pub fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let name = match args.name {
        Some(name) => DeviceName::new(&name).map_err(handfast::Error::from)?,
        None => machine_name()?,
    };
    let device = home.create(name.clone())?;
    let in_file = home.path().join("device.key").exists();
    let devices = device.devices()?;
    let Some(own) = devices.first() else {
        return Err(handfast::Error::NoDevice(home.path().to_owned()).into());
    };
    let ink = report.ink();
    report.say(format_args!(
        "{} is set up in {}\n  {}\n  Its keys are {}.",
        ink.bold(&name),
        home.path().display(),
        emojis(&own.fingerprint),
        if in_file { "in a file there that only you can read" } else { "in this system's keyring" },
    ))?;
    report.hint("`handfast provider set` says where devices leave data for each other.");
    report.hint("`handfast pair` introduces it to another device.");
    report.json(json!({
        "id": own.id.to_string(),
        "name": name.as_str(),
        "home": home.path().display().to_string(),
        "keys": if in_file { "file" } else { "keyring" },
        "ipns_public_key": hex(&own.ipns_public_key),
        "auth_public_key": hex(&own.auth_public_key),
        "fingerprint": emojis_json(&own.fingerprint),
    }))
}

/// What this machine is called.
pub fn machine_name() -> Result<DeviceName, CliError> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let told = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    told.filter_map(|name| DeviceName::new(&name).ok()).next().ok_or_else(|| {
        CliError::usage("this machine does not say what it is called")
            .hint("Give it a name: --name NAME")
    })
}
