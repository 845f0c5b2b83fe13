//! Deadlines in a reactor whose clock is what the test says.

use std::io::Read as _;

use ostler_core::brain::LaneSlot;

use super::*;

const SECOND: u64 = 1_000_000_000;

/// A reactor with these deadlines, and its lane.
fn with(change: impl FnOnce(&mut PortOptions)) -> (Reactor, LaneSlot) {
    let mut options = framed();
    change(&mut options.port);
    let reactor = reactor(&options);
    let lane = reactor.destinations.find(KEY).unwrap();
    (reactor, lane)
}

/// A client whose connect event is over.
fn greeted(reactor: &mut Reactor, lane: LaneSlot, seq: u64) -> (UnixStream, ConnectionSlot) {
    let (client, slot) = connect(reactor);
    reactor.give_all();
    reactor.clients.brain.finish(lane, seq, u64::MAX).unwrap();
    (client, slot)
}

/// The timers of a turn in which no event was taken.
fn pass_to(reactor: &mut Reactor, now: u64) {
    reactor.clients.now = now;
    reactor.clients.brain.begin_turn(now);
    reactor.clients.run_timers();
    reactor.clients.carry_out();
}

fn closed(reactor: &Reactor, reason: CloseReason) -> u64 {
    reactor.clients.brain.books().closed[reason as usize]
}

/// After a standstill of this side more is waiting than one turn takes events of.
#[test]
fn who_has_sent_something_of_which_nobody_has_heard_is_not_idle() {
    let (mut reactor, lane) = with(|port| port.idle_timeout_ms = 10_000);
    let (mut client, slot) = greeted(&mut reactor, lane, 1);
    client.write_all(b"hello\r\n").unwrap();
    pass_to(&mut reactor, 11 * SECOND);
    assert!(reactor.clients.connections.get_mut(slot).is_some(), "its bytes are in the kernel");
    reactor.give_all();
    assert_eq!(reactor.clients.brain.books().received, 1, "no event has to come for them");
    reactor.clients.brain.finish(lane, 2, u64::MAX).unwrap();
    pass_to(&mut reactor, 20 * SECOND);
    assert_eq!(closed(&reactor, CloseReason::Idle), 0);
    pass_to(&mut reactor, 22 * SECOND);
    assert_eq!(closed(&reactor, CloseReason::Idle), 1);
}

#[test]
fn who_has_taken_output_of_which_nobody_has_heard_does_not_stall() {
    let (mut reactor, lane) = with(|port| port.send_stall_timeout_ms = 10_000);
    let (client, slot) = greeted(&mut reactor, lane, 1);
    client.set_nonblocking(true).unwrap();
    let connection = reactor.clients.connections.get_mut(slot).unwrap();
    connection.output.push(2 * 1024 * 1024, |chunk| chunk.resize(2 * 1024 * 1024, b'x'));
    reactor.clients.output_waits(slot);
    reactor.clients.flush(slot);
    assert!(reactor.clients.connections.get_mut(slot).unwrap().unsent() > 0);
    let mut some = [0; 4096];
    while (&client).read(&mut some).is_ok() {}
    pass_to(&mut reactor, 11 * SECOND);
    assert_eq!(closed(&reactor, CloseReason::SendStalled), 0, "it takes what it gets");
    pass_to(&mut reactor, 22 * SECOND);
    assert_eq!(closed(&reactor, CloseReason::SendStalled), 1);
}

/// Bytes that were thrown away with a session are counted once, whether the connection is reset or
/// lingers.
#[test]
fn unread_input_of_a_session_that_is_closed_is_counted_once() {
    let reasons =
        [CloseReason::Idle, CloseReason::WorkerDied, CloseReason::WorkerReset, CloseReason::Worker];
    for reason in reasons {
        let (mut reactor, lane) = with(|_| {});
        let (mut client, slot) = greeted(&mut reactor, lane, 1);
        client.write_all(&[b'x'; 1_000]).unwrap();
        reactor.clients.brain.close(slot, reason);
        reactor.clients.carry_out();
        drop(client);
        reactor.clients.end_all_lingerers();
        assert_eq!(reactor.clients.brain.books().input_dropped_total(), 1_000, "{reason:?}");
    }
}

