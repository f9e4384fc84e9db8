//! The values of which a device has one each.

use std::collections::BTreeMap;

use handfast_ipfs::Cid;
use handfast_keys::{Digest, Timestamp};
use handfast_pairing::qr::Consent;
use handfast_pairing_manager::InviteId;
use handfast_providers::{ProviderConfig, Reach, SecretText};
use handfast_ring::{DeviceId, DeviceName, DeviceRing, FeedKeys, Incarnation, SignedIdentity};
use rusqlite::{Connection, OptionalExtension, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::sql;
use crate::error::{Error, Result};

/// Which device it is: whose keys are to be looked for.
pub const DEVICE: Key<DeviceId> = Key::new("device");
/// What the device is called.
pub const NAME: Key<DeviceName> = Key::new("name");
/// The life of the store; see [`Incarnation`].
pub const INCARNATION: Key<Incarnation> = Key::new("incarnation");
/// There is, or was, another store with this device's keys: a copy, or what this one was before it
/// was restored. The last that it published, as far as this one has read it.
pub const TWIN: Key<ByteBuf> = Key::new("twin");
/// Whether solo records were sealed: from then on every edit is a mutation.
pub const SEALED: Key<bool> = Key::new("sealed");
/// The keys that the device hands to its peers.
pub const FEED_KEYS: Key<FeedKeys> = Key::new("feed-keys");
/// The device's identity as it signed it in its latest pairing.
pub const IDENTITY: Key<SignedIdentity> = Key::new("identity");
/// The devices that belong together.
pub const RING: Key<DeviceRing> = Key::new("ring");
/// The highest sequence that was used for the own name.
pub const SEQUENCE: Key<u64> = Key::new("sequence");
/// What was published last.
pub const PUBLISHED: Key<Published> = Key::new("published");
/// Where the feeds of other devices can be read.
pub const REACH: Key<Vec<(DeviceId, Reach)>> = Key::new("reach");
/// The provider before this one, as long as others may look there.
pub const FORMER: Key<Former> = Key::new("former-provider");
/// The devices that have told that they know where this one's feed can be read.
pub const INFORMED: Key<Vec<DeviceId>> = Key::new("informed");
/// How many edits of this device a router has heard of.
pub const DELIVERED: Key<u64> = Key::new("delivered");
/// What has not worked since when, until it works again.
pub const TROUBLE: Key<(Timestamp, String)> = Key::new("trouble");
/// The pairing that is going on.
pub const SESSION: Key<Session> = Key::new("session");
/// The pairing by invite that is going on.
pub const INVITE: Key<InviteSession> = Key::new("invite");

const PROVIDER: &str = "provider";

/// The name of a value, with its type.
pub struct Key<T>(&'static str, std::marker::PhantomData<T>);

/// What this device published last, to tell what has changed since.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Published {
    /// The hash of all that went into the feed.
    pub content: Option<Digest>,
    /// The record.
    pub record: ByteBuf,
    /// Whether a router has taken it.
    pub delivered: bool,
    /// The blocks of the index and the manifest.
    pub index: Vec<Cid>,
    /// The parts that are uploaded only when they change: the hash of what went in, and the blocks.
    pub parts: BTreeMap<String, (Digest, Vec<Cid>)>,
}

/// A provider that is not used any more. Holds secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// Its config, as JSON.
    pub config: SecretText,
    /// Since when it is not used.
    pub since: Timestamp,
    /// The content that was published there last.
    pub told: Option<Digest>,
}

/// A pairing that is going on, as its machine stored it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Which machine it is.
    pub kind: SessionKind,
    /// The machine's bytes.
    pub state: ByteBuf,
    /// The routers at which it goes on.
    pub routers: Vec<String>,
    /// The id of the admission that it has made, to be undone if it fails.
    pub admission: Option<Digest>,
}

/// A pairing by invite that is going on; the rest is in the manager's journal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteSession {
    /// Which side this is.
    pub role: InviteRole,
    /// The id of the admission that it has made, to be undone if it fails.
    pub admission: Option<Digest>,
}

/// Which side of an invite a device is on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InviteRole {
    /// It made this invite.
    Member(InviteId),
    /// It answers this code, and its person confirms like this.
    Candidate(SecretText, Consent),
}

/// The machines of [`handfast_pairing::qr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionKind {
    /// Shows the code.
    Initiator,
    /// Scanned the code.
    Joiner,
    /// Either, in version 1.
    Literal,
}

impl<T> Key<T> {
    const fn new(name: &'static str) -> Key<T> {
        Key(name, std::marker::PhantomData)
    }
}

impl<T: Serialize + DeserializeOwned> Key<T> {
    /// The value, if there is one.
    pub fn find(&self, connection: &Connection) -> Result<Option<T>> {
        let bytes: Option<Vec<u8>> = connection
            .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
            .query_row([self.0], |row| row.get(0))
            .optional()?;
        bytes.map(|bytes| sql::decode(&bytes, self.0)).transpose()
    }

    /// The value, which every store has.
    pub fn get(&self, connection: &Connection) -> Result<T> {
        self.find(connection)?.ok_or(Error::Damaged(self.0))
    }

    /// Stores the value.
    pub fn set(&self, connection: &Connection, value: &T) -> Result<()> {
        put(connection, self.0, &sql::encode(value))
    }

    /// Removes the value.
    pub fn clear(&self, connection: &Connection) -> Result<()> {
        connection.execute("DELETE FROM meta WHERE name = ?1", [self.0])?;
        Ok(())
    }
}

/// The provider config.
pub fn provider(connection: &Connection) -> Result<Option<ProviderConfig>> {
    let json: Option<Vec<u8>> = connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [PROVIDER], |row| row.get(0))
        .optional()?;
    json.map(|json| serde_json::from_slice(&json).map_err(|_| Error::Damaged(PROVIDER))).transpose()
}

/// Stores the provider config.
pub fn set_provider(connection: &Connection, config: &ProviderConfig) -> Result<()> {
    let json = serde_json::to_vec(config).map_err(|_| Error::Damaged(PROVIDER))?;
    put(connection, PROVIDER, &json)
}

fn put(connection: &Connection, name: &str, value: &[u8]) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
        .execute(params![name, value])?;
    Ok(())
}
