//! Taking the other device into the ring, and what goes along with that.

use std::sync::Arc;

use async_trait::async_trait;
use handfast_keys::Digest;
use handfast_keys::canonical;
use handfast_pairing::qr::message::ProviderGrant;
use handfast_pairing_manager::{self as manager, AddWriterError, Peer};
use handfast_ring::{DeviceKeys, FeedKeys};
use serde::{Deserialize, Serialize};

use super::structures::later;
use crate::device::Inner;
use crate::error::Result;
use crate::pairing::effects;
use crate::pairing::routers;
use crate::store::{meta, peers, reach};

/// The most that the other device may send along.
const MAX_ATTACHMENT: usize = 64 << 10;

/// What one device sends along to the other, who alone can open it.
#[derive(Serialize, Deserialize)]
struct Attachment {
    /// What opens its feed.
    feed: FeedKeys,
    /// Where its feed can be read, if it uses a provider.
    reach: Option<ProviderGrant>,
    /// Its provider, for a device that has none.
    provider: Option<ProviderGrant>,
}

/// The device behind the manager.
pub struct Admitter(pub Arc<Inner>);

#[async_trait]
impl manager::Device for Admitter {
    fn keys(&self) -> DeviceKeys {
        self.0.keys.clone()
    }

    async fn attach(&self, peer: &Peer) -> Vec<u8> {
        attachment(&self.0, peer)
            .map(|attachment| canonical::encode(&attachment))
            .unwrap_or_default()
    }

    async fn admit(&self, peer: &Peer, attachment: &[u8]) -> Result<(), AddWriterError> {
        let attachment: Attachment = canonical::decode(attachment, MAX_ATTACHMENT)
            .map_err(|error| AddWriterError::Never(error.to_string()))?;
        admit(&self.0, peer, attachment).map_err(later)
    }
}

/// The candidate knows by now whether the member has a provider; the member sends its own in any
/// case.
fn attachment(device: &Inner, peer: &Peer) -> Result<Attachment> {
    let id = peer.introduction.as_ref().map(|it| it.peer.identity().device_id());
    device.store.read(|tx| {
        let config = meta::provider(tx)?;
        let has_provider = reach::all(tx)?.iter().any(|(device, _)| Some(*device) == id);
        let lent = config.as_ref().filter(|_| !has_provider);
        Ok(Attachment {
            feed: meta::FEED_KEYS.get(tx)?,
            reach: config.as_ref().map(routers::own_reach).transpose()?,
            provider: lent.map(routers::grant).transpose()?,
        })
    })
}

fn admit(device: &Inner, peer: &Peer, attachment: Attachment) -> Result<()> {
    // The manager turns away whoever has no device behind him.
    let Some(introduction) = &peer.introduction else { return Ok(()) };
    let id = introduction.peer.identity().device_id();
    effects::seal_and_admit(device, introduction, |tx, admission| {
        peers::set_feed(tx, &id, &attachment.feed)?;
        if let Some(told) = &attachment.reach {
            reach::learn(tx, &id, &routers::told_reach(told))?;
        }
        if let Some(mut session) = meta::INVITE.find(tx)? {
            session.admission = Some(Digest::from_bytes(*admission.as_bytes()));
            meta::INVITE.set(tx, &session)?;
        }
        Ok(())
    })?;
    let has_provider = device.store.read(meta::provider)?.is_some();
    if let (false, Some(grant)) = (has_provider, &attachment.provider) {
        device.set_provider(&routers::granted(grant)?)?;
    }
    Ok(())
}

/// Takes back the admission of a pairing that came to nothing.
pub fn undo(device: &Inner) -> Result<()> {
    let session = device.store.read(|tx| meta::INVITE.find(tx))?;
    match session.and_then(|session| session.admission) {
        Some(admission) => effects::undo(device, admission),
        None => Ok(()),
    }
}
