//! Sessions that are offered to a new master, whose answers are said by the test.

use ostler_core::succession::hand_over::{
    ANSWER_MAX_NS, Answer, Chosen, HandedPeer, HandedSession, HandedTraffic,
};

use super::*;
use crate::reactor::hand_over::LATER_NS;
use crate::reactor::mailbox::{FromReactor, TakenOver};

/// A client whose session is at rest.
fn rests(reactor: &mut Reactor) -> (UnixStream, ConnectionSlot) {
    rests_since(reactor, 0)
}

/// A client whose last package was given to a worker of the old master then; 0: it has sent none.
fn rests_since(reactor: &mut Reactor, given_at_ns: u64) -> (UnixStream, ConnectionSlot) {
    rests_with(reactor, given_at_ns, Vec::new())
}

/// A client whose session has this state.
fn rests_with(
    reactor: &mut Reactor,
    given_at_ns: u64,
    state: Vec<u8>,
) -> (UnixStream, ConnectionSlot) {
    let (client, server) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    let handed = HandedSession {
        session: reactor.clients.reports.places.take(0).unwrap(),
        port: String::new(),
        peer: HandedPeer::Ip(([127, 0, 0, 1], 1).into()),
        connected_at_ns: 0,
        traffic: HandedTraffic {
            received_at_ns: 0,
            given_at_ns,
            sent_at_ns: 0,
            received_bytes: 0,
            sent_bytes: 0,
        },
        is_protected: false,
        is_full: false,
        is_unnamed: false,
        user: None,
        state,
        groups: Vec::new(),
        framing: String::new(),
        received: Vec::new(),
        unsent: Vec::new(),
    };
    let session = handed.session;
    reactor.clients.reports.places.expect_state(handed.state.len());
    reactor.clients.take_over(TakenOver { socket: OwnedFd::from(server), port: PORT, handed });
    let found = reactor.clients.connections.iter().find(|(_, one)| one.session == session);
    (client, found.unwrap().0)
}

#[test]
fn who_waits_too_long_is_served_also_while_workers_are_not_heard() {
    let options = framed();
    let mut reactor = reactor(&options);
    let (_client, slot) = rests(&mut reactor);
    reactor.give_all();
    reactor.clients.begin_hand_over();
    reactor.clients.hand_sessions_over();
    assert!(reactor.clients.brain.is_offered(slot));
    let others = (0..2).map(|_| Arc::new(Mailbox::new().unwrap())).collect();
    reactor.clients.hold_outputs_back(SharedMemory::new(&options, others));
    reactor.clients.offer_answered(1, Answer::default());
    assert!(!reactor.clients.hand_sessions_over(), "what waits is no reason not to sleep");
    assert!(reactor.clients.brain.is_offered(slot));
    reactor.clients.now += ANSWER_MAX_NS;
    assert!(reactor.clients.hand_sessions_over());
    assert!(!reactor.clients.brain.is_offered(slot));
    assert!(!reactor.clients.hand_sessions_over());
}

#[test]
fn who_cannot_be_had_now_is_served_and_offered_again_after_a_pause() {
    let mut reactor = reactor(&framed());
    let (_client, slot) = rests(&mut reactor);
    reactor.give_all();
    reactor.clients.begin_hand_over();
    reactor.clients.hand_sessions_over();
    for number in 1..4 {
        assert!(reactor.clients.brain.is_offered(slot));
        reactor.clients.offer_answered(number, Answer::default());
        assert!(reactor.clients.hand_sessions_over());
        assert!(!reactor.clients.brain.is_offered(slot) && !reactor.clients.brain.stays(slot));
        reactor.clients.hand_over_due();
        assert!(!reactor.clients.hand_sessions_over(), "it rests");
        assert!(!reactor.clients.brain.is_offered(slot));
        reactor.clients.now += LATER_NS;
        reactor.clients.hand_over_due();
        reactor.clients.hand_sessions_over();
    }
    assert!(reactor.clients.brain.is_offered(slot));
    let mut answer = Answer::default();
    answer.refused.set(0);
    reactor.clients.offer_answered(4, answer);
    reactor.clients.hand_sessions_over();
    assert!(reactor.clients.brain.stays(slot));
}

#[test]
fn everybody_has_a_turn_whatever_becomes_of_the_first() {
    let mut reactor = reactor(&framed());
    let sessions: Vec<_> = (0..250).map(|_| rests(&mut reactor)).collect();
    reactor.give_all();
    reactor.clients.begin_hand_over();
    assert!(reactor.clients.hand_sessions_over(), "there is room for another offer");
    let offered = |reactor: &Reactor| -> Vec<usize> {
        let is_offered = |at: &usize| reactor.clients.brain.is_offered(sessions[*at].1);
        (0..sessions.len()).filter(is_offered).collect()
    };
    let first = offered(&reactor);
    assert_eq!(first.len(), 120);
    // None of them can be had now.
    reactor.clients.offer_answered(1, Answer::default());
    reactor.clients.hand_sessions_over();
    reactor.clients.now += LATER_NS;
    reactor.clients.hand_over_due();
    assert!(reactor.clients.hand_sessions_over());
    let second = offered(&reactor);
    assert_eq!(second.len(), 120);
    assert!(!second.iter().any(|at| first.contains(at)), "the others come before them");
    reactor.clients.hand_sessions_over();
    assert_eq!(offered(&reactor).len(), 130, "the rest, and then anew");
}

