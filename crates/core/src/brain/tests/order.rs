//! The order of one session.

use super::*;

#[test]
fn the_connect_event_is_first_packages_follow_in_order_the_close_event_is_last() {
    let (mut world, id) = one(CrashPolicy::Close);
    let first = world.request(id);
    let second = world.request(id);
    world.eof(id);
    world.calm_down();
    let items: Vec<_> = world.log.iter().map(|(_, item, _)| *item).collect();
    assert_eq!(items, [Item::Connect, first, second, Item::Closed]);
    assert_eq!(world.closed(id), Some(CloseReason::Peer));
}

#[test]
fn a_session_is_at_one_lane_at_a_time() {
    let mut world = serving(Dispatch::RoundRobin, CrashPolicy::Close);
    let id = world.connected();
    let lane = {
        let item = world.request(id);
        world.lane_of(id, item)
    };
    for _ in 0..5 {
        let item = world.request(id);
        assert_eq!(world.lane_of(id, item), lane, "bound, though the other worker idles");
    }
    world.start_all(lane);
    world.finish_all(lane);
    let item = world.request(id);
    assert_ne!(world.lane_of(id, item), lane, "free again: the next in turn");
}

#[test]
fn at_most_a_window_of_deliveries_is_at_a_worker() {
    let mut world = serving_with(BrainSettings {
        ports: port(Dispatch::IdleFirst, CrashPolicy::Close, 2),
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let id = world.connected();
    let items: Vec<_> = (0..4).map(|_| world.request(id)).collect();
    let lane = world.lane_of(id, items[1]);
    assert_eq!(world.state(id, items[2]), State::Unread);
    world.start(lane);
    world.finish(lane, 0);
    world.pump();
    assert_eq!(world.lane_of(id, items[2]), lane);
    assert_eq!(world.state(id, items[3]), State::Unread);
}

#[test]
fn sessions_take_turns() {
    let mut world = serving_with(BrainSettings {
        prefetch_packages: 1,
        workers: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let (busy, other) = (world.connected(), world.connected());
    (0..10).for_each(|_| _ = world.send(busy, 8));
    world.pump();
    world.send(other, 8);
    for _ in 0..4 {
        world.start(0);
        world.finish(0, 0);
        world.pump();
    }
    let others = world.log.iter().filter(|(id, item, _)| *id == other && *item != Item::Connect);
    assert_eq!(others.count(), 1, "not behind all ten of the other");
}

#[test]
fn without_room_in_the_ring_a_session_keeps_its_turn() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let (first, second) = (world.connected(), world.connected());
    world.set_room(0, 0);
    let item = world.send(first, 8);
    world.send(second, 8);
    world.pump();
    world.set_room(0, 1);
    world.pump();
    assert_eq!(world.lane_of(first, item), 0);
}

#[test]
fn a_hashed_session_does_not_pile_up_turns() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ..settings(Dispatch::SessionHash, CrashPolicy::Close)
    });
    let id = world.connected();
    for _ in 0..100 {
        world.send(id, 8);
        world.send(id, 8);
        world.pump();
        world.start_all(0);
        world.finish_all(0);
    }
    // The world walks all lists after every step: nothing may stand on two, or twice on one.
    assert_eq!(world.brain.books().finished, 200);
}
