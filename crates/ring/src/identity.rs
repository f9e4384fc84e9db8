//! A device's keys, its name, and what it signs about itself.

use alloc::string::String;
use core::fmt;

use handfast_keys::{
    AuthPublic, AuthSecret, BadSignature, Digest, ExchangePublic, ExchangeSecret, Fingerprint,
    IpnsPublic, IpnsSecret, Label, Signature, SwarmPublic, SwarmSecret, canonical, fixed_bytes,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

/// The longest device name, in bytes of UTF-8.
pub const MAX_NAME: usize = 64;

fixed_bytes! {
    /// A device's id: SHA-256 of its auth public key (65 bytes, uncompressed SEC1).
    pub struct DeviceId([u8; 32]);
}

impl DeviceId {
    /// The id of the device that holds this key.
    pub fn of(auth: &AuthPublic) -> DeviceId {
        DeviceId::from_bytes(*Digest::sha256(&auth.uncompressed()).as_bytes())
    }

    /// The first eight hex digits, for people.
    pub fn fmt_short(&self) -> String {
        alloc::format!("{self}").chars().take(8).collect()
    }
}

/// The secret keys of one device, one for each purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeys {
    /// Signs what the device says about itself and others.
    pub auth: AuthSecret,
    /// Opens what others seal to the device.
    pub exchange: ExchangeSecret,
    /// Signs the device's IPNS record.
    pub ipns: IpnsSecret,
    /// Signs the device's handshakes on the swarm.
    pub swarm: SwarmSecret,
}

impl DeviceKeys {
    /// Draws the keys of a new device.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> DeviceKeys {
        DeviceKeys {
            auth: AuthSecret::generate(rng),
            exchange: ExchangeSecret::generate(rng),
            ipns: IpnsSecret::generate(rng),
            swarm: SwarmSecret::generate(rng),
        }
    }

    /// The id of the device.
    pub fn device_id(&self) -> DeviceId {
        DeviceId::of(&self.auth.public())
    }

    /// The device's fingerprint, for recognising it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_device(&self.ipns.public(), &self.auth.public())
    }
}

/// What a person calls a device: 1 to 64 bytes of UTF-8 without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

/// A text that is no device name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing but blanks.
    #[error("a device name needs at least one letter")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("a device name has at most {MAX_NAME} bytes")]
    TooLong,
    /// It contains a control character, such as a line break.
    #[error("a device name has no control characters")]
    Control,
}

impl DeviceName {
    /// Takes a name, without the blanks around it.
    pub fn new(name: &str) -> Result<DeviceName, InvalidName> {
        let name = name.trim();
        if name.is_empty() {
            Err(InvalidName::Empty)
        } else if name.len() > MAX_NAME {
            Err(InvalidName::TooLong)
        } else if name.chars().any(disturbs_a_terminal) {
            Err(InvalidName::Control)
        } else {
            Ok(DeviceName(name.into()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, line separators and those that turn the direction of text: a peer's name
/// must not be able to repaint what stands around it.
fn disturbs_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DeviceName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        DeviceName::new(&name)
            .and_then(|parsed| if parsed.0 == name { Ok(parsed) } else { Err(InvalidName::Empty) })
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> String {
        name.0
    }
}

/// Which side of a pairing a device was on when it signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// It showed the code.
    #[serde(rename = "initiator")]
    Initiator,
    /// It scanned the code.
    #[serde(rename = "joiner")]
    Joiner,
}

impl Role {
    /// The other side.
    pub fn other(self) -> Role {
        match self {
            Role::Initiator => Role::Joiner,
            Role::Joiner => Role::Initiator,
        }
    }

    /// How hashes take it in.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Role::Initiator => b"initiator",
            Role::Joiner => b"joiner",
        }
    }
}

/// What a device says about itself in one pairing. Bound to that pairing, so that it can be shown
/// to nobody as if it had been said to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The side that the device was on.
    pub role: Role,
    /// `H(code)` of the pairing.
    pub session: Digest,
    /// The device's nonce in the pairing; zero in version 1.
    pub nonce: Digest,
    /// Verifies what the device says.
    pub auth: AuthPublic,
    /// Others seal to it.
    pub exchange: ExchangePublic,
    /// The name under which the device publishes.
    pub ipns: IpnsPublic,
    /// How the device shows itself on the swarm.
    pub swarm: SwarmPublic,
    /// What its person calls it.
    pub name: DeviceName,
}

