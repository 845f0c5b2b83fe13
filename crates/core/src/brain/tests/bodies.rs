//! Packages on the heap: messages of several parts, packages whose ring space is used again,
//! packages that came back.

use super::world::ONE_RECORD;
use super::*;
use crate::brain::Brain;
use crate::ids::PortId;

const BIG: usize = 3 * ONE_RECORD;

#[test]
fn a_message_in_parts_is_started_after_its_last_part() {
    let (mut world, id) = one(CrashPolicy::Close);
    let item = world.send(id, BIG);
    world.pump();
    for _ in 0..3 {
        assert!(!world.start(0));
        world.nonsense(0, world.lanes[0].waiting[0].seq);
        world.part(0);
    }
    assert!(world.start(0));
    world.finish(0, 0);
    assert_eq!(world.state(id, item), State::Finished);
}

#[test]
fn a_lane_gets_nothing_else_between_the_parts() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.send(id, BIG);
    world.pump();
    let other = world.connect().unwrap();
    world.pump();
    assert_eq!(world.state(other, Item::Connect), State::Unread);
    (0..3).for_each(|_| world.part(0));
    world.pump();
    assert_eq!(world.lane_of(other, Item::Connect), 0);
}

#[test]
fn a_message_in_parts_is_whole_after_a_recall_and_after_a_death() {
    // The world compares the body when it is given again.
    for parts in 0..=3 {
        let (mut world, id) = one(CrashPolicy::Redeliver(3));
        let item = world.send(id, BIG);
        world.pump();
        (0..parts).for_each(|_| world.part(0));
        world.recall(0);
        assert_eq!(world.brain.returned_bytes(), BIG as u64 + 12);
        world.pump();
        assert_eq!(world.brain.returned_bytes(), 0);
        (0..3).for_each(|_| world.part(0));
        world.start(0);
        world.free(0);
        world.die(0);
        world.calm_down();
        assert_eq!(world.state(id, item), State::Finished);
    }
}

#[test]
fn a_started_package_is_kept_when_its_ring_space_is_used_again() {
    // The world fails when a body is fetched from ring space that is used already.
    let (mut world, id) = one(CrashPolicy::Redeliver(3));
    let (first, second) = (world.request(id), world.request(id));
    world.start(0);
    world.free(0);
    world.start(0);
    world.free(0);
    world.die(0);
    world.calm_down();
    assert_eq!(world.state(id, first), State::Finished);
    assert_eq!(world.state(id, second), State::Finished);
}

#[test]
fn nothing_is_kept_without_redelivery_or_when_it_was_seen_or_tried_too_often() {
    let cases = [
        (CrashPolicy::Close, false),
        (CrashPolicy::Drop, false),
        (CrashPolicy::Redeliver(0), false),
    ]
    .into_iter()
    .chain([(CrashPolicy::Redeliver(3), true)]);
    for (policy, exposes) in cases {
        let (mut world, id) = one(policy);
        world.request(id);
        world.start(0);
        if exposes {
            world.expose(0, 0);
        }
        let lane = world.lanes[0].slot;
        world.brain.keep_bodies(lane, world.lanes[0].t, &mut |_| panic!("copied: {policy:?}"));
    }
}

#[test]
fn a_body_is_copied_once() {
    let (mut world, id) = one(CrashPolicy::Redeliver(3));
    world.request(id);
    world.request(id);
    world.start_all(0);
    let (slot, t) = (world.lanes[0].slot, world.lanes[0].t);
    let mut copied = Vec::new();
    for freed in [t - 1, t, t, t + 8] {
        world.brain.keep_bodies(slot, freed, &mut |entry| {
            copied.push(entry.seq);
            Vec::new()
        });
    }
    let expected: Vec<_> = world.lanes[0].started.iter().map(|record| record.seq).collect();
    assert_eq!(copied, expected);
}

#[test]
fn a_reply_may_refer_to_a_package_in_hand_while_its_ring_space_is_its_own() {
    for policy in [CrashPolicy::Close, CrashPolicy::Redeliver(3)] {
        let (mut world, id) = one(policy);
        world.request(id);
        let (slot, seq) = (world.lanes[0].slot, world.lanes[0].waiting[0].seq);
        assert_eq!(world.brain.in_ring(slot, seq, world.lanes[0].t), None, "not started");
        world.start(0);
        let t = world.lanes[0].t;
        assert_eq!(world.brain.in_ring(slot, seq, t), Some((t - 1, 8 + 12)));
        // The worker deferred it: it is still in hand, but other packages may lie there now.
        world.free(0);
        assert_eq!(world.brain.in_ring(slot, seq, t), None);
        world.finish(0, 0);
        assert_eq!(world.brain.in_ring(slot, seq, t), None);
    }
}

#[test]
fn a_session_that_ends_lets_its_packages_go_and_keeps_no_more_of_them() {
    let (mut world, id) = one(CrashPolicy::Redeliver(3));
    world.request(id);
    world.request(id);
    world.start(0);
    world.free(0);
    assert!(world.brain.held_bytes() > 0, "the first may have to be delivered again");
    let place = world.sessions[&id].place;
    assert_eq!(world.brain.held_by_session().get(&place), Some(&world.brain.held_bytes()));
    world.close(id, CloseReason::MemoryBudget);
    world.actions();
    assert_eq!(world.brain.held_bytes(), 0);
    world.start(0);
    world.free(0);
    assert_eq!(world.brain.held_bytes(), 0, "the second is not kept at all");
    world.finish_all(0);
    world.calm_down();
}

