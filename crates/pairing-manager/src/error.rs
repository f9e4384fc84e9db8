//! What can go wrong, told to the app.

use handfast_pairing::invite::{Failure, InviteError, Unreadable};

use crate::journal::JournalError;

/// What can go wrong, and whose fault it is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pairing came to its end without success.
    #[error(transparent)]
    Pairing(#[from] Failure),
    /// The invite code is none.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The journal failed, or somebody else goes on with the pairing.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is in the journal was written by another version.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No such invite was made here, or it was forgotten.
    #[error("this device made no such invite, or it has been over for days")]
    UnknownInvite,
    /// It is too late to revoke: somebody is in by this invite, or is just being let in.
    #[error("the invite is used already: whoever answered it is let in")]
    Used,
    /// The invite was answered earlier in another way, of which this says what is different. Go on
    /// in the same way, or ask for a new invite.
    #[error("the invite was answered earlier with another {0}")]
    OtherTerms(&'static str),
    /// One of the app's [names](crate::DataStructures::names) has no
    /// [writer key](crate::DataStructures::writer_keys): nothing was handed over. The app must mend
    /// that; it takes a new invite.
    #[error("“{0}” has no writer key here: nothing was handed over")]
    NoWriterKey(String),
    /// A structure's writer cannot be added; the app must mend that and call `setup_member` again.
    #[error("the writer of “{0}” could not be added: the pairing is not complete")]
    Incomplete(String),
    /// The manager was closed first.
    #[error("the pairing manager was closed")]
    Closed,
}
