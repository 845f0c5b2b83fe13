//! The end of a session.

use super::*;

#[test]
fn a_client_that_half_closes_gets_its_answers_first() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.eof(id);
    world.pump();
    assert_eq!(world.phase(id), Some(Phase::Open));
    world.start(0);
    world.output_changed(id, true, false);
    world.finish(0, 0);
    world.pump();
    assert_eq!(world.phase(id), Some(Phase::Flushing(CloseReason::Peer)));
    world.output_changed(id, false, false);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::Peer));
    world.start(0);
    world.finish(0, 0);
    world.pump();
    assert!(world.sessions[&id].freed);
}

#[test]
fn an_abrupt_reason_cuts_a_flush_short_a_second_good_one_changes_nothing() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.output_changed(id, true, false);
    world.close(id, CloseReason::Worker);
    world.close(id, CloseReason::Shutdown);
    assert_eq!(world.phase(id), Some(Phase::Flushing(CloseReason::Worker)));
    world.close(id, CloseReason::PeerError);
    world.close(id, CloseReason::WorkerReset);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::PeerError));
}

#[test]
fn a_session_that_no_worker_saw_has_no_close_event() {
    let mut world = serving(Dispatch::IdleFirst, CrashPolicy::Close);
    let id = world.connect().unwrap();
    world.close(id, CloseReason::PeerError);
    world.pump();
    assert!(world.sessions[&id].freed);
    assert!(world.log.is_empty());
}

/// A worker may die of a package whose client is gone.
#[test]
fn that_a_session_is_unnamed_is_known_until_its_last_event_is_over() {
    let (mut world, id) = one(CrashPolicy::Close);
    let place = world.sessions[&id].place;
    assert!(!world.brain.is_unnamed(place));
    world.brain.comes_unnamed(place);
    world.request(id);
    world.start(0);
    world.close(id, CloseReason::PeerError);
    world.pump();
    assert!(!world.sessions[&id].freed && world.brain.is_unnamed(place));
    world.finish(0, 0);
    world.start(0);
    world.finish(0, 0);
    world.pump();
    assert!(world.sessions[&id].freed && !world.brain.is_unnamed(place));
}

#[test]
fn a_connect_event_that_was_never_started_is_forgotten_with_its_session() {
    for close_first in [true, false] {
        let mut world = serving_with(BrainSettings {
            workers: 1,
            ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
        });
        let id = world.connect().unwrap();
        world.pump();
        if close_first {
            world.close(id, CloseReason::PeerError);
            world.pump();
            world.recall(0);
        } else {
            world.recall(0);
            world.close(id, CloseReason::PeerError);
        }
        world.actions();
        assert!(world.sessions[&id].freed, "{close_first}");
        assert!(world.brain.is_empty());
    }
}

#[test]
fn a_place_is_kept_while_a_delivery_is_deferred_though_the_close_event_is_finished() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.start(0);
    world.close(id, CloseReason::PeerError);
    world.pump();
    world.start(0);
    // The close event finishes first.
    world.finish(0, 1);
    world.pump();
    assert!(!world.sessions[&id].freed, "a delivery of it is at the worker");
    world.finish(0, 0);
    world.pump();
    assert!(world.sessions[&id].freed);
}

#[test]
fn a_place_is_free_when_the_driver_heard_of_it_and_no_sooner() {
    let mut world = World::new(BrainSettings {
        sessions_max: 1,
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    });
    let id = world.connect().unwrap();
    assert_eq!(world.connect(), None, "all places are taken");
    world.close(id, CloseReason::PeerError);
    assert_eq!(world.connect(), None);
    world.actions();
    assert!(world.connect().is_some_and(|next| next != id));
}

#[test]
fn packages_that_came_back_are_dropped_with_their_session_but_not_its_events() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.recall(0);
    world.output_changed(id, true, false);
    world.close(id, CloseReason::Worker);
    assert_eq!(world.brain.books().dropped_session_gone, 1);
    assert_eq!(world.brain.returned_bytes(), 0);
    world.output_changed(id, false, false);
    world.calm_down();
    assert!(world.sessions[&id].freed);
}

