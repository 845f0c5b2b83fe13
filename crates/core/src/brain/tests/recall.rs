//! Taking back what was not started.

use super::*;

/// Two workers; one has a started package and an innocent one behind it, the other idles.
fn stuck_behind() -> (World, u64, Item) {
    let mut world = serving(Dispatch::IdleFirst, CrashPolicy::Close);
    let sessions: Vec<_> = (0..4).map(|_| world.connected()).collect();
    let items: Vec<_> = sessions.iter().map(|id| (*id, world.request(*id))).collect();
    let slow = world.lane_of(items[0].0, items[0].1);
    world.start(slow);
    let other = 1 - slow;
    world.start_all(other);
    world.finish_all(other);
    let (id, item) = items[2];
    assert_eq!(world.lane_of(id, item), slow);
    (world, id, item)
}

#[test]
fn what_waits_behind_a_slow_delivery_goes_to_an_idle_worker() {
    let (mut world, id, item) = stuck_behind();
    let slow = world.lane_of(id, item);
    let (_, due) = world.candidate().unwrap();
    assert!(due > world.now, "not at once");
    assert_eq!(world.recall_if_due(), None);
    world.pass(due - world.now);
    assert_eq!(world.recall_if_due(), Some(slow));
    assert_ne!(world.lane_of(id, item), slow);
    assert_eq!(world.sessions[&id].items[&item].attempt, 0);
    assert_eq!(world.brain.books().recalls, 1);
    assert!(world.candidate().is_none(), "it does not come back");
}

#[test]
fn what_must_stay_with_a_started_one_of_its_session_is_no_candidate() {
    let mut world = serving(Dispatch::IdleFirst, CrashPolicy::Close);
    let id = world.connected();
    let item = world.request(id);
    world.request(id);
    let lane = world.lane_of(id, item);
    world.start(lane);
    world.pass(10_000_000_000);
    assert_eq!(world.lanes[lane].waiting.len(), 1);
    assert!(world.candidate().is_none());
    let other = world.connected();
    assert_eq!(world.lanes[lane].waiting.len(), 1);
    world.request(other);
    assert!(world.candidate().is_none());
}

#[test]
fn hashed_sessions_are_not_recalled_for_idle_workers() {
    let mut world = serving(Dispatch::SessionHash, CrashPolicy::Close);
    for _ in 0..8 {
        world.connect();
    }
    world.pump();
    world.start(0);
    world.start_all(1);
    world.finish_all(1);
    world.pass(10_000_000_000);
    assert!(world.candidate().is_none());
}

/// A worker that pulls gets another package while one that it has deferred is open.
#[test]
fn where_packages_of_a_session_are_spread_none_is_pinned_by_another() {
    let mut world = serving(Dispatch::Pull, CrashPolicy::Close);
    let id = world.connected();
    let deferred = world.request(id);
    let slow = world.lane_of(id, deferred);
    world.start(slow);
    world.free(slow);
    let items = [world.send(id, 8), world.send(id, 8)];
    world.pump();
    let other = 1 - slow;
    world.start(other);
    world.finish(other, 0);
    world.pump();
    let item = items.into_iter().find(|item| world.state(id, *item) != State::Finished).unwrap();
    assert_eq!(world.lane_of(id, item), slow);
    let (_, due) = world.candidate().unwrap();
    world.pass(due - world.now);
    assert_eq!(world.recall_if_due(), Some(slow));
    assert_eq!(world.lane_of(id, item), other);
    world.calm_down();
}

#[test]
fn nobody_is_recalled_while_nobody_idles() {
    let (mut world, id, item) = stuck_behind();
    let slow = world.lane_of(id, item);
    let other = world.connect().unwrap();
    world.pump();
    assert_ne!(world.lane_of(other, Item::Connect), slow);
    world.pass(10_000_000_000);
    assert!(world.candidate().is_none());
}

/// Packages given to the only worker, started or not.
fn in_hand(world: &World) -> usize {
    world.lanes[0].waiting.len() + world.lanes[0].started.len()
}

#[test]
fn after_a_recall_nothing_waits_behind_another_until_the_worker_has_proved_fast() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let sessions: Vec<_> = (0..12).map(|_| world.connected()).collect();
    sessions.iter().for_each(|id| _ = world.request(*id));
    world.start(0);
    world.start(0);
    world.recall(0);
    assert_eq!(in_hand(&world), 2, "what was started stays");
    // Its mean has not seen the delivery that it is busy with.
    world.set_work(0, 1);
    world.pump();
    assert_eq!(in_hand(&world), 2, "nothing more, however fast it says it is");
    world.finish(0, 0);
    for _ in 0..2 {
        world.set_work(0, 1);
        world.pump();
        assert_eq!(in_hand(&world), 1, "one by one");
        world.start(0);
        world.finish(0, 0);
        sessions.iter().for_each(|id| _ = world.send(*id, 8));
    }
    world.pump();
    assert!(in_hand(&world) > 1, "it has proved fast");
}

#[test]
fn a_recall_keeps_the_order_of_sessions_and_of_their_packages() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let sessions: Vec<_> = (0..3).map(|_| world.connected()).collect();
    // All of them were served before, so that they stand on one half of the list.
    for id in &sessions {
        world.request(*id);
        world.start(0);
        world.finish(0, 0);
    }
    for _ in 0..2 {
        sessions.iter().for_each(|id| _ = world.request(*id));
    }
    let late = world.connect().unwrap();
    let order = |world: &World| -> Vec<u64> {
        world.lanes[0].waiting.iter().map(|record| record.session).collect()
    };
    let before = order(&world);
    world.recall(0);
    // One by one, so that the order of the turns shows.
    world.set_work(0, u64::MAX);
    world.log.clear();
    for _ in 0..7 {
        world.pump();
        world.start(0);
        world.finish(0, 0);
    }
    let mut first: Vec<u64> = world.log.iter().map(|(id, _, _)| *id).collect();
    first.retain(|id| *id != late);
    assert_eq!(first[..3], before[..3], "those that had waited longest");
    assert!(world.log.iter().any(|(id, _, _)| *id == late));
    assert_eq!(world.brain.books().recalls, 6);
}
