//! What is to be done for the topics that are joined, and when. Time is an argument (since the swarm
//! was started), and so is chance.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::oneshot;

use super::options::JoinOptions;
use crate::key::Topic;

/// Nodes forget an announcement after 20 minutes.
const REPEAT: Duration = Duration::from_secs(540);
/// Up to this much more, so that not all topics are repeated at one moment.
const SPREAD: Duration = Duration::from_secs(120);
/// When nobody was found or no node answered, the next rounds come sooner.
const SOON: [Duration; 7] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(180),
];

/// All topics that are joined, and those whose announcement is still to be taken back.
pub(super) struct Topics {
    joined: HashMap<Topic, Joined>,
    due: BTreeSet<(Duration, Topic)>,
    /// The number of the last round that was wanted, of any topic.
    wanted: u64,
    /// Not suspended.
    awake: bool,
    /// Whether handshakes find their way to us: before, an announcement would not help.
    reachable: bool,
    is_closed: bool,
}

#[derive(Default)]
struct Joined {
    joins: usize,
    /// How many joins want it announced, and looked up.
    announcing: usize,
    looking: usize,
    /// The number of the round that is wanted: a higher one whenever it is to be made anew.
    wanted: u64,
    /// The number of the last round that was made.
    done: u64,
    /// Who waits for the round of which number.
    waiting: Vec<(u64, oneshot::Sender<()>)>,
    due: Option<Duration>,
    is_running: bool,
    /// How many rounds in a row did not go well.
    failures: usize,
    /// Nodes may know of us.
    announced: bool,
    announce_again: Duration,
}

/// What is to be done for a topic in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Round {
    pub(super) topic: Topic,
    pub(super) announce: bool,
    pub(super) look_up: bool,
    /// Take the announcement back.
    pub(super) withdraw: bool,
    number: u64,
    /// It would be announced if that helped already.
    waits: bool,
}

/// What came of a round; what it did not contain went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) announced: bool,
    pub(super) found: bool,
    pub(super) withdrawn: bool,
}

impl Outcome {
    /// Nothing went well.
    pub(super) const BAD: Outcome = Outcome { announced: false, found: false, withdrawn: false };
}

impl Topics {
    pub(super) fn new() -> Self {
        let (joined, due) = Default::default();
        Self { joined, due, wanted: 0, awake: true, reachable: false, is_closed: false }
    }

    /// Joins a topic once more. Returns the number of the round that does what this join wants.
    pub(super) fn join(&mut self, topic: Topic, options: JoinOptions, now: Duration) -> u64 {
        if self.is_closed {
            return 0;
        }
        let joined = self.joined.entry(topic).or_default();
        joined.joins += 1;
        joined.announcing += usize::from(options.announce);
        joined.looking += usize::from(options.lookup);
        self.begin_anew(topic, now)
    }

    /// Takes one [`Self::join`] with these options back. If it was the last one, returns the number of
    /// the round in which the announcement is taken back.
    pub(super) fn leave(
        &mut self,
        topic: Topic,
        options: JoinOptions,
        now: Duration,
    ) -> Option<u64> {
        let joined = self.joined.get_mut(&topic)?;
        joined.joins = joined.joins.saturating_sub(1);
        joined.announcing = joined.announcing.saturating_sub(usize::from(options.announce));
        joined.looking = joined.looking.saturating_sub(usize::from(options.lookup));
        let is_last = joined.joins == 0;
        let wants_less =
            options.announce && joined.announcing == 0 || options.lookup && joined.looking == 0;
        let number = (is_last || wants_less).then(|| self.begin_anew(topic, now));
        number.filter(|_| is_last)
    }

    /// Whether anybody has joined it and not left.
    pub(super) fn is_joined(&self, topic: &Topic) -> bool {
        self.joined.get(topic).is_some_and(|joined| joined.joins > 0)
    }

    /// Makes a round of a topic now, not when it is due. Returns its number.
    pub(super) fn begin_anew(&mut self, topic: Topic, now: Duration) -> u64 {
        let Some(joined) = self.joined.get_mut(&topic) else { return 0 };
        self.wanted += 1;
        joined.wanted = self.wanted;
        joined.failures = 0;
        joined.announce_again = now;
        self.schedule(topic, now);
        self.wanted
    }

