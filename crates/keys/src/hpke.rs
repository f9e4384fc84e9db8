//! Hybrid public-key encryption, RFC 9180, single-shot, in one suite:
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
//!
//! A sealed message is enc ‖ ciphertext. `info` always is a [`Digest`] that binds purpose, parties
//! and transcript; aad is empty.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::{DhP256HkdfSha256, Kem};
use ::hpke::{Deserializable, OpModeR, OpModeS, PskBundle, Serializable};
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use rand_core::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Digest, InvalidKey, Label, Secret, bytes};

type Suite = DhP256HkdfSha256;
type KemSecret = <Suite as Kem>::PrivateKey;
type KemPublic = <Suite as Kem>::PublicKey;

/// The size of `enc`, an uncompressed point.
const ENC: usize = 65;

/// How many bytes a sealed message is longer than its plaintext.
pub const OVERHEAD: usize = ENC + 16;

/// A message that does not open: not for this key, not from this sender, or tampered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed message does not open")]
pub struct OpenError;

/// The P-256 key to which others seal. Wiped when dropped.
#[derive(Clone)]
pub struct ExchangeSecret(Box<p256::SecretKey>);

/// The public half of an [`ExchangeSecret`]: a point of P-256, checked when it is parsed. On the
/// wire 33 bytes (SEC1, compressed), inside hashes 65.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExchangePublic(p256::PublicKey);

/// A pre-shared key and its public name, for [`ExchangePublic::seal_psk`].
#[derive(Debug, Clone)]
pub struct Psk {
    key: Secret<32>,
    id: Digest,
}

impl Psk {
    /// `HKDF(no salt, ikm, label, 32)` under the name `id`.
    pub fn derive(ikm: &[u8; 32], label: Label, id: Digest) -> Psk {
        let mut key = [0; 32];
        // 32 bytes are within HKDF-SHA256's reach of 255 × 32.
        let _ =
            hkdf::Hkdf::<sha2::Sha256>::new(None, ikm).expand(label.as_str().as_bytes(), &mut key);
        Psk::new(Secret::from_bytes(key), id)
    }

    /// A pre-shared key as it is, of full entropy, under the name `id`.
    pub fn new(key: Secret<32>, id: Digest) -> Psk {
        Psk { key, id }
    }

    fn bundle(&self) -> Result<PskBundle<'_>, OpenError> {
        PskBundle::new(self.key.expose(), self.id.as_ref()).map_err(|_| OpenError)
    }
}

impl ExchangeSecret {
    /// Draws a key.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(Box::new(p256::SecretKey::generate_from_rng(rng)))
    }

    /// The key with this big-endian scalar.
    pub fn from_secret(scalar: &Secret<32>) -> Result<Self, InvalidKey> {
        let key = p256::SecretKey::from_slice(scalar.expose()).map_err(|_| InvalidKey)?;
        Ok(Self(Box::new(key)))
    }

    /// The big-endian scalar.
    pub fn to_secret(&self) -> Secret<32> {
        Secret::from_bytes(self.0.to_bytes().into())
    }

    /// The public key.
    pub fn public(&self) -> ExchangePublic {
        ExchangePublic(self.0.public_key())
    }

    /// Opens what [`ExchangePublic::seal`] made.
    pub fn open(&self, info: &Digest, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.open_in(&OpModeR::Base, info, sealed)
    }

    /// Opens what [`ExchangePublic::seal_psk`] made with the same `psk`.
    pub fn open_psk(&self, psk: &Psk, info: &Digest, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.open_in(&OpModeR::Psk(psk.bundle()?), info, sealed)
    }

    /// Opens what the holder of `sender` made with [`ExchangePublic::seal_auth`].
    pub fn open_auth(
        &self,
        sender: &ExchangePublic,
        info: &Digest,
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let sender = sender.kem().ok_or(OpenError)?;
        self.open_in(&OpModeR::Auth(sender), info, sealed)
    }

    fn open_in(
        &self,
        mode: &OpModeR<'_, Suite>,
        info: &Digest,
        sealed: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let (enc, ciphertext) = sealed.split_first_chunk::<ENC>().ok_or(OpenError)?;
        let enc = <Suite as Kem>::EncappedKey::from_bytes(enc).map_err(|_| OpenError)?;
        let secret = self.kem().ok_or(OpenError)?;
        ::hpke::single_shot_open::<AesGcm256, HkdfSha256, Suite>(
            mode,
            &secret,
            &enc,
            info.as_ref(),
            ciphertext,
            &[],
        )
        .map_err(|_| OpenError)
    }

    fn kem(&self) -> Option<KemSecret> {
        KemSecret::from_bytes(self.to_secret().expose()).ok()
    }
}