impl Identity {
    /// The identity of the device with these keys, to be [signed](SignedIdentity::sign).
    pub fn new(
        keys: &DeviceKeys,
        name: DeviceName,
        role: Role,
        session: Digest,
        nonce: Digest,
    ) -> Identity {
        Identity {
            role,
            session,
            nonce,
            auth: keys.auth.public(),
            exchange: keys.exchange.public(),
            ipns: keys.ipns.public(),
            swarm: keys.swarm.public(),
            name,
        }
    }

    /// The id of the device.
    pub fn device_id(&self) -> DeviceId {
        DeviceId::of(&self.auth)
    }

    /// The device's fingerprint, for recognising it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_device(&self.ipns, &self.auth)
    }

    fn signed_bytes(&self) -> Digest {
        Label::IDENTITY.hash([&canonical::encode(self)])
    }
}

/// An [`Identity`] with the proof that the device holds the keys in it: signatures by auth, IPNS
/// and swarm key, of which the first vouches for the exchange key. A value of this type is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unverified")]
pub struct SignedIdentity {
    identity: Identity,
    by_auth: Signature,
    by_ipns: Signature,
    by_swarm: Signature,
}

#[derive(Deserialize)]
struct Unverified {
    identity: Identity,
    by_auth: Signature,
    by_ipns: Signature,
    by_swarm: Signature,
}

impl SignedIdentity {
    /// Signs an identity with the keys that it names.
    pub fn sign(identity: Identity, keys: &DeviceKeys) -> SignedIdentity {
        let digest = identity.signed_bytes();
        SignedIdentity {
            identity,
            by_auth: keys.auth.sign(digest.as_ref()),
            by_ipns: keys.ipns.sign(digest.as_ref()),
            by_swarm: keys.swarm.sign(digest.as_ref()),
        }
    }

    /// What was signed.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl TryFrom<Unverified> for SignedIdentity {
    type Error = BadSignature;

    fn try_from(raw: Unverified) -> Result<Self, BadSignature> {
        let digest = raw.identity.signed_bytes();
        raw.identity.auth.verify(digest.as_ref(), &raw.by_auth)?;
        raw.identity.ipns.verify(digest.as_ref(), &raw.by_ipns)?;
        raw.identity.swarm.verify(digest.as_ref(), &raw.by_swarm)?;
        Ok(SignedIdentity {
            identity: raw.identity,
            by_auth: raw.by_auth,
            by_ipns: raw.by_ipns,
            by_swarm: raw.by_swarm,
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn signed(seed: u64) -> SignedIdentity {
        let keys = DeviceKeys::generate(&mut StdRng::seed_from_u64(seed));
        let name = DeviceName::new("laptop").unwrap();
        let zero = Digest::from_bytes([0; 32]);
        SignedIdentity::sign(Identity::new(&keys, name, Role::Joiner, zero, zero), &keys)
    }

    #[test]
    fn round_trip_and_tampering() {
        let bytes = canonical::encode(&signed(1));
        assert_eq!(canonical::decode::<SignedIdentity>(&bytes, 2_000).unwrap(), signed(1));
        // Whatever bit is turned, it is no valid identity of anybody any more.
        for index in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[index] ^= 4;
            assert!(canonical::decode::<SignedIdentity>(&broken, 2_000).is_err(), "byte {index}");
        }
    }

    #[test]
    fn keys_of_somebody_else_cannot_be_claimed() {
        let mine = DeviceKeys::generate(&mut StdRng::seed_from_u64(1));
        let theirs = signed(2);
        for claim in 0..3 {
            let mut identity = theirs.identity().clone();
            let own = Identity { auth: mine.auth.public(), ..identity.clone() };
            match claim {
                0 => identity.ipns = mine.ipns.public(),
                1 => identity = own,
                _ => identity.exchange = mine.exchange.public(),
            }
            let forged = canonical::encode(&SignedIdentity::sign(identity, &mine));
            assert!(canonical::decode::<SignedIdentity>(&forged, 2_000).is_err());
        }
    }

    #[test]
    fn names() {
        assert_eq!(DeviceName::new(" phone ").unwrap().as_str(), "phone");
        assert_eq!(DeviceName::new("  "), Err(InvalidName::Empty));
        assert_eq!(DeviceName::new(&"ü".repeat(33)), Err(InvalidName::TooLong));
        assert_eq!(DeviceName::new("a\u{1b}[2J"), Err(InvalidName::Control));
        for turning in ['\u{61c}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2067}'] {
            assert_eq!(DeviceName::new(&format!("a{turning}b")), Err(InvalidName::Control));
        }
        assert!(DeviceName::try_from(String::from(" phone")).is_err());
    }
}
