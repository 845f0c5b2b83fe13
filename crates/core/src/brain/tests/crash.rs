//! What becomes of deliveries of dead workers.

use super::*;

/// A session with a started package and one behind it.
fn started_and_waiting(crash_policy: CrashPolicy) -> (World, u64, Item, Item) {
    let (mut world, id) = one(crash_policy);
    let started = world.request(id);
    let waiting = world.request(id);
    world.start(0);
    (world, id, started, waiting)
}

#[test]
fn close_ends_the_session_of_a_started_package_once() {
    let (mut world, id, _, _) = started_and_waiting(CrashPolicy::Close);
    let other = world.connect().unwrap();
    world.pump();
    world.die(0);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::WorkerDied));
    let books = world.brain.books();
    assert_eq!(books.closed_by[CloseReason::WorkerDied as usize], 1);
    assert_eq!(books.dropped_session_gone, 1, "what waited behind it");
    assert_eq!(world.phase(other), Some(Phase::Open), "an innocent one");
    world.calm_down();
    assert_eq!(world.brain.open_sessions(), 1);
}

#[test]
fn drop_counts_the_started_package_and_the_session_goes_on() {
    let (mut world, id, started, waiting) = started_and_waiting(CrashPolicy::Drop);
    world.die(0);
    assert_eq!(world.brain.books().dropped_worker_died, 1);
    world.calm_down();
    assert_eq!(world.state(id, started), State::Gone);
    assert_eq!(world.state(id, waiting), State::Finished);
}

#[test]
fn redeliver_gives_it_again_in_its_place_with_its_attempts() {
    let (mut world, id, started, waiting) = started_and_waiting(CrashPolicy::Redeliver(1));
    world.die(0);
    assert_eq!(world.sessions[&id].items[&started].attempt, 1);
    assert_eq!(world.sessions[&id].items[&waiting].attempt, 0, "it was not started");
    world.calm_down();
    let items: Vec<_> = world.log.iter().map(|(_, item, _)| *item).collect();
    assert_eq!(items, [Item::Connect, started, started, waiting]);
    assert_eq!(world.brain.books().redelivered, 1);
    assert_eq!(world.brain.books().finished, 2);
}

#[test]
fn redeliver_gives_up_at_the_limit() {
    let (mut world, id, started, _) = started_and_waiting(CrashPolicy::Redeliver(1));
    world.die(0);
    world.repair();
    world.pump();
    world.start(0);
    assert_eq!(world.log.last().unwrap().1, started);
    world.die(0);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::WorkerDied));
    assert_eq!(world.brain.books().closed_by_total(), 1);
}

#[test]
fn what_was_seen_is_not_delivered_again() {
    let (mut world, id, _, _) = started_and_waiting(CrashPolicy::Redeliver(9));
    world.expose(0, 0);
    world.die(0);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::WorkerDied));
    assert_eq!(world.brain.books().redelivered, 0);
}

#[test]
fn redelivery_lets_a_session_that_flushes_write_what_it_has() {
    let (mut world, id, _, _) = started_and_waiting(CrashPolicy::Redeliver(9));
    world.output_changed(id, true, false);
    world.close(id, CloseReason::Worker);
    world.die(0);
    assert_eq!(world.phase(id), Some(Phase::Flushing(CloseReason::Worker)));
    world.calm_down();
    assert_eq!(world.closed(id), Some(CloseReason::Worker));
    assert_eq!(world.brain.books().redelivered, 0);
}

#[test]
fn a_started_package_of_a_session_that_had_ended_is_no_reason_of_its_end() {
    let (mut world, id, _, _) = started_and_waiting(CrashPolicy::Close);
    world.close(id, CloseReason::PeerError);
    world.die(0);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::PeerError));
    assert_eq!(world.brain.books().dropped_session_gone, 2);
    assert_eq!(world.brain.books().closed_by_total(), 0);
}

#[test]
fn a_package_that_waits_at_too_many_dying_workers_closes_its_session() {
    let (mut world, id) = one(CrashPolicy::Redeliver(9));
    world.request(id);
    for death in 1..=4 {
        assert_eq!(world.phase(id), Some(Phase::Open), "{death}");
        world.die(0);
        world.repair();
        world.pump();
    }
    assert_eq!(world.closed(id), Some(CloseReason::Unservable));
    world.calm_down();
    assert!(world.sessions[&id].freed);
}

