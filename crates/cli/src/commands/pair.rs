//! `handfast pair`: shows a code for another device to scan.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use handfast::{Device, PairOptions};
use handfast_qr::{QrError, Theme};
use serde_json::json;

use crate::conversation::{self, Conversation, Manner};
use crate::home::Home;
use crate::prompt::Input;
use crate::report::{CliError, Report};

const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// How to show it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The other device answers the code with `handfast join`. It then shows four emojis with their words, \
which you type here; this device shows two digits then, which are typed there. Nothing is handed \
over before that.

Examples:
  handfast pair
  handfast pair --png code.png --lifetime 1h
  handfast pair --compare
  handfast pair --resume")]
pub struct Args {
    #[command(flatten)]
    manner: Manner,
    /// How long the code lives, such as 90s, 10m or 2h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = lifetime)]
    lifetime: Duration,
    /// Put the provider and its credentials into the code, for everybody who sees it
    #[arg(long)]
    provider_in_code: bool,
    /// Write the code as a picture, too
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

/// Runs it.
pub async fn run(args: Args, home: &Home, report: &Report) -> Result<(), CliError> {
    let device = home.open()?;
    if args.manner.cancel {
        return conversation::cancel(&device, report).await;
    }
    let (pairing, lifetime) = if args.manner.resume {
        (conversation::resumed(&device).await?, None)
    } else {
        warn(&args, &device, report)?;
        let options = PairOptions {
            lifetime: args.lifetime,
            provider_in_code: args.provider_in_code,
            literal: args.manner.is_literal(),
            consent: args.manner.consent(),
        };
        (device.pair(options).await?, Some(args.lifetime))
    };
    if let Some(code) = pairing.code() {
        show(code, args.png.as_deref(), lifetime, report)?;
    }
    let conversation = Conversation::new(pairing, &device, report, Input::default())?;
    match lifetime {
        Some(lifetime) => conversation.expiring(lifetime).hold().await,
        None => conversation.hold().await,
    }
}

fn warn(args: &Args, device: &Device, report: &Report) -> Result<(), CliError> {
    args.manner.warn(report);
    let has_provider = device.provider_config()?.is_some();
    if args.provider_in_code && !has_provider {
        return Err(handfast::Error::NoProvider.into());
    }
    if args.provider_in_code {
        report.warn(
            "the code holds the provider's credentials (--provider-in-code): whoever sees it can \
             use up and empty what is stored there",
        );
    }
    if !has_provider {
        report
            .warn("this device has no provider: pairing succeeds only with a device that has one");
    }
    Ok(())
}

/// Shows the code: as a QR code, as text, and into a file.
fn show(
    code: &str,
    png: Option<&Path>,
    lifetime: Option<Duration>,
    report: &Report,
) -> Result<(), CliError> {
    if let Some(path) = png {
        write_png(path, &handfast_qr::render_png(code)?)
            .map_err(|it| CliError::unwritable(path, &it))?;
    }
    let ink = report.ink();
    if !report.is_json() {
        let theme = if ink.is_on() { Theme::Coloured } else { Theme::Plain };
        match handfast_qr::render_terminal(code, theme) {
            Ok(drawn) => report.say(format_args!("Scan this with the other device:\n\n{drawn}"))?,
            Err(QrError::TooLong) => {
                report.say("Too long for a QR code in a terminal; --png writes a picture.")?;
            }
            Err(error) => return Err(error.into()),
        }
        report.say(format_args!("or run there: handfast join, with this code:\n\n{code}\n"))?;
        if let Some(path) = png {
            report.say(format_args!("The picture is in {}", path.display()))?;
        }
        report.say(ink.dim("Whoever sees the code can answer it. Ctrl-C ends it."))?;
    }
    report.json(json!({
        "type": "code",
        "code": code,
        "png": png.map(|path| path.display().to_string()),
        "lifetime_seconds": lifetime.map(|lifetime| lifetime.as_secs()),
    }))
}

/// The code is for who stands before this device, not for its other users.
fn write_png(path: &Path, png: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path)?.write_all(png)
}

/// Reads `90s`, `10m`, `2h`, or a number of seconds.
pub fn lifetime(text: &str) -> Result<Duration, String> {
    let (digits, seconds) = match text.trim() {
        text if text.ends_with('h') => (text.trim_end_matches('h'), 3_600),
        text if text.ends_with('m') => (text.trim_end_matches('m'), 60),
        text => (text.trim_end_matches('s'), 1),
    };
    let number: u64 = digits.parse().map_err(|_| "write it like 90s, 10m or 2h".to_owned())?;
    let lifetime = Duration::from_secs(number.saturating_mul(seconds));
    if lifetime.is_zero() || lifetime > LONGEST {
        return Err("a code lives between one second and 24 hours".to_owned());
    }
    Ok(lifetime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_read() {
        let seconds = |text| lifetime(text).map(|it| it.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("24h"), Ok(86_400));
        for wrong in ["", "0", "25h", "1d", "-1", "1.5h", "99999999999999999999h", "m"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
