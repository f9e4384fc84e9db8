//! Whom to dial, and when; and which of two connections with one peer stays. Time is an argument
//! (since the swarm was started), and so is chance.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::options::{Backoff, Limits};
use crate::dht::NodeAddress;
use crate::key::{PublicKey, Topic};

/// Within this time a connection and one in the other direction were dialled at the same moment.
const AT_ONCE: Duration = Duration::from_secs(3);

pub(super) struct Peers {
    own: PublicKey,
    limits: Limits,
    backoff: Backoff,
    known: HashMap<PublicKey, Peer>,
    banned: HashSet<PublicKey>,
}

struct Peer {
    hints: Vec<NodeAddress>,
    topics: HashSet<Topic>,
    /// Joined by key.
    explicit: bool,
    failures: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// To be dialled then.
    Waiting(Duration),
    Dialling,
    Connected {
        since: Duration,
        dialled: bool,
    },
}

/// What becomes of a connection that the peer dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Incoming {
    /// It is the peer's connection now; an earlier one or a dial is given up.
    Take,
    /// Our own dial goes before: it is used if that one fails.
    Hold,
    /// The one that there is stays.
    Refuse,
    /// There is no room for it.
    Full,
}

impl Peers {
    pub(super) fn new(own: PublicKey, limits: Limits, backoff: Backoff) -> Self {
        Self { own, limits, backoff, known: HashMap::new(), banned: HashSet::new() }
    }

    /// A lookup of `topic` has found `peer`. If too many are known already, it takes the place of the one
    /// that was dialled in vain most often.
    pub(super) fn found(
        &mut self,
        peer: PublicKey,
        topic: Topic,
        hints: Vec<NodeAddress>,
        now: Duration,
    ) {
        if peer == self.own || self.banned.contains(&peer) {
            return;
        }
        if !self.known.contains_key(&peer) && !self.make_room() {
            return;
        }
        let first = self.backoff.first;
        let known = self.entry(peer, now);
        known.topics.insert(topic);
        if !hints.is_empty() {
            known.hints = hints;
        }
        // It says that it is there: no reason to wait long.
        if let State::Waiting(until) = &mut known.state {
            *until = (*until).min(now + first);
        }
    }

    /// The application wants to stay connected with `peer`.
    pub(super) fn join(&mut self, peer: PublicKey, now: Duration) {
        if peer != self.own && !self.banned.contains(&peer) {
            let known = self.entry(peer, now);
            known.explicit = true;
            if let State::Waiting(until) = &mut known.state {
                *until = now;
            }
        }
    }

    /// Takes [`Self::join`] back.
    pub(super) fn leave(&mut self, peer: &PublicKey) {
        if let Some(known) = self.known.get_mut(peer) {
            known.explicit = false;
        }
        self.forget_unwanted();
    }

    /// Nobody is wanted because of `topic` any more.
    pub(super) fn forget_topic(&mut self, topic: &Topic) {
        for peer in self.known.values_mut() {
            peer.topics.remove(topic);
        }
        self.forget_unwanted();
    }

    pub(super) fn ban(&mut self, peer: PublicKey) {
        self.banned.insert(peer);
        self.known.remove(&peer);
    }

    pub(super) fn unban(&mut self, peer: &PublicKey) {
        self.banned.remove(peer);
    }

    pub(super) fn is_banned(&self, peer: &PublicKey) -> bool {
        *peer == self.own || self.banned.contains(peer)
    }

    /// Whom to dial now, if anybody, with nodes that may know the way; it counts as being dialled.
    pub(super) fn next(&mut self, now: Duration) -> Option<(PublicKey, Vec<NodeAddress>)> {
        if self.dialling() >= self.limits.dials {
            return None;
        }
        let full = self.is_full();
        let due = |peer: &Peer| match peer.state {
            State::Waiting(until) if until <= now && (peer.explicit || !full) => Some(until),
            _ => None,
        };
        let next = self.known.iter().filter_map(|(key, peer)| Some((due(peer)?, *key))).min()?.1;
        let peer = self.known.get_mut(&next)?;
        peer.state = State::Dialling;
        Some((next, peer.hints.clone()))
    }

