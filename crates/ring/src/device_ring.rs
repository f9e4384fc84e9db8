//! The devices that belong together, as one of them sees it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use handfast_keys::canonical::{self, DecodeError};
use serde::{Deserialize, Serialize};

use crate::admission::{Admission, AdmissionId};
use crate::identity::DeviceId;

/// The largest ring, in bytes of its encoding: room for some thousand devices.
pub const MAX_RING: usize = 4 << 20;

/// What one device publishes about the others: the admissions that it holds (its own and those
/// that it adopted) and the highest sequence that it has seen of each device's name. Sealed with
/// the Broadcast Key. Both lists are sorted, by ids, and name nothing twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Unsorted")]
pub struct DeviceRing {
    admissions: Vec<Admission>,
    seen: Vec<(DeviceId, u64)>,
}

#[derive(Deserialize)]
struct Unsorted {
    admissions: Vec<Admission>,
    seen: Vec<(DeviceId, u64)>,
}

impl TryFrom<Unsorted> for DeviceRing {
    type Error = &'static str;

    fn try_from(raw: Unsorted) -> Result<Self, &'static str> {
        let Unsorted { admissions, seen } = raw;
        let ids: Vec<AdmissionId> = admissions.iter().map(Admission::id).collect();
        if ids.is_sorted_by(|a, b| a < b) && seen.is_sorted_by(|a, b| a.0 < b.0) {
            Ok(DeviceRing { admissions, seen })
        } else {
            Err("a ring's lists are sorted")
        }
    }
}

impl DeviceRing {
    /// Adds an admission. One that the same device admitted for the same device before is
    /// replaced: pairing again is how a restored device comes back.
    pub fn admit(&mut self, admission: Admission) {
        let (device, admitter) = (admission.device().device_id(), admission.admitter());
        self.admissions
            .retain(|old| old.device().device_id() != device || old.admitter() != admitter);
        let id = admission.id();
        let at = self.admissions.partition_point(|other| other.id() < id);
        self.admissions.insert(at, admission);
    }

    /// Takes an admission back: the pairing that made it failed.
    pub fn undo(&mut self, id: &AdmissionId) {
        self.admissions.retain(|admission| admission.id() != *id);
    }

    /// Every admission, in the order of their ids.
    pub fn admissions(&self) -> &[Admission] {
        &self.admissions
    }

    /// The devices that `own` trusts: those it admitted, those that these admitted, and so on,
    /// each with the admission through which it came in by the shortest way. `own` itself is not
    /// among them.
    pub fn members(&self, own: &DeviceId) -> BTreeMap<DeviceId, &Admission> {
        introduced(*own, BTreeSet::new(), &self.admissions)
    }

    /// The admissions in a peer's ring that `own` may adopt: of devices that it does not know yet,
    /// by devices that it trusts, directly or through others adopted in the same go.
    pub fn news_in(&self, own: &DeviceId, peers: &DeviceRing) -> Vec<Admission> {
        let known = self.members(own).into_keys().collect();
        let mut news: Vec<Admission> =
            introduced(*own, known, &peers.admissions).into_values().cloned().collect();
        news.sort_by_cached_key(Admission::id);
        news
    }

    /// Notes the highest sequence seen at a device's name.
    pub fn note_sequence(&mut self, device: DeviceId, sequence: u64) {
        match self.seen.binary_search_by_key(&device, |(known, _)| *known) {
            Ok(at) => self.seen.get_mut(at).into_iter().for_each(|(_, highest)| {
                *highest = sequence.max(*highest);
            }),
            Err(at) => self.seen.insert(at, (device, sequence)),
        }
    }

    /// The highest sequence that the ring's owner has seen at a device's name.
    pub fn sequence_of(&self, device: &DeviceId) -> Option<u64> {
        self.seen.iter().find(|(known, _)| known == device).map(|(_, sequence)| *sequence)
    }

    /// Its bytes, to be sealed.
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Reads and verifies a ring: every admission and identity in it.
    pub fn decode(bytes: &[u8]) -> Result<DeviceRing, DecodeError> {
        canonical::decode(bytes, MAX_RING)
    }
}

/// The devices beyond `own` and the `known` ones that these admissions introduce: whoever was
/// admitted by one of those, by somebody admitted by one of those, and so on.
fn introduced(
    own: DeviceId,
    known: BTreeSet<DeviceId>,
    admissions: &[Admission],
) -> BTreeMap<DeviceId, &Admission> {
    let mut by_admitter = BTreeMap::<DeviceId, Vec<(DeviceId, &Admission)>>::new();
    for admission in admissions {
        let device = admission.device().device_id();
        by_admitter.entry(admission.admitter()).or_default().push((device, admission));
    }
    let mut queue: VecDeque<DeviceId> = [own].into_iter().chain(known.iter().copied()).collect();
    let mut trusted = known;
    trusted.insert(own);
    let mut introduced = BTreeMap::new();
    while let Some(admitter) = queue.pop_front() {
        for (device, admission) in by_admitter.remove(&admitter).unwrap_or_default() {
            if trusted.insert(device) {
                introduced.insert(device, admission);
                queue.push_back(device);
            }
        }
    }
    introduced
}
