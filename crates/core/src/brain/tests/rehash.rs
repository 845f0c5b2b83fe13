//! Hashed sessions whose slot is down.

use super::*;

/// A session whose worker is gone, and its slot. The other worker serves.
fn homeless() -> (World, u64, u16) {
    let mut world = serving(Dispatch::SessionHash, CrashPolicy::Drop);
    let id = world.connected();
    let home = world.home(id);
    let lane = world.lanes.iter().position(|lane| lane.key.slot.0 == home).unwrap();
    world.die(lane);
    (world, id, home)
}

#[test]
fn it_waits_for_its_slot_and_goes_there_when_a_worker_serves() {
    let (mut world, id, home) = homeless();
    let item = world.request(id);
    assert_eq!(world.state(id, item), State::Unread);
    let lane = world.serving(home);
    world.pump();
    assert_eq!(world.lane_of(id, item), lane);
}

#[test]
fn it_goes_elsewhere_after_the_time_and_no_sooner_and_comes_home_again() {
    let (mut world, id, home) = homeless();
    let item = world.request(id);
    let due = world.brain.rehash_due().unwrap();
    assert_eq!(due, world.now + world.settings.slot_down_ns);
    world.pass(due - world.now - 1);
    world.rehash();
    world.pump();
    assert_eq!(world.state(id, item), State::Unread);
    world.pass(1);
    world.rehash();
    world.pump();
    assert_eq!(world.lane_of(id, item), 0);
    world.start_all(0);
    world.finish_all(0);
    let lane = world.serving(home);
    let item = world.request(id);
    assert_eq!(world.lane_of(id, item), lane);
}

#[test]
fn a_slot_that_has_never_served_is_waited_for_as_long() {
    let mut world = World::new(settings(Dispatch::SessionHash, CrashPolicy::Close));
    let sessions: Vec<_> = (0..8).map(|_| world.connect().unwrap()).collect();
    assert_eq!(world.brain.rehash_due(), None, "nobody serves: nowhere to go");
    world.serving(0);
    let late = *sessions.iter().find(|id| world.home(**id) == 1).unwrap();
    assert!(world.brain.rehash_due().unwrap() <= world.now, "to note the time");
    world.rehash();
    world.pump();
    assert_eq!(world.state(late, Item::Connect), State::Unread);
    let due = world.brain.rehash_due().unwrap();
    assert_eq!(due, world.now + world.settings.slot_down_ns);
    world.pass(due - world.now);
    world.rehash();
    world.pump();
    assert_eq!(world.lane_of(late, Item::Connect), 0);
}

#[test]
fn those_of_one_slot_spread_over_the_others() {
    let mut world = World::new(BrainSettings {
        workers: 4,
        sessions_max: 128,
        prefetch_packages: 128,
        ..settings(Dispatch::SessionHash, CrashPolicy::Close)
    });
    // Slots 0 and 1 serve; their number divides that of all slots.
    world.serving(0);
    world.serving(1);
    (0..2).for_each(|lane| world.set_room(lane, 128));
    (0..100).for_each(|_| _ = world.connect());
    world.rehash();
    world.pass(world.settings.slot_down_ns);
    world.rehash();
    world.pump();
    let moved = |lane: usize| {
        let homeless = |id| world.home(id) == 3;
        world.lanes[lane].waiting.iter().filter(|record| homeless(record.session)).count()
    };
    assert!(moved(0) > 0 && moved(1) > 0, "{} {}", moved(0), moved(1));
}

/// A world of four workers with room, and sessions, each asking for something.
fn of_four(dispatch: Dispatch) -> (World, Vec<u64>) {
    let mut world = World::new(BrainSettings {
        workers: 4,
        sessions_max: 128,
        prefetch_packages: 128,
        ..settings(dispatch, CrashPolicy::Close)
    });
    for worker in 0..4 {
        let lane = world.serving(worker);
        world.set_room(lane, 128);
    }
    let sessions = (0..40).map(|_| world.connected()).collect();
    (world, sessions)
}

#[test]
fn sessions_of_slots_that_are_taken_away_go_to_the_others_at_once() {
    let (mut world, sessions) = of_four(Dispatch::SessionHash);
    world.set_workers(2);
    assert!(sessions.iter().all(|id| world.home(*id) < 2));
    assert!(sessions.iter().any(|id| world.home(*id) == 1), "over all that are left");
    for id in &sessions {
        let item = world.request(*id);
        let lane = world.lane_of(*id, item);
        assert_eq!(world.lanes[lane].key.slot.0, world.home(*id));
    }
    assert_eq!(world.brain.rehash_due(), None, "nobody waits for a slot that is not there");
}

#[test]
fn sessions_spread_over_a_further_slot_when_somebody_serves_there() {
    let (mut world, sessions) = of_four(Dispatch::SessionHash);
    let before: Vec<u16> = sessions.iter().map(|id| world.home(*id)).collect();
    let lane = world.boot(4);
    let unchanged = sessions.iter().zip(&before).all(|(id, home)| world.home(*id) == *home);
    assert!(unchanged, "it does not serve yet");
    world.die(lane);
    world.set_workers(5);
    assert!(sessions.iter().any(|id| world.home(*id) == 4));
}

#[test]
fn what_is_in_hand_is_finished_where_it_is_and_what_follows_goes_to_the_new_home() {
    let (mut world, sessions) = of_four(Dispatch::SessionHash);
    let id = *sessions.iter().find(|id| world.home(**id) == 3).unwrap();
    let first = world.request(id);
    let old = world.lane_of(id, first);
    world.start_all(old);
    world.set_workers(3);
    let second = world.request(id);
    assert_eq!(world.state(id, second), State::Unread, "one session, one order");
    world.finish_all(old);
    world.pump();
    let lane = world.lane_of(id, second);
    assert_eq!(world.lanes[lane].key.slot.0, world.home(id));
}

#[test]
fn who_was_settled_in_a_slot_that_is_taken_away_settles_anew() {
    let (mut world, sessions) = of_four(Dispatch::Sticky);
    world.set_workers(1);
    for id in sessions {
        let item = world.request(id);
        let lane = world.lane_of(id, item);
        assert_eq!(world.lanes[lane].key.slot.0, 0);
    }
}
