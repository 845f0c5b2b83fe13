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
