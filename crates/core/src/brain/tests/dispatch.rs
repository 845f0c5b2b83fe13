//! Which worker gets the next package.

use super::*;

#[test]
fn round_robin_rotates_whatever_bound_sessions_get_in_between() {
    let mut world = serving_with(BrainSettings {
        workers: 3,
        ..settings(Dispatch::RoundRobin, CrashPolicy::Close)
    });
    let bound = world.connected();
    world.request(bound);
    world.log.clear();
    for _ in 0..6 {
        // A package for the bound session, between any two for free ones.
        world.request(bound);
        world.connect();
        world.pump();
    }
    (0..3).for_each(|lane| world.start_all(lane));
    let connects = |worker| {
        world.log.iter().filter(|(_, item, w)| *item == Item::Connect && *w == worker).count()
    };
    assert_eq!([connects(0), connects(1), connects(2)], [2, 2, 2]);
}

#[test]
fn idle_first_takes_the_least_loaded() {
    let mut world = serving_with(BrainSettings {
        workers: 3,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let sessions: Vec<_> = (0..6).map(|_| world.connect().unwrap()).collect();
    world.pump();
    let loads = |world: &World| {
        let mut loads: Vec<_> = world.lanes.iter().map(|lane| lane.waiting.len()).collect();
        loads.sort_unstable();
        loads
    };
    assert_eq!(loads(&world), [2, 2, 2]);
    let lane = world.lane_of(sessions[0], Item::Connect);
    world.start_all(lane);
    world.finish_all(lane);
    let id = world.connect().unwrap();
    world.pump();
    assert_eq!(world.lane_of(id, Item::Connect), lane);
}

#[test]
fn a_hashed_session_always_goes_to_its_worker() {
    let mut world = serving_with(BrainSettings {
        workers: 3,
        ..settings(Dispatch::SessionHash, CrashPolicy::Close)
    });
    let sessions: Vec<_> = (0..12).map(|_| world.connect().unwrap()).collect();
    for _ in 0..5 {
        world.calm_down();
        sessions.iter().for_each(|id| _ = world.send(*id, 8));
    }
    world.calm_down();
    let mut used = [0; 3];
    for (id, _, worker) in &world.log {
        assert_eq!(*worker, world.home(*id));
        used[usize::from(*worker)] += 1;
    }
    assert!(used.iter().all(|used| *used > 0), "all workers are used: {used:?}");
}

#[test]
fn a_slow_worker_gets_nothing_ahead() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.set_work(0, 10_000_000);
    let (first, second) = (world.request(id), world.request(id));
    assert_eq!(world.lane_of(id, first), 0);
    assert_eq!(world.state(id, second), State::Unread);
}

/// How many of a dozen packages are given to a worker that says this of its work.
fn given_to_a_worker_that_says(work_ns: &[u64]) -> usize {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        prefetch_packages: 8,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let sessions: Vec<_> = (0..12).map(|_| world.connected()).collect();
    work_ns.iter().for_each(|ns| world.set_work(0, *ns));
    sessions.iter().for_each(|id| _ = world.request(*id));
    world.lanes[0].waiting.len()
}

#[test]
fn a_worker_gets_ahead_what_it_does_in_the_time_of_prefetch() {
    assert_eq!(given_to_a_worker_that_says(&[20_000]), 6, "one in hand, 100 us of others");
    assert_eq!(given_to_a_worker_that_says(&[100_001]), 1);
}

#[test]
fn whatever_a_worker_says_of_its_work_it_gets_one_and_at_most_the_limit() {
    assert_eq!(given_to_a_worker_that_says(&[1]), 8);
    assert_eq!(given_to_a_worker_that_says(&[u64::MAX]), 1);
    assert_eq!(given_to_a_worker_that_says(&[0]), 8, "not measured: the first guess");
    assert_eq!(given_to_a_worker_that_says(&[20_000, 0]), 6, "not measured: what was known");
}

#[test]
fn a_deferred_delivery_takes_no_credit_but_binds_its_session() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        prefetch_packages: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let (first, second) = (world.connected(), world.connected());
    let deferred = world.request(first);
    let waits = world.request(second);
    world.start(0);
    assert_eq!(world.state(second, waits), State::Unread);
    // Its callback is over, but it is not finished.
    world.free(0);
    world.pump();
    assert_eq!(world.lane_of(second, waits), 0);
    assert_eq!(world.lane_of(first, deferred), 0);
    assert_eq!(world.brain.books().in_hand, 2);
    world.calm_down();
    assert_eq!(world.brain.books().finished, 2);
}
