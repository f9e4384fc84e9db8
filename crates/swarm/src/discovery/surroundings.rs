//! Whether the machine has slept, or is in another network than before: then connections are dead that
//! do not know it yet, and nodes give away addresses at which nobody is.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{Duration, SystemTime};

/// How often they are looked at.
pub(super) const PERIOD: Duration = Duration::from_secs(10);
/// Who looks so much later than it meant to has slept, or was stopped.
const SLEPT: Duration = Duration::from_secs(30);
/// Nobody has this address (RFC 5737). What is sent there leaves by the way to everybody.
const ANYBODY: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// What tells, when it is looked at again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings {
    time: SystemTime,
    /// The address from which packets leave; none without a network.
    address: Option<IpAddr>,
}

impl Surroundings {
    /// As they are now.
    pub(super) fn look() -> Self {
        Self { time: SystemTime::now(), address: address().ok() }
    }

    /// Whether all is to be begun anew that was begun before `now`.
    pub(super) fn have_changed(&self, now: &Self) -> bool {
        let slept = now.time.duration_since(self.time).is_ok_and(|time| time > PERIOD + SLEPT);
        let moved = now.address.is_some() && now.address != self.address;
        slept || moved
    }
}

/// (Nothing is sent.)
fn address() -> std::io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(ANYBODY)?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, address: Option<[u8; 4]>) -> Surroundings {
        Surroundings {
            time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            address: address.map(IpAddr::from),
        }
    }

    const HOME: Option<[u8; 4]> = Some([192, 168, 0, 2]);
    const CAFE: Option<[u8; 4]> = Some([10, 0, 0, 9]);

    #[test]
    fn time_that_passes_as_it_should_changes_nothing() {
        assert!(!at(100, HOME).have_changed(&at(110, HOME)));
        assert!(!at(100, None).have_changed(&at(115, None)));
        assert!(!at(100, HOME).have_changed(&at(60, HOME)), "a clock that was set back");
    }

    #[test]
    fn who_looks_much_too_late_has_slept() {
        assert!(at(100, HOME).have_changed(&at(8 * 3_600, HOME)));
    }

    #[test]
    fn another_address_is_another_network() {
        assert!(at(100, HOME).have_changed(&at(110, CAFE)));
        assert!(!at(100, HOME).have_changed(&at(110, None)), "nothing can be done yet");
        assert!(at(110, None).have_changed(&at(120, HOME)), "back again");
    }
}
