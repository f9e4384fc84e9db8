//! `handfast provider set`: what each type needs, from where it is kept, or asked for.

use std::cell::Cell;
use std::env;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use handfast::{Device, ErrorKind, ProviderConfig, SecretText};
use serde_json::json;
use zeroize::Zeroizing;

use super::{described, to_json};
use crate::prompt;
use crate::report::{CliError, Report};

/// Which provider, and its credentials.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Secrets are never given on the command line, where other users of this machine could read them. They
are taken from files, else from environment variables, else asked for:

  self-hosted  --auth-token-file       HANDFAST_AUTH_TOKEN, user:password for a password
  pinata       --api-key-file          HANDFAST_PINATA_API_KEY, a JWT or an API key
               --secret-key-file       HANDFAST_PINATA_SECRET_KEY, only with an API key
  infura       --project-id            HANDFAST_INFURA_PROJECT_ID
               --project-secret-file   HANDFAST_INFURA_PROJECT_SECRET
  web3storage  --token-file            HANDFAST_WEB3STORAGE_TOKEN

A name router is the address of a delegated router; w3name+URL is one that speaks w3name, kubo+URL
a Kubo node, gateway+URL a gateway.

Examples:
  handfast provider set self-hosted --endpoint https://home.example
  handfast provider set self-hosted --endpoint http://127.0.0.1:4590 --auth-token-file token
  HANDFAST_AUTH_TOKEN=… handfast provider set self-hosted --endpoint http://127.0.0.1:5001
  handfast provider set pinata --api-key-file jwt
  handfast provider set infura --project-id 2Abc… --project-secret-file secret")]
pub struct Args {
    /// Which kind of provider; self-hosted is `handfast host` or a Kubo node
    #[arg(value_name = "TYPE")]
    kind: Kind,
    /// The provider's address; for a service, another one that speaks its language
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The file that the token stands in: its first line that is neither empty nor begins with #;
    /// - reads standard input. So it is with all these files
    #[arg(long, value_name = "FILE")]
    auth_token_file: Option<PathBuf>,
    /// Pinata: the file of the JWT, or of the API key
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Pinata: the file of the API key's secret
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Infura: the project's id
    #[arg(long, value_name = "ID")]
    project_id: Option<String>,
    /// Infura: the file of the project's secret
    #[arg(long, value_name = "FILE")]
    project_secret_file: Option<PathBuf>,
    /// web3.storage: the file of the token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A name router to use instead of the provider itself; can be given several times
    #[arg(long = "name-router", value_name = "URL")]
    name_routers: Vec<String>,
    /// A trustless gateway to read blocks from as well, instead of the public ones; can be given
    /// several times
    #[arg(long = "gateway", value_name = "URL")]
    gateways: Vec<String>,
    /// Don't check that the provider is there and accepts the credentials
    #[arg(long)]
    no_test: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
pub async fn run(args: Args, device: &Device, report: &Report) -> Result<(), CliError> {
    let no_test = args.no_test;
    let before = device.provider_config()?;
    let config = asked_for(args, device, report).await?;
    device.set_provider(&config)?;
    let state = if no_test { "It was not tested." } else { "It is there and accepts this device." };
    report.say(format_args!("The provider is {}.\n{state}", described(&config)))?;
    match before {
        Some(before) if device.is_paired()? && !before.is_same_account(&config) => report.hint(
            "The next `handfast sync` publishes from there what this device has written; \
             `handfast provider migrate` also takes along what it passes on of others.",
        ),
        _ => report.hint("`handfast provider test` tries out everything that devices need."),
    }
    report.json(json!({ "provider": to_json(&config), "tested": !no_test }))
}

/// The config that was asked for, tested unless it should not be.
pub async fn asked_for(
    args: Args,
    device: &Device,
    report: &Report,
) -> Result<ProviderConfig, CliError> {
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
    Ok(config)
}

/// What to do about a provider that does not work.
fn instead(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadCredentials => "Check the token; it may have been revoked.",
        ErrorKind::Sunset => "Choose another provider.",
        ErrorKind::Unreachable => {
            "Check the address and the network; --no-test sets it all the same."
        }
        _ => "--no-test sets it all the same.",
    }
}

