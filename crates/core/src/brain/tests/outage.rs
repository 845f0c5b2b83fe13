//! No worker serves: sessions that wait are refused after a while, and not before.

use super::*;

#[test]
fn who_waits_is_refused_when_no_worker_has_served_for_long() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let (waiting, idle) = (world.connected(), world.connected());
    assert_eq!(world.brain.refusal_due(), None);
    world.die(0);
    world.send(waiting, 8);
    world.pump();
    let due = world.brain.refusal_due().unwrap();
    assert_eq!(due, world.now + 1_000_000_000);
    assert_eq!(world.closed(waiting), None, "there may be a worker in time");
    world.may_close(waiting, CloseReason::NoWorker);
    world.brain.begin_refusing();
    let late = world.connect().unwrap();
    world.may_close(late, CloseReason::NoWorker);
    world.pump();
    assert_eq!(world.closed(waiting), Some(CloseReason::NoWorker));
    assert_eq!(world.closed(late), Some(CloseReason::NoWorker), "a new client too");
    assert_eq!(world.closed(idle), None, "it has asked for nothing");
    assert_eq!(world.brain.refusal_due(), None, "nothing is due again and again");
    world.may_close(idle, CloseReason::NoWorker);
    world.send(idle, 8);
    world.pump();
    assert_eq!(world.closed(idle), Some(CloseReason::NoWorker), "now it has");
    world.repair();
    let next = world.connected();
    let item = world.request(next);
    world.start_all(0);
    world.finish_all(0);
    assert_eq!(world.state(next, item), State::Finished, "a worker serves again");
}

/// At the first start clients wait as long as workers boot.
#[test]
fn nobody_is_refused_before_the_first_worker_has_served() {
    let world = World::new(settings(Dispatch::IdleFirst, CrashPolicy::Close));
    assert_eq!(world.brain.refusal_due(), None);
}

/// A worker that leaves still answers: its session is let be until then.
#[test]
fn who_has_a_package_at_a_leaving_worker_is_not_refused_before_its_answer() {
    let (mut world, id) = one(CrashPolicy::Close);
    let first = world.request(id);
    world.start(0);
    world.request(id);
    world.leave(0);
    world.may_close(id, CloseReason::NoWorker);
    assert!(!world.brain.is_refusing());
    world.brain.begin_refusing();
    world.pump();
    assert!(world.brain.is_refusing());
    assert_eq!(world.closed(id), None, "its first package is in hand");
    world.finish(0, 0);
    world.pump();
    assert_eq!(world.state(id, first), State::Finished);
    assert_eq!(world.closed(id), Some(CloseReason::NoWorker), "its second one waits for nobody");
    world.repair();
    assert!(!world.brain.is_refusing(), "a worker serves again");
}

/// Its client has still to read something: until then its worker may hear of it.
#[test]
fn who_is_refused_with_output_to_write_is_owed_its_events_until_then() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.die(0);
    let late = world.connect().unwrap();
    for id in [id, late] {
        world.output_changed(id, true, false);
        world.may_close(id, CloseReason::NoWorker);
    }
    world.pump();
    world.brain.begin_refusing();
    world.pump();
    assert_eq!(world.phase(late), Some(Phase::Flushing(CloseReason::NoWorker)));
    world.repair();
    world.pump();
    assert_eq!(world.state(late, Item::Connect), State::At(world.lanes[0].key));
    world.calm_down();
}
