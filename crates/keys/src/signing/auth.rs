//! A device's P-256 key for authentication (ECDSA with SHA-256, FIPS 186-5; deterministic nonces
//! of RFC 6979). Signatures are r ‖ s with low s; a high s is refused, so that nobody can make a
//! second signature out of one.

use alloc::boxed::Box;
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::elliptic_curve::Generate;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use subtle::ConstantTimeEq;

use super::{BadSignature, InvalidKey, Signature};
use crate::{Secret, bytes};

/// The key with which a device signs what it says about itself and others. Wiped when dropped.
#[derive(Clone)]
pub struct AuthSecret(Box<SigningKey>);

impl AuthSecret {
    /// Draws a key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Box::new(SigningKey::generate_from_rng(rng)))
    }

    /// The key with this big-endian scalar.
    pub fn from_secret(scalar: &Secret<32>) -> Result<Self, InvalidKey> {
        let key = SigningKey::from_slice(scalar.expose()).map_err(|_| InvalidKey)?;
        Ok(Self(Box::new(key)))
    }

    /// The big-endian scalar.
    pub fn to_secret(&self) -> Secret<32> {
        Secret::from_bytes(self.0.to_bytes().into())
    }

    /// The public key.
    pub fn public(&self) -> AuthPublic {
        AuthPublic(*self.0.verifying_key())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        Signature::from_bytes(signature.normalize_s().to_bytes().into())
    }
}

impl PartialEq for AuthSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_nonzero_scalar().ct_eq(other.0.as_nonzero_scalar()).into()
    }
}

impl Eq for AuthSecret {}

impl fmt::Debug for AuthSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthSecret(…)")
    }
}

impl Serialize for AuthSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_secret().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AuthSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scalar = Secret::deserialize(deserializer)?;
        Self::from_secret(&scalar).map_err(de::Error::custom)
    }
}

/// The public half of an [`AuthSecret`]: a point of P-256, checked when it is parsed.
///
/// On the wire it is 33 bytes (SEC1, compressed); inside hashes and signatures it is the 65 bytes
/// of [`uncompressed`](Self::uncompressed).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthPublic(VerifyingKey);

impl AuthPublic {
    /// Parses a point in SEC1, compressed or not.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, InvalidKey> {
        VerifyingKey::from_sec1_bytes(bytes).map(Self).map_err(|_| InvalidKey)
    }

    /// SEC1, compressed.
    pub fn compressed(&self) -> [u8; 33] {
        bytes::sec1(self.0.to_sec1_point(true).as_bytes())
    }

    /// SEC1, uncompressed: what hashes and signatures take in.
    pub fn uncompressed(&self) -> [u8; 65] {
        bytes::sec1(self.0.to_sec1_point(false).as_bytes())
    }

    /// Verifies a signature over `message`; only one with a low s is valid.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), BadSignature> {
        let signature =
            p256::ecdsa::Signature::from_slice(signature.as_bytes()).map_err(|_| BadSignature)?;
        if signature.normalize_s() != signature {
            return Err(BadSignature);
        }
        self.0.verify(message, &signature).map_err(|_| BadSignature)
    }
}

impl fmt::Display for AuthPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bytes::write_hex(f, &self.compressed())
    }
}

impl fmt::Debug for AuthPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthPublic(")?;
        bytes::write_hex(f, self.compressed().first_chunk::<4>().unwrap_or(&[0; 4]))?;
        f.write_str("…)")
    }
}

impl Ord for AuthPublic {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compressed().cmp(&other.compressed())
    }
}

impl PartialOrd for AuthPublic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for AuthPublic {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.compressed().hash(state);
    }
}

impl Serialize for AuthPublic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.compressed())
    }
}

impl<'de> Deserialize<'de> for AuthPublic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: [u8; 33] = bytes::deserialize(deserializer)?;
        Self::from_sec1(&bytes).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// RFC 6979, appendix A.2.5: P-256 with SHA-256, message "sample".
    #[test]
    fn rfc_6979() {
        let scalar = Secret::from_bytes(hex!(
            "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
        ));
        let secret = AuthSecret::from_secret(&scalar).unwrap();
        assert_eq!(
            secret.public().uncompressed()[1..33],
            hex!("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6")
        );
        let signature = secret.sign(b"sample");
        // The RFC's r; its s is above half the order, ours is the low one, n - s.
        assert_eq!(
            signature.as_bytes()[..32],
            hex!("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716")
        );
        secret.public().verify(b"sample", &signature).unwrap();

        let high = Signature::from_bytes(hex!(
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
        ));
        assert_eq!(secret.public().verify(b"sample", &high), Err(BadSignature));
        assert_eq!(secret.public().verify(b"other", &signature), Err(BadSignature));
    }

    #[test]
    fn keys_that_are_none() {
        assert_eq!(AuthSecret::from_secret(&Secret::from_bytes([0; 32])), Err(InvalidKey));
        assert_eq!(AuthSecret::from_secret(&Secret::from_bytes([0xff; 32])), Err(InvalidKey));
        assert_eq!(AuthPublic::from_sec1(&[2; 33]).map(|_| ()), Ok(()));
        assert_eq!(AuthPublic::from_sec1(&[9; 33]), Err(InvalidKey));
        assert_eq!(AuthPublic::from_sec1(&[0]), Err(InvalidKey));
    }
}
