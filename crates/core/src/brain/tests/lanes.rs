//! Workers come and go.

use super::*;

#[test]
fn a_successor_gets_what_the_predecessor_had_not_started() {
    let (mut world, id) = one(CrashPolicy::Close);
    let (started, waiting) = (world.request(id), world.request(id));
    world.start(0);
    let next = world.serving(0);
    world.pump();
    assert_eq!(world.state(id, waiting), State::Returned, "bound until the started one is over");
    assert_eq!(world.brain.in_hand(world.lanes[0].slot), 1, "not drained");
    world.finish(0, 0);
    world.pump();
    assert_eq!(world.brain.in_hand(world.lanes[0].slot), 0, "drained");
    assert_eq!(world.state(id, started), State::Finished);
    assert_eq!(world.lane_of(id, waiting), next);
}

#[test]
fn a_worker_that_is_told_to_leave_again_leaves_as_before() {
    let (mut world, _) = one(CrashPolicy::Close);
    world.leave(0);
    world.leave(0);
    world.recall(0);
    world.actions();
    world.leave(0);
    let slot = world.lanes[0].slot;
    assert_eq!(world.brain.in_hand(slot), 0, "drained");
    assert_eq!(world.brain.lane_state(slot), Some(LaneState::Leaving));
    assert_eq!(world.brain.next_action(), None);
}

#[test]
fn a_lane_in_the_place_of_another_begins_with_nothing() {
    let (mut world, _) = one(CrashPolicy::Close);
    world.leave(0);
    world.die(0);
    let lane = world.boot(0);
    let slot = world.lanes[lane].slot;
    assert_eq!(world.brain.in_hand(slot), 0, "its place was that of another lane");
    assert_eq!(world.brain.next_action(), None);
    world.serve(lane);
}

#[test]
fn what_a_worker_has_in_hand_is_done_soon_or_not() {
    let (mut world, id) = one(CrashPolicy::Close);
    let slot = world.lanes[0].slot;
    assert!(!world.brain.is_soon_done(slot), "it has nothing");
    world.request(id);
    world.request(id);
    assert!(world.brain.is_soon_done(slot), "nothing was measured");
    world.brain.set_work(slot, 50_000);
    assert!(world.brain.is_soon_done(slot));
    world.brain.set_work(slot, 50_001);
    assert!(!world.brain.is_soon_done(slot), "both together take too long");
    world.brain.set_work(slot, u64::MAX);
    assert!(!world.brain.is_soon_done(slot));
    world.brain.set_work(slot, 1);
    world.start(0);
    world.recall(0);
    assert_eq!(world.brain.in_hand(slot), 1);
    assert!(!world.brain.is_soon_done(slot), "it was busy for so long that the other came back");
}

#[test]
fn a_booting_worker_gets_nothing_and_its_lane_can_be_removed() {
    let mut world = World::new(settings(Dispatch::IdleFirst, CrashPolicy::Close));
    world.boot(0);
    world.connect();
    assert!(!world.give());
    let slot = world.lanes[0].slot;
    world.brain.remove_lane(slot);
    assert_eq!(world.brain.lane_state(slot), None);
}

#[test]
fn a_serving_lane_is_not_removed() {
    let (mut world, _) = one(CrashPolicy::Close);
    let slot = world.lanes[0].slot;
    world.brain.remove_lane(slot);
    assert!(world.brain.is_serving(slot));
    assert_eq!(world.brain.lane_key(slot), Some(world.lanes[0].key));
}

#[test]
fn a_full_ring_gets_nothing_until_there_is_room() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.set_room(0, 1);
    let (first, second) = (world.request(id), world.request(id));
    assert_eq!(world.lane_of(id, first), 0);
    assert_eq!(world.state(id, second), State::Unread);
    assert!(world.brain.is_full(world.lanes[0].slot));
    world.start(0);
    world.pump();
    assert_eq!(world.lane_of(id, second), 0);
}

#[test]
fn a_successor_does_not_inherit_caution_from_a_reload() {
    let (mut world, _) = one(CrashPolicy::Close);
    world.leave(0);
    world.die(0);
    world.repair();
    let sessions: Vec<_> = (0..4).map(|_| world.connect().unwrap()).collect();
    world.pump();
    assert_eq!(world.lanes[0].waiting.len(), sessions.len());
}

/// The driver writes a package in parts: between them nobody else may write.
#[test]
fn a_lane_that_is_set_full_gets_nothing_until_room_is_told() {
    let (mut world, id) = one(CrashPolicy::Close);
    let slot = world.lanes[0].slot;
    world.brain.set_full(slot);
    let item = world.request(id);
    assert_eq!(world.state(id, item), State::Unread);
    world.brain.room_freed(slot);
    world.pump();
    assert_eq!(world.lane_of(id, item), 0);
}

/// A reactor sleeps through what a worker frees, unless it matters.
#[test]
fn freed_ring_space_matters_to_a_full_lane_and_to_one_at_work() {
    let (mut world, id) = one(CrashPolicy::Close);
    let slot = world.lanes[0].slot;
    assert!(!world.brain.awaits_freed(slot), "nothing waits for it");
    world.brain.set_full(slot);
    assert!(world.brain.awaits_freed(slot), "full");
    world.brain.room_freed(slot);
    assert!(!world.brain.awaits_freed(slot));
    world.request(id);
    world.start(0);
    assert!(world.brain.awaits_freed(slot), "a callback that may end by deferring");
    world.finish(0, 0);
    assert!(!world.brain.awaits_freed(slot));
}

/// What a worker says of its ring is checked against this.
#[test]
fn the_first_delivery_that_is_not_started_bounds_what_may_be_freed() {
    let (mut world, id) = one(CrashPolicy::Close);
    let slot = world.lanes[0].slot;
    assert_eq!(world.brain.first_unstarted(slot, world.lanes[0].t), None);
    world.request(id);
    world.request(id);
    let first = world.lanes[0].t;
    let bound = world.brain.first_unstarted(slot, first).unwrap();
    world.start(0);
    assert_eq!(world.lanes[0].t, bound + 1, "it was the one that is started now");
    let next = world.brain.first_unstarted(slot, world.lanes[0].t).unwrap();
    assert!(next > bound);
    world.start(0);
    assert_eq!(world.brain.first_unstarted(slot, world.lanes[0].t), None);
}

#[test]
fn only_a_serving_lane_serves() {
    let mut world = World::new(settings(Dispatch::IdleFirst, CrashPolicy::Close));
    let lane = world.boot(0);
    let slot = world.lanes[lane].slot;
    assert!(!world.brain.is_serving(slot));
    world.serve(lane);
    assert!(world.brain.is_serving(slot));
    world.leave(lane);
    assert!(!world.brain.is_serving(slot));
}
