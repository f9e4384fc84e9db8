//! The keys that a member hands over.

use std::path::{Path, PathBuf};

use handfast_keys::Secret;
use handfast_pairing_manager::StructureKey;

use crate::hex;
use crate::prompt;
use crate::report::{CliError, Report};

/// What is handed over in both profiles.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Handed over (--profile app and raw)")]
#[group(id = "handed_over")]
pub struct Args {
    /// The key of the structure, or with --profile app of the group, 64 hex digits; it tells whoever
    /// has it where to read
    #[arg(
        long,
        value_name = "HEX",
        env = "HANDFAST_STRUCTURE_KEY",
        hide_env_values = true,
        conflicts_with = "key_file"
    )]
    key: Option<String>,
    /// The file that the key stands in: its first line that is neither empty nor begins with #;
    /// - reads standard input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// What the blocks are encrypted under, 64 hex digits
    #[arg(
        long,
        value_name = "HEX",
        env = "HANDFAST_ENCRYPTION_KEY",
        hide_env_values = true,
        conflicts_with = "encryption_key_file"
    )]
    encryption_key: Option<String>,
    /// The file that the encryption key stands in
    #[arg(long, value_name = "FILE")]
    encryption_key_file: Option<PathBuf>,
    /// Keep the invite in this file, which holds secrets and is for this app alone. Run again with
    /// it, the command goes on with the invite that is open; without it, the invite ends with the
    /// command
    #[arg(long, value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

impl Args {
    /// Whether anything of it was given.
    pub fn is_said(&self) -> bool {
        let Args { key, key_file, encryption_key, encryption_key_file, journal } = self;
        let files = [key_file, encryption_key_file, journal];
        [key, encryption_key].iter().any(|it| it.is_some()) || files.iter().any(|it| it.is_some())
    }

    /// Whether a key is to be read from standard input.
    pub fn reads_input(&self) -> bool {
        let files = [&self.key_file, &self.encryption_key_file];
        files.into_iter().flatten().any(|path| path == Path::new("-"))
    }

    /// The key of the structure, or of the group.
    pub fn key(&self, report: &Report) -> Result<Option<StructureKey>, CliError> {
        read(&self.key, &self.key_file, "--key", report)
    }

    /// What the blocks are encrypted under.
    pub fn encryption_key(&self, report: &Report) -> Result<Option<Secret<32>>, CliError> {
        let (given, file) = (&self.encryption_key, &self.encryption_key_file);
        let key = read(given, file, "--encryption-key", report)?;
        Ok(key.map(|key| Secret::from_bytes(*key.as_bytes())))
    }
}

fn read(
    given: &Option<String>,
    file: &Option<PathBuf>,
    flag: &str,
    report: &Report,
) -> Result<Option<StructureKey>, CliError> {
    match (given, file) {
        (Some(text), _) => key(flag, text.trim()).map(Some),
        (None, Some(path)) => key_in(path, flag, report).map(Some),
        (None, None) => Ok(None),
    }
}

/// The key in a file that `flag`, with `-file` behind it, names.
pub fn key_in(path: &Path, flag: &str, report: &Report) -> Result<StructureKey, CliError> {
    key(&format!("what stands in {flag}-file"), prompt::secret_in(path, "key", report)?.expose())
}

/// Reads 32 bytes of hex.
pub fn key(what: &str, text: &str) -> Result<StructureKey, CliError> {
    let wrong = || CliError::usage(format!("{what} is not a key: a key is 64 hex digits"));
    hex::key(text).map(StructureKey::from_bytes).ok_or_else(wrong)
}
