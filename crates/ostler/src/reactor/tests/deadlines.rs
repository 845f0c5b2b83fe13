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
