//! Which writer key is whose.

use alloc::string::String;

use handfast_keys::{
    AuthPublic, BadSignature, Digest, Label, Signature, WriterPublic, WriterSecret, canonical,
    fixed_bytes,
};
use serde::{Deserialize, Serialize};

use crate::identity::{DeviceId, DeviceKeys};

fixed_bytes! {
    /// One life of a device's store. A restored or copied store is a new incarnation and gets new
    /// writer keys, so that no two stores ever write one log.
    pub struct Incarnation([u8; 16]);
}

/// "This writer key is mine, for this data structure": signed by the device's auth key *and* by
/// the writer key. Parsing checks neither, since it does not know the device's auth key;
/// [`verify`](Self::verify) does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterCertificate {
    statement: Statement,
    by_auth: Signature,
    by_writer: Signature,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    device: DeviceId,
    namespace: String,
    writer: WriterPublic,
    incarnation: Incarnation,
}

impl Statement {
    fn digest(&self) -> Digest {
        Label::WRITER.hash([&canonical::encode(self)])
    }
}

impl WriterCertificate {
    /// Certifies that the device with `keys` writes `namespace` with `writer`.
    pub fn sign(
        keys: &DeviceKeys,
        writer: &WriterSecret,
        namespace: &str,
        incarnation: Incarnation,
    ) -> WriterCertificate {
        let statement = Statement {
            device: keys.device_id(),
            namespace: namespace.into(),
            writer: writer.public(),
            incarnation,
        };
        let digest = statement.digest();
        WriterCertificate {
            statement,
            by_auth: keys.auth.sign(digest.as_ref()),
            by_writer: writer.sign(digest.as_ref()),
        }
    }

    /// Checks both signatures, against the auth key of the device that the certificate names.
    pub fn verify(&self, auth: &AuthPublic) -> Result<(), BadSignature> {
        if DeviceId::of(auth) != self.statement.device {
            return Err(BadSignature);
        }
        let digest = self.statement.digest();
        auth.verify(digest.as_ref(), &self.by_auth)?;
        self.statement.writer.verify(digest.as_ref(), &self.by_writer)
    }

    /// The device whose writer it is.
    pub fn device(&self) -> DeviceId {
        self.statement.device
    }

    /// The data structure that the writer writes.
    pub fn namespace(&self) -> &str {
        &self.statement.namespace
    }

    /// The writer key.
    pub fn writer(&self) -> WriterPublic {
        self.statement.writer
    }

    /// The life of the store that the writer belongs to.
    pub fn incarnation(&self) -> Incarnation {
        self.statement.incarnation
    }
}
