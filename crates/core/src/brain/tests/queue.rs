//! Who waits for a worker, for how long and how many.

use super::super::Books;
use super::*;

const LIMIT: u64 = 5_000_000_000;

/// One worker that gets one package at a time.
fn limited(queue_max: u32, queue_wait_max_ns: u64) -> World {
    limiting(PortSettings { queue_max, queue_wait_max_ns, ..usual() })
}

fn usual() -> PortSettings {
    port_settings(Dispatch::IdleFirst, CrashPolicy::Close, 16)
}

fn limiting(port: PortSettings) -> World {
    serving_with(BrainSettings {
        workers: 1,
        prefetch_packages: 1,
        ports: PerPort::new(port, Vec::new()),
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    })
}

fn refused(books: &Books) -> (u64, u64, u64) {
    let closed = books.closed[CloseReason::Overloaded as usize];
    (books.refused_queue_full, books.refused_queue_wait, closed)
}

#[test]
fn who_has_waited_for_too_long_is_refused_and_no_other() {
    let mut world = limited(0, LIMIT);
    let sessions: Vec<_> = (0..4).map(|_| world.connected()).collect();
    assert_eq!(world.brain.queue_due(), None, "nobody asks for anything");
    world.request(sessions[0]);
    world.start(0);
    world.request(sessions[1]);
    let due = world.now + LIMIT;
    world.pass(1_000);
    world.request(sessions[2]);
    assert_eq!(world.brain.queue_due(), Some(due.min(world.now + LIMIT)));
    world.pass(due - world.now - 1);
    world.refuse_overdue();
    assert_eq!(refused(world.brain.books()), (0, 0, 0), "not yet");
    world.pass(1);
    world.refuse_overdue();
    world.actions();
    assert_eq!(world.closed(sessions[1]), Some(CloseReason::Overloaded));
    assert_eq!(refused(world.brain.books()), (0, 1, 1));
    assert_eq!(world.closed(sessions[0]), None, "a worker is at it");
    assert_eq!(world.closed(sessions[2]), None, "it came later");
    world.pass(1_000);
    world.finish(0, 0);
    world.pump();
    assert_eq!(world.closed(sessions[2]), None, "its turn came in time");
    world.calm_down();
}

#[test]
fn what_waits_at_a_worker_is_taken_back_to_be_refused() {
    let mut world = limited(0, LIMIT);
    let (busy, behind) = (world.connected(), world.connected());
    world.settings.prefetch_packages = 2;
    world.brain.settings.prefetch_packages = 2;
    let first = world.request(busy);
    world.start(0);
    let item = world.request(behind);
    assert_eq!(world.lane_of(behind, item), 0);
    world.pass(2 * LIMIT);
    world.refuse_overdue();
    world.actions();
    assert_eq!(world.closed(behind), Some(CloseReason::Overloaded));
    assert_eq!(world.closed(busy), None);
    assert_eq!(world.lane_of(busy, first), 0);
    world.calm_down();
}

#[test]
fn the_newest_are_refused_who_are_more_than_may_wait() {
    let mut world = limited(2, 0);
    let sessions: Vec<_> = (0..5).map(|_| world.connected()).collect();
    sessions.iter().for_each(|id| _ = world.request(*id));
    world.refuse_beyond();
    world.actions();
    let closed: Vec<_> = sessions.iter().map(|id| world.closed(*id).is_some()).collect();
    assert_eq!(closed, [false, false, false, true, true], "one is given, two may wait");
    assert_eq!(refused(world.brain.books()), (2, 0, 2));
    world.calm_down();
}

#[test]
fn who_has_left_or_is_paused_counts_no_more_among_those_who_wait() {
    for leaves in [true, false] {
        let mut world = limited(1, 0);
        let [busy, quiet, waits] = [(); 3].map(|()| world.connected());
        world.request(busy);
        world.request(quiet);
        if leaves {
            world.lose(quiet);
        } else {
            world.brain.pause_session(world.sessions[&quiet].place, true);
        }
        world.request(waits);
        world.refuse_beyond();
        world.actions();
        assert_eq!(world.closed(waits), None, "it is the only one, if {quiet} leaves: {leaves}");
        assert_eq!(refused(world.brain.books()), (0, 0, 0));
        if !leaves {
            world.brain.pause_session(world.sessions[&quiet].place, false);
        }
        world.calm_down();
    }
}

/// Who could be served in the next turn is not refused in this one.
#[test]
fn nobody_is_refused_in_a_turn_in_which_workers_would_take_more() {
    let mut world = limited(1, 0);
    let sessions: Vec<_> = (0..3).map(|_| world.connected()).collect();
    world.pass(1);
    for id in &sessions {
        world.send(*id, 8);
    }
    world.brain.refuse_beyond();
    assert_eq!(refused(world.brain.books()), (0, 0, 0), "nothing was given yet");
    world.refuse_beyond();
    world.actions();
    assert_eq!(refused(world.brain.books()), (1, 0, 1));
    world.calm_down();
}

