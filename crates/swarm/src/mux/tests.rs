//! Two machines and what they say to each other, in every order.

use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;

use super::OpenError;
use super::event::{ChannelId, Event, Key, OfferId};
use super::machine::Machine;

/// A machine with what it said, and what its application would hold.
#[derive(Default)]
struct Side {
    machine: Machine,
    wire: VecDeque<Bytes>,
    open: Vec<ChannelId>,
    offers: Vec<OfferId>,
    heard: Vec<(ChannelId, Vec<u8>)>,
    opened: Vec<(ChannelId, Vec<u8>)>,
    closed: Vec<ChannelId>,
}

impl Side {
    fn settle(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Opened { channel, handshake } => {
                    self.opened.push((channel, handshake.to_vec()));
                }
                Event::Message { channel, payload, .. } => {
                    self.heard.push((channel, payload.to_vec()));
                }
                Event::Closed { channel } => {
                    self.open.retain(|open| *open != channel);
                    self.closed.push(channel);
                }
                Event::Offered { offer, .. } => self.offers.push(offer),
                Event::Withdrawn { offer } => self.offers.retain(|known| *known != offer),
            }
        }
        while let Some(frame) = self.machine.poll_frame() {
            self.wire.push_back(frame.into());
        }
    }

    fn open(&mut self, name: &str) -> Result<ChannelId, OpenError> {
        let opened = self.machine.open(Key::new(name, b"id"), name.as_bytes());
        self.open.extend(opened);
        self.settle();
        opened
    }

    fn accept(&mut self) {
        if let Some(offer) = self.offers.first().copied() {
            self.open.extend(self.machine.accept(offer, b"accepted"));
            self.offers.retain(|known| *known != offer);
            self.settle();
        }
    }

    fn decline(&mut self) {
        if let Some(offer) = self.offers.pop() {
            self.machine.decline(offer);
            self.settle();
        }
    }

    fn close(&mut self, which: usize) {
        if !self.open.is_empty() {
            let channel = self.open.remove(which % self.open.len());
            self.machine.close(channel);
            self.settle();
        }
    }

    fn say(&mut self, which: usize, word: u8) {
        if !self.open.is_empty() {
            let channel = self.open[which % self.open.len()];
            assert!(self.machine.send(channel, 0, &[word]));
            self.settle();
        }
    }
}

fn deliver(from: &mut Side, to: &mut Side) -> bool {
    let Some(frame) = from.wire.pop_front() else { return false };
    to.machine.receive(frame).expect("what a machine says, a machine understands");
    to.settle();
    true
}

fn deliver_all(a: &mut Side, b: &mut Side) {
    while deliver(a, b) || deliver(b, a) {}
}

/// When both have closed everything and heard everything, nothing is left.
fn wind_up(a: &mut Side, b: &mut Side) {
    for _ in 0..2 {
        for side in [&mut *a, &mut *b] {
            while !side.open.is_empty() {
                side.close(0);
            }
            while !side.offers.is_empty() {
                side.decline();
            }
        }
        deliver_all(a, b);
    }
    assert_eq!(a.machine.remembered(), (0, 0, 0));
    assert_eq!(b.machine.remembered(), (0, 0, 0));
    assert_eq!((a.machine.held(), b.machine.held()), (0, 0));
}

#[test]
fn both_open_and_hear_each_others_handshake() {
    let (mut a, mut b) = (Side::default(), Side::default());
    let one = a.open("chat").unwrap();
    let two = b.open("chat").unwrap();
    a.say(0, 1);
    deliver_all(&mut a, &mut b);
    assert_eq!(a.opened, [(one, b"chat".to_vec())]);
    assert_eq!(b.opened, [(two, b"chat".to_vec())]);
    assert_eq!(b.heard, [(two, vec![1])]);
    assert_eq!(a.open("chat"), Err(OpenError::AlreadyOpen));
    wind_up(&mut a, &mut b);
}

#[test]
fn an_open_that_nobody_wants_is_rejected_and_its_number_used_again() {
    let (mut a, mut b) = (Side::default(), Side::default());
    for round in 0..3 {
        let channel = a.open("unknown").unwrap();
        a.say(0, 1);
        deliver_all(&mut a, &mut b);
        assert_eq!(a.closed.len(), round + 1);
        assert!(!a.machine.send(channel, 0, b""));
        assert_eq!(a.machine.remembered(), (0, 0, 0));
    }
    assert_eq!(b.heard, []);
}

#[test]
fn an_offer_keeps_what_was_said_before_it_is_accepted() {
    let (mut a, mut b) = (Side::default(), Side::default());
    b.machine.listen("chat", None);
    a.open("chat").unwrap();
    a.say(0, 1);
    a.say(0, 2);
    deliver_all(&mut a, &mut b);
    assert_eq!((b.offers.len(), b.heard.len()), (1, 0));
    assert!(b.machine.held() > 0);
    b.accept();
    deliver_all(&mut a, &mut b);
    let words: Vec<_> = b.heard.iter().map(|(_, word)| word[0]).collect();
    assert_eq!(words, [1, 2]);
    assert_eq!(a.opened.len(), 1);
    wind_up(&mut a, &mut b);
}

#[test]
fn an_offer_whose_opener_has_closed_cannot_be_accepted() {
    let (mut a, mut b) = (Side::default(), Side::default());
    b.machine.listen("chat", Some(b"id"));
    a.open("chat").unwrap();
    deliver_all(&mut a, &mut b);
    let offer = b.offers[0];
    a.close(0);
    deliver_all(&mut a, &mut b);
    assert_eq!(b.machine.accept(offer, b""), Err(OpenError::Withdrawn));
    wind_up(&mut a, &mut b);
}

