//! Counting what goes over the line.

use std::sync::atomic::{AtomicU64, Ordering};

/// Running totals of an [`Http`](crate::Http) and everything made from it.
///
/// Bytes are those of HTTP heads and bodies as handed to and taken from the HTTP library: heads are
/// counted in their HTTP/1.1 form, and TLS, TCP and compression of headers are not.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// [`Traffic`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests begun, each redirect and each retry counted.
    pub requests: u64,
    /// Bytes of requests.
    pub sent: u64,
    /// Bytes of answers.
    pub received: u64,
}

impl Totals {
    /// What has been added since an `earlier` reading.
    pub fn since(self, earlier: Totals) -> Totals {
        Totals {
            requests: self.requests.saturating_sub(earlier.requests),
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
        }
    }
}

impl Traffic {
    /// Reads the counters.
    pub fn totals(&self) -> Totals {
        Totals {
            requests: self.requests.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
        }
    }

    /// Counts a request of so many bytes.
    pub fn count_request(&self, bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.count_sent(bytes);
    }

    /// Counts bytes that nobody answers.
    pub fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts bytes of answers.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
