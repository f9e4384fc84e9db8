//! Ed25519 keys (RFC 8032), verified strictly: no small-order keys, no malleable signatures.

use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{BadSignature, InvalidKey, Signature};
use crate::Secret;

/// A secret key whose public key is derived: for whoever needs both, or signs several times.
pub struct Signer<P> {
    key: SigningKey,
    public: P,
}

impl<P: Copy> Signer<P> {
    /// The public key.
    pub fn public(&self) -> P {
        self.public
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature::from_bytes(self.key.sign(message).to_bytes())
    }
}

/// Nothing of the secret.
impl<P: fmt::Debug> fmt::Debug for Signer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("public", &self.public).finish_non_exhaustive()
    }
}

macro_rules! ed25519 {
    ($what:literal, $secret:ident, $public:ident) => {
        #[doc = concat!("The Ed25519 key with which a device signs ", $what, ".")]
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $secret(Secret<32>);

        impl $secret {
            /// Draws a key.
            pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
                Self(Secret::generate(rng))
            }

            /// The key that this seed (RFC 8032's private key) stands for.
            pub fn from_seed(seed: [u8; 32]) -> Self {
                Self(Secret::from_bytes(seed))
            }

            /// The seed; secret.
            pub fn seed(&self) -> &[u8; 32] {
                self.0.expose()
            }

            /// The public key.
            pub fn public(&self) -> $public {
                self.signer().public()
            }

            /// Signs a message.
            pub fn sign(&self, message: &[u8]) -> Signature {
                self.signer().sign(message)
            }

            /// The key made ready: deriving its public key takes as long as signing does.
            pub fn signer(&self) -> Signer<$public> {
                let key = SigningKey::from_bytes(self.0.expose());
                let public = $public::from_bytes(key.verifying_key().to_bytes());
                Signer { key, public }
            }
        }

        crate::fixed_bytes! {
            #[doc = concat!("The public half of a [`", stringify!($secret), "`].")]
            ///
            /// It holds whatever 32 bytes it was given; [`check`](Self::check) tells whether they
            /// are a usable point, and nothing verifies under bytes that are not.
            pub struct $public([u8; 32]);
        }

        impl $public {
            /// Tells whether the bytes are a point of the curve and not one of small order.
            pub fn check(&self) -> Result<(), InvalidKey> {
                match VerifyingKey::from_bytes(&self.0) {
                    Ok(key) if !key.is_weak() => Ok(()),
                    _ => Err(InvalidKey),
                }
            }

            /// Verifies a signature over `message`.
            pub fn verify(
                &self,
                message: &[u8],
                signature: &Signature,
            ) -> Result<(), BadSignature> {
                let key = VerifyingKey::from_bytes(&self.0).map_err(|_| BadSignature)?;
                let signature = ed25519_dalek::Signature::from_bytes(signature.as_bytes());
                key.verify_strict(message, &signature).map_err(|_| BadSignature)
            }
        }
    };
}

ed25519!("its IPNS records", IpnsSecret, IpnsPublic);
ed25519!("its swarm handshakes", SwarmSecret, SwarmPublic);
ed25519!("one of its logs", WriterSecret, WriterPublic);
ed25519!("an invite's requests and responses", InviteSecret, InvitePublic);
ed25519!("what it leaves on the DHT", MailboxSecret, MailboxPublic);

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn rfc_8032() {
        let secret = IpnsSecret::from_seed(hex!(
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
        ));
        assert_eq!(
            secret.public().as_bytes(),
            &hex!("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        );
        let signature = secret.sign(&[0x72]);
        assert_eq!(
            signature.as_bytes(),
            &hex!(
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            )
        );
        secret.public().verify(&[0x72], &signature).unwrap();
        assert_eq!(secret.public().verify(&[0x73], &signature), Err(BadSignature));
    }

    /// A key of small order "signs" anything for a careless verifier.
    #[test]
    fn small_order_keys_verify_nothing() {
        let neutral = WriterPublic::from_bytes({
            let mut bytes = [0; 32];
            bytes[0] = 1;
            bytes
        });
        let forged = Signature::from_bytes({
            let mut bytes = [0; 64];
            bytes[0] = 1;
            bytes
        });
        assert_eq!(neutral.check(), Err(InvalidKey));
        assert_eq!(neutral.verify(b"anything", &forged), Err(BadSignature));
    }

    /// Adding the group order to s gives a second signature that a lax verifier accepts.
    #[test]
    fn malleable_signatures_are_refused() {
        let secret = SwarmSecret::from_seed([7; 32]);
        let mut bytes = *secret.sign(b"m").as_bytes();
        let order = hex!("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let mut carry = 0u16;
        for (s, l) in bytes[32..].iter_mut().zip(order) {
            carry += u16::from(*s) + u16::from(l);
            *s = carry as u8;
            carry >>= 8;
        }
        assert!(secret.public().verify(b"m", &Signature::from_bytes(bytes)).is_err());
    }
}