/// Each of them has a descriptor on its way, and there may be few.
#[test]
fn an_offer_has_no_more_sessions_than_descriptors_allow() {
    let mut reactor = reactor(&Options { offer_sessions: 3, ..framed() });
    let sessions: Vec<_> = (0..10).map(|_| rests(&mut reactor)).collect();
    reactor.give_all();
    reactor.clients.begin_hand_over();
    for offered in [3, 6, 6] {
        reactor.clients.hand_over_due();
        reactor.clients.hand_sessions_over();
        let is_offered =
            |(_, slot): &&(UnixStream, ConnectionSlot)| reactor.clients.brain.is_offered(*slot);
        assert_eq!(sessions.iter().filter(is_offered).count(), offered);
    }
}

/// A budget of 4 MiB, of which states take a quarter, and an offer a sixteenth.
fn with_little_memory() -> Options {
    Options { memory_budget: 4 << 20, session_state_max_bytes: 1 << 20, ..framed() }
}

/// Another one is asked for before the reactor's turn is over.
#[test]
fn the_room_of_states_that_have_come_is_taken_at_once() {
    const PAGE: usize = 4_096;
    let mut reactor = reactor(&with_little_memory());
    let _clients = [(); 4].map(|()| rests_with(&mut reactor, 0, vec![7; 10 * PAGE + 1]));
    let places = &reactor.clients.reports.places;
    let left = (1 << 20) - 4 * 11 * PAGE;
    assert!(places.have_room_for_state(left) && !places.have_room_for_state(left + 1));
}

#[test]
fn copies_that_go_to_the_new_master_are_charged_until_it_has_answered() {
    const STATE: usize = 60 << 10;
    let mut reactor = reactor(&with_little_memory());
    let sessions: Vec<_> = (0..10).map(|_| rests_with(&mut reactor, 0, vec![7; STATE])).collect();
    reactor.give_all();
    let before = reactor.clients.memory.used();
    reactor.clients.begin_hand_over();
    while reactor.clients.hand_sessions_over() {}
    let is_offered =
        |(_, slot): &&(UnixStream, ConnectionSlot)| reactor.clients.brain.is_offered(*slot);
    assert_eq!(sessions.iter().filter(is_offered).count(), 8, "two offers of four");
    let charged = reactor.clients.memory.used() - before;
    assert!((8 * STATE as u64..8 * (STATE as u64 + 1_024)).contains(&charged), "{charged}");
    let mut answer = Answer::default();
    (0..4).for_each(|position| answer.wanted.set(position));
    reactor.clients.offer_answered(1, answer);
    reactor.clients.hand_sessions_over();
    reactor.clients.nobody_takes();
    assert_eq!(reactor.clients.brain.books().handed_over, 4);
    assert_eq!(reactor.clients.memory.used(), before);
}

#[test]
fn a_session_goes_alone_that_is_more_than_an_offer_and_nobody_does_without_memory() {
    let mut reactor = reactor(&with_little_memory());
    let (_client, slot) = rests_with(&mut reactor, 0, vec![7; 300 << 10]);
    reactor.give_all();
    reactor.clients.begin_hand_over();
    let taken = reactor.clients.memory.limit() - (100 << 10);
    reactor.clients.memory.charge_owed(taken);
    assert!(!reactor.clients.hand_sessions_over());
    assert!(!reactor.clients.brain.is_offered(slot) && !reactor.clients.brain.stays(slot));
    reactor.clients.memory.release(taken);
    reactor.clients.hand_over_due();
    reactor.clients.hand_sessions_over();
    assert!(reactor.clients.brain.is_offered(slot));
}

/// The new master wants both, and a worker has said something of one of them meanwhile.
#[test]
fn of_whom_a_worker_has_spoken_meanwhile_stays_and_the_new_master_is_told_who_comes() {
    let mut reactor = reactor(&framed());
    let sessions = [(); 2].map(|()| rests(&mut reactor));
    reactor.give_all();
    reactor.clients.begin_hand_over();
    reactor.clients.hand_sessions_over();
    let slots = sessions.each_ref().map(|(_, slot)| *slot);
    assert!(slots.iter().all(|slot| reactor.clients.brain.is_offered(*slot)));
    let spoken = reactor.clients.connections.get_mut(slots[0]).unwrap().session;
    assert_eq!(reactor.clients.told_place_of(spoken), Some(slots[0]));
    let mut answer = Answer::default();
    (0..2).for_each(|position| answer.wanted.set(position));
    reactor.clients.offer_answered(1, answer);
    assert!(reactor.clients.hand_sessions_over());
    let is_here = slots.map(|slot| reactor.clients.connections.get_mut(slot).is_some());
    assert_eq!(is_here, [true, false]);
    let told = reactor.clients.reports.queue.take();
    let given = told.into_iter().filter_map(|message| match message {
        FromReactor::Given { offer, given, .. } => Some((offer, given)),
        _ => None,
    });
    let mut second = Chosen::default();
    second.set(1);
    assert_eq!(given.collect::<Vec<_>>(), [(1, second)]);
    assert_eq!(reactor.clients.brain.books().handed_over, 1);
}

/// Each new master closed every client that had nothing to say in its first second.
#[test]
fn who_has_sent_a_package_to_the_old_master_owes_the_new_one_none() {
    let mut options = framed();
    options.port.first_package_timeout_ms = 1_000;
    let mut reactor = reactor(&options);
    let (_quiet, quiet) = rests_since(&mut reactor, 5);
    let (_new, new) = rests_since(&mut reactor, 0);
    reactor.clients.now = 2_000_000_000;
    reactor.clients.brain.begin_turn(reactor.clients.now);
    reactor.clients.run_timers();
    reactor.clients.carry_out();
    let is_here = |reactor: &mut Reactor, slot| reactor.clients.connections.get_mut(slot).is_some();
    assert!(is_here(&mut reactor, quiet), "it had sent its first package");
    assert!(!is_here(&mut reactor, new), "and this one has not");
}