    /// Suspends all topics, or makes a round of each.
    pub(super) fn set_awake(&mut self, awake: bool, now: Duration) {
        self.awake = awake;
        self.begin_all_anew(now);
    }

    /// Makes a round of every topic now.
    pub(super) fn begin_all_anew(&mut self, now: Duration) {
        self.begin_those_anew(now, |_| true);
    }

    /// From now on handshakes find their way to us.
    pub(super) fn set_reachable(&mut self, now: Duration) {
        if !self.reachable {
            self.reachable = true;
            self.begin_those_anew(now, |joined| joined.announcing > 0);
        }
    }

    /// Handshakes find their way to us no more: what is announced next waits until they do again.
    pub(super) fn set_unreachable(&mut self) {
        self.reachable = false;
    }

    /// Says when the round of this number was made, or the topic forgotten; `None`: it was already.
    pub(super) fn wait(&mut self, topic: Topic, number: u64) -> Option<oneshot::Receiver<()>> {
        let joined = self.joined.get_mut(&topic).filter(|joined| joined.done < number)?;
        let (sender, receiver) = oneshot::channel();
        joined.waiting.push((number, sender));
        Some(receiver)
    }

    /// The next round that is due; [`Self::finished`] is to be told what came of it.
    pub(super) fn next(&mut self, now: Duration) -> Option<Round> {
        while self.due.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, topic)) = self.due.pop_first() else { break };
            let Some(joined) = self.joined.get_mut(&topic) else { continue };
            joined.due = None;
            let round = joined.round(topic, self.awake, self.reachable, now);
            if round.announce || round.look_up || round.withdraw {
                joined.is_running = true;
                joined.announced |= round.announce;
                return Some(round);
            }
            joined.made(&round);
            self.forget_if_left(topic);
        }
        None
    }

    /// When the next round is due.
    pub(super) fn next_time(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// A round has ended. `chance` is between 0 and 1.
    pub(super) fn finished(&mut self, round: &Round, outcome: Outcome, now: Duration, chance: f64) {
        let Some(joined) = self.joined.get_mut(&round.topic) else { return };
        joined.is_running = false;
        // (One that is to be begun anew may have been announced from another network.)
        if round.announce && outcome.announced && joined.wanted == round.number {
            joined.announce_again = now + REPEAT;
        }
        // Of a topic that was left, nodes forget it by themselves in the end.
        if round.withdraw && (outcome.withdrawn || joined.joins == 0) {
            joined.announced = false;
        }
        joined.made(round);
        let next = if joined.wanted > round.number {
            now
        } else {
            let went_well = outcome.announced && outcome.found && outcome.withdrawn;
            let soon = SOON.get(joined.failures).filter(|_| !went_well);
            joined.failures = if went_well { 0 } else { joined.failures + 1 };
            now + soon.copied().unwrap_or_else(|| REPEAT + SPREAD.mul_f64(chance))
        };
        self.schedule(round.topic, next);
        self.forget_if_left(round.topic);
    }

    /// Forgets all topics, for good. Returns those of which nodes may know.
    pub(super) fn close(&mut self) -> Vec<Topic> {
        self.is_closed = true;
        self.due.clear();
        let all = self.joined.drain();
        all.filter(|(_, joined)| joined.announced).map(|(topic, _)| topic).collect()
    }

    fn begin_those_anew(&mut self, now: Duration, which: impl Fn(&Joined) -> bool) {
        let topics = self.joined.iter().filter(|(_, joined)| which(joined));
        let topics: Vec<Topic> = topics.map(|(topic, _)| *topic).collect();
        for topic in topics {
            self.begin_anew(topic, now);
        }
    }

    /// Makes a round due then; one that is under way is waited for.
    fn schedule(&mut self, topic: Topic, at: Duration) {
        let Some(joined) = self.joined.get_mut(&topic) else { return };
        if joined.is_running {
            return;
        }
        if let Some(earlier) = joined.due.replace(at) {
            self.due.remove(&(earlier, topic));
        }
        self.due.insert((at, topic));
    }

    fn forget_if_left(&mut self, topic: Topic) {
        if let Some(joined) = self.joined.get(&topic)
            && joined.joins == 0
            && !joined.is_running
            && !joined.announced
        {
            if let Some(due) = joined.due {
                self.due.remove(&(due, topic));
            }
            self.joined.remove(&topic);
        }
    }
}