#[test]
fn a_package_that_its_worker_skips_is_counted_as_dropped_with_its_session() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.request(id);
    world.start(0);
    world.start(0);
    world.close(id, CloseReason::Worker);
    world.finish(0, 0);
    world.skip(0, 0);
    let books = world.brain.books();
    assert_eq!((books.received, books.finished, books.dropped_session_gone), (2, 1, 1));
    world.calm_down();
    assert!(world.sessions[&id].freed);
}

#[test]
fn a_session_with_much_unsent_output_is_not_read() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.output_changed(id, true, true);
    let item = world.request(id);
    assert_eq!(world.state(id, item), State::Unread);
    world.output_changed(id, true, false);
    world.pump();
    assert_eq!(world.lane_of(id, item), 0);
}

#[test]
fn what_a_client_had_sent_is_served_after_it_is_lost_and_the_close_event_comes_last() {
    let (mut world, id) = one(CrashPolicy::Close);
    let items: Vec<_> = (0..40).map(|_| world.send(id, 8)).collect();
    world.pump();
    world.lose(id);
    world.actions();
    assert_eq!(world.closed(id), Some(CloseReason::PeerError), "its socket goes at once");
    assert_eq!(world.phase(id), Some(Phase::PeerGone));
    world.calm_down();
    assert!(items.iter().all(|item| world.state(id, *item) == State::Finished));
    assert_eq!(world.log.last().map(|(_, item, _)| *item), Some(Item::Closed));
    assert!(world.sessions[&id].freed);
}

#[test]
fn a_client_that_is_lost_before_a_worker_saw_it_is_served_if_it_had_sent_something() {
    let mut world = serving(Dispatch::IdleFirst, CrashPolicy::Close);
    let (spoke, silent) = (world.connect().unwrap(), world.connect().unwrap());
    let item = world.send(spoke, 8);
    world.lose(spoke);
    world.lose(silent);
    world.calm_down();
    assert_eq!(world.state(spoke, item), State::Finished);
    assert_eq!(world.sessions[&silent].items[&Item::Connect].starts, 0);
    assert!(world.log.iter().all(|(id, ..)| *id == spoke));
}

#[test]
fn the_close_event_of_a_lost_client_does_not_wait_for_a_deferred_package() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.start(0);
    world.lose(id);
    world.pump();
    assert!(world.start(0), "the close event is at the worker");
    assert_eq!(world.log.last().map(|(_, item, _)| *item), Some(Item::Closed));
    world.calm_down();
}

#[test]
fn what_a_lost_client_had_sent_is_given_again_after_a_recall_and_while_the_server_drains() {
    let (mut world, id) = one(CrashPolicy::Close);
    let items: Vec<_> = (0..4).map(|_| world.send(id, 8)).collect();
    world.pump();
    world.lose(id);
    world.pump();
    world.drain();
    world.recall(0);
    world.calm_down();
    assert!(items.iter().all(|item| world.state(id, *item) == State::Finished));
}

#[test]
fn what_ends_a_session_ends_the_service_of_a_lost_client_too() {
    let (mut world, id) = one(CrashPolicy::Close);
    for _ in 0..40 {
        world.send(id, 8);
    }
    world.pump();
    world.start(0);
    world.lose(id);
    world.die(0);
    world.actions();
    assert_eq!(world.phase(id), Some(Phase::Ended));
    assert_eq!(world.sessions[&id].input_dropped, Some(CloseReason::WorkerDied));
    assert_eq!(world.closed(id), Some(CloseReason::PeerError), "closed once, for the first reason");
    world.calm_down();
}

#[test]
fn nothing_is_told_of_a_session_after_its_place_is_free() {
    let (mut world, id) = one(CrashPolicy::Close);
    world.request(id);
    world.start(0);
    world.lose(id);
    world.pump();
    assert!(world.start(0), "the close event is at the worker, beside the package");
    // The death settles the close event first, then the package: that one closes nothing any more.
    world.die(0);
    world.actions();
    assert!(world.sessions[&id].freed);
    assert_eq!(world.sessions[&id].input_dropped, None);
}
