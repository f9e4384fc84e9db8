//! `handfast host`: runs a self-hosted provider.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use handfast_host::Host;
use serde_json::json;

use crate::prompt::Interrupt;
use crate::report::{CliError, Report};

/// What to run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Who has a token may store blocks here; names are for everybody. Without --token-file one token is \
drawn at the first start and kept in the file `token` of the data folder.

It speaks plain HTTP. Beyond your own network put a proxy that speaks HTTPS in front of it.

Examples:
  handfast host --data ~/handfast-host
  handfast host --data /srv/handfast --listen 0.0.0.0:4590
  handfast host --data /srv/handfast --token-file /etc/handfast/tokens")]
pub struct Args {
    /// The folder to keep everything in
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The address to listen at; port 0 is any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4590")]
    listen: SocketAddr,
    /// A file of tokens, one a line: `token` or `account:token`, of at least 16 characters
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Runs it until it is stopped.
pub async fn run(args: Args, report: &Report) -> Result<(), CliError> {
    let mut interrupt = Interrupt::listen()?;
    let token_file = match args.token_file {
        Some(file) => file,
        None => own_token(&args.data)?,
    };
    let host = Host::builder(&args.data).token_file(&token_file)?.listen(args.listen);
    let host = host.start().await?;
    let command = format!(
        "handfast provider set self-hosted --endpoint {} --auth-token-file {}",
        host.url(),
        quoted(&token_file),
    );
    report.say(format_args!("Listening at {}", report.ink().bold(host.url())))?;
    report.say(format_args!("On a device of this machine:\n  {command}"))?;
    if !args.listen.ip().is_loopback() {
        report.warn(
            "what travels over plain HTTP is sealed, but the token is not: use HTTPS outside",
        );
    }
    report.json(json!({
        "type": "listening",
        "address": host.local_addr().to_string(),
        "url": host.url(),
        "token_file": token_file.display().to_string(),
        "provider_command": command,
    }))?;
    interrupt.next().await;
    tokio::select! {
        () = host.shutdown() => {}
        // Who asks twice does not want to wait.
        () = interrupt.next() => {}
    }
    report.say("Stopped.")?;
    report.json(json!({ "type": "stopped" }))
}

/// The token that this host drew at its first start.
fn own_token(data: &Path) -> Result<PathBuf, CliError> {
    let path = data.join("token");
    let unwritable = |error: io::Error| CliError::unwritable(&path, &error);
    fs::create_dir_all(data).map_err(unwritable)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match file {
        Ok(mut file) => writeln!(file, "{:032x}", rand::random::<u128>()).map_err(unwritable)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unwritable(error)),
    }
    Ok(path)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted(Path::new("/srv/hand-fast/token")), "/srv/hand-fast/token");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
