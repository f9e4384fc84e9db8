//! The machine of protomux, and what a peer's frames do to it.
#![allow(dead_code, unreachable_pub, reason = "only the machine is of interest here")]

use bytes::Bytes;

// The machine is no business of who uses a connection, and so not public there.
#[path = "../../swarm/src/mux/codec.rs"]
mod codec;
#[path = "../../swarm/src/mux/error.rs"]
mod error;
#[path = "../../swarm/src/mux/event.rs"]
mod event;
#[path = "../../swarm/src/mux/frame.rs"]
mod frame;
#[path = "../../swarm/src/mux/machine.rs"]
mod machine;

use error::{OpenError, ProtocolError};
use event::{Event, Key};
use machine::Machine;

/// Frames, each behind its length. Offers are accepted, declined and left alone in turn; what is said
/// is answered. The peer pays for what is kept of it, and what the machine says can be read.
pub(crate) fn mux(mut data: &[u8]) {
    let mut machine = Machine::default();
    machine.listen("chat", None);
    let own = machine.open(Key::new("own", b"id"), b"").expect("the first of its name");
    machine.send(own, 0, b"early");
    let (mut offers, mut received) = (0, 0);
    while let Some((length, rest)) = data.split_first() {
        let (frame, rest) = rest.split_at(rest.len().min((*length).into()));
        data = rest;
        received += frame.len();
        let result = machine.receive(Bytes::copy_from_slice(frame));
        while let Some(event) = machine.poll_event() {
            match event {
                Event::Offered { offer, .. } => {
                    offers += 1;
                    match offers % 3 {
                        0 => machine.decline(offer),
                        1 => drop(machine.accept(offer, b"welcome")),
                        _ => {}
                    }
                }
                Event::Message { channel, kind, payload } => {
                    machine.send(channel, kind, &payload);
                }
                Event::Opened { .. } | Event::Closed { .. } | Event::Withdrawn { .. } => {}
            }
        }
        while let Some(frame) = machine.poll_frame() {
            let read = frame::decode(frame.into(), |_| Ok(()));
            assert_eq!(read, Ok(()), "it says what it would not understand");
        }
        assert!(machine.held() <= 65 * received, "{} held of {received}", machine.held());
        if let Err(error) = result {
            drop(error.to_string());
            return;
        }
    }
}

/// Frames as a peer would send them.
pub(crate) fn conversations() -> Vec<Vec<u8>> {
    let mut peer = Machine::default();
    let chat = peer.open(Key::new("chat", b"one"), b"hello").expect("the first of its name");
    peer.send(chat, 1, b"a word");
    let own = peer.open(Key::new("own", b"id"), b"").expect("the first of its name");
    peer.cork();
    for kind in 0..3 {
        peer.send(own, kind, b"several at once");
        peer.send(chat, kind, b"");
    }
    peer.uncork();
    peer.close(chat);
    let frames = std::iter::from_fn(|| peer.poll_frame());
    let length = |frame: &[u8]| u8::try_from(frame.len()).expect("they are short");
    let behind_lengths = |frame: Vec<u8>| [&[length(&frame)], &frame[..]].concat();
    vec![frames.flat_map(behind_lengths).collect()]
}
