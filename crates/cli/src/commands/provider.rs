//! `handfast provider`: where devices leave data for each other.

mod set;
mod test;

use clap::Subcommand;
use handfast::{Device, ProviderConfig};
use serde_json::{Value, json};

use crate::home::Home;
use crate::report::wording::{count, line, safe};
use crate::report::{CliError, Report};

/// What about the provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast provider set self-hosted --endpoint https://home.example
  handfast provider set pinata
  handfast provider show
  handfast provider test
  handfast provider migrate pinata")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Use a provider from now on
    Set(set::Args),
    /// Move to another provider: upload there what is still needed, then publish from there
    Migrate(set::Args),
    /// Show the provider, without its secrets
    Show,
    /// Try out everything that devices need of the provider, and say how long it takes
    Test,
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    match args.command {
        Command::Set(args) => set::run(args, &device, report).await,
        Command::Migrate(args) => migrate(args, &device, report).await,
        Command::Show => show(&device, report),
        Command::Test => {
            let config = device.provider_config()?.ok_or(handfast::Error::NoProvider)?;
            test::run(&device, &config, report).await
        }
    }
}

async fn migrate(args: set::Args, device: &Device, report: &Report) -> Result<(), CliError> {
    let config = set::asked_for(args, device, report).await?;
    let migrated = device.migrate_provider(&config).await?;
    report.say(format_args!("The provider is {} now.", described(&config)))?;
    if migrated.sequence > 0 {
        report.say(format_args!(
            "Everything that this device has written is there, and {} of other devices.",
            count(migrated.copied, "block"),
        ))?;
    }
    if migrated.left > 0 {
        report.warn(&format!(
            "{} of other devices could not be copied; these devices still have them",
            count(migrated.left, "block"),
        ));
    }
    report.hint("Close the old account only when every device has synced once more.");
    report.json(json!({
        "provider": to_json(&config),
        "copied": migrated.copied,
        "left": migrated.left,
        "published": Some(migrated.sequence).filter(|sequence| *sequence > 0),
    }))
}

fn show(device: &Device, report: &Report) -> Result<(), CliError> {
    let Some(config) = device.provider_config()? else {
        report.say("No provider is set.")?;
        report.hint("Set one with `handfast provider set`, or pair with a device that has one.");
        return report.json(json!({ "provider": null }));
    };
    report.say(described(&config))?;
    report.say(if has_token(&config) { "  with a token" } else { "  without a token" })?;
    for router in config.name_routers().unwrap_or_default() {
        report.say(format_args!("  names at {}", line(router)))?;
    }
    for gateway in config.gateways().unwrap_or_default() {
        report.say(format_args!("  blocks also from {}", line(gateway)))?;
    }
    report.json(json!({ "provider": to_json(&config) }))
}

fn described(config: &ProviderConfig) -> String {
    match config.endpoint() {
        Some(endpoint) => format!("{} at {}", config.service_name(), safe(endpoint)),
        None => config.service_name().to_owned(),
    }
}

fn has_token(config: &ProviderConfig) -> bool {
    !matches!(config, ProviderConfig::SelfHosted { auth_token: None, .. })
}

/// Without its secrets.
fn to_json(config: &ProviderConfig) -> Value {
    let kind = match config {
        ProviderConfig::Pinata { .. } => "pinata",
        ProviderConfig::Infura { .. } => "infura",
        ProviderConfig::Web3Storage { .. } => "web3storage",
        ProviderConfig::SelfHosted { .. } => "self-hosted",
    };
    json!({
        "type": kind,
        "endpoint": config.endpoint(),
        "has_auth_token": has_token(config),
        "name_routers": config.name_routers(),
        "gateways": config.gateways(),
    })
}