impl Joined {
    fn round(&self, topic: Topic, awake: bool, reachable: bool, now: Duration) -> Round {
        let announcing = awake && self.announcing > 0;
        let announce = announcing && self.announce_again <= now;
        Round {
            topic,
            announce: announce && reachable,
            look_up: awake && self.looking > 0,
            withdraw: self.announced && !announcing,
            number: self.wanted,
            waits: announce && !reachable,
        }
    }

    fn made(&mut self, round: &Round) {
        if !round.waits {
            self.done = round.number;
            // Whoever does not wait any more needs no telling.
            let made = self.waiting.extract_if(.., |(number, _)| *number <= round.number);
            made.for_each(|(_, waiting)| _ = waiting.send(()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Topic = Topic([7; 32]);
    const BOTH: JoinOptions = JoinOptions { announce: true, lookup: true };
    const LOOK: JoinOptions = JoinOptions { announce: false, lookup: true };
    const ANNOUNCE: JoinOptions = JoinOptions { announce: true, lookup: false };
    const WELL: Outcome = Outcome { announced: true, found: true, withdrawn: true };
    const NOBODY: Outcome = Outcome { found: false, ..WELL };

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn reachable() -> Topics {
        let mut topics = Topics::new();
        topics.set_reachable(at(0));
        topics
    }

    /// What the round that is due now does: announce, look up, withdraw.
    fn round(topics: &mut Topics, now: Duration) -> (Round, [bool; 3]) {
        let round = topics.next(now).unwrap();
        (round, [round.announce, round.look_up, round.withdraw])
    }

    #[test]
    fn what_is_joined_is_announced_and_looked_up_again_and_again() {
        let mut topics = reachable();
        topics.join(TOPIC, BOTH, at(0));
        let mut now = at(0);
        for _ in 0..3 {
            let (made, does) = round(&mut topics, now);
            assert_eq!(does, [true, true, false]);
            assert_eq!(topics.next(now), None, "one at a time");
            topics.finished(&made, WELL, now, 0.5);
            now += REPEAT + SPREAD / 2;
            assert_eq!(topics.next_time(), Some(now));
        }
    }

    #[test]
    fn whoever_finds_nobody_looks_again_soon_but_announces_no_sooner() {
        let mut topics = reachable();
        topics.join(TOPIC, BOTH, at(0));
        let (made, _) = round(&mut topics, at(0));
        topics.finished(&made, NOBODY, at(0), 0.0);
        let mut now = at(0);
        for soon in SOON {
            now += soon;
            assert_eq!(topics.next_time(), Some(now));
            let (made, does) = round(&mut topics, now);
            assert_eq!(does, [false, true, false]);
            topics.finished(&made, NOBODY, now, 0.0);
        }
        assert_eq!(topics.next_time(), Some(now + REPEAT));
    }

    #[test]
    fn before_handshakes_find_their_way_a_topic_is_only_looked_up() {
        let mut topics = Topics::new();
        let number = topics.join(TOPIC, BOTH, at(0));
        let (made, does) = round(&mut topics, at(0));
        assert_eq!(does, [false, true, false]);
        topics.finished(&made, WELL, at(1), 0.0);
        let mut flushed = topics.wait(TOPIC, number).unwrap();
        assert!(flushed.try_recv().is_err());
        topics.set_reachable(at(2));
        let (made, does) = round(&mut topics, at(2));
        assert_eq!(does, [true, true, false]);
        topics.finished(&made, WELL, at(3), 0.0);
        flushed.try_recv().unwrap();
        assert!(topics.wait(TOPIC, number).is_none());
    }

    #[test]
    fn what_is_only_announced_waits_until_handshakes_find_their_way() {
        let mut topics = Topics::new();
        topics.join(TOPIC, ANNOUNCE, at(0));
        assert_eq!(topics.next(at(0)), None);
        topics.set_reachable(at(9));
        assert_eq!(round(&mut topics, at(9)).1, [true, false, false]);
    }

    #[test]
    fn the_last_one_to_leave_takes_the_announcement_back() {
        let mut topics = reachable();
        topics.join(TOPIC, BOTH, at(0));
        topics.join(TOPIC, LOOK, at(0));
        let (made, _) = round(&mut topics, at(0));
        topics.finished(&made, WELL, at(0), 0.0);
        assert_eq!(topics.leave(TOPIC, LOOK, at(1)), None);
        assert_eq!(topics.next(at(1)), None, "nothing is wanted that was not before");
        let number = topics.leave(TOPIC, BOTH, at(2)).unwrap();
        let mut left = topics.wait(TOPIC, number).unwrap();
        let (made, does) = round(&mut topics, at(2));
        assert_eq!(does, [false, false, true]);
        assert!(left.try_recv().is_err());
        topics.finished(&made, Outcome { withdrawn: false, ..WELL }, at(6), 0.0);
        left.try_recv().unwrap();
        assert!(topics.joined.is_empty() && topics.due.is_empty());
    }

    #[test]
    fn a_topic_that_was_never_announced_is_forgotten_at_once() {
        let mut topics = reachable();
        topics.join(TOPIC, LOOK, at(0));
        topics.leave(TOPIC, LOOK, at(0));
        assert_eq!(topics.next(at(0)), None);
        assert!(topics.joined.is_empty() && topics.due.is_empty());
    }

    #[test]
    fn who_comes_back_while_it_is_taken_back_is_announced_again() {
        let mut topics = reachable();
        topics.join(TOPIC, ANNOUNCE, at(0));
        let (made, _) = round(&mut topics, at(0));
        topics.finished(&made, WELL, at(0), 0.0);
        topics.leave(TOPIC, ANNOUNCE, at(1));
        let (back, does) = round(&mut topics, at(1));
        assert_eq!(does, [false, false, true]);
        topics.join(TOPIC, ANNOUNCE, at(1));
        assert_eq!(topics.next(at(1)), None);
        topics.finished(&back, WELL, at(2), 0.0);
        assert_eq!(round(&mut topics, at(2)).1, [true, false, false]);
    }

    #[test]
    fn one_that_leaves_in_the_middle_of_a_round_is_taken_back_after_it() {
        let mut topics = reachable();
        topics.join(TOPIC, BOTH, at(0));
        let (made, _) = round(&mut topics, at(0));
        topics.leave(TOPIC, BOTH, at(0));
        assert!(!topics.is_joined(&TOPIC), "whom the round finds is not wanted");
        assert_eq!(topics.next(at(0)), None);
        topics.finished(&made, WELL, at(1), 0.0);
        assert_eq!(round(&mut topics, at(1)).1, [false, false, true]);
    }

    #[test]
    fn what_is_begun_anew_in_the_middle_of_a_round_is_announced_once_more() {
        let mut topics = reachable();
        topics.join(TOPIC, BOTH, at(0));
        let (made, _) = round(&mut topics, at(0));
        topics.begin_all_anew(at(1));
        topics.finished(&made, WELL, at(2), 0.0);
        assert_eq!(round(&mut topics, at(2)).1, [true, true, false]);
    }

    #[test]
    fn who_sleeps_takes_all_back_and_announces_all_when_awake() {
        let mut topics = reachable();
        topics.join(TOPIC, BOTH, at(0));
        let (made, _) = round(&mut topics, at(0));
        topics.finished(&made, WELL, at(0), 0.0);
        topics.set_awake(false, at(1));
        let (back, does) = round(&mut topics, at(1));
        assert_eq!(does, [false, false, true]);
        topics.finished(&back, WELL, at(1), 0.0);
        assert_eq!(topics.next(at(3_600)), None);
        topics.set_awake(true, at(3_601));
        assert_eq!(round(&mut topics, at(3_601)).1, [true, true, false]);
    }

    #[test]
    fn who_wakes_announces_when_handshakes_find_their_way_again() {
        let mut topics = reachable();
        topics.join(TOPIC, ANNOUNCE, at(0));
        topics.set_awake(false, at(1));
        topics.set_unreachable();
        topics.set_awake(true, at(2));
        assert_eq!(topics.next(at(2)), None);
        topics.set_reachable(at(3));
        assert_eq!(round(&mut topics, at(3)).1, [true, false, false]);
    }

    #[test]
    fn at_the_end_it_is_known_which_are_still_announced() {
        let mut topics = reachable();
        topics.join(TOPIC, BOTH, at(0));
        topics.join(Topic([8; 32]), LOOK, at(0));
        while topics.next(at(0)).is_some() {}
        assert_eq!(topics.close(), [TOPIC]);
        let late = topics.join(TOPIC, BOTH, at(1));
        assert!(topics.wait(TOPIC, late).is_none() && topics.next(at(1)).is_none());
    }
}
