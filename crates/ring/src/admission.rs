//! The statement by which one device takes another into its ring.

use alloc::string::String;

use handfast_keys::{AuthPublic, BadSignature, Digest, Label, Signature, canonical, fixed_bytes};
use serde::{Deserialize, Serialize};

use crate::identity::{DeviceId, DeviceKeys, Identity, SignedIdentity};

fixed_bytes! {
    /// The hash of what an admission says, by which it is named.
    pub struct AdmissionId([u8; 32]);
}

/// "I, the admitter, was introduced to this device, in the conversation with this transcript."
/// Signed by the admitter's auth key; a value of this type is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unverified")]
pub struct Admission {
    statement: Statement,
    signature: Signature,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    device: SignedIdentity,
    admitter: AuthPublic,
    transcript: Digest,
}

#[derive(Deserialize)]
struct Unverified {
    statement: Statement,
    signature: Signature,
}

impl Statement {
    fn digest(&self) -> Digest {
        Label::ADMISSION.hash([&canonical::encode(self)])
    }
}

impl Admission {
    /// Signs the admission of `device`, to which the holder of `admitter` was introduced in the
    /// conversation with hash `transcript`.
    pub fn sign(admitter: &DeviceKeys, device: SignedIdentity, transcript: Digest) -> Admission {
        let statement = Statement { device, admitter: admitter.auth.public(), transcript };
        let signature = admitter.auth.sign(statement.digest().as_ref());
        Admission { statement, signature }
    }

    /// The name of this admission.
    pub fn id(&self) -> AdmissionId {
        AdmissionId::from_bytes(*self.statement.digest().as_bytes())
    }

    /// The device that was admitted.
    pub fn device(&self) -> &Identity {
        self.statement.device.identity()
    }

    /// The same, with its own signatures.
    pub fn signed_identity(&self) -> &SignedIdentity {
        &self.statement.device
    }

    /// Who admitted it.
    pub fn admitter(&self) -> DeviceId {
        DeviceId::of(&self.statement.admitter)
    }

    /// `H(transcript)` of their conversation.
    pub fn transcript(&self) -> Digest {
        self.statement.transcript
    }
}

impl TryFrom<Unverified> for Admission {
    type Error = String;

    fn try_from(raw: Unverified) -> Result<Self, String> {
        let Unverified { statement, signature } = raw;
        if statement.admitter == statement.device.identity().auth {
            return Err("a device cannot admit itself".into());
        }
        statement
            .admitter
            .verify(statement.digest().as_ref(), &signature)
            .map_err(|BadSignature| String::from("the admitter's signature does not verify"))?;
        Ok(Admission { statement, signature })
    }
}
