//! Whether workers may be lacking.

use super::*;

const AFTER: u64 = 200_000_000;

fn asked(dispatch: Dispatch, workers: u16, prefetch_packages: u32) -> World {
    serving_with(BrainSettings {
        workers,
        prefetch_packages,
        lack_after_ns: AFTER,
        ..settings(dispatch, CrashPolicy::Close)
    })
}

#[test]
fn workers_are_lacking_when_somebody_has_waited() {
    let mut world = asked(Dispatch::IdleFirst, 1, 1);
    let (busy, waits) = (world.connected(), world.connected());
    assert_eq!(world.brain.lack_due(), None, "nobody asks for anything");
    world.request(busy);
    world.start(0);
    world.pass(1_000);
    world.request(waits);
    world.pass(AFTER - 1);
    assert!(!world.lacks_workers(), "what is begun does not wait, and the other not yet");
    assert_eq!(world.brain.lack_due(), Some(world.now + 1));
    world.pass(1);
    assert!(world.lacks_workers());
    assert_eq!(world.brain.lack_due(), Some(world.now + AFTER), "that is told once in this time");
    assert!(!world.lacks_workers());
    world.pass(AFTER);
    assert!(world.lacks_workers(), "it waits still");
    world.finish(0, 0);
    world.pump();
    world.start(0);
    world.pass(AFTER);
    assert!(!world.lacks_workers());
    assert_eq!(world.brain.lack_due(), None, "its turn has come");
    world.calm_down();
}

#[test]
fn what_lies_at_a_worker_unstarted_waits_like_what_lies_in_the_master() {
    let mut world = asked(Dispatch::IdleFirst, 1, 2);
    let (busy, behind) = (world.connected(), world.connected());
    world.request(busy);
    world.start(0);
    let item = world.request(behind);
    assert_eq!(world.lane_of(behind, item), 0);
    world.pass(AFTER);
    assert!(world.lacks_workers());
    assert_eq!(world.closed(behind), None, "nobody is refused for it");
    assert_eq!(world.lane_of(behind, item), 0, "and nothing is taken back");
    world.calm_down();
}

#[test]
fn a_server_without_any_worker_waits_for_those_that_it_has() {
    let mut world = asked(Dispatch::IdleFirst, 1, 1);
    let waits = world.connected();
    world.die(0);
    world.request(waits);
    world.pass(AFTER);
    assert!(!world.lacks_workers());
    world.calm_down();
}
