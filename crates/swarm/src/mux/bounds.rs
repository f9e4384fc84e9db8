//! What a peer may make us keep, and what not.

use bytes::Bytes;

use super::codec::{put_bytes, put_uint};
use super::event::{Event, Key};
use super::frame::{self, MAX_HANDSHAKE};
use super::handle::{MAX_CONTROL, Mux};
use super::machine::{MAX_CHANNELS, Machine};
use super::{OpenError, ProtocolError};

/// The peer's open, as a frame of its own.
fn open(number: u32, protocol: &str, handshake: &[u8]) -> Bytes {
    [&[0], frame::open(number, protocol, b"id", handshake).as_slice()].concat().into()
}

#[test]
fn a_handshake_has_a_longest_length_on_both_sides() {
    let mut machine = Machine::patient();
    machine.receive(open(1, "a", &[0; MAX_HANDSHAKE])).unwrap();
    let error = machine.receive(open(2, "a", &[0; MAX_HANDSHAKE + 1])).unwrap_err();
    assert_eq!(error, ProtocolError::Malformed("handshake"));
    let opened = machine.open(Key::new("b", b"id"), &[0; MAX_HANDSHAKE + 1]);
    assert_eq!(opened, Err(OpenError::TooLong));
    machine.listen("c", None);
    machine.receive(open(2, "c", b"")).unwrap();
    let Some(Event::Offered { offer, .. }) = machine.poll_event() else { panic!("an offer") };
    assert_eq!(machine.accept(offer, &[0; MAX_HANDSHAKE + 1]), Err(OpenError::TooLong));
    machine.decide();
    assert_eq!((machine.remembered(), machine.held()), ((0, 0, 0), 0));
}

#[test]
fn what_opens_hold_counts_as_unread_until_they_are_answered() {
    let mux = Mux::new();
    for number in 1..=MAX_CHANNELS as u32 {
        mux.receive(open(number, "unknown", &[0; MAX_HANDSHAKE])).unwrap();
    }
    assert!(mux.unread() > MAX_CHANNELS * MAX_HANDSHAKE);
    mux.decide();
    assert_eq!(mux.unread(), 0);
    let listener = mux.listen("wanted", None);
    mux.receive(open(1, "wanted", b"")).unwrap();
    assert!(mux.unread() > 256, "what costs nothing to say costs something to keep");
    drop(listener);
    assert_eq!(mux.unread(), 0);
}

#[test]
fn who_opens_faster_than_it_reads_the_answers_is_stopped() {
    let mux = Mux::new();
    mux.decide();
    let flood = |frame: Bytes| (0..1_000_000).find_map(|_| mux.receive(frame.clone()).err());
    assert_eq!(flood(open(1, "unknown", b"")), Some(ProtocolError::Unheard));
    let said: usize = mux.frames(usize::MAX).iter().map(Vec::len).sum();
    assert!(said < MAX_CONTROL, "{said} bytes were queued");
    // So is who has a listener's opens declined, or a batch's rejected.
    let listener = mux.listen("wanted", None);
    let mut open_and_close = vec![0, 0, 0];
    for part in [frame::open(1, "wanted", b"", b""), frame::close(1)] {
        put_bytes(&mut open_and_close, &part);
    }
    assert_eq!(flood(open_and_close.into()), Some(ProtocolError::Unheard));
    drop(listener);
}

#[test]
fn who_reads_the_answers_may_open_as_often_as_it_likes() {
    let mux = Mux::new();
    mux.decide();
    for _ in 0..200_000 {
        mux.receive(open(1, "unknown", b"")).unwrap();
        assert_eq!(mux.frames(usize::MAX).len(), 1);
    }
}

#[test]
fn a_short_message_does_not_keep_the_long_frame_that_it_came_in() {
    let mut machine = Machine::default();
    machine.listen("chat", None);
    machine.receive(open(1, "chat", b"")).unwrap();
    let mut batch = vec![0, 0];
    put_uint(&mut batch, 1);
    for word in [&[0, 7][..], &[0; 100_000]] {
        put_bytes(&mut batch, word);
        batch.push(0);
        // Of a channel that is not there.
        put_uint(&mut batch, 2);
    }
    let frame = Bytes::from(batch);
    machine.receive(frame.clone()).unwrap();
    assert!(machine.held() > 0 && frame.is_unique());
}