    /// When [`Self::next`] will have somebody, unless something happens before.
    pub(super) fn next_time(&self) -> Option<Duration> {
        if self.dialling() >= self.limits.dials {
            return None;
        }
        let full = self.is_full();
        let times = self.known.values().filter_map(|peer| match peer.state {
            State::Waiting(until) if peer.explicit || !full => Some(until),
            _ => None,
        });
        times.min()
    }

    /// The application dials `peer` at once.
    pub(super) fn dial(&mut self, peer: PublicKey, now: Duration) -> Vec<NodeAddress> {
        let known = self.entry(peer, now);
        known.state = State::Dialling;
        known.hints.clone()
    }

    pub(super) fn dial_failed(&mut self, peer: &PublicKey, now: Duration, chance: f64) {
        let backoff = self.backoff;
        if let Some(known) = self.known.get_mut(peer) {
            known.failures = known.failures.saturating_add(1);
            known.state = State::Waiting(now + backoff.wait(known.failures, chance));
        }
        self.forget_unwanted();
    }

    /// What becomes of a connection that `peer` dialled. The side with the higher key has the say
    /// when both dialled at once, as npm `hyperswarm` has it.
    pub(super) fn incoming(&self, peer: &PublicKey, now: Duration) -> Incoming {
        let ours_goes_before = self.own > *peer;
        let known = self.known.get(peer);
        match known.map(|known| known.state) {
            Some(State::Dialling) if ours_goes_before => Incoming::Hold,
            Some(State::Connected { since, dialled: true })
                if ours_goes_before && now.saturating_sub(since) < AT_ONCE =>
            {
                Incoming::Refuse
            }
            // Who dials again has lost the other one.
            Some(State::Dialling | State::Connected { .. }) => Incoming::Take,
            _ if self.is_full() && !known.is_some_and(|known| known.explicit) => Incoming::Full,
            _ => Incoming::Take,
        }
    }

    pub(super) fn connected(
        &mut self,
        peer: PublicKey,
        dialled: bool,
        hints: Vec<NodeAddress>,
        now: Duration,
    ) {
        let known = self.entry(peer, now);
        known.state = State::Connected { since: now, dialled };
        if !hints.is_empty() {
            known.hints = hints;
        }
    }

    pub(super) fn disconnected(&mut self, peer: &PublicKey, now: Duration, chance: f64) {
        let backoff = self.backoff;
        if let Some(known) = self.known.get_mut(peer) {
            let (since, dialled) = match known.state {
                State::Connected { since, dialled } => (since, dialled),
                _ => (now, true),
            };
            let lasted = now.saturating_sub(since) >= backoff.proven;
            known.failures = if lasted { 1 } else { known.failures.saturating_add(1) };
            let wait = backoff.wait(known.failures, chance);
            // Who dialled dials again; the other side waits for that first.
            known.state = State::Waiting(now + if dialled { wait } else { wait * 2 });
        }
        self.forget_unwanted();
    }

    /// After a sleep or in another network everybody is worth a try at once.
    pub(super) fn refresh(&mut self, now: Duration) {
        for peer in self.known.values_mut() {
            if let State::Waiting(until) = &mut peer.state {
                *until = now;
                peer.failures = 0;
            }
        }
    }

    fn dialling(&self) -> usize {
        self.known.values().filter(|peer| peer.state == State::Dialling).count()
    }

    /// Whether all places are taken, by peers that are connected or being dialled.
    fn is_full(&self) -> bool {
        let taken = self.known.values().filter(|peer| !matches!(peer.state, State::Waiting(_)));
        taken.count() >= self.limits.peers
    }

    /// Makes room for one more peer to know, if there is any to be had.
    fn make_room(&mut self) -> bool {
        if self.known.len() < self.limits.known {
            return true;
        }
        let in_vain = self.known.iter().filter(|(_, peer)| {
            matches!(peer.state, State::Waiting(_)) && !peer.explicit && peer.failures > 0
        });
        let worst = in_vain.max_by_key(|(_, peer)| peer.failures).map(|(key, _)| *key);
        worst.is_some_and(|worst| self.known.remove(&worst).is_some())
    }