#[test]
fn a_package_that_is_being_written_is_kept_to_its_last_part_although_its_session_ends() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.send(id, BIG);
    world.pump();
    let (slot, seq) = (world.lanes[0].slot, world.lanes[0].waiting[0].seq);
    world.part(0);
    world.close(id, CloseReason::MemoryBudget);
    world.actions();
    assert!(world.brain.body(slot, seq).is_some(), "the worker waits for the rest");
    (0..2).for_each(|_| world.part(0));
    assert_eq!(world.brain.held_bytes(), 0);
    world.start(0);
    let t = world.lanes[0].t;
    assert_eq!(world.brain.in_ring(slot, seq, t), None, "it is no single record");
    world.finish(0, 0);
    world.calm_down();
}

/// While workers hold more than there is memory for, clients keep what they have; what came back is
/// given all the same, and afterwards everything goes on.
#[test]
fn while_memory_is_lacking_nothing_fresh_is_read_and_what_came_back_is_given() {
    let (mut world, id) = one(CrashPolicy::Close);
    let back = world.request(id);
    world.recall(0);
    assert!(world.brain.takes_fresh_input());
    world.pause(true);
    assert!(!world.brain.takes_fresh_input());
    let fresh = world.send(id, 8);
    world.pump();
    assert_eq!(world.lane_of(id, back), 0);
    assert_eq!(world.state(id, fresh), State::Unread);
    world.start_all(0);
    world.finish_all(0);
    world.pump();
    assert_eq!(world.state(id, fresh), State::Unread, "still lacking");
    world.pause(true);
    world.pump();
    assert_eq!(world.state(id, fresh), State::Unread, "told twice");
    world.pause(false);
    assert!(world.brain.takes_fresh_input());
    world.pump();
    assert_eq!(world.lane_of(id, fresh), 0);
    world.drain();
    assert!(!world.brain.takes_fresh_input(), "nor while the server ends");
}

/// Who pays in a shortage is found by what each session holds: at lanes and waiting, added up.
#[test]
fn what_a_session_holds_is_added_up_over_all_places() {
    let (mut world, first) = one(CrashPolicy::Redeliver(3));
    let second = world.connected();
    for id in [first, second, second] {
        world.request(id);
    }
    world.start(0);
    world.free(0);
    world.recall(0);
    let held = world.brain.held_by_session();
    let of = |id: u64| held.get(&world.sessions[&id].place).copied();
    assert_eq!(of(first), Some(20), "started, its ring space is used again");
    assert_eq!(of(second), Some(40), "two that came back");
    assert_eq!(world.brain.held_bytes(), 60);
}

/// A body in parts is let go with its started delivery when nothing is delivered again.
#[test]
fn the_body_of_a_message_in_parts_goes_when_its_space_is_freed_and_no_sooner() {
    for policy in [CrashPolicy::Close, CrashPolicy::Drop] {
        let (mut world, id) = one(policy);
        world.send(id, BIG);
        world.pump();
        (0..3).for_each(|_| world.part(0));
        assert_eq!(world.brain.held_bytes(), BIG as u64 + 12);
        world.free(0);
        assert_eq!(world.brain.held_bytes(), BIG as u64 + 12, "not started");
        world.start(0);
        world.free(0);
        assert_eq!(world.brain.held_bytes(), 0, "{policy:?}");
        world.finish(0, 0);
        world.calm_down();
    }
}

#[test]
fn what_the_connect_event_tells_survives_recalls_and_deaths_and_goes_with_its_end() {
    // The world compares the body whenever it is given.
    for told in [8, 2 * ONE_RECORD] {
        let (mut world, _) = one(CrashPolicy::Redeliver(3));
        let id = world.connect_told(told).unwrap();
        assert!(world.brain.held_bytes() > told as u64, "it is charged");
        world.send(id, 8);
        for round in 0..4 {
            world.pump();
            (0..3).for_each(|_| world.part(0));
            let lane = world.lane_of(id, Item::Connect);
            match round {
                0 => world.recall(lane),
                1 => {
                    // A worker has begun it, and its ring space is used again.
                    world.start(lane);
                    world.free(lane);
                    world.die(lane);
                    world.repair();
                }
                2 => {
                    // The client leaves; who it was is still told.
                    world.lose(id);
                    world.recall(lane);
                }
                _ => {
                    world.start(lane);
                    world.finish(lane, 0);
                }
            }
        }
        world.calm_down();
        assert_eq!(world.brain.held_bytes(), 0);
    }
}

/// What it tells has several parts, so that it is nowhere else than in its body.
#[test]
fn what_the_connect_event_tells_survives_a_recall_while_its_session_flushes() {
    let (mut world, _) = one(CrashPolicy::Close);
    let id = world.connect_told(2 * ONE_RECORD).unwrap();
    world.pump();
    (0..3).for_each(|_| world.part(0));
    let lane = world.lane_of(id, Item::Connect);
    world.output_changed(id, true, false);
    world.close(id, CloseReason::Worker);
    assert_eq!(world.phase(id), Some(Phase::Flushing(CloseReason::Worker)));
    world.recall(lane);
    world.calm_down();
    assert!(world.sessions[&id].freed);
    assert_eq!(world.brain.held_bytes(), 0);
}

#[test]
fn nobody_is_told_where_there_are_no_connect_events() {
    let mut settings = settings(Dispatch::IdleFirst, CrashPolicy::Close);
    settings.ports.get_mut(PortId::FIRST).connect_events = false;
    let mut brain = Brain::new(settings);
    let slot = brain.accept(PortId::FIRST, 1).unwrap();
    brain.tell_at_connect(slot, vec![1; 8]);
    assert_eq!(brain.held_bytes(), 0);
}
