//! Datagram ports whose sockets do not do what they are for.

use std::net::UdpSocket;

use super::*;
use crate::reactor::mailbox::DatagramPart;

/// As often as a loop that never slept would in a moment.
fn turns(reactor: &mut Reactor, most: usize) -> usize {
    (0..most).take_while(|_| reactor.receive_datagrams()).count()
}

fn with_port(socket: impl Into<OwnedFd>) -> Reactor {
    let mut reactor = reactor(&framed());
    reactor.clients.open_datagrams(PORT, socket.into(), DatagramPart::All);
    assert_eq!(reactor.clients.datagrams_open(), 1);
    reactor
}

/// The loop turned for ever, and nobody was told.
#[test]
fn a_port_that_cannot_be_read_rests_and_is_tried_again() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // One for connections that has none.
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    let mut reactor = with_port(socket);
    // A timer is due up to a tick late.
    let tick = 2_000_000;
    for _ in 0..3 {
        let due = reactor.clients.now + 1_000_000_000;
        assert!(turns(&mut reactor, 1_000) < 20);
        assert!(!reactor.receive_datagrams(), "it rests");
        reactor.clients.now = due - tick;
        reactor.clients.run_timers();
        assert!(!reactor.receive_datagrams(), "its second is not over");
        reactor.clients.now = due + tick;
        reactor.clients.run_timers();
        assert_eq!(reactor.clients.timers.len(), 0);
    }
}

/// Nobody listens where datagrams went: an error each, and the port goes on.
#[test]
fn errors_that_datagrams_met_end_no_reading() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    socket.connect(gone).unwrap();
    let mut reactor = with_port(socket.try_clone().unwrap());
    for _ in 0..100 {
        let _ = socket.send(b"x");
        assert!(turns(&mut reactor, 100) < 100, "there is nothing to read");
    }
    assert_eq!(reactor.clients.timers.len(), 0, "it never rests");
}
