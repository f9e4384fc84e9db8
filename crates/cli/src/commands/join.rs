//! `handfast join`: answers the code that another device shows, or an invite.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use handfast::JoinOptions;
use serde_json::json;

use crate::commands::invite::Profile;
use crate::commands::raw;
use crate::conversation::{self, Conversation, Manner};
use crate::home::Home;
use crate::network::Network;
use crate::prompt::{self, Input};
use crate::qr;
use crate::report::{CliError, Report};

/// Beyond what is read as a picture.
const MAX_IMAGE: u64 = 20_000_001;

/// What to answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without CODE, or with -, the code is read from standard input: other users of this machine can read \
the command line. --image takes a screenshot or a photo of the code.

Examples:
  handfast join --image photo.png
  handfast join
  handfast join HANDFAST:…
  handfast join yryj…                                  an invite: from anywhere, also later
  handfast join --resume
  handfast join --profile raw --user-data 5e1f…        by the invite of an app on blind-pairing")]
pub struct Args {
    /// The code or the invite, as text
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// A picture with the code in it, PNG or JPEG
    #[arg(long, value_name = "FILE", conflicts_with = "code")]
    image: Option<PathBuf>,
    /// Pair once more with a device that is paired already
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    manner: Manner,
    /// What to join: another device, or (raw) an app on JavaScript's blind-pairing, for which no
    /// device is needed here
    #[arg(long, value_name = "PROFILE", default_value = "device")]
    profile: Profile,
    #[command(flatten)]
    raw: raw::candidate::Args,
    #[command(flatten)]
    network: Network,
}

impl Args {
    /// Whether an app is joined, not a device.
    pub fn is_raw(&self) -> bool {
        self.profile == Profile::Raw
    }
}

/// Runs it for an app.
pub async fn run_raw(args: Args, report: &Report) -> Result<(), CliError> {
    if args.image.is_some() || args.again || args.manner.is_said() {
        return Err(CliError::usage(
            "--profile raw joins an app: there is no picture, nobody compares, and nothing is \
             resumed but what stands in --journal",
        ));
    }
    let code = match args.code {
        Some(code) if code != "-" => code,
        typed => type_code(typed.is_some(), &mut Input::default(), report).await?,
    };
    raw::candidate::run(&code, &args.raw, &args.network, report).await
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    if args.raw.is_said() {
        return Err(CliError::usage("--user-data, --journal and --wait are for --profile raw"));
    }
    let device = home.open()?;
    if args.manner.cancel {
        return conversation::cancel(&device, report).await;
    }
    let mut input = Input::default();
    let code = if args.manner.resume {
        None
    } else {
        let code = match (args.code, &args.image) {
            (_, Some(image)) => scan(image)?,
            (Some(code), _) if code != "-" => code,
            (typed, _) => type_code(typed.is_some(), &mut input, report).await?,
        };
        args.manner.warn(report);
        Some(code)
    };
    // An invite is answered over the network, a code over name routers.
    let by_invite = code.as_deref().map_or_else(|| device.is_pairing_by_invite(), is_invited)?;
    let online = match by_invite {
        true => Some(args.network.go_online(&device, report).await?),
        false => None,
    };
    let held = async {
        let pairing = match &code {
            None => conversation::resumed(&device).await?,
            Some(code) => {
                let options = JoinOptions {
                    literal: args.manner.is_literal(),
                    again: args.again,
                    consent: args.manner.consent(),
                };
                device.join(code, options).await?
            }
        };
        report.json(json!({ "type": "joining" }))?;
        let conversation = Conversation::new(pairing, &device, report, input)?;
        match by_invite {
            true => conversation.lasting("join").hold().await,
            false => conversation.hold().await,
        }
    };
    let held = held.await;
    if let Some(online) = online {
        online.close().await;
    }
    held
}

fn is_invited(code: &str) -> Result<bool, handfast::Error> {
    Ok(handfast::is_invite(code))
}

/// The code in a picture.
fn scan(path: &Path) -> Result<String, CliError> {
    let mut picture = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(MAX_IMAGE).read_to_end(&mut picture))
        .map_err(|error| CliError::unreadable(path, &error));
    read?;
    Ok(qr::decode_image(&picture)?)
}

/// The code as somebody types or pastes it, or as another program hands it over.
async fn type_code(asked: bool, input: &mut Input, report: &Report) -> Result<String, CliError> {
    if !asked && !prompt::is_terminal() {
        return Err(CliError::usage("there is no code to answer").hint(
            "Give the code, --image with a picture of it, or - to read it from standard input.",
        ));
    }
    report.ask("The code, or the invite, of the other device: ")?;
    input.line().await.ok_or_else(|| {
        CliError::unreadable(Path::new("-"), &io::Error::other("there is no code in it"))
    })
}