#[test]
fn a_connection_that_is_gone_leaves_no_timer_behind() {
    let (mut reactor, _) = with(|port| port.idle_timeout_ms = 10_000);
    let clients: Vec<_> = (0..100).map(|_| connect(&mut reactor)).collect();
    assert_eq!(reactor.clients.timers.len(), 100);
    reactor.clients.brain.close_all(CloseReason::ShutdownTimeout);
    reactor.clients.carry_out();
    assert!(reactor.clients.timers.is_empty());
    drop(clients);
    let (mut reactor, _) = with(|_| {});
    let _client = connect(&mut reactor);
    assert!(reactor.clients.timers.is_empty(), "no timer without a deadline");
}

/// More are due at once than one turn looks at: the rest is due in the next, which comes at once.
#[test]
fn a_turn_looks_at_a_fixed_number_of_timers() {
    let (mut reactor, _) = with(|port| port.first_package_timeout_ms = 1_000);
    let clients: Vec<_> = (0..600).map(|_| connect(&mut reactor)).collect();
    for expected in [256, 512, 600, 600] {
        pass_to(&mut reactor, 2 * SECOND);
        assert_eq!(closed(&reactor, CloseReason::FirstPackageTimeout), expected);
        let is_due = reactor.clients.timers.next_due().is_some_and(|due| due <= 2 * SECOND);
        assert_eq!(is_due, expected < 600);
    }
    drop(clients);
}

/// A worker's output waits for its turn or the disk when its deadline is looked at, and for the
/// client afterwards.
#[test]
fn who_reads_nothing_stalls_although_output_waited_for_this_side_at_the_first_look() {
    let (mut reactor, lane) = with(|port| port.send_stall_timeout_ms = 10_000);
    let (_client, slot) = greeted(&mut reactor, lane, 1);
    let connection = reactor.clients.connections.get_mut(slot).unwrap();
    connection.output.push(2 * 1024 * 1024, |chunk| chunk.resize(2 * 1024 * 1024, b'x'));
    reactor.clients.output_waits(slot);
    reactor.clients.flush(slot);
    let wait = |reactor: &mut Reactor, waits| {
        reactor.clients.connections.get_mut(slot).unwrap().waits_for_turn = waits;
    };
    wait(&mut reactor, true);
    pass_to(&mut reactor, 11 * SECOND);
    assert_eq!(closed(&reactor, CloseReason::SendStalled), 0, "it waits for this side");
    wait(&mut reactor, false);
    pass_to(&mut reactor, 22 * SECOND);
    assert_eq!(closed(&reactor, CloseReason::SendStalled), 1);
}

/// What is encrypted waits in its transport, where no queue tells of it.
#[cfg(feature = "tls")]
mod encrypted {
    use std::io::Read as _;

    use ostler_core::send_queue::Part;
    use ostler_shm::lane::RawBytes;

    use super::*;
    use crate::reactor::accept::{Arrival, Watched};
    use crate::reactor::outgoing::Outgoing;
    use crate::reactor::transport::{Handshaking, Transport};
    use crate::tls::testing::{Authority, Peer, load};

    /// A client of an encrypted connection with small buffers, and the place of its session.
    fn connect(reactor: &mut Reactor, test: &str) -> (Peer, ConnectionSlot) {
        let authority = Authority::new(test);
        let (client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&server, 8 * 1024).unwrap();
        let config = load(&authority.settings(&["localhost"])).unwrap();
        let mut transport = Transport::tls(OwnedFd::from(server).into(), config).unwrap();
        let mut client = Peer::new(client, authority.client_config(), "localhost");
        for _ in 0..10 {
            client.work().unwrap();
            if transport.handshake().unwrap() == Handshaking::Done {
                break;
            }
        }
        client.work().unwrap();
        let session = reactor.clients.reports.places.take(0).unwrap();
        let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
        let arrival = Arrival { session, peer, port: PORT, is_unnamed: false };
        reactor.clients.open_session(transport, arrival, Watched::NotYet, Vec::new());
        let newest = reactor.clients.connections.iter().max_by_key(|(_, one)| one.session);
        let slot = newest.map(|(slot, _)| slot).unwrap();
        (client, slot)
    }

    fn write(reactor: &mut Reactor, slot: ConnectionSlot, lane: LaneSlot) {
        write_some(reactor, slot, lane, 60_000);
    }

