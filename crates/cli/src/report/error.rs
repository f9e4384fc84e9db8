//! How a command ends: errors with a kind for programs, a sentence and a hint for people, and an
//! exit code for scripts.

use std::error::Error as _;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use handfast::{CodeError, Error, ErrorKind, Failure, ProviderError};
use handfast_host::HostError;
use handfast_qr::QrError;
use serde_json::{Value, json};

/// The exit codes, as `--help` shows them. The same as [`Exit`].
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something else went wrong
  2  the command line makes no sense
  3  there is no such device, record, conflict or pairing
  4  a file or a code cannot be read
  5  the pairing failed
  6  the provider or the network failed
  7  the device's home cannot be used: locked, read-only, open to others, newer
  8  doctor has found something";

/// With what the program ends when it isn't done.
///
/// | code | when |
/// |---|---|
/// | 0 | done |
/// | 1 | anything else, and Ctrl-C |
/// | 2 | wrong use |
/// | 3 | no such device, record, conflict or pairing |
/// | 4 | a bad input file, picture or code |
/// | 5 | the pairing failed; the `kind` of the error in JSON says how |
/// | 6 | the provider or the network failed, or there is no provider |
/// | 7 | the home exists already, is locked, not writable, open to others, damaged or newer |
/// | 8 | `doctor` has found something |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything else.
    Other = 1,
    /// Wrong use.
    Usage = 2,
    /// No such thing.
    NotFound = 3,
    /// A bad file or code.
    BadInput = 4,
    /// The pairing failed.
    Pairing = 5,
    /// The provider or the network failed.
    Provider = 6,
    /// The home can't be used.
    Home = 7,
    /// `doctor` has found something.
    Findings = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a command ends without being done.
#[derive(Debug)]
pub struct CliError {
    kind: &'static str,
    exit: Exit,
    message: String,
    hint: Option<String>,
}

/// Standard output was closed: whoever listened has heard enough.
const OUTPUT_CLOSED: &str = "output_closed";

impl CliError {
    /// An error. `kind` is for programs and never changes.
    pub fn new(kind: &'static str, exit: Exit, message: impl Into<String>) -> CliError {
        CliError { kind, exit, message: message.into(), hint: None }
    }

    /// Wrong use.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new("usage", Exit::Usage, message)
    }

    /// A file that can't be read.
    pub fn unreadable(path: &Path, error: &io::Error) -> CliError {
        let message = format!("{} cannot be read: {error}", path.display());
        CliError::new("file", Exit::BadInput, message)
    }

    /// A file that can't be written.
    pub fn unwritable(path: &Path, error: &io::Error) -> CliError {
        let message = format!("{} cannot be written: {error}", path.display());
        CliError::new("file", Exit::Other, message)
    }

    /// With what the person could do next.
    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hint = Some(hint.into());
        self
    }

    /// What happened, for programs.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// With what the program ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the person could do next.
    pub fn what_next(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether nobody wants to hear of it.
    pub fn is_silent(&self) -> bool {
        self.kind == OUTPUT_CLOSED
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({ "error": { "kind": self.kind, "message": self.message, "hint": self.hint } })
    }
}