#[test]
fn who_only_connects_asks_for_nothing_and_makes_nobody_be_refused() {
    let mut world = limited(1, LIMIT);
    let [busy, waits] = [(); 2].map(|()| world.connected());
    world.request(busy);
    world.start(0);
    let silent = [(); 3].map(|()| world.connect().unwrap());
    world.pump();
    world.request(waits);
    world.refuse_beyond();
    world.pass(LIMIT - 1);
    world.refuse_overdue();
    world.actions();
    assert_eq!(refused(world.brain.books()), (0, 0, 0));
    // The first that asks is one too many.
    world.request(silent[1]);
    world.refuse_beyond();
    world.pass(1);
    world.refuse_overdue();
    world.actions();
    assert_eq!(world.closed(silent[1]), Some(CloseReason::Overloaded));
    assert_eq!(world.closed(waits), Some(CloseReason::Overloaded), "it has waited");
    assert_eq!(refused(world.brain.books()), (1, 1, 2));
    assert_eq!([silent[0], silent[2], busy].map(|id| world.closed(id)), [None; 3]);
    world.calm_down();
}

/// Its connect event lies at a busy worker, unstarted.
#[test]
fn who_asks_behind_a_connect_event_that_waits_at_a_worker_waits_since_then() {
    let mut world = limited(0, LIMIT);
    let busy = world.connected();
    world.settings.prefetch_packages = 2;
    world.brain.settings.prefetch_packages = 2;
    world.request(busy);
    world.start(0);
    let asks = world.connect().unwrap();
    world.pump();
    assert_eq!(world.lane_of(asks, Item::Connect), 0);
    world.pass(LIMIT);
    world.refuse_overdue(); // the busy one is begun, and waits no more
    assert_eq!(world.brain.queue_due(), None, "it has asked for nothing");
    world.request(asks);
    assert_eq!(world.brain.queue_due(), Some(world.now + LIMIT));
    world.pass(LIMIT);
    world.refuse_overdue();
    world.actions();
    assert_eq!(world.closed(asks), Some(CloseReason::Overloaded));
    assert_eq!(refused(world.brain.books()), (0, 1, 1));
    world.calm_down();
}

#[test]
fn as_many_wait_as_may_and_any_number_where_there_is_no_limit() {
    for (limit, refused_of_three) in [(0, 0), (3, 0), (2, 1)] {
        let mut world = limited(limit, 0);
        let [busy, waiting @ ..] = [(); 4].map(|()| world.connected());
        world.request(busy);
        world.start(0);
        for waits in waiting {
            world.request(waits);
        }
        world.refuse_beyond();
        world.actions();
        let counts = (refused_of_three, 0, refused_of_three);
        assert_eq!(refused(world.brain.books()), counts, "{limit}");
        world.calm_down();
    }
}

#[test]
fn who_is_answered_stays_and_each_of_its_packages_is_refused_by_itself() {
    let mut world = limiting(PortSettings { queue_max: 1, answers_refused: true, ..usual() });
    let [busy, waits, beyond] = [(); 3].map(|()| world.connected());
    world.request(busy);
    world.start(0);
    world.request(waits);
    let items = [(); 2].map(|()| world.request(beyond));
    for refused in 1..=2 {
        world.refuse_beyond();
        world.actions();
        assert_eq!(world.brain.books().refused, refused);
    }
    assert_eq!(items.map(|item| world.state(beyond, item)), [State::Gone; 2]);
    assert_eq!([busy, waits, beyond].map(|id| world.closed(id)), [None; 3]);
    assert_eq!(refused(world.brain.books()), (0, 0, 0), "no session was");
    world.refuse_beyond();
    world.actions();
    world.finish(0, 0);
    world.calm_down();
    let served = world.request(beyond);
    world.calm_down();
    assert_eq!(world.state(beyond, served), State::Finished);
}

/// Its turn comes between the decision and the answer.
#[test]
fn a_package_that_a_worker_gets_after_all_is_not_answered() {
    let mut world = limiting(PortSettings { queue_max: 1, answers_refused: true, ..usual() });
    let [busy, waits, beyond] = [(); 3].map(|()| world.connected());
    world.request(busy);
    world.start(0);
    let items = [waits, beyond].map(|id| (id, world.request(id)));
    world.brain.refuse_beyond();
    world.finish(0, 0);
    while world.give() {}
    world.calm_down();
    let finished = items.iter().filter(|(id, item)| world.state(*id, *item) == State::Finished);
    assert_eq!(finished.count() as u64 + world.brain.books().refused, 2);
}

/// Between the decision and the answer the session begins to wait again, for a package that came
/// back; when that is refused and nothing more of it may be read, it waits for nothing.
#[test]
fn who_is_answered_for_a_package_that_came_back_waits_no_more() {
    let dispatch = Dispatch::SessionHash;
    let port = port_settings(dispatch, CrashPolicy::Redeliver(1), 16);
    let port = PortSettings { queue_wait_max_ns: LIMIT, answers_refused: true, ..port };
    let mut world = serving_with(BrainSettings {
        workers: 2,
        ports: PerPort::new(port, Vec::new()),
        ..settings(dispatch, CrashPolicy::Redeliver(1))
    });
    let sessions = [(); 8].map(|()| world.connected());
    let asks = *sessions.iter().find(|id| world.home(**id) == 1).unwrap();
    let item = world.request(asks);
    world.start(1);
    world.die(1);
    world.pause(true);
    world.pass(LIMIT);
    world.refuse_overdue();
    // It gets another home.
    world.set_workers(1);
    world.actions();
    assert_eq!(world.state(asks, item), State::Gone);
    assert_eq!(world.brain.queue_due(), None, "it waits for nothing");
    world.pause(false);
    world.calm_down();
}
