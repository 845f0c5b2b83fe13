//! Workers that wrote nonsense.

use super::*;

#[test]
fn all_its_sessions_end_and_nothing_is_delivered_again() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Redeliver(9))
    });
    let (started, waiting, idle) = (world.connected(), world.connected(), world.connected());
    world.request(started);
    world.start(0);
    world.request(waiting);
    world.condemn(0);
    world.request(idle);
    assert_eq!(world.brain.books().in_hand, 2, "settled when it is dead");
    world.die(0);
    world.pump();
    for id in [started, waiting] {
        assert_eq!(world.closed(id), Some(CloseReason::WorkerCondemned));
    }
    let books = world.brain.books();
    assert_eq!(books.closed_by[CloseReason::WorkerCondemned as usize], 2);
    assert_eq!((books.redelivered, books.recalls), (0, 0));
    world.calm_down();
    assert_eq!(world.phase(idle), Some(Phase::Open));
    assert_eq!(world.brain.books().finished, 1);
}

#[test]
fn nothing_is_given_to_it() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.condemn(0);
    let item = world.request(id);
    assert_eq!(world.state(id, item), State::Unread);
    world.leave(0);
    assert_eq!(world.brain.lane_state(world.lanes[0].slot), Some(LaneState::Condemned));
}

#[test]
fn claims_that_cannot_be_are_refused_and_change_nothing() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    let waiting = world.lanes[0].waiting[0].seq;
    for number in [0, 1, waiting, waiting + 1, u64::MAX] {
        world.nonsense(0, number);
    }
    assert_eq!(world.brain.books().in_hand, 1);
}

#[test]
fn a_package_of_a_session_that_had_ended_before_is_not_its_fault() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.start(0);
    world.close(id, CloseReason::PeerError);
    world.condemn(0);
    world.die(0);
    assert_eq!(world.brain.books().dropped_session_gone, 1);
    assert_eq!(world.brain.books().closed_by_total(), 0);
}