    fn write_some(reactor: &mut Reactor, slot: ConnectionSlot, lane: LaneSlot, len: usize) {
        let bytes = vec![7; len];
        let bytes = Outgoing::from(RawBytes::of(&bytes));
        reactor.clients.write(slot, lane, bytes, Part::WHOLE);
    }

    fn unsent(reactor: &mut Reactor, slot: ConnectionSlot) -> (usize, bool) {
        let connection = reactor.clients.connections.get_mut(slot).unwrap();
        (connection.transport.unsent(), connection.output.is_empty())
    }

    #[test]
    fn who_reads_nothing_of_an_answer_that_is_all_encrypted_stalls() {
        for idle in [0, 100_000] {
            let (mut reactor, lane) = with(|port| {
                (port.send_stall_timeout_ms, port.idle_timeout_ms) = (10_000, idle);
            });
            let (_client, slot) = connect(&mut reactor, &format!("stalls-{idle}"));
            pass_to(&mut reactor, 50 * SECOND);
            write(&mut reactor, slot, lane);
            let (sealed, is_queue_empty) = unsent(&mut reactor, slot);
            assert!(sealed > 16_384 && is_queue_empty, "{sealed}");
            pass_to(&mut reactor, 59 * SECOND);
            assert_eq!(closed(&reactor, CloseReason::SendStalled), 0, "it has its time");
            pass_to(&mut reactor, 61 * SECOND);
            assert_eq!(closed(&reactor, CloseReason::SendStalled), 1);
        }
    }

    #[test]
    fn who_takes_a_part_of_what_is_encrypted_does_not_stall() {
        let (mut reactor, lane) = with(|port| port.send_stall_timeout_ms = 10_000);
        let (mut client, slot) = connect(&mut reactor, "takes");
        for _ in 0..3 {
            write(&mut reactor, slot, lane);
        }
        let (mut sealed, is_queue_empty) = unsent(&mut reactor, slot);
        assert!(sealed > 32_768 && !is_queue_empty, "{sealed}");
        let mut some = [0; 1_024];
        for step in 1..=4 {
            reactor.clients.now = 6 * SECOND * step;
            while unsent(&mut reactor, slot).0 == sealed {
                client.socket.read_exact(&mut some).unwrap();
                reactor.clients.flush(slot);
            }
            sealed = unsent(&mut reactor, slot).0;
            pass_to(&mut reactor, 6 * SECOND * step);
            assert_eq!(closed(&reactor, CloseReason::SendStalled), 0, "step {step}");
        }
        pass_to(&mut reactor, 33 * SECOND);
        assert_eq!(closed(&reactor, CloseReason::SendStalled), 0);
        pass_to(&mut reactor, 35 * SECOND);
        assert_eq!(closed(&reactor, CloseReason::SendStalled), 1, "the last part was at 24 s");
    }

    /// The kernel takes the last words only when the client has read what is before them: of some
    /// lengths the end fills its buffer.
    #[test]
    fn who_has_said_goodbye_hears_all_and_the_goodbye_of_this_side() {
        for len in (44_000..=60_000).step_by(1_000) {
            says_goodbye_first(len);
        }
    }

    fn says_goodbye_first(len: usize) {
        let (mut reactor, lane) = with(|_| {});
        let (mut client, slot) = connect(&mut reactor, "hears-all");
        write_some(&mut reactor, slot, lane, len);
        assert!(unsent(&mut reactor, slot).0 > 0);
        client.tls.send_close_notify();
        client.tls.write_tls(&mut client.socket).unwrap();
        let mut events = Reactor::events();
        reactor.sleep(&mut events, true, None);
        reactor.turn(&events);
        reactor.clients.brain.close(slot, CloseReason::Peer);
        reactor.clients.carry_out();
        for _ in 0..1_000 {
            client.work().unwrap();
            reactor.sleep(&mut events, true, None);
            reactor.turn(&events);
        }
        assert!(client.is_cut && client.received.len() == len, "{}", client.received.len());
        let is_told = client.tls.process_new_packets().unwrap().peer_has_closed();
        assert!(is_told, "no goodbye behind {len} bytes");
        assert!(reactor.clients.lingerers.is_empty(), "and nobody is waited for");
    }
}
