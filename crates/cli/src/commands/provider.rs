//! `handfast provider`: where devices leave data for each other.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Subcommand, ValueEnum};
use handfast::{Device, ErrorKind, ProviderConfig, SecretText};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::home::Home;
use crate::prompt;
use crate::report::wording::{line, safe};
use crate::report::{CliError, Report};

/// The longest file with a token.
const MAX_TOKEN_FILE: u64 = 64 * 1024;

/// What about the provider.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  handfast provider set self-hosted --endpoint https://home.example
  handfast provider show
  handfast provider test")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Use a provider from now on
    Set(SetArgs),
    /// Show the provider, without its secrets
    Show,
    /// Check that the provider is there and accepts the credentials
    Test,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The token is never given on the command line, where other users of this machine could read it. It
is taken from --auth-token-file, else from the environment variable HANDFAST_AUTH_TOKEN, else asked
for. For a service that wants a password, the token is user:password.

Examples:
  handfast provider set self-hosted --endpoint https://home.example
  handfast provider set self-hosted --endpoint http://127.0.0.1:4590 --auth-token-file token
  HANDFAST_AUTH_TOKEN=… handfast provider set self-hosted --endpoint http://127.0.0.1:5001")]
struct SetArgs {
    /// Which kind of provider; self-hosted is `handfast host` or a Kubo node
    #[arg(value_name = "TYPE")]
    kind: Kind,
    /// The provider's address
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The file that the token stands in: its first line that is neither empty nor begins with #;
    /// - reads standard input
    #[arg(long, value_name = "FILE")]
    auth_token_file: Option<PathBuf>,
    /// A name router to use instead of the provider itself; can be given several times
    #[arg(long = "name-router", value_name = "URL")]
    name_routers: Vec<String>,
    /// Don't check that the provider is there and accepts the credentials
    #[arg(long)]
    no_test: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    #[value(name = "self-hosted")]
    SelfHosted,
    Pinata,
    Infura,
    #[value(name = "web3storage")]
    Web3Storage,
}

const UNCHANGED: &str = "Nothing was changed.";

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    match args.command {
        Command::Set(args) => set(args, &device, report).await,
        Command::Show => show(&device, report),
        Command::Test => {
            let config = device.provider_config()?.ok_or(handfast::Error::NoProvider)?;
            test(&device, &config, report).await
        }
    }
}

async fn set(args: SetArgs, device: &Device, report: &Report) -> Result<(), CliError> {
    let no_test = args.no_test;
    let config = config(args, report)?;
    if !no_test {
        let tested = device.test_provider(&config).await;
        tested.map_err(|error| match error {
            handfast::Error::Provider(error) => {
                CliError::from(&error).hint(format!("{UNCHANGED} {}", instead(error.kind())))
            }
            error => error.into(),
        })?;
    }
    device.set_provider(&config)?;
    let state = if no_test { "It was not tested." } else { "It is there and accepts this device." };
    report.say(format_args!("The provider is {}.\n{state}", described(&config)))?;
    report.json(json!({ "provider": to_json(&config), "tested": !no_test }))
}

/// What to do about a provider that does not work.
fn instead(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadCredentials => "Check the token; it may have been revoked.",
        ErrorKind::Unreachable => {
            "Check the address and the network; --no-test sets it all the same."
        }
        _ => "--no-test sets it all the same.",
    }
}

fn config(args: SetArgs, report: &Report) -> Result<ProviderConfig, CliError> {
    let name_routers = Some(args.name_routers).filter(|routers| !routers.is_empty());
    let endpoint = args.endpoint;
    // This version has no clients of the other services and says so before it needs a secret.
    let none = || SecretText::from("");
    Ok(match args.kind {
        Kind::SelfHosted => ProviderConfig::SelfHosted {
            endpoint: endpoint.ok_or_else(|| {
                CliError::usage("a self-hosted provider has an address")
                    .hint("Add --endpoint https://HOST or --endpoint http://HOST:PORT.")
            })?,
            auth_token: token(args.auth_token_file.as_deref(), report)?,
            name_routers,
        },
        Kind::Pinata => {
            ProviderConfig::Pinata { api_key: none(), secret_key: None, endpoint, name_routers }
        }
        Kind::Infura => ProviderConfig::Infura {
            project_id: none(),
            project_secret: none(),
            endpoint,
            name_routers,
        },
        Kind::Web3Storage => ProviderConfig::Web3Storage { token: none(), endpoint, name_routers },
    })
}

/// The token, from where it is kept.
fn token(file: Option<&Path>, report: &Report) -> Result<Option<SecretText>, CliError> {
    if let Some(path) = file {
        return token_in(path, report).map(Some);
    }
    if let Ok(token) = env::var("HANDFAST_AUTH_TOKEN").map(Zeroizing::new) {
        return Ok(Some(SecretText::from(token.trim())).filter(|it| !it.expose().is_empty()));
    }
    if prompt::is_terminal() && !report.is_json() {
        return prompt::secret("Token (nothing is shown; empty if it needs none): ");
    }
    Ok(None)
}

fn token_in(path: &Path, report: &Report) -> Result<SecretText, CliError> {
    let unreadable = |error: io::Error| CliError::unreadable(path, &error);
    let mut text = Zeroizing::new(String::new());
    if path == Path::new("-") {
        io::stdin().take(MAX_TOKEN_FILE).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        let mode = fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            report.warn(&format!("{} can be read by other users: chmod 600", path.display()));
        }
        file.take(MAX_TOKEN_FILE).read_to_string(&mut text).map_err(unreadable)?;
    }
    let token = text.lines().map(str::trim).find(|it| !it.is_empty() && !it.starts_with('#'));
    token
        .map(SecretText::from)
        .ok_or_else(|| CliError::unreadable(path, &io::Error::other("there is no token in it")))
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
    report.json(json!({ "provider": to_json(&config) }))
}

async fn test(device: &Device, config: &ProviderConfig, report: &Report) -> Result<(), CliError> {
    let start = Instant::now();
    device.test_provider(config).await?;
    let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let fine = report.ink().green("is there and accepts this device");
    report.say(format_args!("The {} {fine} ({millis} ms).", described(config)))?;
    report.json(json!({ "provider": to_json(config), "ok": true, "milliseconds": millis }))
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
    })
}