fn config(args: Args, report: &Report) -> Result<ProviderConfig, CliError> {
    args.refuse_foreign()?;
    let at_home = args.endpoint.is_none();
    let ask = Asking { kind: args.kind, at_home, explained: Cell::new(false), report };
    ask.warn();
    let name_routers = Some(args.name_routers).filter(|routers| !routers.is_empty());
    let gateways = Some(args.gateways).filter(|gateways| !gateways.is_empty());
    let endpoint = args.endpoint;
    Ok(match args.kind {
        Kind::SelfHosted => ProviderConfig::SelfHosted {
            endpoint: endpoint.ok_or_else(|| {
                CliError::usage("a self-hosted provider has an address")
                    .hint("Add --endpoint https://HOST or --endpoint http://HOST:PORT.")
            })?,
            auth_token: ask.optional(
                args.auth_token_file.as_deref(),
                "HANDFAST_AUTH_TOKEN",
                "Token (nothing is shown; empty if it needs none): ",
            )?,
            name_routers,
            gateways,
        },
        Kind::Pinata => {
            let key = ask.required(
                args.api_key_file.as_deref(),
                "--api-key-file",
                "HANDFAST_PINATA_API_KEY",
                "JWT, or API key (nothing is shown): ",
            )?;
            // A JWT says by itself what an API key says with a secret.
            let is_jwt = key.expose().matches('.').count() == 2;
            let question = "API secret (nothing is shown; empty if that was a JWT): ";
            let variable = "HANDFAST_PINATA_SECRET_KEY";
            let secret_key = match (is_jwt, args.secret_key_file.as_deref()) {
                (true, None) => None,
                (_, file) => ask.optional(file, variable, question)?,
            };
            ProviderConfig::Pinata { api_key: key, secret_key, endpoint, name_routers, gateways }
        }
        Kind::Infura => ProviderConfig::Infura {
            project_id: ask.project_id(args.project_id)?,
            project_secret: ask.required(
                args.project_secret_file.as_deref(),
                "--project-secret-file",
                "HANDFAST_INFURA_PROJECT_SECRET",
                "API key secret of the project (nothing is shown): ",
            )?,
            endpoint,
            name_routers,
            gateways,
        },
        Kind::Web3Storage => ProviderConfig::Web3Storage {
            token: ask.required(
                args.token_file.as_deref(),
                "--token-file",
                "HANDFAST_WEB3STORAGE_TOKEN",
                "API token (nothing is shown): ",
            )?,
            endpoint,
            name_routers,
            gateways,
        },
    })
}

impl Args {
    /// Refuses the credentials of another type: whoever gave them expects them to be used.
    fn refuse_foreign(&self) -> Result<(), CliError> {
        let given = [
            (Kind::SelfHosted, "--auth-token-file", self.auth_token_file.is_some()),
            (Kind::Pinata, "--api-key-file", self.api_key_file.is_some()),
            (Kind::Pinata, "--secret-key-file", self.secret_key_file.is_some()),
            (Kind::Infura, "--project-id", self.project_id.is_some()),
            (Kind::Infura, "--project-secret-file", self.project_secret_file.is_some()),
            (Kind::Web3Storage, "--token-file", self.token_file.is_some()),
        ];
        match given.iter().find(|(kind, _, given)| *given && *kind != self.kind) {
            Some((_, flag, _)) => {
                Err(CliError::usage(format!("{flag} belongs to another type of provider")))
            }
            None => Ok(()),
        }
    }
}

/// How secrets are come by.
struct Asking<'a> {
    kind: Kind,
    /// Whether it is the service itself, not something that speaks its language.
    at_home: bool,
    /// Whether it was said where a person finds what is asked for.
    explained: Cell<bool>,
    report: &'a Report,
}

impl Asking<'_> {
    /// Says so where a service takes nobody new.
    fn warn(&self) {
        match self.kind {
            Kind::Infura if self.at_home => self.report.warn(
                "Infura gives out no new keys for IPFS: only projects that were active in late \
                 2024 still work",
            ),
            Kind::Web3Storage if self.at_home => self.report.warn(
                "web3.storage has taken no uploads since January 2024; this works only with \
                 --endpoint and another service that speaks its language",
            ),
            _ => {}
        }
    }

    /// Says, once, where a person finds what is asked for.
    fn explain(&self) -> Result<(), CliError> {
        if self.explained.replace(true) {
            return Ok(());
        }
        self.report.explain(match self.kind {
            Kind::SelfHosted => {
                "The token stands in the file that `handfast host` names when it starts; for a \
                 Kubo node it is a secret of API.Authorizations."
            }
            Kind::Pinata => {
                "In Pinata's web app: API Keys, New Key, with access to pinFileToIPFS, pinByHash, \
                 unpin, pinList and testAuthentication (or Admin). It then shows an API key, its \
                 secret and a JWT, once; the JWT alone is enough."
            }
            Kind::Infura => {
                "In Infura's web app: the settings of the IPFS project show the API key (its id) \
                 and the API key secret."
            }
            Kind::Web3Storage => "The API token that the account had at web3.storage.",
        })
    }

    fn is_possible(&self) -> bool {
        prompt::is_terminal() && !self.report.is_json()
    }

    fn optional(
        &self,
        file: Option<&Path>,
        variable: &str,
        question: &str,
    ) -> Result<Option<SecretText>, CliError> {
        if let Some(path) = file {
            return prompt::secret_in(path, "token", self.report).map(Some);
        }
        if let Ok(secret) = env::var(variable).map(Zeroizing::new) {
            return Ok(Some(SecretText::from(secret.trim())).filter(|it| !it.expose().is_empty()));
        }
        if self.is_possible() {
            self.explain()?;
            return prompt::secret(question);
        }
        Ok(None)
    }

    fn required(
        &self,
        file: Option<&Path>,
        flag: &str,
        variable: &str,
        question: &str,
    ) -> Result<SecretText, CliError> {
        self.optional(file, variable, question)?.ok_or_else(|| missing(flag, variable))
    }

    fn project_id(&self, given: Option<String>) -> Result<SecretText, CliError> {
        match given {
            Some(id) => Ok(SecretText::from(id)),
            None => self.required(
                None,
                "--project-id",
                "HANDFAST_INFURA_PROJECT_ID",
                "API key of the project (nothing is shown): ",
            ),
        }
    }
}

fn missing(flag: &str, variable: &str) -> CliError {
    CliError::usage(format!("this provider needs {flag}"))
        .hint(format!("Add {flag}, or set {variable}; in a terminal, it is asked for."))
}
