//! `handfast join`: answers the code that another device shows, or an invite.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use handfast::JoinOptions;
use handfast_pairing_manager::Invite;
use serde_json::json;

use crate::commands::invite::Profile;
use crate::commands::{app, raw};
use crate::conversation::{self, Conversation, Manner};
use crate::home::Home;
use crate::network::Network;
use crate::prompt::{self, Input};
use crate::report::{CliError, Report};

/// Beyond what is read as a picture.
const MAX_IMAGE: u64 = 20_000_001;

/// What to answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without CODE, or with -, the code is read from standard input: other users of this machine can read \
the command line. --image takes a screenshot or a photo of the code.

With --profile app an app joins, with a writer for each structure of the app that made the invite.
All writers follow from one seed, which is drawn and printed, or stands in --seed-file; or the app
names them (--ask-writers). With --json it ends with {type: \"joined\", all_structure_keys, username,
writers, configs, primary_key, encryption_key, writer_seed}, in hex.

Examples:
  handfast join --image photo.png
  handfast join
  handfast join HANDFAST:…
  handfast join yryj…                                  an invite: from anywhere, also later
  handfast join --resume
  handfast join yrbx… --profile app --json             by the invite of an app, as an app
  handfast join - --profile app --ask-writers --journal join.journal --json
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
    /// What to join: another device, an app that shares its structures, or (raw) an app on
    /// JavaScript's blind-pairing. For apps no device is needed here
    #[arg(long, value_name = "PROFILE", default_value = "device")]
    profile: Profile,
    #[command(flatten)]
    app: app::candidate::Args,
    #[command(flatten)]
    raw: raw::candidate::Args,
    #[command(flatten)]
    answering: app::answering::Args,
    #[command(flatten)]
    network: Network,
}

impl Args {
    /// Whether an app is joined, not a device.
    pub fn is_for_apps(&self) -> bool {
        self.profile != Profile::Device
    }
}

/// Runs it for an app.
pub async fn run_app(args: Args, report: &Report) -> Result<(), CliError> {
    let Args { code, image, again, manner, profile, app, raw, answering, network } = args;
    let is_app = profile == Profile::App;
    if image.is_some() || again || manner.is_said() && !(is_app && manner.only_compares()) {
        return Err(CliError::usage(
            "--profile app and raw join an app: there is no picture, nobody compares but with \
             --compare (app), and nothing is resumed but what stands in --journal",
        ));
    }
    if is_app && raw.is_said() {
        return Err(CliError::usage("--user-data is for --profile raw"));
    }
    if !is_app && app.is_said() {
        return Err(CliError::usage("--seed-file, --ask-writers and --name are for --profile app"));
    }
    let mut input = Input::default();
    let code = match code {
        Some(code) if code != "-" => code,
        typed => type_code(typed.is_some(), &mut input, report).await?,
    };
    if is_app {
        let compare = manner.only_compares();
        return app::candidate::run(&code, &app, &answering, compare, input, &network, report)
            .await;
    }
    raw::candidate::run(&code, &raw, &answering, &network, report).await
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    if args.app.is_said() || args.raw.is_said() || args.answering.is_said() {
        return Err(CliError::usage(
            "--seed-file, --ask-writers, --name, --user-data, --journal and --wait are for --profile \
             app and --profile raw",
        ));
    }
    // (Who was sent an app's invite needs no device to be told so.)
    args.code.as_deref().map(is_invited).transpose()?;
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
    let by_invite = match &code {
        Some(code) => is_invited(code)?,
        None => device.is_pairing_by_invite()?,
    };
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

/// Whether a code is an invite, which must be a device's.
fn is_invited(code: &str) -> Result<bool, CliError> {
    match Invite::parse(code) {
        Ok(invite) => Ok(Profile::Device.check(&invite).map(|()| true)?),
        Err(_) => Ok(false),
    }
}

/// The code in a picture.
fn scan(path: &Path) -> Result<String, CliError> {
    let mut picture = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(MAX_IMAGE).read_to_end(&mut picture))
        .map_err(|error| CliError::unreadable(path, &error));
    read?;
    Ok(handfast_qr::decode_image(&picture)?)
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
