//! What can go wrong on a device, told to its person.

use std::io;
use std::path::PathBuf;

use handfast_ledger::{EditError, FieldsError, KeyError, MutationError, NamespaceError, SealError};
use handfast_pairing::qr::{CodeError, Failure};
use handfast_providers::{ConfigError, ProviderError};
use handfast_ring::identity::InvalidName;
use rusqlite::ErrorCode;

/// An error of a device. Its text says what happened; [`hint`](Self::hint) says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no device in this home.
    #[error("there is no device in {}", .0.display())]
    NoDevice(PathBuf),
    /// There is one already.
    #[error("there is a device in {} already", .0.display())]
    DeviceExists(PathBuf),
    /// Another process pairs or syncs with this home.
    #[error("another handfast process is pairing or syncing in {}", .0.display())]
    Locked(PathBuf),
    /// The home was written by a newer version.
    #[error(
        "the home was written by a newer version of Handfast (schema {found}, this one knows {known})"
    )]
    NewerHome {
        /// The schema of the home.
        found: i64,
        /// The newest that this version knows.
        known: i64,
    },
    /// A file with secrets is open to others.
    #[error("{} can be read by other users", .0.display())]
    WorldReadable(PathBuf),
    /// The keys of the device are not where they were left.
    #[error("the keys of this device cannot be read: {0}")]
    Keys(&'static str),
    /// The home can't be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database can't be read or written.
    #[error("the database of this device cannot be used: {0}")]
    Database(#[source] rusqlite::Error),
    /// Another process is writing, and has been for long.
    #[error("another handfast process is writing in this home, and does not come to an end")]
    Busy,
    /// What lies where the database should be is none.
    #[error("the database of this device is damaged: it is no database any more")]
    NoDatabase,
    /// The home can be read, but not written.
    #[error("the home of this device cannot be written to")]
    ReadOnly,
    /// There is no room for what was to be written. Nothing of it was.
    #[error("the disk that the home of this device is on is full")]
    DiskFull,
    /// The database contains what it must not.
    #[error("the database of this device is damaged: {0}")]
    Damaged(&'static str),
    /// The program that embeds the device asked for what cannot be.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// No collection can have this name.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// These are no fields of a record.
    #[error(transparent)]
    Fields(#[from] FieldsError),
    /// This is no key of a record.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// This edit can't be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// This edit is too large.
    #[error(transparent)]
    Mutation(#[from] MutationError),
    /// A record can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A row of an import has another value for a field of a record than an earlier row.
    #[error("an earlier row is the same record, with other values")]
    Repeated,
    /// There is no such record.
    #[error("there is no record {id} in {collection}")]
    NoRecord {
        /// The collection.
        collection: String,
        /// The id or key that was asked for.
        id: String,
    },
    /// The provider config can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The provider or a name router failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// HTTP can't be set up.
    #[error("HTTP cannot be set up: {0}")]
    Http(String),
    /// The device can't go online.
    #[error("the swarm cannot be joined: {0}")]
    Swarm(String),
    /// The scanned text is no code that can be answered.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The pairing ended without success.
    #[error("{0}")]
    Pairing(#[from] Failure),
    /// Pairing by invite failed.
    #[error(transparent)]
    Invite(#[from] handfast_pairing_manager::Error),
    /// Pairing by invite needs the network.
    #[error("this device is not online")]
    Offline,
    /// The other side asked for version 1 of the protocol.
    #[error("this code is of version 1 of the protocol, which is refused unless asked for")]
    LiteralRefused,
    /// A pairing is going on already.
    #[error("a pairing that was begun earlier is not finished")]
    PairingPending,
    /// There is no provider.
    #[error("no provider is configured on this device")]
    NoProvider,
    /// Something that was running has been stopped.
    #[error("stopped")]
    Stopped,
}

impl Error {
    /// What the person can do next, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Error::NoDevice(_) => "Set one up with `handfast init`.",
            Error::DeviceExists(_) => "Use it as it is, or choose another folder with --home.",
            Error::Locked(_) => {
                "Wait until it is done. If it is `handfast sync --watch`, stop it for the moment."
            }
            Error::Busy => "Try again when it is done; it may be a large import.",
            Error::NoDatabase => {
                "Put handfast.db back from a backup; or set the device up anew in another folder, \
                 and pair it again."
            }
            Error::NewerHome { .. } => "Update Handfast on this device.",
            Error::WorldReadable(_) => {
                "Others may have copied its secrets. If not, close it to them: chmod 600."
            }
            Error::Keys(_) => "Unlock the keyring of this system, or restore the key file.",
            Error::ReadOnly => {
                "Make the folder and the files in it writable to you, or copy it to where you can \
                 write."
            }
            Error::DiskFull => "Make room and try again; what was there is as it was.",
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "It belongs to another user, or is closed to you; choose another folder with --home."
            }
            Error::Damaged(_) => "Run `handfast doctor`; it says what is damaged.",
            Error::LiteralRefused => {
                "Whoever saw it can pretend to be either device. If that is acceptable, join with \
                 --protocol 1."
            }
            Error::Offline => "Let it go online: not with --dht off.",
            Error::PairingPending => {
                "Finish it with `handfast join --resume`, or drop it with `handfast join --cancel`."
            }
            Error::NoProvider => {
                "Set one with `handfast provider set`, or pair with a device that has one."
            }
            Error::Code(CodeError::Damaged) => "Scan it again, or copy the whole text.",
            Error::Code(CodeError::NotACode) => {
                "A code begins with HANDFAST: and is shown by `handfast pair`; `handfast invite` \
                 makes the other kind."
            }
            Error::Code(CodeError::UnsupportedVersion(_)) => {
                "Update the older one of the two devices."
            }
            _ => return None,
        })
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ReadOnly) => Error::ReadOnly,
            Some(ErrorCode::DiskFull) => Error::DiskFull,
            Some(ErrorCode::DatabaseBusy) => Error::Busy,
            Some(ErrorCode::NotADatabase) => Error::NoDatabase,
            _ => Error::Database(error),
        }
    }
}

/// The result of whatever a device does.
pub type Result<T, E = Error> = std::result::Result<T, E>;