    fn entry(&mut self, peer: PublicKey, now: Duration) -> &mut Peer {
        self.known.entry(peer).or_insert_with(|| Peer {
            hints: Vec::new(),
            topics: HashSet::new(),
            explicit: false,
            failures: 0,
            state: State::Waiting(now),
        })
    }

    fn forget_unwanted(&mut self) {
        self.known.retain(|_, peer| {
            peer.explicit || !peer.topics.is_empty() || !matches!(peer.state, State::Waiting(_))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(byte: u8) -> PublicKey {
        PublicKey([byte; 32])
    }

    fn peers(own: u8) -> Peers {
        Peers::new(key(own), Limits { peers: 4, dials: 2, known: 8, unread: 0 }, Backoff::default())
    }

    #[test]
    fn a_peer_that_was_found_is_dialled_at_once_and_then_ever_later() {
        let mut peers = peers(1);
        let topic = Topic([9; 32]);
        let mut now = Duration::ZERO;
        peers.found(key(2), topic, Vec::new(), now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            assert_eq!(peers.next(now).unwrap().0, key(2));
            assert!(peers.next(now).is_none(), "one dial at a time");
            peers.dial_failed(&key(2), now, 0.5);
            let then = peers.next_time().unwrap();
            waits.push((then - now).as_secs());
            now = then;
        }
        assert_eq!(waits, [1, 4, 16, 64, 256, 600, 600, 600]);
    }

    #[test]
    fn chance_moves_the_wait_by_a_quarter() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(1, 0.0), SECOND * 3 / 4);
        assert_eq!(backoff.wait(1, 1.0), SECOND * 5 / 4);
        assert_eq!(backoff.wait(u32::MAX, 0.5), backoff.most);
    }

    #[test]
    fn a_lasting_connection_makes_a_fresh_start_and_the_dialler_dials_again() {
        for (dialled, factor) in [(true, 1), (false, 2)] {
            let mut peers = peers(1);
            peers.join(key(2), Duration::ZERO);
            for _ in 0..4 {
                peers.dial_failed(&key(2), Duration::ZERO, 0.5);
            }
            peers.connected(key(2), dialled, Vec::new(), SECOND);
            peers.disconnected(&key(2), SECOND * 20, 0.5);
            assert_eq!(peers.next_time(), Some(SECOND * (20 + factor)));
        }
    }

    #[test]
    fn who_is_wanted_no_more_is_forgotten_unless_connected() {
        let mut peers = peers(1);
        let topic = Topic([9; 32]);
        peers.found(key(2), topic, Vec::new(), SECOND);
        peers.found(key(3), topic, Vec::new(), SECOND);
        peers.connected(key(3), true, Vec::new(), SECOND);
        peers.forget_topic(&topic);
        assert!(peers.next(SECOND * 9).is_none());
        peers.disconnected(&key(3), SECOND * 9, 0.5);
        assert!(peers.next(SECOND * 99).is_none());
        assert!(peers.known.is_empty());
    }

    #[test]
    fn limits_hold() {
        let mut peers = peers(1);
        let topic = Topic([9; 32]);
        for byte in 2..40 {
            peers.found(key(byte), topic, Vec::new(), SECOND);
        }
        assert_eq!(peers.known.len(), 8);
        for _ in 0..2 {
            let (next, _) = peers.next(SECOND).unwrap();
            assert!(peers.next(SECOND).is_some());
            assert!(peers.next(SECOND).is_none(), "two dials at a time");
            let other = *peers
                .known
                .iter()
                .find(|(k, p)| p.state == State::Dialling && **k != next)
                .unwrap()
                .0;
            peers.connected(next, true, Vec::new(), SECOND);
            peers.connected(other, true, Vec::new(), SECOND);
        }
        assert!(peers.next(SECOND).is_none(), "four peers");
        assert_eq!(peers.next_time(), None);
        peers.join(key(77), SECOND);
        assert_eq!(peers.next(SECOND).unwrap().0, key(77), "joined by key");
    }

    #[test]
    fn who_dials_finds_a_place_or_is_known_by_key() {
        let mut peers = peers(1);
        for byte in 2..5 {
            assert_eq!(peers.incoming(&key(byte), SECOND), Incoming::Take);
            peers.connected(key(byte), false, Vec::new(), SECOND);
        }
        peers.dial(key(5), SECOND);
        assert_eq!(peers.incoming(&key(6), SECOND), Incoming::Full, "one of four is being dialled");
        assert_eq!(peers.incoming(&key(5), SECOND), Incoming::Take, "and has that place");
        assert_eq!(peers.incoming(&key(4), SECOND), Incoming::Take, "as who comes back has");
        peers.join(key(7), SECOND);
        assert_eq!(peers.incoming(&key(7), SECOND), Incoming::Take, "joined by key");
        peers.dial_failed(&key(5), SECOND, 0.5);
        assert_eq!(peers.incoming(&key(6), SECOND), Incoming::Take);
    }

    #[test]
    fn who_is_dialled_in_vain_makes_room_for_who_was_not_dialled_yet() {
        let mut peers = peers(1);
        let topic = Topic([9; 32]);
        peers.join(key(2), SECOND);
        for byte in 3..=9 {
            peers.found(key(byte), topic, Vec::new(), SECOND);
        }
        peers.found(key(10), topic, Vec::new(), SECOND);
        assert!(!peers.known.contains_key(&key(10)), "all others may be there");
        for (byte, failures) in [(2, 9), (3, 1), (4, 2), (5, 3)] {
            for _ in 0..failures {
                peers.dial(key(byte), SECOND);
                peers.dial_failed(&key(byte), SECOND, 0.5);
            }
        }
        peers.dial(key(5), SECOND);
        for (found, gone) in [(10, 4), (11, 3)] {
            peers.found(key(found), topic, Vec::new(), SECOND);
            assert!(peers.known.contains_key(&key(found)) && !peers.known.contains_key(&key(gone)));
        }
        peers.found(key(12), topic, Vec::new(), SECOND);
        assert!(!peers.known.contains_key(&key(12)) && peers.known.len() == 8);
    }

    #[test]
    fn own_key_and_banned_keys_are_never_dialled() {
        let mut peers = peers(1);
        peers.ban(key(2));
        for byte in [1, 2] {
            peers.found(key(byte), Topic([9; 32]), Vec::new(), SECOND);
            peers.join(key(byte), SECOND);
            assert!(peers.is_banned(&key(byte)));
        }
        assert!(peers.next(SECOND).is_none());
        peers.unban(&key(2));
        peers.join(key(2), SECOND);
        assert_eq!(peers.next(SECOND).unwrap().0, key(2));
    }

    /// Both sides dial; in whatever order things arrive, the connection of the higher key stays.
    #[test]
    fn of_two_dials_at_once_one_stays_on_both_sides() {
        let (low, high) = (key(1), key(2));
        let mut at_low = Peers::new(low, Limits::default(), Backoff::default());
        let mut at_high = Peers::new(high, Limits::default(), Backoff::default());
        at_low.dial(high, SECOND);
        at_high.dial(low, SECOND);
        assert_eq!(at_low.incoming(&high, SECOND), Incoming::Take);
        assert_eq!(at_high.incoming(&low, SECOND), Incoming::Hold);
        // Both dials were through before either saw the other's.
        at_low.connected(high, true, Vec::new(), SECOND);
        at_high.connected(low, true, Vec::new(), SECOND);
        assert_eq!(at_low.incoming(&high, SECOND), Incoming::Take);
        assert_eq!(at_high.incoming(&low, SECOND), Incoming::Refuse);
        // Later it is no coincidence: the peer came back.
        assert_eq!(at_high.incoming(&low, SECOND * 9), Incoming::Take);
    }
}
