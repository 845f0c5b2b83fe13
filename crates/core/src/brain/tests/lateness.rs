//! What becomes of requests that are late.

use super::*;
use crate::Nanos;

const S: Nanos = 1_000_000_000;

fn closed_late(world: &World) -> u64 {
    world.brain.books().closed[CloseReason::RequestDeadline as usize]
}

#[test]
fn only_the_session_that_was_late_is_told_so() {
    let (mut world, late) = one(CrashPolicy::Close);
    let other = world.connected();
    world.request(other);
    world.start(0);
    world.request(late);
    world.start(0);
    world.set_late(0, Some(late));
    world.die(0);
    world.pump();
    assert_eq!(world.closed(late), Some(CloseReason::RequestDeadline));
    assert_eq!(world.closed(other), Some(CloseReason::WorkerDied));
    world.calm_down();
}

#[test]
fn a_late_request_is_given_again_as_often_as_its_port_says() {
    let (mut world, late) = one(CrashPolicy::Redeliver(1));
    let item = world.request(late);
    world.start(0);
    world.set_late(0, Some(late));
    world.die(0);
    assert_eq!(world.sessions[&late].items[&item].attempt, 1);
    world.repair();
    world.pump();
    world.start(0);
    world.set_late(0, Some(late));
    world.die(0);
    world.pump();
    assert_eq!(world.closed(late), Some(CloseReason::RequestDeadline));
    world.calm_down();
}

#[test]
fn a_late_request_is_dropped_where_its_port_says_so() {
    let (mut world, late) = one(CrashPolicy::Drop);
    world.request(late);
    world.start(0);
    world.set_late(0, Some(late));
    world.die(0);
    assert_eq!(world.brain.books().dropped_worker_died, 1);
    assert_eq!(world.phase(late), Some(Phase::Open));
    world.calm_down();
}

#[test]
fn a_request_that_was_not_late_after_all_is_settled_as_any_other() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.start(0);
    world.set_late(0, Some(id));
    world.set_late(0, None);
    world.die(0);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::WorkerDied));
    world.calm_down();
}

/// A world whose packages may be deferred for a second, with a session that has one deferred.
fn deferred() -> (World, u64) {
    let port = port_settings(Dispatch::IdleFirst, CrashPolicy::Close, 4);
    let port = PortSettings { deferred_max_ns: S, ..port };
    let ports = PerPort::new(port, Vec::new());
    let settings = settings(Dispatch::IdleFirst, CrashPolicy::Close);
    let mut world = serving_with(BrainSettings { workers: 1, ports, ..settings });
    let id = world.connected();
    world.request(id);
    world.start(0);
    assert_eq!(world.brain.deferred_due(), None, "its callback runs");
    world.pass(S);
    world.free(0);
    assert_eq!(world.brain.deferred_due(), Some(world.now + S));
    (world, id)
}

#[test]
fn a_package_that_stays_deferred_closes_its_session_in_time_and_its_end_is_late() {
    let (mut world, id) = deferred();
    world.pass(S - 1);
    world.close_overdue_deferred();
    assert_eq!(world.closed(id), None);
    world.may_close(id, CloseReason::RequestDeadline);
    world.pass(S);
    world.close_overdue_deferred();
    assert_eq!((world.closed(id), closed_late(&world)), (Some(CloseReason::RequestDeadline), 1));
    assert_eq!(world.brain.deferred_due(), None);
    world.finish(0, 0);
    world.calm_down();
}

#[test]
fn a_package_that_is_finished_in_time_closes_nothing() {
    let (mut world, id) = deferred();
    world.finish(0, 0);
    world.pass(2 * S);
    world.close_overdue_deferred();
    assert_eq!((world.closed(id), closed_late(&world)), (None, 0));
    assert_eq!(world.brain.deferred_due(), None, "nothing is deferred any more");
    world.calm_down();
}

#[test]
fn where_ports_have_no_deadline_nothing_is_watched() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.start(0);
    world.free(0);
    assert_eq!(world.brain.deferred_due(), None);
    world.brain.close_overdue_deferred();
    world.finish(0, 0);
    world.calm_down();
}
