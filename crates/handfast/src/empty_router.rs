//! A name router for tests that holds nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use handfast_ipfs::Record;
use handfast_providers::{ErrorKind, NameRouter, ProviderError, Resolve, Resolved};

/// Takes every record and holds none.
#[derive(Default)]
pub struct EmptyRouter {
    /// How long it takes to say so.
    pub takes: Duration,
    /// Instead it fails.
    pub fails: bool,
    /// How long it says that it can wait.
    pub longest_wait: Option<Duration>,
    /// How often it was asked.
    pub asked: AtomicUsize,
}

#[async_trait]
impl NameRouter for EmptyRouter {
    async fn publish(&self, _: &Record) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn resolve(
        &self,
        _: &handfast_ipfs::Name,
        _: &Resolve,
    ) -> Result<Resolved, ProviderError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.takes).await;
        match self.fails {
            true => Err(ProviderError::new(ErrorKind::Nonsense, "a test", "failing")),
            false => Ok(Resolved::Missing),
        }
    }

    fn longest_wait(&self) -> Option<Duration> {
        self.longest_wait
    }

    fn describe(&self) -> String {
        "a test".to_owned()
    }
}
