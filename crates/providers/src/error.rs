//! What can go wrong at somebody else's service, in words for the person who has to deal with it.

use std::fmt;
use std::time::Duration;

/// Which kind of failure it was. Callers decide by this; people read [`ProviderError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The service does not accept the token, key or password.
    BadCredentials,
    /// The account is full or unpaid.
    Quota,
    /// Too many requests.
    RateLimited {
        /// How long the service asks to be left alone, where it says so.
        wait: Option<Duration>,
    },
    /// The service does not take objects of this size.
    TooLarge,
    /// The service, or this way of using it, has been shut down for good.
    Sunset,
    /// No connection, or no answer in time.
    Unreachable,
    /// The service answered that it has a problem of its own.
    Broken,
    /// The service answered something that this protocol has no meaning for, or wrong bytes.
    Nonsense,
    /// The service does not hold what was asked for.
    NotFound,
    /// The service understood and refused.
    Rejected,
    /// The router holds a newer record of this name than the one published.
    Outdated,
}

impl ErrorKind {
    /// Whether the same request may succeed if it is simply sent again after a while.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unreachable | Self::Broken)
    }

    /// What to do next, as one sentence.
    fn advice(self) -> &'static str {
        match self {
            Self::BadCredentials => {
                "Check the token or key in the provider settings; it may have been revoked."
            }
            Self::Quota => "Free space at the provider or enlarge the plan; nothing is lost here.",
            Self::RateLimited { .. } => "Wait a little; nothing is lost.",
            Self::TooLarge => "Ask whoever runs the provider to allow larger objects.",
            Self::Sunset => "Choose another provider.",
            Self::Unreachable => "Check the network connection and the provider's address.",
            Self::Broken => "The fault is theirs and may pass; nothing is lost.",
            Self::Nonsense => {
                "Check that the address belongs to the provider and that no login page of a \
                 network stands in between."
            }
            Self::NotFound => "It may not have arrived there yet, or no longer be kept.",
            Self::Rejected => "Trying again will not help; check the provider settings.",
            Self::Outdated => "Read the newer record first, then publish above it.",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadCredentials => "refused the credentials",
            Self::Quota => "has no room left for this account",
            Self::RateLimited { wait: Some(wait) } => {
                return write!(f, "asks to wait {} s", wait.as_secs().max(1));
            }
            Self::RateLimited { wait: None } => "asks to slow down",
            Self::TooLarge => "does not take anything that large",
            Self::Sunset => "has ended this service",
            Self::Unreachable => "could not be reached",
            Self::Broken => "has a problem of its own",
            Self::Nonsense => "did not answer as such a service does",
            Self::NotFound => "does not have it",
            Self::Rejected => "refused the request",
            Self::Outdated => "holds a newer record of this name",
        })
    }
}

/// A failed request to a provider.
///
/// Displays as sentences for people: who, what happened, while doing what, and what to do next. It
/// never contains a secret: whatever a server said is shortened, and known credentials are cut out
/// of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    kind: ErrorKind,
    service: String,
    doing: &'static str,
    detail: Option<String>,
}

impl ProviderError {
    /// Describes a failure. `service` is what [`describe`](crate::BlockStore::describe) says,
    /// `doing` reads like "storing a block". For implementations of the traits.
    pub fn new(kind: ErrorKind, service: impl Into<String>, doing: &'static str) -> Self {
        Self { kind, service: service.into(), doing, detail: None }
    }

    /// Adds what exactly happened; must be free of secrets.
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        self
    }

    /// Which kind of failure it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The service that the request went to.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What happened exactly, where more is known than the kind.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// What the person can do next.
    pub fn advice(&self) -> &'static str {
        self.kind.advice()
    }

    /// Whether the same request may succeed later; see [`ErrorKind::is_transient`].
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} while {}", self.service, self.kind, self.doing)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        write!(f, ". {}", self.advice())
    }
}

impl std::error::Error for ProviderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_who_what_and_what_next() {
        let error = ProviderError::new(
            ErrorKind::RateLimited { wait: Some(Duration::from_secs(30)) },
            "self-hosted provider at https://home.example",
            "storing a block",
        )
        .because("HTTP 429");
        assert_eq!(
            error.to_string(),
            "self-hosted provider at https://home.example asks to wait 30 s while storing a block \
             (HTTP 429). Wait a little; nothing is lost."
        );
        assert!(error.is_transient());
        assert_eq!(error.detail(), Some("HTTP 429"));
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        assert!(ErrorKind::Unreachable.is_transient());
        assert!(ErrorKind::Broken.is_transient());
        for kind in [
            ErrorKind::BadCredentials,
            ErrorKind::Quota,
            ErrorKind::TooLarge,
            ErrorKind::Sunset,
            ErrorKind::Nonsense,
            ErrorKind::NotFound,
            ErrorKind::Rejected,
            ErrorKind::Outdated,
        ] {
            assert!(!kind.is_transient(), "{kind:?}");
        }
    }
}