impl ExchangePublic {
    /// Parses a point in SEC1, compressed or not.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, InvalidKey> {
        p256::PublicKey::from_sec1_bytes(bytes).map(Self).map_err(|_| InvalidKey)
    }

    /// SEC1, compressed.
    pub fn compressed(&self) -> [u8; 33] {
        bytes::sec1(self.0.to_sec1_point(true).as_bytes())
    }

    /// SEC1, uncompressed: what hashes and signatures take in.
    pub fn uncompressed(&self) -> [u8; 65] {
        bytes::sec1(self.0.to_sec1_point(false).as_bytes())
    }

    /// Seals for this key; anybody can (mode_base).
    pub fn seal<R: CryptoRng>(&self, info: &Digest, plaintext: &[u8], rng: &mut R) -> Vec<u8> {
        self.seal_in(&OpModeS::Base, info, plaintext, rng)
    }

    /// Seals for this key; only a holder of `psk` can (mode_psk).
    pub fn seal_psk<R: CryptoRng>(
        &self,
        psk: &Psk,
        info: &Digest,
        plaintext: &[u8],
        rng: &mut R,
    ) -> Vec<u8> {
        let Ok(bundle) = psk.bundle() else { return Vec::new() };
        self.seal_in(&OpModeS::Psk(bundle), info, plaintext, rng)
    }

    /// Seals for this key, from the holder of `sender` (mode_auth).
    pub fn seal_auth<R: CryptoRng>(
        &self,
        sender: &ExchangeSecret,
        info: &Digest,
        plaintext: &[u8],
        rng: &mut R,
    ) -> Vec<u8> {
        let (Some(secret), Some(public)) = (sender.kem(), sender.public().kem()) else {
            return Vec::new();
        };
        self.seal_in(&OpModeS::Auth((secret, public)), info, plaintext, rng)
    }

    /// Sealing to a valid point does not fail; what could fail would give an empty message, which
    /// nobody opens.
    fn seal_in<R: CryptoRng>(
        &self,
        mode: &OpModeS<'_, Suite>,
        info: &Digest,
        plaintext: &[u8],
        rng: &mut R,
    ) -> Vec<u8> {
        let Some(recipient) = self.kem() else { return Vec::new() };
        ::hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Suite>(
            mode,
            &recipient,
            info.as_ref(),
            plaintext,
            &[],
            rng,
        )
        .map(|(enc, ciphertext)| [enc.to_bytes().as_slice(), &ciphertext].concat())
        .unwrap_or_default()
    }

    fn kem(&self) -> Option<KemPublic> {
        KemPublic::from_bytes(&self.uncompressed()).ok()
    }
}

impl PartialEq for ExchangeSecret {
    fn eq(&self, other: &Self) -> bool {
        self.to_secret() == other.to_secret()
    }
}

impl Eq for ExchangeSecret {}

impl fmt::Debug for ExchangeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExchangeSecret(…)")
    }
}

impl Serialize for ExchangeSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_secret().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExchangeSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_secret(&Secret::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Debug for ExchangePublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExchangePublic(")?;
        bytes::write_hex(f, self.compressed().first_chunk::<4>().unwrap_or(&[0; 4]))?;
        f.write_str("…)")
    }
}

impl Ord for ExchangePublic {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compressed().cmp(&other.compressed())
    }
}

impl PartialOrd for ExchangePublic {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for ExchangePublic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.compressed())
    }
}

impl<'de> Deserialize<'de> for ExchangePublic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes: [u8; 33] = bytes::deserialize(deserializer)?;
        Self::from_sec1(&bytes).map_err(de::Error::custom)
    }
}
