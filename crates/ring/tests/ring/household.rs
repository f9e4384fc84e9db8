//! Devices for the tests.

use handfast_keys::Digest;
use handfast_ring::{Admission, DeviceId, DeviceKeys, DeviceName, Identity, Role, SignedIdentity};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A device with its keys.
pub struct Device {
    pub keys: DeviceKeys,
    pub name: DeviceName,
}

/// The device with this number.
pub fn device(number: u64) -> Device {
    let keys = DeviceKeys::generate(&mut StdRng::seed_from_u64(number));
    Device { keys, name: DeviceName::new(&format!("device {number}")).unwrap() }
}

/// Several devices.
pub fn devices<const N: usize>() -> [Device; N] {
    std::array::from_fn(|number| device(number as u64))
}

/// The hash of some conversation.
pub fn transcript(number: u8) -> Digest {
    Digest::from_bytes([number; 32])
}

impl Device {
    pub fn id(&self) -> DeviceId {
        self.keys.device_id()
    }

    /// What the device says of itself in a conversation.
    pub fn signed(&self, session: u8) -> SignedIdentity {
        let (session, nonce) = (transcript(session), transcript(0));
        let identity = Identity::new(&self.keys, self.name.clone(), Role::Joiner, session, nonce);
        SignedIdentity::sign(identity, &self.keys)
    }

    /// Admits another device, after their first conversation.
    pub fn admits(&self, other: &Device) -> Admission {
        self.admits_again(other, 1)
    }

    /// Admits it after this conversation.
    pub fn admits_again(&self, other: &Device, conversation: u8) -> Admission {
        Admission::sign(&self.keys, other.signed(conversation), transcript(conversation))
    }
}