#[test]
fn a_close_event_is_started_once_and_one_that_was_not_started_is_given_again() {
    let (mut world, id) = one(CrashPolicy::Redeliver(9));
    world.close(id, CloseReason::PeerError);
    world.pump();
    world.die(0);
    world.repair();
    world.pump();
    world.start(0);
    assert_eq!(world.log.last().unwrap().1, Item::Closed);
    world.die(0);
    world.actions();
    assert!(world.sessions[&id].freed, "it was started: never again");
}

#[test]
fn a_connect_event_is_given_again_before_the_packages() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Redeliver(1))
    });
    let id = world.connect().unwrap();
    let item = world.send(id, 8);
    world.pump();
    world.start_all(0);
    world.die(0);
    world.calm_down();
    let items: Vec<_> = world.log.iter().map(|(_, item, _)| *item).collect();
    assert_eq!(items, [Item::Connect, item, Item::Connect, item]);
}

/// The driver learns only by looking that nothing more of a client that left is there. Until it
/// has looked, a connect event that comes back is kept: what may follow it must come behind it.
#[test]
fn a_connect_event_is_given_again_while_there_may_be_input_of_a_client_that_left() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        ports: port(Dispatch::SessionHash, CrashPolicy::Redeliver(1), 2),
        ..settings(Dispatch::SessionHash, CrashPolicy::Redeliver(1))
    });
    let id = world.connect().unwrap();
    assert!(world.sessions[&id].comes_in_pieces());
    let items = [world.send(id, 8), world.send(id, 8)];
    world.pump();
    world.start_all(0);
    world.lose(id);
    world.finish(0, 1);
    world.pump();
    world.start_all(0);
    world.finish(0, 1);
    assert!(items.iter().all(|item| world.state(id, *item) == State::Finished));
    world.die(0);
    world.calm_down();
    let given: Vec<_> = world.log.iter().map(|(_, item, _)| *item).collect();
    assert_eq!(given, [Item::Connect, items[0], items[1], Item::Connect, Item::Closed]);
    assert!(world.sessions[&id].freed);
}

/// Many sessions ask first and each of their packages kills its worker; one other session asks
/// behind them, when so many workers have died. Counts the workers that live from then on until it
/// is answered.
fn lives_in_a_storm(was_the_storm_served: bool, deaths_before: usize) -> usize {
    let policy = settings(Dispatch::IdleFirst, CrashPolicy::Close);
    let mut world = serving_with(BrainSettings { workers: 1, sessions_max: 64, ..policy });
    let storm: Vec<u64> = (0..30).map(|_| world.connected()).collect();
    let honest = world.connected();
    let served = if was_the_storm_served { storm.clone() } else { vec![honest] };
    for id in served {
        world.request(id);
        world.start(0);
        world.finish(0, 0);
    }
    for id in storm {
        world.send(id, 8);
    }
    world.pump();
    for _ in 0..deaths_before {
        assert!(world.start(0), "nothing was given");
        world.die(0);
        world.repair();
        world.pump();
    }
    world.request(honest);
    for lives in 1..100 {
        assert!(world.start(0), "nothing was given");
        if world.log.last().unwrap().0 == honest {
            world.finish(0, 0);
            return lives;
        }
        world.die(0);
        world.repair();
        world.pump();
    }
    panic!("it was never answered");
}

/// Whoever asks while a process is at work waits for that one to die, and is the first of the next.
/// With `fork_interval_ms` between the two, that is what it waits at one reactor's.
#[test]
fn a_storm_of_new_sessions_does_not_hold_up_one_that_was_served() {
    for deaths_before in 0..20 {
        assert!(lives_in_a_storm(false, deaths_before) <= 2, "{deaths_before}");
    }
}

#[test]
fn a_storm_of_served_sessions_does_not_hold_up_a_new_one() {
    for deaths_before in 0..20 {
        assert!(lives_in_a_storm(true, deaths_before) <= 2, "{deaths_before}");
    }
}

#[test]
fn who_waits_behind_others_that_kill_their_workers_is_no_suspect() {
    let mut world = serving_with(BrainSettings {
        workers: 1,
        deaths_while_waiting_max: 0,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let (killer, honest) = (world.connected(), world.connected());
    world.request(killer);
    assert!(world.start(0));
    let item = world.request(honest);
    assert!(matches!(world.state(honest, item), State::At(_)));
    world.die(0);
    world.actions();
    assert_eq!(world.closed(honest), None);
    world.calm_down();
    assert_eq!(world.state(honest, item), State::Finished);
}
