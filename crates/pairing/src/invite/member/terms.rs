//! What an invite is for.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddrV4;
use core::time::Duration;

use handfast_keys::Secret;

use crate::invite::derive::StructureKey;
use crate::invite::session::DEFAULT_LIFETIME;
use crate::qr::Consent;

/// What a candidate gets, and how.
#[derive(Clone)]
pub enum Terms {
    /// What apps on blind-pairing expect: the candidate brings one writer key and gets one key.
    Raw {
        /// The structure in question, to which the candidate's writer key is added.
        namespace: String,
        /// Its key. The invite leads to whoever can name it.
        key: StructureKey,
        /// What its blocks are encrypted under.
        encryption_key: Option<Secret<32>>,
        /// More, for the app.
        additional: Option<Vec<u8>>,
    },
    /// Any number of structures, in an exchange that nobody can follow who has the invite.
    Envelope {
        /// Whether both people compare the check code first, and how this one confirms. Without,
        /// whoever has the invite gets in until it is used.
        verify: Option<Consent>,
    },
}

/// Neither the key nor what the app adds is for a log.
impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Terms::Raw { namespace, .. } => {
                f.debug_struct("Raw").field("namespace", namespace).finish_non_exhaustive()
            }
            Terms::Envelope { verify } => {
                f.debug_struct("Envelope").field("verify", verify).finish()
            }
        }
    }
}

/// What else an invite says.
#[derive(Debug, Clone)]
pub struct InviteOptions {
    /// How long it lives, by this device's clock.
    pub lifetime: Duration,
    /// See [`Invite::sensitive`](crate::invite::Invite::sensitive).
    pub sensitive: bool,
    /// See [`Invite::test`](crate::invite::Invite::test).
    pub test: bool,
    /// See [`Invite::nodes`](crate::invite::Invite::nodes).
    pub nodes: Option<Vec<SocketAddrV4>>,
}

impl Default for InviteOptions {
    fn default() -> Self {
        InviteOptions { lifetime: DEFAULT_LIFETIME, sensitive: false, test: false, nodes: None }
    }
}
