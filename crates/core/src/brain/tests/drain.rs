//! The server ends.

use super::*;

#[test]
fn what_was_read_is_served_and_what_was_not_is_not_read() {
    let (mut world, id) = one(CrashPolicy::Close);
    let item = world.request(id);
    world.drain();
    let late = world.request(id);
    assert!(!world.brain.is_empty());
    assert_eq!(world.brain.held_sessions(), 1);
    world.calm_down();
    assert_eq!(world.state(id, item), State::Finished);
    assert_eq!(world.state(id, late), State::Unread);
    assert_eq!(world.closed(id), Some(CloseReason::Shutdown));
    assert!(world.brain.is_empty());
}

#[test]
fn whole_messages_that_the_driver_holds_are_served_and_nothing_behind_them() {
    let (mut world, id) = one(CrashPolicy::Close);
    let given = world.request(id);
    let held: Vec<_> = (0..3).map(|_| world.send(id, 8)).collect();
    let behind = world.send(id, 8);
    world.hold_back(id, true);
    world.drain_holding(&[(id, 3)]);
    // A client that reads nothing holds itself up, as ever.
    world.output_changed(id, true, true);
    world.pump();
    assert_eq!(world.state(id, held[0]), State::Unread);
    world.output_changed(id, false, false);
    world.calm_down();
    assert_eq!(world.state(id, given), State::Finished);
    assert!(held.iter().all(|item| world.state(id, *item) == State::Finished));
    assert_eq!(world.state(id, behind), State::Unread);
    assert_eq!(world.closed(id), Some(CloseReason::Shutdown));
}

#[test]
fn no_message_is_awaited_of_a_session_that_ends() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.send(id, 8);
    world.output_changed(id, true, false);
    world.close(id, CloseReason::Worker);
    world.drain_holding(&[(id, 1)]);
    world.calm_down();
    assert!(world.brain.is_empty());
}

#[test]
fn output_is_written_first() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.output_changed(id, true, false);
    world.drain();
    assert_eq!(world.phase(id), Some(Phase::Flushing(CloseReason::Shutdown)));
    world.calm_down();
    assert!(world.brain.is_empty());
}

#[test]
fn at_the_deadline_all_sessions_are_cut() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.output_changed(id, true, false);
    world.drain();
    for id in world.sessions.keys().copied().collect::<Vec<_>>() {
        world.close(id, CloseReason::ShutdownTimeout);
    }
    world.brain.close_all(CloseReason::ShutdownTimeout);
    world.calm_down();
    assert_eq!(world.closed(id), Some(CloseReason::ShutdownTimeout));
    assert!(world.brain.is_empty());
}

#[test]
fn every_open_session_is_cut_at_once_and_told_so() {
    let (mut world, first) = one(CrashPolicy::Close);
    let second = world.connected();
    world.output_changed(second, true, false);
    for id in [first, second] {
        world.may_close(id, CloseReason::ShutdownTimeout);
    }
    world.brain.close_all(CloseReason::ShutdownTimeout);
    world.actions();
    assert_eq!(world.closed(first), Some(CloseReason::ShutdownTimeout));
    assert_eq!(world.closed(second), Some(CloseReason::ShutdownTimeout));
}