impl From<Error> for CliError {
    fn from(error: Error) -> CliError {
        let (kind, exit) = match &error {
            Error::Pairing(failure) => return (*failure).into(),
            Error::Provider(error) => return error.into(),
            Error::Invite(error) => return error.into(),
            Error::Offline => ("offline", Exit::Provider),
            Error::NoDevice(_) => ("no_device", Exit::NotFound),
            Error::NoRecord { .. } => ("no_record", Exit::NotFound),
            Error::DeviceExists(_) => ("device_exists", Exit::Home),
            Error::Locked(_) => ("locked", Exit::Home),
            Error::NewerHome { .. } => ("newer_home", Exit::Home),
            Error::WorldReadable(_) => ("open_to_others", Exit::Home),
            Error::Keys(_) => ("keys", Exit::Home),
            Error::Io { .. } => ("home", Exit::Home),
            Error::Database(_) => ("database", Exit::Home),
            Error::Busy => ("busy", Exit::Home),
            Error::NoDatabase => ("damaged", Exit::Home),
            Error::ReadOnly => ("read_only", Exit::Home),
            Error::DiskFull => ("disk_full", Exit::Home),
            Error::Damaged(_) => ("damaged", Exit::Home),
            Error::Name(_) => ("device_name", Exit::Usage),
            Error::Namespace(_) => ("collection_name", Exit::Usage),
            Error::Fields(_) => ("fields", Exit::Usage),
            Error::Key(_) => ("key", Exit::Usage),
            Error::Edit(_) => ("edit", Exit::Usage),
            Error::Mutation(_) | Error::Seal(_) => ("too_large", Exit::BadInput),
            Error::Config(_) => ("provider_config", Exit::Usage),
            Error::Http(_) => ("http", Exit::Provider),
            Error::NoProvider => ("provider_missing", Exit::Provider),
            Error::Swarm(_) => ("network", Exit::Provider),
            Error::Code(CodeError::NotACode) => ("not_a_code", Exit::BadInput),
            Error::Code(CodeError::Damaged) => ("damaged_code", Exit::BadInput),
            Error::Code(CodeError::UnsupportedVersion(_)) => ("newer_code", Exit::BadInput),
            Error::Code(CodeError::Invalid) => ("invalid_code", Exit::BadInput),
            Error::LiteralRefused => ("protocol_refused", Exit::BadInput),
            Error::PairingPending => ("pairing_pending", Exit::Pairing),
            _ => ("other", Exit::Other),
        };
        let hint = match &error {
            Error::NoRecord { collection, .. } => {
                Some(format!("`handfast records list {collection}` shows those that there are."))
            }
            error => error.hint().map(str::to_owned),
        };
        CliError { kind, exit, message: error.to_string(), hint }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> CliError {
        let kind = match failure {
            Failure::Expired => "expired",
            Failure::Equivocation => "equivocation",
            Failure::CodeTaken => "code_taken",
            Failure::Mismatch => "mismatch",
            Failure::Declined => "declined",
            Failure::OwnCode => "own_code",
            Failure::AlreadyPaired => "already_paired",
            Failure::NoProvider => "no_provider",
            Failure::UnsupportedVersion => "unsupported_version",
            Failure::PeerSilent => "peer_silent",
        };
        // Each says itself what to do next.
        CliError::new(kind, Exit::Pairing, failure.to_string())
    }
}

impl From<&ProviderError> for CliError {
    fn from(error: &ProviderError) -> CliError {
        let kind = match error.kind() {
            ErrorKind::BadCredentials => "provider_credentials",
            ErrorKind::Quota => "provider_quota",
            ErrorKind::RateLimited { .. } => "provider_rate_limit",
            ErrorKind::Unreachable => "provider_unreachable",
            ErrorKind::NotFound => "provider_not_found",
            ErrorKind::Sunset => "provider_sunset",
            _ => "provider",
        };
        let text = error.to_string();
        let message = text.strip_suffix(error.advice()).unwrap_or(&text).trim_end();
        let message = message.strip_suffix('.').unwrap_or(message);
        // The command has ended: what tries again by itself says so where it goes on.
        let again = if error.is_transient() { " Then run this once more." } else { "" };
        CliError::new(kind, Exit::Provider, message).hint(format!("{}{again}", error.advice()))
    }
}

impl From<QrError> for CliError {
    fn from(error: QrError) -> CliError {
        let kind = match error {
            QrError::TooLong => "code_too_long",
            QrError::NoCode => "no_code_in_image",
            QrError::SeveralCodes(_) => "several_codes",
            QrError::NotAnImage => "not_an_image",
            QrError::TooLarge => "image_too_large",
        };
        CliError::new(kind, Exit::BadInput, error.to_string())
    }
}

impl From<HostError> for CliError {
    fn from(error: HostError) -> CliError {
        let (kind, exit) = match &error {
            HostError::InUse(_) => ("host_in_use", Exit::Home),
            HostError::Directory { .. } => ("host_directory", Exit::Home),
            HostError::Listen { .. } => ("host_listen", Exit::Provider),
            HostError::Token { .. } | HostError::TokenFile { .. } => ("host_token", Exit::BadInput),
        };
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        CliError::new(kind, exit, format!("{error}{cause}"))
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe { OUTPUT_CLOSED } else { "system" };
        CliError::new(kind, Exit::Other, error.to_string())
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> CliError {
        match error.downcast::<Error>() {
            Ok(error) => error.into(),
            Err(error) => match error.downcast::<io::Error>() {
                Ok(error) => error.into(),
                Err(error) => CliError::new("other", Exit::Other, format!("{error:#}")),
            },
        }
    }
}
