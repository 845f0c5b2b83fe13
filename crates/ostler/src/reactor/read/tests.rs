//! What is received is held once, and no more memory than it needs.

use std::io::Write as _;

use ostler_core::brain::ConnectionSlot;

use crate::options::{FramingKind, Options, PortOptions};
use crate::reactor::Reactor;
use crate::reactor::tests::{connect, framed, reactor};

const MEGA: usize = 1024 * 1024;
/// Less than a socket holds that nobody reads.
const PART: usize = 64 * 1024;

fn with_length() -> Options {
    let port =
        PortOptions { framing: FramingKind::Length, receive_size: PART, ..PortOptions::default() };
    Options { port, memory_budget: 4 * MEGA, ..framed() }
}

/// Bytes that the intake of a session holds, and memory for how many.
fn held(reactor: &mut Reactor, slot: ConnectionSlot) -> (usize, usize) {
    let connection = reactor.clients.connections.get_mut(slot).unwrap();
    let intake = connection.intake.as_ref().unwrap();
    (intake.len(), intake.charged())
}

fn receive(reactor: &mut Reactor, slot: ConnectionSlot) {
    reactor.clients.brain.readable(slot);
    while reactor.give_all() {}
}

#[test]
fn a_package_that_comes_at_once_is_received_where_it_is_given() {
    let mut reactor = reactor(&framed());
    let (mut client, slot) = connect(&mut reactor);
    receive(&mut reactor, slot);
    client.write_all(b"one\r\n").unwrap();
    receive(&mut reactor, slot);
    assert_eq!((held(&mut reactor, slot), reactor.clients.memory.used()), ((0, 0), 0));
    assert_eq!(reactor.clients.brain.books().received, 1);
    // What follows it is kept, and nothing else.
    client.write_all(b"two\r\nthr").unwrap();
    receive(&mut reactor, slot);
    assert_eq!(reactor.clients.brain.books().received, 2);
    let (len, charged) = held(&mut reactor, slot);
    assert_eq!((len, reactor.clients.memory.used()), (3, charged as u64));
    client.write_all(b"ee\r\n").unwrap();
    receive(&mut reactor, slot);
    assert_eq!((held(&mut reactor, slot), reactor.clients.memory.used()), ((0, 0), 0));
    assert_eq!(reactor.clients.brain.books().received, 3);
}

#[test]
fn a_big_package_has_memory_of_its_length_once_a_part_of_it_has_come() {
    let mut reactor = reactor(&with_length());
    let (mut client, slot) = connect(&mut reactor);
    receive(&mut reactor, slot);
    let body = MEGA - 4;
    client.write_all(&(body as u32).to_be_bytes()).unwrap();
    receive(&mut reactor, slot);
    let (len, charged) = held(&mut reactor, slot);
    assert!(len == 4 && charged < 64, "who only announces it holds no memory: {charged}");
    let mut sent = 0;
    for part in [PART, PART, 100, PART] {
        client.write_all(&[b'x'; PART][..part]).unwrap();
        receive(&mut reactor, slot);
        sent += part;
        let (len, charged) = held(&mut reactor, slot);
        assert_eq!((len, reactor.clients.memory.used()), (4 + sent, charged as u64));
        if sent >= PART {
            assert_eq!(charged, MEGA, "memory for the whole package, and for nothing else");
        }
    }
    while sent < body {
        let part = (body - sent).min(PART);
        client.write_all(&[b'x'; PART][..part]).unwrap();
        receive(&mut reactor, slot);
        sent += part;
    }
    reactor.clients.tend_memory();
    assert_eq!(held(&mut reactor, slot), (0, 0));
    assert_eq!(reactor.clients.memory.used(), MEGA as u64, "it is in hand, and nowhere else");
    assert_eq!(reactor.clients.brain.books().received, 1);
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_there_is_memory_for_it() {
    let mut options = with_length();
    options.port.package_max_length = MEGA;
    for field in [MEGA as u32 - 3, 1 << 31, u32::MAX] {
        let mut reactor = reactor(&options);
        let (mut client, slot) = connect(&mut reactor);
        receive(&mut reactor, slot);
        client.write_all(&field.to_be_bytes()).unwrap();
        receive(&mut reactor, slot);
        // Nothing behind it is received: the session ends with what it has in hand.
        for _ in 0..2 {
            let (len, charged) = held(&mut reactor, slot);
            assert!(len == 4 && charged < 64, "{field}: {charged}");
            client.write_all(&[b'x'; PART]).unwrap();
            receive(&mut reactor, slot);
        }
    }
}

#[test]
fn a_package_for_which_there_is_no_memory_yet_grows_with_what_has_come() {
    let mut reactor = reactor(&with_length());
    let (mut client, slot) = connect(&mut reactor);
    receive(&mut reactor, slot);
    let others = 3 * MEGA + 512 * 1024;
    assert!(reactor.clients.memory.charge(others as u64));
    client.write_all(&(MEGA as u32).to_be_bytes()).unwrap();
    for part in 1..=2 {
        client.write_all(&[b'x'; PART]).unwrap();
        receive(&mut reactor, slot);
        let (len, charged) = held(&mut reactor, slot);
        assert_eq!(len, 4 + part * PART);
        assert!(charged <= 2 * len, "{charged} bytes for {len}");
        assert_eq!(reactor.clients.memory.used(), (others + charged) as u64);
    }
    reactor.clients.memory.release(others as u64);
    client.write_all(&[b'x'; PART]).unwrap();
    receive(&mut reactor, slot);
    assert_eq!(held(&mut reactor, slot), (4 + 3 * PART, MEGA + 4));
}