#[test]
fn a_patient_machine_keeps_opens_until_it_has_to_decide() {
    let mut a = Side::default();
    let mut b = Side { machine: Machine::patient(), ..Side::default() };
    let [wanted, unwanted] = ["wanted", "unwanted"].map(|name| a.open(name).unwrap());
    deliver_all(&mut a, &mut b);
    assert_eq!((a.opened.len(), a.closed.len(), b.offers.len()), (0, 0, 0));
    b.machine.listen("wanted", None);
    b.settle();
    b.accept();
    b.machine.decide();
    b.settle();
    deliver_all(&mut a, &mut b);
    assert_eq!(a.opened, [(wanted, b"accepted".to_vec())]);
    assert_eq!(a.closed, [unwanted]);
    a.open("late").unwrap();
    deliver_all(&mut a, &mut b);
    assert_eq!(a.closed.len(), 2, "now it is rejected at once");
    wind_up(&mut a, &mut b);
}

#[test]
fn batches_arrive_as_what_they_hold() {
    let (mut a, mut b) = (Side::default(), Side::default());
    a.machine.cork();
    let one = a.open("one").unwrap();
    let two = a.open("two").unwrap();
    for (channel, word) in [(one, b"a"), (one, b"b"), (two, b"c")] {
        a.machine.send(channel, 0, word);
    }
    a.machine.close(two);
    a.machine.uncork();
    a.settle();
    assert_eq!(a.wire.len(), 1, "one frame");
    b.open("one").unwrap();
    b.open("two").unwrap();
    deliver_all(&mut a, &mut b);
    let heard: Vec<_> = b.heard.iter().map(|(_, word)| word.clone()).collect();
    assert_eq!(heard, [b"a", b"b", b"c"]);
    assert_eq!((b.opened.len(), b.closed.len()), (2, 1));
    a.open.retain(|channel| *channel != two);
    wind_up(&mut a, &mut b);
}

/// Every order of six steps, of opening, closing, answering and arriving, with one key.
#[test]
fn every_order_of_opening_and_closing_ends_in_agreement() {
    const STEPS: usize = 6;
    const KINDS: usize = 7;
    for number in 0..KINDS.pow(STEPS as u32) {
        let (mut a, mut b) = (Side::default(), Side::default());
        b.machine.listen("chat", None);
        let mut left = number;
        for _ in 0..STEPS {
            match left % KINDS {
                0 => drop(a.open("chat")),
                1 => drop(b.open("chat")),
                2 => a.close(0),
                3 => b.close(0),
                4 => b.accept(),
                5 => drop(deliver(&mut a, &mut b)),
                _ => drop(deliver(&mut b, &mut a)),
            }
            left /= KINDS;
        }
        deliver_all(&mut a, &mut b);
        // If both have it open, and nobody has to be asked, both know that the other has.
        if a.open.len() + b.open.len() == 2 && b.offers.is_empty() {
            for side in [&a, &b] {
                let knows = side.opened.iter().any(|(channel, _)| *channel == side.open[0]);
                assert!(knows, "order {number}");
            }
        }
        wind_up(&mut a, &mut b);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Two sides do as they like with several protocols; what was said on a channel that stayed open
    /// arrives, in order, and when all is closed nothing is remembered.
    #[test]
    fn two_sides_never_misunderstand_each_other(
        steps in proptest::collection::vec((0..8_u8, any::<bool>(), any::<u8>()), 0..200),
    ) {
        let (mut a, mut b) = (Side::default(), Side::default());
        a.machine.listen("offered", None);
        b.machine.listen("offered", None);
        for (step, side, value) in steps {
            let (this, that) = if side { (&mut a, &mut b) } else { (&mut b, &mut a) };
            match step {
                0 => drop(this.open(["offered", "known", "other"][usize::from(value) % 3])),
                1 => this.close(value.into()),
                2 => this.accept(),
                3 => this.decline(),
                4 => this.say(value.into(), value),
                5 => { deliver(this, that); }
                6 => { this.machine.cork(); let _ = this.open("corked"); this.say(0, value); this.machine.uncork(); this.settle(); }
                _ => { deliver(that, this); }
            }
        }
        deliver_all(&mut a, &mut b);
        wind_up(&mut a, &mut b);
    }

    /// A peer may send anything.
    #[test]
    fn no_bytes_do_harm(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..20)) {
        let mut side = Side::default();
        side.machine.listen("chat", None);
        for frame in frames {
            if side.machine.receive(frame.into()).is_err() {
                break;
            }
            side.settle();
        }
    }

    /// Nor may frames that are nearly right.
    #[test]
    fn no_control_message_does_harm(
        messages in proptest::collection::vec((0..5_u8, 0..5_u8, 0..3_u8, any::<bool>()), 0..60),
    ) {
        let mut side = Side::default();
        side.machine.listen("a", None);
        for (channel, kind, number, ours) in messages {
            let frame = match (channel, kind) {
                (0, 1) => vec![0, 1, number, 1, b'a' + number, 0],
                (0, kind) => vec![0, kind, number],
                (channel, kind) => vec![channel, kind, number],
            };
            if ours {
                let _ = side.open(["a", "b", "c"][usize::from(number)]);
                side.accept();
                side.close(1);
            }
            if side.machine.receive(frame.into()).is_err() {
                break;
            }
            side.settle();
        }
    }
}
