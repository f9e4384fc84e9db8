//! The conversation of `interop/swarm/generate.mjs`: our machines say, byte for byte, what npm
//! `protomux` says.

use std::collections::HashMap;

use super::event::{ChannelId, Event, Key};
use super::machine::Machine;

const GOLDEN: &str = include_str!("../../tests/golden/protomux.txt");

#[derive(Default)]
struct Conversation {
    sides: [Machine; 2],
    said: Vec<String>,
}

impl Conversation {
    fn open(&mut self, side: usize, protocol: &str, id: &[u8], handshake: &[u8]) -> ChannelId {
        self.sides[side].open(Key::new(protocol, id), handshake).unwrap()
    }

    fn step(&mut self, name: &str) {
        loop {
            let mut said = Vec::new();
            for side in 0..2 {
                while let Some(frame) = self.sides[side].poll_frame() {
                    let hex = data_encoding::HEXLOWER.encode(&frame);
                    self.said.push(format!("{} {name} {hex}", ["a", "b"][side]));
                    said.push((side, frame));
                }
            }
            if said.is_empty() {
                return;
            }
            for (side, frame) in said {
                let other = &mut self.sides[1 - side];
                other.receive(frame.into()).unwrap();
                let mut offers = HashMap::new();
                while let Some(event) = other.poll_event() {
                    if let Event::Offered { offer, key, .. } = event {
                        offers.insert(offer, key);
                    }
                }
                for (offer, _) in offers {
                    other.accept(offer, b"yes").unwrap();
                }
            }
        }
    }
}

#[test]
fn our_frames_are_those_of_the_javascript_implementation() {
    let mut talk = Conversation::default();
    let id = [7; 32];
    let plain = talk.open(0, "plain", b"", b"");
    talk.open(1, "plain", b"", b"");
    talk.step("open-plain");

    let named = talk.open(0, "names/1", &id, b"first");
    talk.open(1, "names/1", &id, b"second");
    talk.step("open-named");

    let a = &mut talk.sides[0];
    a.send(plain, 0, b"hello");
    a.send(plain, 299, b"");
    a.send(named, 1, &[1; 300]);
    talk.step("messages");

    let a = &mut talk.sides[0];
    a.cork();
    a.send(plain, 0, b"one");
    a.send(plain, 1, b"two");
    a.send(named, 2, b"three");
    let late = talk.open(0, "late", b"", b"");
    talk.sides[0].send(plain, 0, b"four");
    talk.sides[0].uncork();
    talk.step("batch");

    talk.sides[0].close(late);
    talk.step("close-rejected");

    talk.sides[0].close(named);
    talk.step("close");

    talk.sides[1].listen("again", Some(&id));
    talk.open(0, "again", &id, b"");
    talk.step("offer");

    talk.sides[0].close(plain);
    talk.step("close-plain");

    assert_eq!(talk.said, GOLDEN.lines().collect::<Vec<_>>());
}
