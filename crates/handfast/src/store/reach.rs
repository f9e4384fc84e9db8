//! Where the feeds of other devices can be read, as far as they have told.

use handfast_providers::Reach;
use handfast_ring::DeviceId;
use rusqlite::Connection;

use super::meta;
use crate::error::Result;

/// The most devices that are remembered.
const MAX_DEVICES: usize = 64;

/// What every other device has told.
pub fn all(connection: &Connection) -> Result<Vec<(DeviceId, Reach)>> {
    Ok(meta::REACH.find(connection)?.unwrap_or_default())
}

/// Notes what a device has told of itself, in place of what was known of it.
pub fn learn(connection: &Connection, device: &DeviceId, reach: &Reach) -> Result<()> {
    let mut known = all(connection)?;
    let before = known.clone();
    known.retain(|(of, _)| of != device);
    if !reach.is_empty() && known.len() < MAX_DEVICES {
        known.push((*device, reach.clone()));
        known.sort_by_key(|(of, _)| *of);
    }
    if known == before { Ok(()) } else { meta::REACH.set(connection, &known) }
}

/// Notes what a device's index tells: of itself, it knows best; of others, only what nobody has
/// told yet; of this device, whether it knows.
pub fn learn_all(
    connection: &Connection,
    own: &DeviceId,
    teller: &DeviceId,
    told: &[(DeviceId, Reach)],
) -> Result<()> {
    let mine = meta::provider(connection)?.map(|config| Reach::of(&config));
    for (device, reach) in told.iter().take(MAX_DEVICES) {
        if device == own {
            if mine.as_ref() == Some(reach) {
                note_informed(connection, teller)?;
            }
            continue;
        }
        let known = all(connection)?.iter().any(|(of, _)| of == device);
        if device == teller || !known {
            learn(connection, device, &reach.clone().bounded())?;
        }
    }
    Ok(())
}

fn note_informed(connection: &Connection, device: &DeviceId) -> Result<()> {
    let mut informed = meta::INFORMED.find(connection)?.unwrap_or_default();
    if informed.contains(device) {
        return Ok(());
    }
    informed.push(*device);
    meta::INFORMED.set(connection, &informed)
}

/// What this device tells: of itself, and of the others.
pub fn told(connection: &Connection, own: &DeviceId) -> Result<Vec<(DeviceId, Reach)>> {
    let mut told = all(connection)?;
    if let Some(config) = meta::provider(connection)? {
        told.push((*own, Reach::of(&config)));
    }
    told.sort_by_key(|(of, _)| *of);
    Ok(told)
}
