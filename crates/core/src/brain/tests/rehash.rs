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
