//! What a pairing does to the device: admitting the other one, and taking in its data.

use std::time::Duration;

use handfast_ipfs::Record;
use handfast_keys::Digest;
use handfast_pairing::qr::Introduction;
use handfast_pairing::qr::session::PeerKeys;
use handfast_ring::{Admission, AdmissionId, Identity, SignedIdentity};
use tokio::time::{self, Instant};

use super::cadence::{LastWord, is_near};
use super::session::Reporter;
use super::{Step, routers};
use crate::device::Inner;
use crate::error::Result;
use crate::events::{Event, Work};
use crate::store::{meta, peers, reach, solo};
use crate::sync::{self, Imported, SyncReport};

/// The pause before something that failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a pairing waits for what the peer lists but nobody has. The peer may only pass it on.
const LACKING: Duration = Duration::from_secs(60);

/// Admits the peer, seals the solo data at the first pairing, and publishes the feed; again until
/// that succeeds. Done twice, it changes nothing.
pub async fn admit(
    device: &Inner,
    introduction: &Introduction,
    report: &Reporter,
) -> Result<Record> {
    let admission = seal_and_admit(device, introduction, |_, _| Ok(()))?;
    report.admitted(Digest::from_bytes(*admission.as_bytes()));
    loop {
        match publish(device).await {
            Ok(published) => return Ok(published.record),
            Err(error) => report.step(Step::Trouble(error.to_string())),
        }
        time::sleep(PAUSE).await;
    }
}

/// Seals what was solo and takes the peer into the ring, and does what else belongs to that, all
/// at once. Done twice, it changes nothing.
pub fn seal_and_admit(
    device: &Inner,
    introduction: &Introduction,
    also: impl FnOnce(&rusqlite::Transaction<'_>, AdmissionId) -> Result<()>,
) -> Result<AdmissionId> {
    let peer = introduction.peer.clone();
    let admission = Admission::sign(&device.keys, peer.clone(), introduction.transcript);
    let id = device.store.write(|tx| {
        solo::seal(tx, &device.keys, |done, total| {
            device.bus.progress(Work::Sealing, done, total);
        })?;
        let mut ring = meta::RING.get(tx)?;
        let same = ring.admissions().iter().find(|known| {
            known.signed_identity() == &peer && known.transcript() == introduction.transcript
        });
        let id = match same {
            Some(same) => same.id(),
            None => {
                let id = admission.id();
                ring.admit(admission);
                meta::RING.set(tx, &ring)?;
                meta::IDENTITY.set(tx, &introduction.own)?;
                let peer = peer.identity().device_id();
                peers::forget_record(tx, &peer)?;
                if let Some(told) = &introduction.reach {
                    reach::learn(tx, &peer, &routers::told_reach(told))?;
                }
                id
            }
        };
        also(tx, id)?;
        Ok(id)
    })?;
    let identity = peer.identity();
    let (device_id, name) = (identity.device_id(), identity.name.clone());
    device.bus.emit(Event::DeviceAdded { device: device_id, name, by: None });
    Ok(id)
}

/// Takes an admission back whose pairing failed. What was sealed stays sealed.
pub fn undo(device: &Inner, admission: Digest) -> Result<()> {
    device.store.write(|tx| {
        let mut ring = meta::RING.get(tx)?;
        ring.undo(&AdmissionId::from_bytes(*admission.as_bytes()));
        meta::RING.set(tx, &ring)
    })
}

/// Publishes the own feed under an identity that was signed for this pairing; again until that
/// succeeds.
pub async fn announce(device: &Inner, own: &SignedIdentity, report: &Reporter) -> Result<()> {
    device.store.write(|tx| meta::IDENTITY.set(tx, own))?;
    loop {
        match publish(device).await {
            Ok(_) => return Ok(()),
            Err(error) => report.step(Step::Trouble(error.to_string())),
        }
        time::sleep(PAUSE).await;
    }
}

async fn publish(device: &Inner) -> Result<sync::Outcome> {
    sync::publish_above(device, &device.provider()?, &mut SyncReport::default()).await
}

/// Looks for the feed of a device of which only the keys are known.
pub async fn find_peer(
    device: &Inner,
    peer: &PeerKeys,
    report: &Reporter,
) -> Result<SignedIdentity> {
    let begun = LastWord::new();
    loop {
        let looked = Instant::now();
        let found = async { sync::find_peer(&device.roads()?, peer).await };
        match found.await {
            Ok(Some(identity)) => return Ok(identity),
            Ok(None) => (),
            Err(error) => report.step(Step::Trouble(error.to_string())),
        }
        pause(device, &begun, looked.elapsed()).await;
    }
}

/// Takes in the peer's data, as soon as it has handed its keys over in this pairing.
pub async fn import(
    device: &Inner,
    peer: &Identity,
    transcript: &Digest,
    record: Option<Record>,
    report: &Reporter,
) -> Result<()> {
    let mut record = record;
    let begun = LastWord::new();
    let mut admitted: Option<Instant> = None;
    loop {
        let looked = Instant::now();
        let imported = async {
            let provider = device.roads()?;
            let record = match record.take() {
                Some(record) => {
                    let id = peer.device_id();
                    let now = device.clock.now();
                    device.store.write(|tx| peers::accept_if_newer(tx, &id, &record, now))?;
                    Some(record)
                }
                None => sync::latest(device, &provider, peer).await?,
            };
            match record {
                Some(record) => {
                    sync::import_peer(device, &provider, peer, &record, Some(transcript)).await
                }
                None => Ok(Default::default()),
            }
        };
        match imported.await {
            Ok(Imported { admitted: false, .. }) => (),
            Ok(Imported { trouble: None, .. }) => return Ok(()),
            Ok(Imported { trouble: Some(error), .. }) => {
                if admitted.get_or_insert(looked).elapsed() >= LACKING {
                    let later = "what is missing is looked for at every sync";
                    report.step(Step::Trouble(format!("{error}; {later}")));
                    return Ok(());
                }
                report.step(Step::Trouble(error.to_string()));
            }
            Err(error) => report.step(Step::Trouble(error.to_string())),
        }
        pause(device, &begun, looked.elapsed()).await;
    }
}

/// Waits until it is time to look for another device's feed once more, after a look that took so
/// long.
async fn pause(device: &Inner, begun: &LastWord, took: Duration) {
    let config = device.store.read(meta::provider).ok().flatten();
    let addresses = config.as_ref().and_then(routers::addresses).unwrap_or_default();
    let near = !addresses.is_empty() && addresses.iter().all(|address| is_near(address));
    begun.cadence(near).rest(took).await;
}
