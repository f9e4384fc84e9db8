//! Every limit of the host, in one place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How much the host takes on. The defaults suit a family's machine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of blocks that one account may pin.
    pub account_bytes: u64,
    /// Blocks that one account may pin.
    pub account_pins: usize,
    /// Bytes of blocks that nobody pins.
    pub loose_bytes: u64,
    /// How long a block that nobody pins is kept at least.
    pub grace: Duration,
    /// Bytes of one request; uploads of several blocks are the largest.
    pub request_bytes: usize,
    /// Uploads that are being received at a time.
    pub uploads: usize,
    /// Names kept for people without a token. Those with one get as many again on top.
    pub names: usize,
    /// Records that one address may publish in a burst without a token. IPv6 counts by /64.
    pub publish_burst: u32,
    /// Records a second that one address may publish in the long run without a token.
    pub publish_rate: f64,
    /// The longest that a query may wait for news.
    pub wait: Duration,
    /// Queries that may wait at a time; those beyond are answered at once.
    pub waiting: usize,
    /// Connections at a time; those beyond wait to be accepted.
    pub connections: usize,
    /// How long a connection may be silent. Longer than `wait`.
    pub idle: Duration,
    /// How long a request may take, waiting for news not counted.
    pub request_time: Duration,
    /// How long a stopping host lets requests finish.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            account_bytes: 10 << 30,
            account_pins: 1_000_000,
            loose_bytes: 64 << 20,
            grace: Duration::from_secs(60 * 60),
            request_bytes: 9 << 20,
            uploads: 16,
            names: 20_000,
            publish_burst: 300,
            publish_rate: 5.0,
            wait: Duration::from_secs(60),
            waiting: 1024,
            connections: 2048,
            idle: Duration::from_secs(120),
            request_time: Duration::from_secs(120),
            drain: Duration::from_secs(10),
        }
    }
}

/// Addresses that are remembered at a time.
const MAX_ADDRESSES: usize = 10_000;

/// A bucket of tokens for each address.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    burst: f64,
    rate: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl RateLimiter {
    pub(crate) fn new(burst: u32, rate: f64) -> Self {
        Self { burst: burst.into(), rate, buckets: Mutex::default() }
    }

    /// Takes one for this address; if there is none left, says how long to wait for the next.
    pub(crate) fn take(&self, address: IpAddr) -> Result<(), Duration> {
        let now = Instant::now();
        let refilled = |bucket: &Bucket| {
            (bucket.left + (now - bucket.at).as_secs_f64() * self.rate).min(self.burst)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_ADDRESSES {
            // A full bucket says no more than a missing one.
            buckets.retain(|_, bucket| refilled(bucket) < self.burst);
        }
        if buckets.len() >= MAX_ADDRESSES {
            return Err(Duration::from_secs(60));
        }
        let bucket = buckets.entry(group(address)).or_insert(Bucket { left: self.burst, at: now });
        bucket.left = refilled(bucket);
        bucket.at = now;
        if bucket.left < 1.0 {
            let seconds = (1.0 - bucket.left) / self.rate.max(f64::EPSILON);
            return Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

/// The addresses that one customer of a provider has: an IPv4 address, or an IPv6 /64.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_then_a_rate() {
        let limiter = RateLimiter::new(3, 2.0);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..3 {
            assert_eq!(limiter.take(address), Ok(()));
        }
        assert_eq!(limiter.take(address), Err(Duration::from_millis(500)));
        assert_eq!(limiter.take("192.0.2.2".parse().unwrap()), Ok(()));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(limiter.take(address), Ok(()));
        assert!(limiter.take(address).is_err());
    }

    #[test]
    fn one_customer_is_one_address() {
        let group = |text: &str| group(text.parse().unwrap()).to_string();
        assert_eq!(group("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(group("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
